//! `[[runners.autoscaler.policy]]`: how many idle slots, and when.
//!
//! For GitLab Runner the last policy that matches holds, and it stands alone: what it leaves out is 0. So each of them
//! is written with all four idle values, also as a schedule entry, which would inherit what it leaves out.
//!
//! Sources: GitLab Runner's documentation, "The `[[runners.autoscaler.policy]]` sections"; fleeting's taskscaler.

use super::super::gitlab_keys;
use super::super::node::{At, Item, Node, Table};
use super::autoscaling;
use super::go;
use super::limits;
use super::translation::Pen;

const ALWAYS: &str = "* * * * *";

/// A first policy that is always active becomes the runner's own values; the others become the schedule.
pub(super) fn translate(autoscaler: &Table, pen: &mut Pen<'_>) {
    let Some(node) = autoscaler.get("policy") else { return };
    let tables: Option<Vec<&Table>> = node.as_array().and_then(|nodes| nodes.iter().map(Node::as_table).collect());
    let Some(tables) = tables else {
        pen.error(&node.at, "not a list of tables; write [[runners.autoscaler.policy]]");
        return;
    };
    if pen.is_given("schedule") {
        pen.note(&node.at, "left out, because [runners.fleet] has a schedule of its own");
        return;
    }
    let mut entries = Vec::new();
    for (index, policy) in tables.into_iter().enumerate() {
        let values = values(policy, pen);
        let periods = periods(policy, pen);
        if index == 0 && periods.is_none() {
            pen.set_all(values);
            zone_of_always(policy, pen);
            continue;
        }
        let mut entry = Table::empty(&policy.at);
        match periods {
            Some(periods) => {
                entry.push("periods", periods);
                entry.push("timezone", autoscaling::zone(policy.get("timezone"), &policy.at, pen));
            }
            None => {
                entry.push("periods", Node::new(&policy.at, Item::Array(vec![Node::text(&policy.at, ALWAYS)])));
                zone_of_always(policy, pen);
            }
        }
        entry.entries.extend(values.entries);
        entries.push(Node { at: policy.at.clone(), item: Item::Table(entry) });
    }
    if !entries.is_empty() {
        pen.set("schedule", &node.at, Item::Array(entries));
    }
}

/// The periods of a policy that is not always active.
fn periods(policy: &Table, pen: &mut Pen<'_>) -> Option<Node> {
    let node = policy.get("periods")?;
    let Some(elements) = node.as_array() else { return Some(node.clone()) };
    let periods: Vec<Node> = elements.iter().map(|element| period(element, pen)).collect();
    let always = |node: &Node| node.as_str().is_some_and(|text| text.split_whitespace().eq(["*"; 5]));
    if periods.is_empty() || periods.iter().any(always) {
        return None;
    }
    Some(Node::new(&node.at, Item::Array(periods)))
}

/// GitLab's documentation explains `1 * * * * *`, with one field too many, as the first minute of each hour.
fn period(node: &Node, pen: &mut Pen<'_>) -> Node {
    let fields: Vec<&str> = node.as_str().unwrap_or_default().split_whitespace().collect();
    match fields.as_slice() {
        [five @ .., "*"] if fields.len() == 6 => {
            let five = five.join(" ");
            pen.note(&node.at, format!("has 6 fields, of which the last says nothing: {five:?} is used"));
            Node::text(&node.at, five)
        }
        _ => node.clone(),
    }
}

/// Where a policy is always active, its zone changes nothing.
fn zone_of_always(policy: &Table, pen: &mut Pen<'_>) {
    if let Some(node) = policy.get("timezone").filter(|node| !matches!(node.as_str(), Some("" | "UTC"))) {
        pen.note(&node.at, "left out: the policy is active all the time, in every zone");
    }
}

/// Idle slots: at least `idle_count`, more by the factor, at most its limit. In our words the count is the ceiling.
fn values(policy: &Table, pen: &mut Pen<'_>) -> Table {
    pen.leaves_out_unread(policy, &gitlab_keys::POLICY);
    let at = &policy.at;
    let count = match policy.get("idle_count") {
        Some(node) => pen.not_below_zero(node),
        None => limits::zero(at),
    };
    let limit = policy.get("scale_factor_limit");
    let (most, least, factor) = match limits::factor(policy.get("scale_factor"), pen) {
        Some(factor) => (most(limit, &factor, pen).unwrap_or_else(|| count.clone()), count, factor),
        None => {
            if let Some(limit) = limit.filter(|node| node.as_integer() != Some(0)) {
                pen.note(&limit.at, "scale_factor_limit has no effect without scale_factor; left out");
            }
            (count, limits::zero(at), limits::zero(at))
        }
    };
    let mut values = Table::empty(at);
    values.push("idle_count", most);
    values.push("idle_count_min", least);
    values.push("idle_scale_factor", factor);
    values.push("idle_time", idle_time(policy, at, pen));
    if let Some(node) = policy.get("preemptive_mode") {
        pen.note(
            &node.at,
            "left out: workers ask for jobs only when they are ready, and are launched for jobs that wait",
        );
    }
    values
}

/// The ceiling of the factor: its limit, or as many slots as there may be.
fn most(limit: Option<&Node>, factor: &Node, pen: &mut Pen<'_>) -> Option<Node> {
    match limit.map(|node| (node, node.as_integer())) {
        Some((limit, None | Some(1..))) => Some(limit.clone()),
        Some((limit, Some(i64::MIN..0))) => {
            pen.note(&limit.at, format!("{} is below 0, which is no limit", limit.shown()));
            limits::slots(pen).map(|slots| Node::new(&factor.at, Item::Integer(slots)))
        }
        None | Some((_, Some(0))) => limits::slots(pen).map(|slots| Node::new(&factor.at, Item::Integer(slots))),
    }
}

fn idle_time(policy: &Table, at: &At, pen: &mut Pen<'_>) -> Node {
    let Some(node) = policy.get("idle_time") else { return limits::zero(at) };
    let seconds = go::seconds(node).unwrap_or_else(|why| {
        pen.error(&node.at, why);
        0
    });
    Node::new(&node.at, Item::Integer(seconds))
}

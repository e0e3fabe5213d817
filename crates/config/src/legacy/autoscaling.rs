//! `[[runners.machine.autoscaling]]` and the older `OffPeak…` keys: the schedule.
//!
//! An active section supplies all four idle values; what it omits is 0 and not the root's value, unlike in our schedule,
//! so all four are always written out.

use super::super::gitlab_keys;
use super::super::node::{At, Item, Node, Table};
use super::limits;
use super::periods::{self, Period};
use super::translation::Pen;

/// Translates both.
pub(crate) fn translate(machine: &Table, pen: &mut Pen<'_>) {
    off_peak(machine, pen);
    let Some(node) = machine.get("autoscaling") else { return };
    let sections: Option<Vec<&Table>> = node.as_array().and_then(|nodes| nodes.iter().map(Node::as_table).collect());
    let Some(sections) = sections else {
        pen.error(&node.at, "not a list of tables; write [[runners.machine.autoscaling]]");
        return;
    };
    if pen.is_given("schedule") {
        pen.note(&node.at, "left out, because [runners.fleet] has a schedule of its own");
        return;
    }
    let entries: Vec<Node> = sections.iter().filter_map(|section| entry(section, pen)).collect();
    if !entries.is_empty() {
        pen.set("schedule", &node.at, Item::Array(entries));
    }
}

fn entry(section: &Table, pen: &mut Pen<'_>) -> Option<Node> {
    pen.leaves_out_unread(section, &gitlab_keys::AUTOSCALING);
    let periods = periods(section, pen)?;
    let mut entry = Table::empty(&section.at);
    let at = section.get("Periods").map_or(&section.at, |node| &node.at);
    entry.push("periods", Node::new(at, Item::Array(periods)));
    let zone = zone(section.get("Timezone"), &section.at, pen);
    entry.push("timezone", zone);
    entry.entries.extend(idle_values(section, pen).entries);
    if section.get("IdleTime").is_none() {
        pen.note(&section.at, "no IdleTime: as in docker+machine it is 0 while this section is active, and not the runner's; surplus workers go at once");
    }
    Some(Node { at: section.at.clone(), item: Item::Table(entry) })
}

fn periods(section: &Table, pen: &mut Pen<'_>) -> Option<Vec<Node>> {
    let node = section.get("Periods");
    let Some(elements) = node.and_then(Node::as_array).filter(|elements| !elements.is_empty()) else {
        pen.note(&section.at, "has no Periods, so it is never active; left out");
        return None;
    };
    let mut periods = Vec::new();
    let mut wrong = false;
    for element in elements {
        let Some(text) = element.as_str() else {
            pen.error(&element.at, format!("{} is not text", element.shown()));
            wrong = true;
            continue;
        };
        match periods::translate(text) {
            Ok(Period::Five(five)) => periods.push(Node::text(&element.at, five)),
            Ok(Period::Never(why)) => pen.note(&element.at, why),
            Err(why) => {
                pen.error(&element.at, why);
                wrong = true;
            }
        }
    }
    if periods.is_empty() && !wrong {
        pen.note(&section.at, "is never active; left out");
    }
    (!periods.is_empty()).then_some(periods)
}

/// `""` and `"Local"` are the manager's own zone, which is written out.
pub(crate) fn zone(node: Option<&Node>, at: &At, pen: &mut Pen<'_>) -> Node {
    let at = node.map_or(at, |node| &node.at);
    match node {
        Some(node) if !matches!(node.as_str(), Some("" | "Local")) => node.clone(),
        _ => {
            let zone = pen.outside().surroundings.zone.as_deref().unwrap_or("UTC");
            pen.note(
                at,
                format!("the zone of the periods is this machine's own: {zone} is used; write the zone that is meant"),
            );
            Node::text(at, zone)
        }
    }
}

/// The four idle values of a section; an absent one is 0.
pub(crate) fn idle_values(section: &Table, pen: &mut Pen<'_>) -> Table {
    let at = &section.at;
    let count = |key: &str, pen: &mut Pen<'_>| match section.get(key) {
        Some(node) => pen.not_below_zero(node),
        None => limits::zero(at),
    };
    let written = section.get("IdleScaleFactor");
    if let Some(node) = written.filter(|node| node.as_integer().is_some()) {
        pen.note(&node.at, "GitLab's documentation wants a decimal number here; it is taken as one");
    }
    let factor = limits::factor(written, pen);
    let idle_count = count("IdleCount", pen);
    let min = count("IdleCountMin", pen);
    let min = match (factor.is_some(), min.as_integer()) {
        // docker+machine takes a minimum below 1 for 1. Ours is lowered to the count where that is 0.
        (true, Some(0)) if idle_count.as_integer().is_none_or(|count| count > 0) => {
            Node::new(&min.at, Item::Integer(1))
        }
        (true, _) => min,
        (false, number) => {
            if number != Some(0) {
                pen.note(&min.at, "IdleCountMin has no effect without IdleScaleFactor; left out");
            }
            limits::zero(&min.at)
        }
    };
    let mut values = Table::empty(at);
    values.push("idle_count", idle_count);
    values.push("idle_count_min", min);
    values.push("idle_scale_factor", factor.unwrap_or_else(|| limits::zero(written.map_or(at, |node| &node.at))));
    values.push("idle_time", count("IdleTime", pen));
    values
}

/// Ignored by GitLab Runner since 14.0.
fn off_peak(machine: &Table, pen: &mut Pen<'_>) {
    let Some(periods) = machine.get("OffPeakPeriods") else {
        for key in ["OffPeakTimezone", "OffPeakIdleCount", "OffPeakIdleTime"] {
            if let Some(node) = machine.get(key) {
                pen.note(&node.at, "GitLab Runner ignores this key since 14.0; left out");
            }
        }
        return;
    };
    let texts = periods.as_array().unwrap_or_default().iter().filter_map(Node::as_str);
    let five: Vec<String> = texts
        .filter_map(|text| match periods::translate(text) {
            Ok(Period::Five(five)) => Some(five),
            Ok(Period::Never(_)) | Err(_) => None,
        })
        .collect();
    let shown = |key: &str| machine.get(key).map_or_else(|| "0".to_owned(), Node::shown);
    let zone = machine.get("OffPeakTimezone").map_or_else(|| "\"UTC\"".to_owned(), Node::shown);
    pen.note(
        &periods.at,
        format!(
            "GitLab Runner ignores the OffPeak keys since 14.0; left out. As a schedule entry they would be: periods = {five:?}, timezone = {zone}, idle_count = {}, idle_time = {}",
            shown("OffPeakIdleCount"),
            shown("OffPeakIdleTime")
        ),
    );
}

//! Counts that are above a limit: GitLab Runner keeps what the limit allows, so a translation does, too, and says so.
//!
//! Only what was translated is touched. What the user wrote in `[runners.fleet]` is read as in any file of ours, and a
//! contradiction in it is a problem.
//!
//! Sources: GitLab Runner's documentation, "How `concurrent`, `limit` and `IdleCount` generate the upper limit of running
//! machines"; `executors/docker/machine/provider.go`; fleeting's taskscaler.

use super::super::node::{At, Item, Node, Table};
use super::super::problems::Note;
use super::super::sizes::default_max_workers;
use super::translation::Pen;

/// Lowers what is above a limit, with a note for each.
pub(super) fn clamp(pen: &mut Pen<'_>) {
    let mut told = Vec::new();
    let ceiling = ceiling(pen);
    let user = pen.user();
    let is_ours = |key: &str| user.is_none_or(|fleet| fleet.get(key).is_none());
    let fleet = pen.fleet();
    idle(fleet, &ceiling, &is_ours, &mut told);
    if is_ours("idle_scale_factor") {
        forecast(fleet, &mut told);
    }
    if is_ours("schedule")
        && let Some(Node { item: Item::Array(entries), .. }) = fleet.get_mut("schedule")
    {
        let entries = entries.iter_mut().filter_map(Node::as_table_mut);
        entries.for_each(|entry| idle(entry, &ceiling, &|_| true, &mut told));
    }
    told.into_iter().for_each(|note| pen.note(&note.at, note.text));
}

/// The most slots that there can be, as far as the section has been translated.
pub(super) fn slots(pen: &mut Pen<'_>) -> Option<i64> {
    ceiling(pen).slots
}

/// The most slots that there can be, and by what.
struct Ceiling {
    /// `None` when something that it follows from could not be read, which is told elsewhere.
    slots: Option<i64>,
    by: String,
}

/// A worker holds no more jobs than all runners may run, and a fresh one for each job holds one.
pub(super) fn capacity(pen: &mut Pen<'_>) {
    if pen.is_given("capacity") {
        return;
    }
    let concurrent = pen.outside().concurrent.map(i64::from);
    let one_job = integer(pen.fleet(), "max_jobs") == Some(1);
    let Some(node) = pen.fleet().get_mut("capacity") else { return };
    let mut told = Vec::new();
    if let Some(concurrent) = concurrent {
        lower(node, concurrent, &mut told, |capacity| {
            format!(
                "{capacity} is more than concurrent = {concurrent}, the jobs at one time of all runners: {concurrent} counts"
            )
        });
    }
    if one_job {
        lower(node, 1, &mut told, |capacity| {
            format!("{capacity} jobs at one time and a fresh machine for each exclude each other: 1 counts")
        });
    }
    told.into_iter().for_each(|note| pen.note(&note.at, note.text));
}

fn ceiling(pen: &mut Pen<'_>) -> Ceiling {
    let written = integer(pen.fleet(), "max_workers");
    let capacity = integer(pen.fleet(), "capacity").unwrap_or(1).max(1);
    let limit = match pen.section().get("limit").map(|node| &node.item) {
        None => Some(0),
        Some(Item::Integer(limit)) => u32::try_from((*limit).max(0)).ok(),
        Some(_) => None,
    };
    let by_limit = || default_max_workers(limit?, pen.outside().concurrent, u32::try_from(capacity).ok()?);
    let workers = written.or_else(|| by_limit().map(i64::from));
    let name = if pen.is_given("max_workers") { "max_workers" } else { "max_instances" };
    let by = match (written, limit) {
        (Some(workers), _) => format!("{name} = {workers}"),
        (None, Some(limit)) if limit > 0 => format!("limit = {limit}"),
        (None, _) => "`concurrent`".to_owned(),
    };
    Ceiling { slots: workers.map(|workers| workers.saturating_mul(capacity)), by }
}

/// The count below the ceiling, the minimum below the count.
fn idle(values: &mut Table, ceiling: &Ceiling, is_ours: &dyn Fn(&str) -> bool, told: &mut Vec<Note>) {
    if let Some(slots) = ceiling.slots
        && is_ours("idle_count")
        && let Some(node) = values.get_mut("idle_count")
    {
        lower(node, slots, told, |count| {
            format!(
                "{count} is more than the {slots} slots that {} allows: as with GitLab Runner, {slots} counts",
                ceiling.by
            )
        });
    }
    let most = integer(values, "idle_count").or(ceiling.slots);
    if let Some(most) = most
        && is_ours("idle_count_min")
        && let Some(node) = values.get_mut("idle_count_min")
    {
        lower(node, most, told, |min| {
            format!(
                "{min} is above {most}, the most idle slots that there may be: as with GitLab Runner, {most} counts"
            )
        });
    }
}

/// A forecast that the user asks for has no factor.
fn forecast(fleet: &mut Table, told: &mut Vec<Note>) {
    if fleet.get("idle_count").and_then(Node::as_str) != Some("auto") {
        return;
    }
    if let Some(factor) = fleet.get_mut("idle_scale_factor").filter(|node| node.as_integer() != Some(0)) {
        told.push(Note::new(
            &factor.at,
            "left out: idle_count = \"auto\" in [runners.fleet] follows the jobs by itself",
        ));
        factor.item = Item::Integer(0);
    }
}

fn lower(node: &mut Node, most: i64, told: &mut Vec<Note>, text: impl FnOnce(i64) -> String) {
    if let Item::Integer(number) = node.item
        && number > most
    {
        told.push(Note::new(&node.at, text(number)));
        node.item = Item::Integer(most);
    }
}

/// A factor of the old file that is on. Below 0 it is off, as for GitLab Runner, and above 100 it is a hundred.
pub(super) fn factor(node: Option<&Node>, pen: &mut Pen<'_>) -> Option<Node> {
    /// What [`super::super::values::factor`] takes at most.
    const FACTOR_MAX: i64 = 100;
    let node = node?;
    let (is_negative, is_off, is_large) = match node.item {
        Item::Float(number, _) => (number < 0.0, number <= 0.0, number > 100.0),
        Item::Integer(number) => (number < 0, number <= 0, number > FACTOR_MAX),
        Item::String(_) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            (false, false, false)
        }
    };
    if is_negative {
        pen.note(&node.at, format!("{} is below 0, which switches the factor off", node.shown()));
    }
    if is_large {
        pen.note(&node.at, format!("{} is more than any fleet needs: {FACTOR_MAX} counts", node.shown()));
        return Some(Node::new(&node.at, Item::Integer(FACTOR_MAX)));
    }
    (!is_off).then(|| node.clone())
}

/// A zero that nobody wrote, at the place of its table.
pub(super) fn zero(at: &At) -> Node {
    Node::new(at, Item::Integer(0))
}

fn integer(table: &Table, key: &str) -> Option<i64> {
    table.get(key).and_then(Node::as_integer)
}

//! How many: `limit`, `max_workers`, `capacity`, the idle values, and whether they fit together.

use std::time::Duration;

use super::node::Table;
use super::problems::Report;
use super::reader::Reader;
use super::{duration, schedule, values};
use runner_fleet_engine::{IdleCount, IdleTime, ScheduleEntry};

/// The counts of one runner, read and with their defaults.
#[derive(Clone, Debug)]
pub(crate) struct Sizes {
    pub(crate) max_workers: u32,
    pub(crate) capacity: u32,
    pub(crate) max_jobs: u32,
    pub(crate) idle_count: IdleCount,
    pub(crate) idle_time: IdleTime,
    pub(crate) target_wait: Duration,
    pub(crate) idle_count_min: u32,
    pub(crate) idle_count_max: Option<u32>,
    pub(crate) idle_scale_factor: f64,
    pub(crate) max_booting: u32,
    pub(crate) schedule: Vec<ScheduleEntry>,
}

/// What the counts are checked against.
#[derive(Clone, Copy)]
pub(crate) struct Around {
    /// `None` when it could not be read.
    pub(crate) concurrent: Option<u32>,
    /// `None` when it could not be read.
    pub(crate) limit: Option<u32>,
    /// Whether the queue can be seen.
    pub(crate) sees_queue: bool,
}

/// What a person who has just pushed hardly notices.
const DEFAULT_TARGET_WAIT: Duration = Duration::from_secs(30);

/// Reads the counts; `None` when one of them is bad or they contradict each other.
pub(crate) fn read(reader: &Reader<'_>, around: Around, report: &mut Report) -> Option<Sizes> {
    let capacity = reader.or("capacity", 1, report, values::positive);
    let written_max = reader.or("max_workers", None, report, |node| values::positive(node).map(Some));
    let max_jobs = reader.or("max_jobs", 0, report, values::count);
    let idle_count = reader.or("idle_count", IdleCount::Fixed(0), report, values::idle_count);
    let idle_time = reader.or("idle_time", IdleTime::Auto, report, values::idle_time);
    let target_wait = reader.or("target_wait", DEFAULT_TARGET_WAIT, report, duration::any);
    let idle_count_min = reader.or("idle_count_min", 0, report, values::count);
    let idle_count_max = reader.or("idle_count_max", None, report, |node| values::count(node).map(Some));
    let idle_scale_factor = reader.or("idle_scale_factor", 0.0, report, values::factor);
    let max_booting = reader.or("max_booting", 0, report, values::count);
    let schedule = schedule_entries(reader, report);
    let capacity = capacity?;
    let default_max = || default_max_workers(around.limit?, around.concurrent, capacity);
    let max_workers = written_max?.or_else(default_max)?;
    let sizes = Sizes {
        max_workers,
        capacity,
        max_jobs: max_jobs?,
        idle_count: idle_count?,
        idle_time: idle_time?,
        target_wait: target_wait?,
        idle_count_min: idle_count_min?,
        idle_count_max: idle_count_max?,
        idle_scale_factor: idle_scale_factor?,
        max_booting: max_booting?,
        schedule: schedule?,
    };
    let before = report.problem_count();
    check(&sizes, reader, around, report);
    (report.problem_count() == before).then_some(sizes)
}

/// ceil(limit / capacity); without a limit, what fits under `concurrent`.
pub(crate) fn default_max_workers(limit: u32, concurrent: Option<u32>, capacity: u32) -> Option<u32> {
    match limit {
        0 => concurrent.map(|concurrent| (concurrent / capacity).max(1)),
        limit => Some(limit.div_ceil(capacity)),
    }
}

fn schedule_entries(reader: &Reader<'_>, report: &mut Report) -> Option<Vec<ScheduleEntry>> {
    let Some(node) = reader.node("schedule") else { return Some(Vec::new()) };
    let tables: Option<Vec<&Table>> =
        node.as_array().and_then(|nodes| nodes.iter().map(super::node::Node::as_table).collect());
    let Some(tables) = tables else {
        report.problem(&node.at, "not a list of tables; write [[runners.fleet.schedule]]");
        return None;
    };
    let entries: Vec<Option<ScheduleEntry>> = tables.into_iter().map(|table| schedule::read(table, report)).collect();
    entries.into_iter().collect()
}

/// The idle values in force at some time: the runner's own, or one schedule entry's over them.
struct InForce<'a> {
    place: Option<(usize, &'a ScheduleEntry)>,
    max_workers: u32,
    idle_count: IdleCount,
    idle_count_min: u32,
    idle_scale_factor: f64,
}

fn check(sizes: &Sizes, reader: &Reader<'_>, around: Around, report: &mut Report) {
    check_capacity(sizes, reader, around, report);
    let base = InForce {
        place: None,
        max_workers: sizes.max_workers,
        idle_count: sizes.idle_count,
        idle_count_min: sizes.idle_count_min,
        idle_scale_factor: sizes.idle_scale_factor,
    };
    check_idle(&base, sizes, reader, around, report);
    for (index, entry) in sizes.schedule.iter().enumerate() {
        let in_force = InForce {
            place: Some((index, entry)),
            max_workers: entry.max_workers.unwrap_or(base.max_workers),
            idle_count: entry.idle_count.unwrap_or(base.idle_count),
            idle_count_min: entry.idle_count_min.unwrap_or(base.idle_count_min),
            idle_scale_factor: entry.idle_scale_factor.unwrap_or(base.idle_scale_factor),
        };
        check_idle(&in_force, sizes, reader, around, report);
    }
    let counts = sizes.schedule.iter().filter_map(|entry| entry.idle_count).chain([sizes.idle_count]);
    if counts.into_iter().all(|count| count != IdleCount::Auto) {
        for key in ["target_wait", "idle_count_max"].into_iter().filter(|key| reader.has(key)) {
            report.warn(&reader.at(key), "has no effect without idle_count = \"auto\"");
        }
    }
    if let Some(max) = sizes.idle_count_max.filter(|max| *max < sizes.idle_count_min) {
        let min = sizes.idle_count_min;
        report.warn(
            &reader.at("idle_count_max"),
            format!("idle_count_max = {max} is below idle_count_min = {min}, which holds; write {min} or more"),
        );
    }
}

fn check_capacity(sizes: &Sizes, reader: &Reader<'_>, around: Around, report: &mut Report) {
    let Sizes { max_workers, capacity, max_jobs, .. } = *sizes;
    if max_jobs == 1 && capacity > 1 {
        report.problem(
            &reader.at("max_jobs"),
            format!("1 means a fresh machine for every job, but capacity = {capacity} puts {capacity} on one; write capacity = 1"),
        );
    }
    let Some(concurrent) = around.concurrent else { return };
    if capacity > concurrent {
        report.problem(
            &reader.at("capacity"),
            format!("{capacity} is more than concurrent = {concurrent}, so that no worker could ever start; write {concurrent} or fewer"),
        );
    } else if reader.has("max_workers") && slots(max_workers, capacity) > u64::from(concurrent) {
        report.warn(
            &reader.at("max_workers"),
            format!(
                "{max_workers} workers of capacity {capacity} are more than concurrent = {concurrent} allows: there will be at most {}",
                concurrent / capacity
            ),
        );
    }
}

fn check_idle(in_force: &InForce<'_>, sizes: &Sizes, reader: &Reader<'_>, around: Around, report: &mut Report) {
    let InForce { place, max_workers, idle_count, idle_count_min, idle_scale_factor } = *in_force;
    // The most telling key that is written in the entry, else in the runner.
    let at = |keys: &[&'static str]| {
        let entry_has = |entry: &ScheduleEntry, key: &str| match key {
            "idle_count" => entry.idle_count.is_some(),
            "idle_count_min" => entry.idle_count_min.is_some(),
            "idle_scale_factor" => entry.idle_scale_factor.is_some(),
            "max_workers" => entry.max_workers.is_some(),
            _ => false,
        };
        match place {
            Some((index, entry)) => {
                let place = entry_place(reader, index);
                let key = keys.iter().find(|key| entry_has(entry, key)).or(keys.first());
                place.map_or_else(
                    || reader.at("schedule"),
                    |(table, at)| {
                        key.map_or(at, |key| table.get(key).map_or_else(|| table.at.clone(), |node| node.at.clone()))
                    },
                )
            }
            None => reader.at(keys.iter().find(|key| reader.has(key)).or(keys.first()).copied().unwrap_or_default()),
        }
    };
    let capacity = sizes.capacity;
    let IdleCount::Fixed(idle_count) = idle_count else {
        let at = |key: &'static str| at(&[key]);
        return check_auto(in_force, capacity, &at, around, report);
    };
    if u64::from(idle_count) > slots(max_workers, capacity) {
        report.problem(
            &at(&["max_workers", "idle_count"]),
            format!("{max_workers} worker{} cannot hold idle_count = {idle_count} at capacity {capacity}; write max_workers = {} or more, or a smaller idle_count", plural(max_workers), idle_count.div_ceil(capacity)),
        );
    }
    if idle_count_min > idle_count {
        report.problem(
            &at(&["idle_count_min", "idle_count"]),
            format!("idle_count_min = {idle_count_min} is above idle_count = {idle_count}, its ceiling; write {idle_count} or less"),
        );
    }
    let floor = if idle_scale_factor > 0.0 { idle_count_min } else { idle_count };
    if floor == 0 && !around.sees_queue {
        let key = if idle_scale_factor > 0.0 { "idle_count_min" } else { "idle_count" };
        report.problem(
            &at(&[key]),
            format!("without api_token the queue cannot be seen, and with {key} = 0 no worker would ever start; write api_token, or {key} = 1 or more"),
        );
    }
}

/// With `idle_count = "auto"`: the floor must fit, a factor has nothing to scale, and somebody must see the jobs.
fn check_auto(
    in_force: &InForce<'_>,
    capacity: u32,
    at: &dyn Fn(&'static str) -> super::node::At,
    around: Around,
    report: &mut Report,
) {
    let InForce { place, max_workers, idle_count: _, idle_count_min, idle_scale_factor } = *in_force;
    // A factor that an entry merely inherits is the runner's, for its own number.
    let factor = place.map_or(Some(idle_scale_factor), |(_, entry)| entry.idle_scale_factor);
    if factor.is_some_and(|factor| factor > 0.0) {
        report.problem(
            &at("idle_scale_factor"),
            "idle_count = \"auto\" already follows the jobs; leave idle_scale_factor out, or write a number as idle_count",
        );
    }
    if u64::from(idle_count_min) > slots(max_workers, capacity) {
        report.problem(
            &at("idle_count_min"),
            format!("{max_workers} worker{} cannot hold idle_count_min = {idle_count_min} at capacity {capacity}; write {} or less", plural(max_workers), slots(max_workers, capacity)),
        );
    }
    if idle_count_min == 0 && !around.sees_queue {
        report.problem(
            &at("idle_count"),
            "without api_token the queue cannot be seen, and a forecast that never sees a job would never start a worker; write api_token, or idle_count_min = 1 or more",
        );
    }
}

fn entry_place<'t>(reader: &Reader<'t>, index: usize) -> Option<(&'t Table, super::node::At)> {
    let table = reader.node("schedule")?.as_array()?.get(index)?.as_table()?;
    Some((table, table.at.clone()))
}

fn slots(workers: u32, capacity: u32) -> u64 {
    u64::from(workers) * u64::from(capacity)
}

fn plural(count: u32) -> &'static str {
    if count == 1 { "" } else { "s" }
}

//! What a runner's schedule allows, read by the observer for itself.

use cronexpr::MakeTimestamp;
use jiff::Timestamp;

use crate::settings::{IdleCount, RunnerSettings};

/// The limits of one moment.
pub(super) struct Limits {
    pub(super) max_workers: u32,
    /// Free slots that are wanted whatever runs; `None` where a factor or a forecast says how many.
    pub(super) idle: Option<u32>,
}

/// Of the entries that are active now the last counts; what it leaves out is the runner's own.
pub(super) fn limits(section: &RunnerSettings, now: Timestamp) -> Limits {
    let own = (section.max_workers, section.idle.count, section.idle.scale_factor);
    let (mut max_workers, mut count, mut factor) = own;
    let Ok(minute) = MakeTimestamp::from_second(now.as_second()) else { return of(own) };
    for entry in &section.schedule {
        if entry.periods.iter().any(|period| period.matches(minute).is_ok_and(|active| active)) {
            max_workers = entry.max_workers.unwrap_or(own.0);
            count = entry.idle_count.unwrap_or(own.1);
            factor = entry.idle_scale_factor.unwrap_or(own.2);
        }
    }
    of((max_workers, count, factor))
}

fn of((max_workers, count, factor): (u32, IdleCount, f64)) -> Limits {
    let idle = match count {
        IdleCount::Fixed(count) if factor <= 0.0 => Some(count),
        IdleCount::Fixed(_) | IdleCount::Auto => None,
    };
    Limits { max_workers, idle }
}

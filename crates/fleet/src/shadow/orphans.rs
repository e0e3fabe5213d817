//! Machines that nothing explains: for long there were more of them than jobs that ran or waited and idle machines that were
//! wanted.
//!
//! Which machine runs a job, only the other manager knows; so they are counted. At each moment so many machines are
//! surplus as exceed jobs and idle count. A surplus that lasts less than the patience is a boot, an idle time or a slow
//! removal; one that lasts longer is a leak: so many machines, for so long. Those that are surplus at the end are named by
//! age, the oldest first: docker+machine forgets machines, it does not make new ones by mistake.

use std::time::Duration;

use jiff::Timestamp;

/// From when until when something was there.
pub type Span = (Timestamp, Timestamp);

/// What explains machines.
#[derive(Clone, Debug, Default)]
pub struct Explained<'s> {
    /// Jobs, each from when it waited until it ended.
    pub jobs: &'s [Span],
    /// Machines that may stand idle.
    pub idle: u32,
    /// How long a surplus may last.
    pub patience: Duration,
}

/// What was left unexplained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Unexplained {
    /// Machines' time that nothing explains.
    pub time: Duration,
    /// Machines that nothing explains at the end of the watch.
    pub now: u32,
}

/// Counts machines against what explains them, within the watch.
pub fn unexplained(watch: Span, machines: &[Span], explained: &Explained<'_>) -> Unexplained {
    let levels = surplus(watch, machines, explained);
    let most = levels.iter().map(|(_, surplus)| *surplus).max().unwrap_or_default();
    let mut found = Unexplained::default();
    for level in 1..=most {
        for (from, until) in stretches(watch, &levels, level) {
            let lasted = between(from, until);
            if lasted >= explained.patience {
                found.time += lasted;
                found.now += u32::from(until == watch.1);
            }
        }
    }
    found
}

/// From each moment on: machines beyond what explains them.
fn surplus(watch: Span, machines: &[Span], explained: &Explained<'_>) -> Vec<(Timestamp, i64)> {
    let within = |span: &Span| (span.0.max(watch.0), span.1.min(watch.1));
    let changes = |spans: &[Span], by: i64| -> Vec<(Timestamp, i64)> {
        let inside = spans.iter().map(within).filter(|(from, until)| from < until);
        inside.flat_map(|(from, until)| [(from, by), (until, -by)]).collect()
    };
    let mut all = changes(machines, 1);
    all.extend(changes(explained.jobs, -1));
    all.push((watch.0, -i64::from(explained.idle)));
    all.sort_unstable();
    let mut levels: Vec<(Timestamp, i64)> = Vec::with_capacity(all.len());
    let mut now = 0;
    for (at, by) in all {
        now += by;
        match levels.last_mut() {
            Some(last) if last.0 == at => last.1 = now,
            Some(_) | None => levels.push((at, now)),
        }
    }
    // At the end of the watch all spans end, which is no change.
    levels.retain(|(at, _)| *at < watch.1);
    levels
}

/// The longest stretches in which the surplus was at least this.
fn stretches(watch: Span, levels: &[(Timestamp, i64)], level: i64) -> Vec<Span> {
    let mut found = Vec::new();
    let mut since = None;
    for (at, surplus) in levels {
        match (since, *surplus >= level) {
            (None, true) => since = Some(*at),
            (Some(from), false) => {
                found.push((from, *at));
                since = None;
            }
            (None, false) | (Some(_), true) => {}
        }
    }
    found.extend(since.map(|from| (from, watch.1)));
    found
}

fn between(from: Timestamp, until: Timestamp) -> Duration {
    until.duration_since(from).try_into().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::super::seen::tests::at;
    use super::*;

    const HOUR: i64 = 3600;

    fn span(from: i64, until: i64) -> Span {
        (at(from), at(until))
    }

    fn judge(machines: &[Span], jobs: &[Span], idle: u32) -> (i64, u32) {
        let explained = Explained { jobs, idle, patience: Duration::from_secs(1800) };
        let found = unexplained(span(0, 10 * HOUR), machines, &explained);
        (i64::try_from(found.time.as_secs()).unwrap(), found.now)
    }

    #[test]
    fn a_machine_that_outlives_its_jobs_for_long_is_unexplained() {
        let job = span(0, HOUR);
        assert_eq!(judge(&[span(0, HOUR + 1799)], &[job], 0), (0, 0), "an idle time");
        assert_eq!(judge(&[span(0, 3 * HOUR)], &[job], 0), (2 * HOUR, 0), "ended at last");
        assert_eq!(judge(&[span(-HOUR, 10 * HOUR)], &[job], 0), (9 * HOUR, 1), "still there");
    }

    #[test]
    fn what_is_wanted_idle_and_what_waits_explains_machines() {
        let two = [span(0, 10 * HOUR), span(0, 10 * HOUR)];
        assert_eq!(judge(&two, &[], 2), (0, 0));
        assert_eq!(judge(&two, &[], 1), (10 * HOUR, 1));
        assert_eq!(judge(&two, &[span(0, 10 * HOUR)], 1), (0, 0));
    }

    #[test]
    fn a_leak_below_a_busy_fleet_is_seen_and_bursts_are_not() {
        // One leaked machine; another that works in every second quarter of an hour.
        let quarter = |n: i64| span(n * 1800, n * 1800 + 900);
        let jobs: Vec<Span> = (0..20).map(quarter).collect();
        let machines: Vec<Span> = jobs.iter().copied().chain([span(0, 10 * HOUR)]).collect();
        assert_eq!(judge(&machines, &jobs, 0), (10 * HOUR, 1));
        assert_eq!(judge(&jobs, &jobs, 0), (0, 0));
    }

    #[test]
    fn more_jobs_than_machines_and_nothing_at_all_are_no_leak() {
        assert_eq!(judge(&[], &[span(0, HOUR)], 0), (0, 0));
        assert_eq!(judge(&[], &[], 3), (0, 0));
    }
}

//! What a clairvoyant would pay: the least machine time for the same jobs, with all arrivals known before.
//!
//! Slots are stacked: the first is busy while any job runs, the second while two do. Between two busy times a slot is kept,
//! or ended and booted again, whichever takes less time: `min(gap, boot)` (ski rental, the end known). The sum over all
//! slots is the least with which nobody waits; Lu, Chen, Andrew: <https://ar5iv.labs.arxiv.org/html/1112.0442>.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::assumptions::Assumptions;
use super::workloads::Workload;

/// A job takes as long as its recording and its own overhead, 0.6 to 5 s: on average.
const OVERHEAD: Duration = Duration::from_millis(2_800);
/// A boot takes 0.7 to 2 times the middle one, as the square of chance: on average so much of it.
const MEAN_BOOT: f64 = 0.7 + 1.3 / 3.0;
/// The share of jobs that may wait longer than a target.
const MAY_WAIT: f64 = 0.05;

/// A job: when it is queued, and for how long it runs; seconds from any beginning.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    /// Queued then.
    pub from: f64,
    /// Runs so long.
    pub takes: f64,
}

/// Slot-hours of a week that nobody can undercut.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Bound {
    /// The jobs' own running time.
    pub work_hours: f64,
    /// The least with which no job waits, all arrivals known.
    pub no_wait_hours: f64,
    /// No way of scaling whose 95 of 100 jobs wait as long as this one's can do with less: a lower bound, which need not be
    /// within reach.
    pub least_hours: f64,
}

/// Of a workload's jobs that are queued from `from` on, where 95 of 100 may wait for `wait`.
pub fn bound(workload: &Workload, assumed: &Assumptions, from: Option<Timestamp>, wait: Duration) -> Bound {
    let counted = workload.jobs.iter().filter(|job| from.is_none_or(|from| job.queued_at >= from));
    let jobs: Vec<Interval> = counted
        .map(|job| Interval {
            from: job.queued_at.as_millisecond() as f64 / 1000.0,
            takes: (job.takes + OVERHEAD).as_secs_f64(),
        })
        .collect();
    let boot = assumed.boot.as_secs_f64() * MEAN_BOOT;
    let hours = |seconds: f64| (seconds / 36.0).round() / 100.0;
    Bound {
        work_hours: hours(jobs.iter().fold(0.0, |sum, job| sum + job.takes)),
        no_wait_hours: hours(no_wait(&jobs, boot)),
        least_hours: hours(least(&jobs, boot, wait.as_secs_f64())),
    }
}

/// The least machine time, in seconds, with which no job waits: each slot's busy times, its first boot, and between two busy
/// times `min(gap, boot)`.
pub fn no_wait(jobs: &[Interval], boot: f64) -> f64 {
    let mut changes: Vec<(f64, bool)> =
        jobs.iter().flat_map(|job| [(job.from, true), (job.from + job.takes, false)]).collect();
    // At equal times an end comes first: its slot takes the next job.
    changes.sort_by(|(at, begins), (other, begin)| at.total_cmp(other).then(begins.cmp(begin)));
    let mut paid: f64 = jobs.iter().map(|job| job.takes).sum();
    // When each slot that is free became so; the one that became free last is taken first.
    let mut free: Vec<f64> = Vec::new();
    for (at, begins) in changes {
        if begins {
            paid += free.pop().map_or(boot, |since| boot.min(at - since));
        } else {
            free.push(at);
        }
    }
    paid
}

/// A time, in seconds, that nobody undercuts whose 95 of 100 jobs wait no longer than `wait`. Whenever it begins, a job runs
/// from the end of its allowed wait until it would have ended without one: that part needs a slot, as in [`no_wait`].
/// One job in twenty may wait for longer; leaving it out saves its part and a boot at most. And the work itself is done.
pub fn least(jobs: &[Interval], boot: f64, wait: f64) -> f64 {
    let needed: Vec<Interval> = jobs
        .iter()
        .filter(|job| job.takes > wait)
        .map(|job| Interval { from: job.from + wait, takes: job.takes - wait })
        .collect();
    let mut savings: Vec<f64> = needed.iter().map(|job| job.takes + boot).collect();
    savings.sort_by(f64::total_cmp);
    let may_wait = (jobs.len() as f64 * MAY_WAIT).floor() as usize;
    let saved: f64 = savings.iter().rev().take(may_wait).sum();
    let work: f64 = jobs.iter().map(|job| job.takes).sum();
    let first_boot = if jobs.is_empty() { 0.0 } else { boot };
    (no_wait(&needed, boot) - saved).max(work + first_boot)
}

/// How far `hours` lie above a bound, in percent.
pub fn above(hours: f64, bound: f64) -> f64 {
    if bound > 0.0 { (hours / bound - 1.0) * 100.0 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jobs(list: &[(f64, f64)]) -> Vec<Interval> {
        list.iter().map(|(from, takes)| Interval { from: *from, takes: *takes }).collect()
    }

    #[test]
    fn a_slot_is_kept_for_short_gaps_and_booted_after_long_ones() {
        // 100 s each; gaps of 20 and 900 s; boots of 50 s: 50 + 300 + 20 + 50.
        assert_eq!(no_wait(&jobs(&[(0.0, 100.0), (120.0, 100.0), (1120.0, 100.0)]), 50.0), 420.0);
    }

    #[test]
    fn two_at_once_need_two_slots() {
        // Two first boots; the job that ends at 100 leaves its slot to the one that begins then.
        assert_eq!(no_wait(&jobs(&[(0.0, 100.0), (50.0, 100.0), (100.0, 10.0)]), 30.0), 270.0);
        assert_eq!(no_wait(&[], 30.0), 0.0);
    }

    #[test]
    fn the_slot_that_was_free_last_is_taken_first() {
        // Free since 100 and since 110; at 120 the gap of 10 is cheaper than that of 20; at 125 the other's is 25.
        let list = jobs(&[(0.0, 100.0), (0.0, 110.0), (120.0, 50.0), (125.0, 50.0)]);
        assert_eq!(no_wait(&list, 40.0), 80.0 + 310.0 + 10.0 + 25.0);
    }

    #[test]
    fn what_may_wait_needs_no_slot_of_its_own() {
        // Within 100 s the second may follow the first: work and a boot are all that is sure.
        assert_eq!(least(&jobs(&[(0.0, 60.0), (0.0, 60.0)]), 50.0, 100.0), 170.0);
        // Within 10 s it may not: 50 s of each need a slot at once, with two boots.
        assert_eq!(least(&jobs(&[(0.0, 60.0), (0.0, 60.0)]), 50.0, 10.0), 200.0);
    }

    #[test]
    fn one_job_in_twenty_may_be_left_out() {
        // Twenty jobs of 60 s at once, which may wait for 10: 20 × 100, less one part and boot.
        assert_eq!(least(&jobs(&[(0.0, 60.0); 20]), 50.0, 10.0), 1900.0);
    }

    #[test]
    fn the_bound_never_exceeds_what_nobody_waits_for() {
        let list: Vec<(f64, f64)> = (0..200).map(|n| (f64::from(n * n % 977), 5.0 + f64::from(n * 37 % 90))).collect();
        for wait in [0.0, 5.0, 40.0, 200.0] {
            assert!(least(&jobs(&list), 50.0, wait) <= no_wait(&jobs(&list), 50.0), "wait {wait}");
        }
    }
}

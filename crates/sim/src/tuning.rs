//! Equal waits: the cheapest idle policy of each way of scaling with which 95 of 100 jobs wait no longer than a target.
//!
//! Costs can be compared only where waits are equal, and each way of scaling needs another number of idle slots for the
//! same waits. So for each of [`IDLE_TIMES`] the smallest idle count is searched with which the target is met (more idle
//! slots never make anybody wait longer, give or take chance), and of these pairs the cheapest is taken.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::figures::Figures;

/// How long a machine above the idle count stays: the values tried.
pub const IDLE_TIMES: [Duration; 6] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(50),
    Duration::from_secs(60),
    Duration::from_secs(300),
];
/// No larger idle count is tried.
pub const IDLE_COUNT_MAX: u32 = 512;
/// Where more jobs than one in so many never begin, no target counts as met.
const NEVER_BEGAN: u64 = 1000;

/// An idle policy, as every one of the compared ways has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Idle {
    /// Free job slots kept ready.
    pub count: u32,
    /// How long a machine above that stays.
    pub time: Duration,
}

/// What the search found for one target.
#[derive(Clone, Debug, PartialEq)]
pub struct Tuned {
    /// With this policy.
    pub idle: Idle,
    /// Its numbers.
    pub figures: Figures,
    /// Whether the target is met; else this is the run that came nearest to it.
    pub met: bool,
}

/// For one idle time and each target, in their order, the smallest count that meets it; `run` runs the whole workload once.
pub fn smallest_counts(targets: &[Duration], time: Duration, mut run: impl FnMut(Idle) -> Figures) -> Vec<Tuned> {
    let mut known: BTreeMap<u32, Figures> = BTreeMap::new();
    let mut attempt = |count| known.entry(count).or_insert_with(|| run(Idle { count, time })).clone();
    targets
        .iter()
        .map(|target| {
            let mut tried = |count| {
                let figures = attempt(count);
                Tuned { idle: Idle { count, time }, met: meets(&figures, *target), figures }
            };
            smallest(&mut tried)
        })
        .collect()
}

/// Whether 95 of 100 jobs waited no longer, and as good as all of them began.
pub fn meets(figures: &Figures, target: Duration) -> bool {
    let never_began = figures.jobs.open + figures.jobs.no_machine;
    figures.wait_seconds.p95 <= target.as_secs_f64() && never_began * NEVER_BEGAN <= figures.jobs.queued
}

/// Doubled until it is enough, then halved in between.
fn smallest(attempt: &mut impl FnMut(u32) -> Tuned) -> Tuned {
    let mut best = attempt(0);
    let mut too_few = None;
    while !best.met && best.idle.count < IDLE_COUNT_MAX {
        too_few = Some(best.idle.count);
        best = attempt((best.idle.count * 2).max(4));
    }
    loop {
        let least = too_few.map_or(0, |count| count + 1);
        if !best.met || best.idle.count <= least {
            return best;
        }
        let one = attempt(least.midpoint(best.idle.count - 1));
        if one.met {
            best = one;
        } else {
            too_few = Some(one.idle.count);
        }
    }
}

/// The best for the target at this place, of what was found for each idle time (and mode): with what it was run, and how it
/// went. The first of equals.
pub fn best_at<T: Clone>(found: &[Vec<(T, Tuned)>], at: usize) -> Option<(T, Tuned)> {
    let tried = found.iter().filter_map(|one| one.get(at));
    tried.reduce(|best, one| if one.1.is_better_than(&best.1) { one } else { best }).cloned()
}

impl Tuned {
    /// Cheaper, if both meet the target; nearer to it, if neither does.
    pub fn is_better_than(&self, other: &Self) -> bool {
        match (self.met, other.met) {
            (true, true) => self.figures.cost_usd.total < other.figures.cost_usd.total,
            (false, false) => self.figures.wait_seconds.p95 < other.figures.wait_seconds.p95,
            (met, _) => met,
        }
    }
}

/// Does every piece of work on all cores; the results stand in the order of the pieces, whoever did them.
pub fn on_all_cores<I: Sync, O: Send>(pieces: &[I], work: impl Fn(&I) -> O + Sync) -> Vec<O> {
    let next = AtomicUsize::new(0);
    let take_turns = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            match pieces.get(at) {
                Some(piece) => done.push((at, work(piece))),
                None => return done,
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(pieces.len().max(1));
    let mut done: Vec<(usize, O)> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..cores).map(|_| scope.spawn(take_turns)).collect();
        let results = threads.into_iter().flat_map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        results.collect()
    });
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, result)| result).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{CostFigures, JobFigures, WaitFigures};

    const SECOND: Duration = Duration::from_secs(1);

    fn figures(p95: f64, total: f64) -> Figures {
        Figures {
            jobs: JobFigures { queued: 100, done: 100, ..JobFigures::default() },
            wait_seconds: WaitFigures { p95, ..WaitFigures::default() },
            cost_usd: CostFigures { total, ..CostFigures::default() },
            ..Figures::default()
        }
    }

    #[test]
    fn the_smallest_count_is_found_for_each_target() {
        let mut runs = 0;
        let found = smallest_counts(&[SECOND * 30, SECOND * 70], SECOND * 60, |idle| {
            runs += 1;
            // 37 idle slots are enough for half a minute, 30 for the longer target.
            let waits = if idle.count >= 37 { 20.0 } else { 100.0 - f64::from(idle.count) };
            figures(waits, f64::from(idle.count))
        });
        let told: Vec<(u32, bool)> = found.iter().map(|one| (one.idle.count, one.met)).collect();
        assert_eq!(told, [(37, true), (30, true)]);
        assert!(runs < 16, "{runs} runs: what is known is not run again");
    }

    #[test]
    fn a_target_out_of_reach_is_told() {
        let found = smallest_counts(&[SECOND * 30], SECOND, |idle| figures(90.0, f64::from(idle.count)));
        assert!(!found[0].met);
    }

    #[test]
    fn jobs_that_never_begin_meet_no_target() {
        let mut figures = figures(0.0, 0.0);
        assert!(meets(&figures, SECOND));
        figures.jobs = JobFigures { queued: 100, done: 99, open: 1, ..JobFigures::default() };
        assert!(!meets(&figures, SECOND));
    }

    #[test]
    fn work_on_all_cores_keeps_its_order() {
        let pieces: Vec<u32> = (0..50).collect();
        assert_eq!(on_all_cores(&pieces, |piece| piece * 2), (0..50).map(|piece| piece * 2).collect::<Vec<_>>());
    }
}

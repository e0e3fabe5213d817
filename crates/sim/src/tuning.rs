//! Equal waits: the cheapest idle policy of each way of scaling with which 95 of 100 jobs wait no longer than a target.
//!
//! Costs can be compared only where waits are equal, and each way of scaling needs another number of idle slots for the
//! same waits. So for each of [`IDLE_TIMES`] the smallest idle count is searched with which the target is met (more idle
//! slots never make anybody wait longer, give or take chance), and of these pairs the cheapest is taken.

use std::time::Duration;

use super::figures::Figures;

/// How long a machine above the idle count stays: the values tried.
pub const IDLE_TIMES: [Duration; 3] = [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(900)];
/// No larger idle count is tried.
pub const IDLE_COUNT_MAX: u32 = 512;

/// An idle policy, as every one of the compared ways has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Idle {
    /// Free job slots kept ready.
    pub count: u32,
    /// How long a machine above that stays.
    pub time: Duration,
}

/// What the search found.
#[derive(Clone, Debug)]
pub struct Tuned<T> {
    /// With this policy.
    pub idle: Idle,
    /// Its numbers.
    pub figures: Figures,
    /// Whatever else the run gave.
    pub rest: T,
    /// Whether the target is met; else this is the run that came nearest to it.
    pub met: bool,
}

/// Searches with `run`, which runs the whole workload once.
pub fn cheapest<T>(target: Duration, mut run: impl FnMut(Idle) -> (Figures, T)) -> Option<Tuned<T>> {
    let mut best: Option<Tuned<T>> = None;
    let mut enough = None;
    for time in IDLE_TIMES {
        let found = smallest(target, time, enough, &mut run);
        // Machines that stay for longer never make more of them necessary.
        enough = found.met.then_some(found.idle.count).or(enough);
        if best.as_ref().is_none_or(|best| found.is_better_than(best)) {
            best = Some(found);
        }
    }
    best
}

impl<T> Tuned<T> {
    fn is_better_than(&self, other: &Self) -> bool {
        match (self.met, other.met) {
            (true, true) => self.figures.cost_usd.total < other.figures.cost_usd.total,
            (false, false) => self.figures.wait_seconds.p95 < other.figures.wait_seconds.p95,
            (met, _) => met,
        }
    }
}

/// The smallest count that meets the target with this idle time: from one that is known to be enough, or doubled until it
/// is, then halved in between.
fn smallest<T>(
    target: Duration,
    time: Duration,
    enough: Option<u32>,
    run: &mut impl FnMut(Idle) -> (Figures, T),
) -> Tuned<T> {
    let mut attempt = |count| {
        let idle = Idle { count, time };
        let (figures, rest) = run(idle);
        let met = figures.wait_seconds.p95 <= target.as_secs_f64();
        Tuned { idle, figures, rest, met }
    };
    let mut best = attempt(enough.unwrap_or(0));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{CostFigures, HourFigures, JobFigures, MachineFigures, WaitFigures};

    fn figures(p95: f64, total: f64) -> Figures {
        Figures {
            policy: String::new(),
            jobs: JobFigures::default(),
            wait_seconds: WaitFigures { p95, ..WaitFigures::default() },
            cost_usd: CostFigures { total, ..CostFigures::default() },
            machine_hours: HourFigures::default(),
            machines: MachineFigures::default(),
            calls: std::collections::BTreeMap::new(),
        }
    }

    #[test]
    fn the_smallest_count_and_the_cheapest_time_are_found() {
        let mut runs = 0;
        let tuned = cheapest(Duration::from_secs(30), |idle| {
            runs += 1;
            // 37 idle slots are enough; at fifteen minutes it is cheapest.
            let waits = if idle.count >= 37 { 20.0 } else { 100.0 - f64::from(idle.count) };
            (figures(waits, f64::from(idle.count) + idle.time.as_secs_f64().mul_add(1.0, -900.0).abs()), ())
        });
        let tuned = tuned.unwrap();
        assert_eq!((tuned.idle.count, tuned.idle.time, tuned.met), (37, Duration::from_secs(900), true));
        assert!(runs < 3 * 16, "{runs} runs");
    }

    #[test]
    fn a_target_out_of_reach_is_told() {
        let tuned = cheapest(Duration::from_secs(30), |idle| (figures(90.0, f64::from(idle.count)), ())).unwrap();
        assert!(!tuned.met);
    }
}

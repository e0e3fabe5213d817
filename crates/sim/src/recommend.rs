//! The cheapest idle policy with which 95 of 100 jobs wait no longer than a target, as a piece of configuration.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use runner_fleet_engine::{IdleCount, IdlePolicy, IdleTime};

use super::comparison::{CURVE, Comparison, Policy, Progress, Trial, fixed};
use super::figures::Figures;
use super::report::Curve;
use super::tuning::{self, IDLE_TIMES, Tuned, meets};

/// What a search has found.
#[derive(Clone, Debug)]
pub struct Recommendation {
    /// The configuration as it is.
    pub as_it_is: Figures,
    /// The cheapest policy that meets the target; where none does, the one whose p95 came nearest.
    pub idle: IdlePolicy,
    /// Its numbers.
    pub figures: Figures,
    /// Whether it meets the target.
    pub met: bool,
    /// What fixed idle counts cost at several waits.
    pub curve: Curve,
    /// Runs that were made.
    pub runs: u32,
}

/// Policies that one core searches: fixed counts, or the forecast, with one idle time.
enum Piece {
    Fixed(Duration),
    Auto(Duration),
}

/// One policy that was tried.
type Tried = (IdlePolicy, Tuned);

impl Comparison {
    /// Searches idle counts, idle times and the forecast on all cores; every runner of the configuration gets the same
    /// policy, and no schedule. None for a configuration without runners.
    pub fn recommend(&self, target: Duration, progress: &Progress<'_>) -> Option<Recommendation> {
        let base = self.config.settings().runners.first()?.idle.clone();
        let base = IdlePolicy { target_wait: target, ..base };
        let policy = Policy::Fleet("runner-fleet".into(), Box::new(self.config.clone()));
        let runs = AtomicU32::new(0);
        let run = |trial: &Trial| {
            let turn = runs.fetch_add(1, Ordering::Relaxed) + 1;
            self.measured(&policy, &self.config, "runner-fleet", trial, &|at| progress("runner-fleet", turn, at)).0
        };
        let trial = |idle: &IdlePolicy| Trial { idle: Some(idle.clone()), preemptive: None };
        let targets: Vec<Duration> = std::iter::once(target).chain(CURVE).collect();
        let pieces: Vec<Piece> =
            IDLE_TIMES.into_iter().flat_map(|time| [Piece::Fixed(time), Piece::Auto(time)]).collect();
        let found: Vec<Vec<Tried>> = tuning::on_all_cores(&pieces, |piece| match piece {
            Piece::Fixed(time) => tuning::smallest_counts(&targets, *time, |idle| run(&trial(&fixed(&base, idle))))
                .into_iter()
                .map(|tuned| (fixed(&base, tuned.idle), tuned))
                .collect(),
            Piece::Auto(time) => {
                let policy = IdlePolicy {
                    count: IdleCount::Auto,
                    scale_factor: 0.0,
                    time: IdleTime::Fixed(*time),
                    ..base.clone()
                };
                let figures = run(&trial(&policy));
                let idle = tuning::Idle { count: 0, time: *time };
                vec![(policy, Tuned { idle, met: meets(&figures, target), figures })]
            }
        });
        let (idle, best) = tuning::best_at(&found, 0)?;
        let points = (1..targets.len()).filter_map(|at| tuning::best_at(&found, at)).map(|(_, tuned)| tuned).collect();
        Some(Recommendation {
            as_it_is: run(&Trial::default()),
            met: best.met,
            figures: best.figures,
            idle,
            curve: Curve::of("runner-fleet, fixed idle counts", &CURVE, points),
            runs: runs.load(Ordering::Relaxed),
        })
    }
}

impl Recommendation {
    /// The keys of `[runners.fleet]`, to be written over those that are there.
    pub fn toml(&self) -> String {
        let mut text = String::from("  [runners.fleet]\n");
        // Writing to a string does not fail.
        let _ = match self.idle.count {
            IdleCount::Auto => {
                writeln!(text, "  idle_count = \"auto\"\n  target_wait = \"{}s\"", self.idle.target_wait.as_secs())
            }
            IdleCount::Fixed(count) => writeln!(text, "  idle_count = {count}"),
        };
        let _ = writeln!(text, "  idle_count_min = {}\n  idle_scale_factor = 0.0", self.idle.count_min);
        let _ = match self.idle.time {
            IdleTime::Fixed(time) => writeln!(text, "  idle_time = \"{}s\"", time.as_secs()),
            IdleTime::Auto => writeln!(text, "  idle_time = \"auto\""),
        };
        text
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::Timestamp;

    use super::*;
    use crate::assumptions::Assumptions;
    use crate::workloads::{Workload, WorkloadJob};

    const CONFIG: &str = include_str!("../../../config/workloads/runner.toml");

    /// So many jobs, one every ten minutes.
    fn comparison(jobs: i64) -> Comparison {
        let job = |number: i64| WorkloadJob {
            queued_at: Timestamp::from_second(number * 600).unwrap(),
            takes: Duration::from_secs(90),
            tags: BTreeSet::new(),
            project: "p".into(),
        };
        Comparison {
            workload: Workload { name: "tiny".into(), jobs: (0..jobs).map(job).collect(), notes: Vec::new() },
            config: runner_fleet_config::parse(CONFIG, "runner.toml").unwrap().config,
            tags: BTreeMap::new(),
            assumed: Assumptions { interruptions_per_hour: 0.0, ..Assumptions::default() },
            seed: 1,
            equal_wait: None,
            curve: false,
            count_from: None,
        }
    }

    #[test]
    fn what_is_recommended_meets_the_target_when_it_is_configured() {
        let mut comparison = comparison(72);
        let target = Duration::from_secs(20);
        let found = comparison.recommend(target, &|_, _, _| ()).unwrap();
        assert!(found.met && !meets(&found.as_it_is, target), "{found:?}");

        let (kept, _) = CONFIG.split_once("  idle_count").unwrap();
        let keys = found.toml().replace("  [runners.fleet]\n", "");
        comparison.config = runner_fleet_config::parse(&format!("{kept}{keys}"), "found.toml").unwrap().config;
        let policy = Policy::Fleet("x".into(), Box::new(comparison.config.clone()));
        let again = comparison.run_all(&[policy], &|_, _, _| ()).0.policies.remove(0);
        assert_eq!(again.cost_usd, found.figures.cost_usd);
        assert_eq!(again.wait_seconds, found.figures.wait_seconds);
    }

    #[test]
    fn a_target_that_nothing_reaches_is_told_with_the_nearest() {
        let found = comparison(2).recommend(Duration::from_millis(1), &|_, _, _| ()).unwrap();
        assert!(!found.met);
        assert!(found.figures.wait_seconds.p95 < found.as_it_is.wait_seconds.p95);
    }
}

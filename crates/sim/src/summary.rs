//! The sums of a run: jobs, waits, workers, money.

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::event_log::{Ending, Fact};
use super::figures::percentile;
use super::world::{JobState, World};

/// The sums, in the JSON form that `demo --json` prints; version 1.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Summary {
    /// Of this JSON form; 1.
    pub version: u32,
    /// Jobs by fate.
    pub jobs: JobSums,
    /// How long jobs waited for a runner.
    pub wait_seconds: WaitSums,
    /// Workers.
    pub workers: WorkerSums,
    /// What EC2 asked for the workers.
    pub cost_usd: f64,
    /// Laws seen broken; 0, or a bug.
    pub laws_broken: u64,
    /// What the same workers would have cost on demand.
    pub on_demand_cost_usd: f64,
    /// Jobs that a spot interruption killed, and how many of them were queued again.
    pub interrupted: InterruptedSums,
}

/// Jobs by fate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct JobSums {
    /// Queued by people; a retry counts with the job that it repeats.
    pub queued: u64,
    /// Succeeded, at the first or a later try.
    pub succeeded: u64,
    /// Failed by their script, or killed and not queued again.
    pub failed: u64,
}

/// Jobs that an interruption killed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct InterruptedSums {
    /// Killed.
    pub jobs: u64,
    /// Queued again.
    pub retried: u64,
}

/// From pending to taken, over the jobs that were taken, in seconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct WaitSums {
    /// The median.
    pub p50: f64,
    /// 95 of 100 waited no longer.
    pub p95: f64,
    /// The longest.
    pub max: f64,
}

/// Workers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WorkerSums {
    /// Launched.
    pub launched: u64,
    /// Ended, by whatever.
    pub terminated: u64,
    /// Not ended.
    pub remaining: u64,
    /// Of those ended: taken back by EC2.
    pub interrupted: u64,
}

impl Summary {
    /// The sums of this world until its present.
    pub fn of(world: &World, laws_broken: u64) -> Self {
        let jobs: Vec<_> = world.jobs().map(|(_, job)| job).collect();
        let count = |wanted: &dyn Fn(&super::world::Job) -> bool| jobs.iter().filter(|job| wanted(job)).count() as u64;
        let killed_by_ec2 =
            |job: &super::world::Job| job.state == JobState::Killed(super::event_log::Killer::Interruption);
        let failed = |job: &super::world::Job| {
            job.retried_as.is_none() && matches!(job.state, JobState::Failed | JobState::Killed(_))
        };
        let machines: Vec<_> = world.machines().map(|(_, machine)| machine).collect();
        let ended = machines.iter().filter(|machine| machine.ending.is_some()).count() as u64;
        let (cost, on_demand) = machines
            .iter()
            .map(|machine| machine.cost(world.now(), world.scenario().price_seed))
            .fold((0.0, 0.0), |sum, one| (sum.0 + one.0, sum.1 + one.1));
        Self {
            version: 1,
            jobs: JobSums {
                queued: count(&|job| job.retried_as.is_none()),
                succeeded: count(&|job| job.state == JobState::Succeeded),
                failed: count(&failed),
            },
            wait_seconds: waits(world),
            workers: WorkerSums {
                launched: machines.len() as u64,
                terminated: ended,
                remaining: machines.len() as u64 - ended,
                interrupted: machines.iter().filter(|machine| machine.ending == Some(Ending::Interrupted)).count()
                    as u64,
            },
            cost_usd: cents(cost),
            laws_broken,
            on_demand_cost_usd: cents(on_demand),
            interrupted: InterruptedSums {
                jobs: count(&killed_by_ec2),
                retried: count(&|job| killed_by_ec2(job) && job.retried_as.is_some()),
            },
        }
    }
}

/// Money to a hundredth of a cent: the rest is noise of the arithmetic.
fn cents(usd: f64) -> f64 {
    (usd * 10_000.0).round() / 10_000.0
}

fn waits(world: &World) -> WaitSums {
    let seconds = |from: Timestamp, to: Timestamp| {
        Duration::try_from(to.duration_since(from)).unwrap_or_default().as_millis() as f64 / 1000.0
    };
    let mut waits: Vec<f64> =
        world.jobs().filter_map(|(_, job)| job.taken_at.map(|taken| seconds(job.queued_at, taken))).collect();
    waits.sort_by(f64::total_cmp);
    WaitSums { p50: percentile(&waits, 0.50), p95: percentile(&waits, 0.95), max: percentile(&waits, 1.0) }
}

/// The lines of a log that people read: everything but the engine's routine listings.
pub fn transcript(world: &World, lines_max: usize) -> String {
    let start = world.scenario().start;
    let shown: Vec<_> = world.log().facts.iter().filter(|(_, fact)| !is_routine(fact)).collect();
    let left_out = shown.len().saturating_sub(lines_max);
    let mut text = if left_out > 0 { format!("({left_out} earlier lines left out)\n") } else { String::new() };
    for (at, fact) in shown.into_iter().skip(left_out) {
        let millis = at.duration_since(start).as_millis();
        let (minutes, seconds) = (millis / 60_000, millis as f64 % 60_000.0 / 1000.0);
        text.push_str(&format!("{minutes:4}:{seconds:06.3} {fact}\n"));
    }
    text
}

fn is_routine(fact: &Fact) -> bool {
    matches!(fact, Fact::Commanded(command) if matches!(**command, runner_fleet_engine::Command::ListInstances { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let waits: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!([0.5, 0.95, 1.0].map(|share| percentile(&waits, share)), [50.0, 95.0, 100.0]);
        assert_eq!(percentile(&[3.0], 0.5), 3.0);
        assert_eq!(percentile(&[], 0.95), 0.0);
    }
}

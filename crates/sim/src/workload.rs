//! Seeded scenarios: small random ones for property tests, and the demo's morning.

use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::{
    IdleCount, IdlePolicy, IdleTime, InstanceType, Inventory, KeyPairName, Market, ProjectId, RunnerName, TemplateName,
};

use super::faults::Faults;
use super::rng::{Rng, Stream};
use super::scenario::{JobSpec, Scenario, Shortage, runner};

/// When the small scenarios begin; any time will do.
const SMALL_START: &str = "2026-03-02T08:00:00Z";
/// The length of the demo's morning.
pub const MORNING: Duration = Duration::from_secs(3 * 3600);

/// What a manager of the same name has left: the templates of an earlier version and of a runner that is configured no
/// more, and the key pair of a lost key.
fn inherited() -> Inventory {
    let templates = [("runner-fleet-sim-spot-0ld", "spot"), ("runner-fleet-sim-bygone-c0ffee", "bygone")];
    Inventory {
        key_pairs: [KeyPairName::new("runner-fleet-sim-l0st")].into(),
        templates: templates.map(|(name, runner)| (TemplateName::new(name), RunnerName::new(runner))).into(),
    }
}

/// A small world for a property test: one or two runners, 3 to 30 jobs within 40 minutes, a random policy; no faults.
pub fn small(seed: u64) -> Scenario {
    let mut rng = Rng::new(seed ^ 0x0005_ca1e);
    let start = SMALL_START.parse().unwrap_or(Timestamp::UNIX_EPOCH);
    let mut scenario = Scenario::new(start);
    let mut number = |least: u64, most: u64| least + rng.pick(Stream::Fate, (most - least + 1) as usize) as u64;
    let runners = number(1, 2);
    if runners == 2 {
        scenario.add_runner(runner("second"), &["big"]);
    }
    for runner in &mut scenario.settings.runners {
        runner.max_workers = number(1, 8) as u32;
        runner.capacity = *[1, 1, 1, 2, 4].get(number(0, 4) as usize).unwrap_or(&1);
        runner.max_jobs = *[0, 0, 0, 1, 3].get(number(0, 4) as usize).unwrap_or(&0);
        if runner.max_jobs == 1 {
            runner.capacity = 1;
        }
        runner.max_booting = number(0, 3) as u32;
        runner.orphan_timeout = Duration::from_secs(15 * 60);
        runner.on_demand_fallback = number(0, 1) == 1;
        runner.market = if number(0, 3) == 0 { Market::OnDemand } else { Market::Spot };
        runner.retry_interrupted = number(0, 1) == 1;
        let count = if number(0, 2) == 0 { number(1, 2) as u32 } else { 0 };
        let count = count.min(runner.max_workers * runner.capacity);
        let time = Duration::from_secs(number(10, 600));
        runner.idle = IdlePolicy { count: IdleCount::Fixed(count), time: IdleTime::Fixed(time), ..runner.idle.clone() };
    }
    // Now and then `concurrent` is what limits; beside everybody's idle slots it always has room for a worker of each.
    let least = scenario.settings.runners.iter().map(|runner| {
        (runner.idle.count.fixed().unwrap_or(0) + runner.capacity).div_ceil(runner.capacity) * runner.capacity
    });
    scenario.settings.concurrent = least.sum::<u32>().max(number(1, 16) as u32);
    scenario.inherited = inherited();
    scenario.boot = Duration::from_secs(number(20, 90));
    let window = number(60, 2400);
    for _ in 0..number(3, 30) {
        let mut job = JobSpec::new(
            Duration::from_millis(number(0, window * 1000)),
            Duration::from_secs(number(1, 30) * number(1, 20)),
        );
        job.project = ProjectId(number(1, 3));
        job.succeeds = number(0, 9) > 0;
        match number(0, 5) {
            0 => job = job.tagged("arm"),
            1 if runners == 2 => job = job.tagged("big"),
            2 => job = job.tagged("windows"),
            _ => {}
        }
        scenario.jobs.push(job);
    }
    scenario
}

/// The same small world on a rough day: all faults, until shortly after the last job.
pub fn small_and_rough(seed: u64) -> Scenario {
    small(seed).with_faults(Faults::rough(Duration::from_secs(50 * 60)))
}

/// The demo: three hours of an office's pipelines on one spot runner, with a capacity shortage and two interruptions.
pub fn morning(start: Timestamp, seed: u64) -> Scenario {
    let mut rng = Rng::new(seed ^ 0x0c0f_fee0);
    let mut scenario = Scenario::new(start);
    scenario.manager = "demo".into();
    scenario.price_seed = Some(seed);
    scenario.settings.concurrent = 40;
    if let Some(runner) = scenario.runner_mut() {
        runner.max_workers = 24;
        runner.idle.count = IdleCount::Fixed(2);
        runner.idle.time = IdleTime::Fixed(Duration::from_secs(5 * 60));
    }
    scenario.jobs = pipelines(&mut rng);
    let minutes = |minutes: u64| Duration::from_secs(minutes * 60);
    scenario.shortages = ["c7g.large", "c8g.large"]
        .map(|instance_type| Shortage {
            market: Some(Market::Spot),
            instance_type: Some(InstanceType::new(instance_type)),
            zone: None,
            from: minutes(80),
            until: minutes(110),
            room: 4,
        })
        .into();
    scenario.interruptions = vec![minutes(65), minutes(130)];
    scenario
}

/// Pipelines of three stages: the more people are at work, the more often somebody pushes.
fn pipelines(rng: &mut Rng) -> Vec<JobSpec> {
    let mut jobs = Vec::new();
    let mut at = Duration::ZERO;
    loop {
        // From 5 pushes an hour in the early morning to 45 before noon.
        let share = at.as_secs_f64() / MORNING.as_secs_f64();
        let per_hour = 5.0 + 40.0 * (share * std::f64::consts::FRAC_PI_2).sin();
        at += rng.until_next(Stream::Fate, per_hour).unwrap_or(MORNING);
        if at >= MORNING {
            return jobs;
        }
        pipeline(rng, at, &mut jobs);
    }
}

fn pipeline(rng: &mut Rng, mut at: Duration, jobs: &mut Vec<JobSpec>) {
    let project = ProjectId(1 + rng.pick(Stream::Fate, 5) as u64);
    let stages: [(&[&str], u64, u64); 3] =
        [(&["build"], 60, 240), (&["lint", "unit", "integration"], 30, 420), (&["package"], 30, 120)];
    for (names, least, most) in stages {
        let mut longest = Duration::ZERO;
        for name in names {
            let takes = Duration::from_secs(least + rng.pick(Stream::Fate, (most - least) as usize) as u64);
            longest = longest.max(takes);
            let mut job = JobSpec::new(at, takes).tagged("arm");
            job.project = project;
            job.name = (*name).to_owned();
            job.retries = 2;
            jobs.push(job);
        }
        // The next stage comes when this one is done; its wait is guessed, for the world knows no pipelines.
        at += longest + Duration::from_secs(20);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_morning_has_some_hundreds_of_jobs_and_grows_busier() {
        let scenario = morning(Timestamp::UNIX_EPOCH, 1);
        let count = |from: u64, to: u64| {
            scenario.jobs.iter().filter(|job| (from * 60..to * 60).contains(&job.after.as_secs())).count()
        };
        assert!((200..800).contains(&scenario.jobs.len()), "{} jobs", scenario.jobs.len());
        assert!(count(120, 180) > 2 * count(0, 60));
    }

    #[test]
    fn equal_seeds_give_equal_scenarios() {
        assert_eq!(small(3), small(3));
        assert_ne!(small(3), small(4));
    }
}

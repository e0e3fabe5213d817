//! `idle_count = "auto"` in whole worlds: no law breaks, every job runs, and what was learned pays on the next day.

use std::time::Duration;

use runner_fleet_engine::IdleCount;
use runner_fleet_sim::run::simulate;
use runner_fleet_sim::soak::Lawful;
use runner_fleet_sim::{JobSpec, Outcome, Scenario, workload};

/// Within the patience of a person who runs the tests of a debug build.
const SEEDS: u64 = 40;

fn run(seed: u64, scenario: &Scenario) -> Outcome {
    simulate(seed, scenario, Lawful::new).unwrap_or_else(|broken| panic!("{broken}"))
}

#[test]
fn a_forecast_breaks_no_law_in_any_world() {
    for seed in 0..SEEDS {
        let mut scenario = if seed.is_multiple_of(4) { workload::small(seed) } else { workload::small_and_rough(seed) };
        scenario.settings.runners.iter_mut().for_each(|runner| runner.idle.count = IdleCount::Auto);
        run(seed, &scenario);
    }
}

/// Ten jobs at two in the morning of three days: the first night they all wait for a boot.
#[test]
fn a_nightly_burst_is_ready_for_on_the_second_night() {
    let hour = Duration::from_secs(3600);
    let nights =
        (0..3).flat_map(|day| (0..10).map(move |_| JobSpec::new(hour * (24 * day + 2), Duration::from_secs(120))));
    let mut scenario = Scenario::new("2026-03-02T00:00:00Z".parse().unwrap()).with_jobs(nights);
    scenario.settings.runners.iter_mut().for_each(|runner| {
        runner.max_workers = 20;
        runner.idle.count = IdleCount::Auto;
    });

    let outcome = run(1, &scenario);

    let late = |day: u32| {
        let from = scenario.start.checked_add(hour * (24 * day)).unwrap();
        let of_day = outcome.world.jobs().filter(|(_, job)| job.queued_at >= from && job.queued_at < from + hour * 24);
        of_day.filter(|(_, job)| job.taken_at.unwrap().duration_since(job.queued_at).as_secs() > 30).count()
    };
    assert_eq!(late(0), 10, "nobody can foresee the first");
    // A boot of twenty may take longer than the ten of the first night did.
    assert!(late(1) <= 2 && late(2) <= 2, "{} and {} of 10 late", late(1), late(2));
}

//! Several runners under one `concurrent`: nobody is starved, and no job is killed for that.

use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{
    Event, HeldBack, IdleCount, IdlePolicy, IdleTime, QueueSnapshot, Report, RunnerName, RunnerSettings, Server,
};
use runner_fleet_sim::run::run;
use runner_fleet_sim::scenario::{JobSpec, runner as plain};
use runner_fleet_sim::{JobState, Scenario};

use super::bench::{SERVER, TestBench, launches, runner, serving, words};

/// Two runners with tags of their own and room for one worker of each and little more; the first has work for hours,
/// `late` gets one job after ten minutes.
fn crowded(concurrent: u32, capacity: u32) -> Scenario {
    let mut scenario = Scenario::new(Timestamp::UNIX_EPOCH);
    scenario.settings.concurrent = concurrent;
    scenario.add_runner(RunnerSettings { capacity, ..plain("late") }, &["late"]);
    let many = (0..60).map(|_| JobSpec::new(Duration::ZERO, Duration::from_secs(300)).tagged("arm"));
    let one = JobSpec::new(Duration::from_secs(600), Duration::from_secs(60)).tagged("late");
    scenario.with_jobs(many).with_jobs([one])
}

#[test]
fn a_runner_with_endless_work_does_not_starve_another() {
    for capacity in [1, 2, 4] {
        for seed in 0..8 {
            let outcome = run(seed, &crowded(4.max(capacity + 1), capacity)).unwrap();
            let (_, late) = outcome.world.jobs().find(|(_, job)| job.spec.tags.contains("late")).unwrap();
            let waited = late.taken_at.unwrap().duration_since(late.queued_at).as_secs();
            // The jobs that run end within 300 s, and a boot takes 90 s at most.
            assert!(waited < 480, "capacity {capacity}, seed {seed}: waited {waited} s");
            assert!(outcome.world.jobs().all(|(_, job)| job.state == JobState::Succeeded));
        }
    }
}

fn named(name: &str) -> RunnerSettings {
    RunnerSettings { name: RunnerName::new(name), ..runner() }
}

/// A poll that shows these jobs as waiting; those from 1000 on need the tag `b`.
fn poll(bench: &TestBench, ids: &[u64]) -> Event {
    let jobs = ids.iter().map(|id| {
        let only = RunnerName::new(if *id >= 1000 { "b" } else { "a" });
        runner_fleet_engine::PendingJob { offered_to: Some([only].into()), ..bench.job(*id) }
    });
    let snapshot = QueueSnapshot { as_of: bench.now, jobs: jobs.collect(), complete: true, blind: 0 };
    Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }
}

#[test]
fn room_goes_to_the_runner_that_has_least() {
    let mut bench = TestBench::with(vec![named("a"), named("b")]);
    let ids: Vec<u64> = (1..=90).chain(1000..1090).collect();
    let event = poll(&bench, &ids);
    let asked: Vec<(String, u32)> =
        launches(&bench.step(vec![event])).iter().map(|launch| (launch.runner.to_string(), launch.count)).collect();
    assert_eq!(asked, [("a".to_owned(), 20), ("b".to_owned(), 20)], "max_workers is what limits");
    let held = bench
        .engine
        .snapshot()
        .runners
        .iter()
        .map(|runner| runner.held_back.clone().unwrap().reason)
        .collect::<Vec<_>>();
    assert!(held.iter().all(|why| matches!(why, HeldBack::MaxWorkers { .. })), "{held:?}");
}

#[test]
fn a_job_is_counted_for_the_runner_whose_slot_is_free() {
    let idle =
        IdlePolicy { count: IdleCount::Fixed(1), time: IdleTime::Fixed(Duration::from_secs(3600)), ..runner().idle };
    let mut bench = TestBench::with(vec![named("a"), RunnerSettings { idle, ..named("b") }]);
    let launch = launches(&bench.opening).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    bench.report(&worker, Report { idle_seconds: 5, ..serving(0) });
    // Both may take it; b's idle worker will, and gets a successor.
    let commands = bench.queue(&[1]);
    let asked: Vec<String> = launches(&commands).iter().map(|launch| launch.runner.to_string()).collect();
    assert_eq!(asked, ["b"], "{:?}", words(&commands));
}

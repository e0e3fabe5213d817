//! Clocks that are set, sections that are removed, hosts that die in the wrong moment: what the soak has found.

use std::time::Duration;

use runner_fleet_engine::{
    Command, ConnectionFailure, Event, Health, Instance, LaunchAnswer, LaunchError, LaunchErrorClass, Leftover, Phase,
    Report, RunnerSettings, RunnerState, WorkerEvent,
};

use super::bench::{TestBench, launches, runner, serving, settings, words};

#[test]
fn a_worker_of_our_own_launch_is_timed_by_our_own_clock() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let workers = bench.grant(&launch);
    // EC2's clock is four minutes and fifty seconds behind ours.
    let behind = bench.now.saturating_sub(Duration::from_secs(290)).unwrap();
    bench.instances[0] = Instance { launched_at: behind, ..bench.instances[0].clone() };
    for _ in 0..9 {
        bench.pass(30);
        assert!(words(&bench.list()).is_empty(), "{} is given the time that a boot takes", workers[0]);
    }
    bench.pass(31);
    assert_eq!(words(&bench.list()), [format!("terminate {}", workers[0])]);
}

#[test]
fn a_clock_set_back_asks_again_and_trusts_no_future_answer() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.pass(100);
    let before = bench.now;
    bench.step(Vec::new());
    bench.now = bench.now.saturating_sub(Duration::from_secs(90)).unwrap();
    let asked = |commands: &[Command]| commands.iter().any(|command| matches!(command, Command::ListInstances { .. }));
    assert!(asked(&bench.step(Vec::new())), "nobody knows how old the last answer is");

    // This answer was asked for before the clock was set; the next one must count all the same.
    let late = Event::Instances { asked_at: before, listing: Ok(bench.instances.clone()) };
    bench.step(vec![late]);
    bench.instances[0].hold = true;
    bench.pass(7);
    bench.list();
    bench.pass(400);
    bench.list();
    bench.queue(&[]);
    let idle = Report { idle_seconds: 400, ..serving(0) };
    assert!(words(&bench.report(&worker, idle)).is_empty(), "it is held");
}

#[test]
fn workers_are_no_more_silent_because_the_clock_was_set_ahead() {
    let idle = runner_fleet_engine::IdlePolicy { count: runner_fleet_engine::IdleCount::Fixed(1), ..runner().idle };
    let mut bench = TestBench::with(vec![RunnerSettings { idle, ..runner() }]);
    let launch = launches(&bench.opening).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    bench.report(&worker, serving(0));
    bench.queue(&[]);
    bench.pass(120);
    let mut commands = bench.list();
    commands.extend(bench.queue(&[]));
    assert!(words(&commands).is_empty(), "nothing is launched in its place: {commands:?}");
}

#[test]
fn no_unanswered_launch_is_repeated_for_a_gone_section() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let error =
        LaunchError { offering: None, class: LaunchErrorClass::Slow, code: "TimedOut".into(), message: String::new() };
    let answer = LaunchAnswer { launched: Vec::new(), errors: vec![error], leftover: Leftover::Possible };
    bench.step(vec![Event::Launched { token: launch.token, answer }]);
    bench.step(vec![Event::Configured(settings(Vec::new()))]);
    for _ in 0..60 {
        bench.pass(3);
        assert!(launches(&bench.list()).is_empty());
    }
}

#[test]
fn a_removed_sections_workers_fill_as_much_room_as_before() {
    let other = RunnerSettings { name: runner_fleet_engine::RunnerName::new("other"), ..runner() };
    let large = RunnerSettings { capacity: 4, ..runner() };
    let mut bench = TestBench::with_concurrent(vec![large.clone(), other.clone()], 5);
    let workers = bench.with_ready_workers(1);
    bench.report(&workers[0], serving(4));
    bench.queue(&[]);
    bench.step(vec![Event::Configured(runner_fleet_engine::Settings { concurrent: 5, ..settings(vec![other]) })]);
    bench.pass(3);
    bench.list();
    let launched: u32 = launches(&bench.queue(&[7, 8, 9])).iter().map(|launch| launch.count).sum();
    assert_eq!(launched, 1, "four of five slots are still taken");
}

#[test]
fn a_stopped_worker_ends_although_its_slot_is_wanted() {
    let mut bench = TestBench::with(vec![runner()]);
    let adopted = bench.instance("i-old");
    bench.instances.push(adopted.clone());
    bench.list();
    bench.queue(&[1]);
    let stopped = Report { runner: RunnerState::Stopped, open_requests: 0, ..serving(0) };
    assert_eq!(words(&bench.report(&adopted.id, stopped)), ["terminate i-old", "launch 1 spot"]);
}

#[test]
fn numbers_that_no_worker_can_mean_end_nothing_and_nobody() {
    let mut bench = TestBench::with(vec![runner()]);
    let workers = bench.with_ready_workers(2);
    let absurd = Report {
        jobs_by_metrics: u32::MAX,
        jobs_by_docker: u32::MAX,
        open_requests: u32::MAX,
        jobs_started: u64::MAX,
        queue_size: Some(u32::MAX),
        ..serving(1)
    };
    bench.report(&workers[0], absurd.clone());
    bench.report(&workers[1], absurd);
    bench.pass(3);
    bench.list();
    bench.queue(&[8, 9]);
    let idle = Report { idle_seconds: u64::MAX, ..serving(0) };
    bench.pass(3);
    bench.report(&workers[0], idle.clone());
    bench.report(&workers[1], idle);
    assert!(words(&bench.queue(&[])).is_empty(), "no idler than they are old");
}

#[test]
fn a_worker_that_dies_before_its_configuration_is_ended() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    let booted = Report { phase: Phase::Ready, runner: RunnerState::Absent, open_requests: 0, ..serving(0) };
    bench.report(&worker, booted);
    let down = WorkerEvent::Disconnected(ConnectionFailure::Unreachable("nothing heard for 60 s".into()));
    bench.step(vec![Event::Worker { worker: worker.clone(), event: down }]);
    let mut asked_for_health = false;
    for _ in 0..30 {
        bench.pass(5);
        let commands = bench.step(Vec::new());
        asked_for_health |= commands.contains(&Command::ListInstances { with_health: true });
    }
    assert!(asked_for_health);
    bench.instances[0].health = Health::Impaired;
    assert_eq!(words(&bench.list()), [format!("terminate {worker}")]);
}

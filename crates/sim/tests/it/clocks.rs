//! Clocks that are set, sections that are removed, hosts that die in the wrong moment: what the soak has found.

use std::time::Duration;

use runner_fleet_engine::{
    Command, ConnectionFailure, Event, Health, Instance, LaunchAnswer, LaunchError, LaunchErrorClass, Leftover, Phase,
    Report, RunnerSettings, RunnerState, WorkerEvent,
};

use super::stage::{Stage, launches, runner, serving, settings, words};

#[test]
fn a_worker_of_our_own_launch_is_timed_by_our_own_clock() {
    let mut stage = Stage::with(vec![runner()]);
    let launch = launches(&stage.queue(&[1])).remove(0);
    let workers = stage.grant(&launch);
    // EC2's clock is four minutes and fifty seconds behind ours.
    let behind = stage.now.saturating_sub(Duration::from_secs(290)).unwrap();
    stage.instances[0] = Instance { launched_at: behind, ..stage.instances[0].clone() };
    for _ in 0..9 {
        stage.pass(30);
        assert!(words(&stage.list()).is_empty(), "{} is given the time that a boot takes", workers[0]);
    }
    stage.pass(31);
    assert_eq!(words(&stage.list()), [format!("terminate {}", workers[0])]);
}

#[test]
fn a_clock_set_back_asks_again_and_trusts_no_future_answer() {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    stage.pass(100);
    let before = stage.now;
    stage.step(Vec::new());
    stage.now = stage.now.saturating_sub(Duration::from_secs(90)).unwrap();
    let asked = |commands: &[Command]| commands.iter().any(|command| matches!(command, Command::ListInstances { .. }));
    assert!(asked(&stage.step(Vec::new())), "nobody knows how old the last answer is");

    // This answer was asked for before the clock was set; the next one must count all the same.
    let late = Event::Instances { asked_at: before, listing: Ok(stage.instances.clone()) };
    stage.step(vec![late]);
    stage.instances[0].hold = true;
    stage.pass(7);
    stage.list();
    stage.pass(400);
    stage.list();
    stage.queue(&[]);
    let idle = Report { idle_seconds: 400, ..serving(0) };
    assert!(words(&stage.report(&worker, idle)).is_empty(), "it is held");
}

#[test]
fn workers_are_no_more_silent_because_the_clock_was_set_ahead() {
    let idle = runner_fleet_engine::IdlePolicy { count: runner_fleet_engine::IdleCount::Fixed(1), ..runner().idle };
    let mut stage = Stage::with(vec![RunnerSettings { idle, ..runner() }]);
    let launch = launches(&stage.opening).remove(0);
    let worker = stage.grant(&launch).remove(0);
    stage.list();
    stage.report(&worker, serving(0));
    stage.queue(&[]);
    stage.pass(120);
    let mut commands = stage.list();
    commands.extend(stage.queue(&[]));
    assert!(words(&commands).is_empty(), "nothing is launched in its place: {commands:?}");
}

#[test]
fn no_unanswered_launch_is_repeated_for_a_gone_section() {
    let mut stage = Stage::with(vec![runner()]);
    let launch = launches(&stage.queue(&[1])).remove(0);
    let error =
        LaunchError { offering: None, class: LaunchErrorClass::Slow, code: "TimedOut".into(), message: String::new() };
    let answer = LaunchAnswer { launched: Vec::new(), errors: vec![error], leftover: Leftover::Possible };
    stage.step(vec![Event::Launched { token: launch.token, answer }]);
    stage.step(vec![Event::Configured(settings(Vec::new()))]);
    for _ in 0..60 {
        stage.pass(3);
        assert!(launches(&stage.list()).is_empty());
    }
}

#[test]
fn a_removed_sections_workers_fill_as_much_room_as_before() {
    let other = RunnerSettings { name: runner_fleet_engine::RunnerName::new("other"), ..runner() };
    let large = RunnerSettings { capacity: 4, ..runner() };
    let mut stage = Stage::with_concurrent(vec![large.clone(), other.clone()], 5);
    let workers = stage.with_ready_workers(1);
    stage.report(&workers[0], serving(4));
    stage.queue(&[]);
    stage.step(vec![Event::Configured(runner_fleet_engine::Settings { concurrent: 5, ..settings(vec![other]) })]);
    stage.pass(3);
    stage.list();
    let launched: u32 = launches(&stage.queue(&[7, 8, 9])).iter().map(|launch| launch.count).sum();
    assert_eq!(launched, 1, "four of five slots are still taken");
}

#[test]
fn a_stopped_worker_ends_although_its_slot_is_wanted() {
    let mut stage = Stage::with(vec![runner()]);
    let adopted = stage.instance("i-old");
    stage.instances.push(adopted.clone());
    stage.list();
    stage.queue(&[1]);
    let stopped = Report { runner: RunnerState::Stopped, open_requests: 0, ..serving(0) };
    assert_eq!(words(&stage.report(&adopted.id, stopped)), ["terminate i-old", "launch 1 spot"]);
}

#[test]
fn numbers_that_no_worker_can_mean_end_nothing_and_nobody() {
    let mut stage = Stage::with(vec![runner()]);
    let workers = stage.with_ready_workers(2);
    let absurd = Report {
        jobs_by_metrics: u32::MAX,
        jobs_by_docker: u32::MAX,
        open_requests: u32::MAX,
        jobs_started: u64::MAX,
        queue_size: Some(u32::MAX),
        ..serving(1)
    };
    stage.report(&workers[0], absurd.clone());
    stage.report(&workers[1], absurd);
    stage.pass(3);
    stage.list();
    stage.queue(&[8, 9]);
    let idle = Report { idle_seconds: u64::MAX, ..serving(0) };
    stage.pass(3);
    stage.report(&workers[0], idle.clone());
    stage.report(&workers[1], idle);
    assert!(words(&stage.queue(&[])).is_empty(), "no idler than they are old");
}

#[test]
fn a_worker_that_dies_before_its_configuration_is_ended() {
    let mut stage = Stage::with(vec![runner()]);
    let launch = launches(&stage.queue(&[1])).remove(0);
    let worker = stage.grant(&launch).remove(0);
    stage.list();
    let booted = Report { phase: Phase::Ready, runner: RunnerState::Absent, open_requests: 0, ..serving(0) };
    stage.report(&worker, booted);
    let down = WorkerEvent::Disconnected(ConnectionFailure::Unreachable("nothing heard for 60 s".into()));
    stage.step(vec![Event::Worker { worker: worker.clone(), event: down }]);
    let mut asked_for_health = false;
    for _ in 0..30 {
        stage.pass(5);
        let commands = stage.step(Vec::new());
        asked_for_health |= commands.contains(&Command::ListInstances { with_health: true });
    }
    assert!(asked_for_health);
    stage.instances[0].health = Health::Impaired;
    assert_eq!(words(&stage.list()), [format!("terminate {worker}")]);
}

//! Scaling down kills no job: fence, see empty, stop, terminate, each seen in the worker's own reports.

use std::time::Duration;

use runner_fleet::engine::{
    Blueprint, ConfigHash, Event, IdleCount, IdlePolicy, LinkNews, OperatorWish, Report, RunnerName, RunnerSettings,
    RunnerState,
};

use super::stage::{RUNNER, Stage, blueprint, launches, runner, serving, words};

fn idle_for(seconds: u64) -> Report {
    Report { idle_seconds: seconds, ..serving(0) }
}

fn fenced(jobs: u32, open_requests: u32) -> Report {
    Report { runner: RunnerState::Fenced, open_requests, idle_seconds: 400, ..serving(jobs) }
}

fn stopped() -> Report {
    Report { runner: RunnerState::Stopped, open_requests: 0, idle_seconds: 410, ..serving(0) }
}

/// A stage with one worker that has been idle for longer than the policy allows, and the word to fence it.
fn fencing() -> (Stage, runner_fleet::engine::WorkerId) {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    stage.pass(400);
    stage.report(&worker, idle_for(400));
    stage.list();
    let commands = stage.queue(&[]);
    assert_eq!(words(&commands), [format!("fence {worker}")]);
    (stage, worker)
}

#[test]
fn an_idle_worker_beyond_the_policy_is_fenced_seen_empty_stopped_and_terminated() {
    let (mut stage, worker) = fencing();
    stage.pass(1);
    assert!(words(&stage.report(&worker, fenced(0, 1))).is_empty(), "an open request may still bring a job");
    stage.pass(1);
    assert_eq!(words(&stage.report(&worker, fenced(0, 0))), [format!("stop {worker}")]);
    stage.pass(1);
    assert_eq!(words(&stage.report(&worker, stopped())), [format!("terminate {worker}")]);
}

#[test]
fn a_job_taken_while_being_fenced_is_finished_first() {
    let (mut stage, worker) = fencing();
    for _ in 0..100 {
        stage.pass(30);
        stage.list();
        stage.queue(&[]);
        assert!(words(&stage.report(&worker, fenced(1, 0))).is_empty());
    }
    assert_eq!(words(&stage.report(&worker, fenced(0, 0))), [format!("stop {worker}")]);
}

#[test]
fn demand_that_returns_takes_the_fence_back_and_launches_nothing() {
    let (mut stage, worker) = fencing();
    stage.pass(1);
    stage.report(&worker, fenced(0, 1));
    assert_eq!(words(&stage.queue(&[9])), [format!("unfence {worker}")]);
    stage.pass(1);
    assert!(words(&stage.queue(&[9])).is_empty(), "its slot counts although its report is old");
}

#[test]
fn a_worker_is_kept_for_idle_time_and_a_busy_one_for_ever() {
    let idle = IdlePolicy { time: Duration::from_secs(60), ..runner().idle };
    let mut stage = Stage::with(vec![RunnerSettings { idle, ..runner() }]);
    let workers = stage.with_ready_workers(2);
    for second in (0..58).step_by(2) {
        stage.pass(2);
        stage.report(&workers[0], idle_for(second + 2));
        stage.report(&workers[1], serving(1));
        stage.list();
        assert!(words(&stage.queue(&[])).is_empty(), "after {second} s");
    }
    stage.pass(4);
    assert_eq!(words(&stage.report(&workers[1], serving(1))), [format!("fence {}", workers[0])]);
}

#[test]
fn a_held_worker_is_left_alone() {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    stage.instances[0].hold = true;
    stage.pass(400);
    stage.report(&worker, idle_for(400));
    stage.list();
    assert!(words(&stage.queue(&[])).is_empty());
    let drain = OperatorWish::Drain { workers: vec![worker.clone()], force: true };
    assert!(words(&stage.step(vec![Event::Operator(drain)])).is_empty(), "not even by force");
}

#[test]
fn an_interruption_fences_and_replaces_in_the_same_step() {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    stage.pass(2);
    stage.report(&worker, serving(1));
    stage.queue(&[]);
    stage.pass(1);
    stage.queue(&[5]);
    let launch = launches(&stage.queue(&[5]));
    assert!(launch.is_empty(), "the second worker is on its way already");

    let interruption = Some(stage.now.saturating_add(Duration::from_secs(120)).unwrap());
    let mut stage = Stage::with(vec![RunnerSettings {
        idle: IdlePolicy { count: IdleCount::Fixed(1), ..runner().idle },
        ..runner()
    }]);
    let first = launches(&stage.opening).remove(0);
    let worker = stage.grant(&first).remove(0);
    stage.list();
    stage.report(&worker, serving(0));
    let commands = stage.report(&worker, Report { interruption, ..serving(0) });
    assert_eq!(words(&commands), [format!("fence {worker}"), "launch 1 spot".to_owned()]);
    let asked = &launches(&commands)[0];
    assert!(
        asked.offerings.iter().all(|offering| offering.zone.as_str() != "a"),
        "not from where EC2 takes capacity back: {:?}",
        asked.offerings
    );
}

#[test]
fn a_worker_that_has_done_its_jobs_is_fenced_while_it_runs_the_last_one() {
    let mut stage = Stage::with(vec![RunnerSettings { max_jobs: 1, ..runner() }]);
    let worker = stage.with_ready_workers(1).remove(0);
    assert_eq!(words(&stage.report(&worker, serving(1))), [format!("fence {worker}")]);
}

#[test]
fn drift_rolls_idle_workers_first_and_one_at_a_time() {
    let idle = IdlePolicy { count: IdleCount::Fixed(3), ..runner().idle };
    let mut stage = Stage::with(vec![RunnerSettings { idle, ..runner() }]);
    let launch = launches(&stage.opening).remove(0);
    let workers = stage.grant(&launch);
    stage.list();
    stage.report(&workers[0], serving(1));
    stage.report(&workers[1], serving(0));
    stage.report(&workers[2], serving(0));
    stage.queue(&[]);
    let new = Blueprint { config: ConfigHash::new("c2"), ..blueprint() };
    let commands = stage.step(vec![Event::Blueprint { runner: RunnerName::new(RUNNER), blueprint: Ok(new) }]);
    let fences: Vec<String> = words(&commands).into_iter().filter(|word| word.starts_with("fence")).collect();
    assert_eq!(fences, [format!("fence {}", workers[1])]);
}

#[test]
fn an_operator_drains_gently_and_only_force_ends_a_job() {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    stage.report(&worker, serving(1));
    let drain = |force| Event::Operator(OperatorWish::Drain { workers: vec![worker.clone()], force });
    assert_eq!(words(&stage.step(vec![drain(false)])), [format!("fence {worker}")]);
    assert_eq!(words(&stage.step(vec![drain(true)])), [format!("terminate {worker}")]);
}

#[test]
fn a_worker_fenced_by_an_earlier_manager_is_taken_back_or_retired() {
    let mut stage = Stage::with(vec![runner()]);
    let adopted = stage.instance("i-old");
    stage.instances.push(adopted.clone());
    stage.list();
    stage.queue(&[1]);
    let commands =
        stage.step(vec![Event::Link { worker: adopted.id.clone(), news: LinkNews::Report(Box::new(fenced(0, 0))) }]);
    // One slot was coming already when it was adopted as booting; the queue's one job needs no second worker.
    assert!(launches(&commands).is_empty(), "{commands:?}");
    assert_eq!(words(&commands), ["unfence i-old"]);
}

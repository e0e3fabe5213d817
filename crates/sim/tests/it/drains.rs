//! Scaling down kills no job: fence, see empty, stop, terminate, each seen in the worker's own reports.

use std::time::Duration;

use runner_fleet_engine::{
    Command, ConfigHash, Event, IdleCount, IdlePolicy, LaunchPlan, OperatorWish, Report, RunnerName, RunnerSettings,
    RunnerState, WorkerEvent, WorkerId, WorkerReason,
};

use super::stage::{RUNNER, Stage, launches, plan, runner, serving, settings, words};

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
fn fencing() -> (Stage, runner_fleet_engine::WorkerId) {
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
fn a_surplus_idle_worker_goes_by_all_four_steps() {
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
fn returning_demand_unfences_and_launches_nothing() {
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
fn max_jobs_fences_during_the_last_job() {
    let mut stage = Stage::with(vec![RunnerSettings { max_jobs: 1, ..runner() }]);
    let worker = stage.with_ready_workers(1).remove(0);
    assert_eq!(words(&stage.report(&worker, serving(1))), [format!("fence {worker}")]);
}

#[test]
fn a_late_boot_is_fenced_as_its_config_may_be_under_way() {
    let mut stage = Stage::with(vec![runner()]);
    let launch = launches(&stage.queue(&[1])).remove(0);
    let worker = stage.grant(&launch).remove(0);
    stage.list();
    stage.pass(301);
    let booted = Report { runner: RunnerState::Absent, ..serving(0) };
    let commands = stage.report(&worker, booted);
    assert!(words(&commands).contains(&format!("fence {worker}")), "{commands:?}");
    assert!(!words(&commands).iter().any(|word| word.starts_with("terminate")), "{commands:?}");
}

/// A new template: workers made from the old one are outdated.
fn new_template(stage: &mut Stage) -> Vec<Command> {
    let new = LaunchPlan { config: ConfigHash::new("c2"), ..plan() };
    stage.step(vec![Event::LaunchPlan { runner: RunnerName::new(RUNNER), plan: Ok(new) }])
}

fn idle_count(count: u32) -> RunnerSettings {
    RunnerSettings { idle: IdlePolicy { count: IdleCount::Fixed(count), ..runner().idle }, ..runner() }
}

/// Workers that the idle policy launched, all serving and idle.
fn idle_workers(stage: &mut Stage) -> Vec<WorkerId> {
    let launch = launches(&stage.opening).remove(0);
    let workers = stage.grant(&launch);
    stage.list();
    for worker in &workers {
        stage.report(worker, serving(0));
    }
    stage.queue(&[]);
    workers
}

#[test]
fn drift_rolls_idle_workers_after_their_successors() {
    let mut stage = Stage::with(vec![idle_count(3)]);
    let workers = idle_workers(&mut stage);
    // One is busy, so that a fourth is launched for the policy.
    let fourth = launches(&stage.report(&workers[0], serving(1)));
    assert_eq!(fourth.len(), 1);
    let fourth = fourth.iter().flat_map(|launch| stage.grant(launch)).collect::<Vec<_>>();
    stage.list();
    fourth.iter().for_each(|worker| drop(stage.report(worker, serving(0))));

    let commands = new_template(&mut stage);
    assert_eq!(words(&commands), ["launch 1 spot"], "nobody goes before the successor is ready");
    let launch = launches(&commands).remove(0);
    let successor = stage.grant(&launch).remove(0);
    assert_eq!(words(&stage.list()), Vec::<String>::new());
    let commands = stage.report(&successor, serving(0));
    assert_eq!(words(&commands), [format!("fence {}", workers[1])], "the oldest idle one, and one alone");
    stage.pass(1);
    assert_eq!(words(&stage.queue(&[])), Vec::<String>::new(), "one at a time");
}

#[test]
fn drift_does_not_wait_for_successors_that_have_no_room() {
    let mut stage = Stage::with(vec![RunnerSettings { max_workers: 3, ..idle_count(3) }]);
    let workers = idle_workers(&mut stage);
    assert_eq!(words(&new_template(&mut stage)), [format!("fence {}", workers[0])]);
}

#[test]
fn a_finishing_outdated_worker_keeps_no_idle_one_waiting() {
    let mut stage = Stage::with(vec![RunnerSettings { max_workers: 2, ..idle_count(2) }]);
    let workers = idle_workers(&mut stage);
    workers.iter().for_each(|worker| drop(stage.report(worker, serving(1))));
    assert_eq!(words(&new_template(&mut stage)), [format!("fence {}", workers[0])], "both are busy");
    let commands = stage.report(&workers[1], serving(0));
    assert_eq!(words(&commands), [format!("fence {}", workers[1])]);
}

#[test]
fn a_finished_job_leaves_no_room_for_a_successor() {
    let mut stage = Stage::with(vec![RunnerSettings { max_workers: 2, ..idle_count(1) }]);
    let busy = idle_workers(&mut stage).remove(0);
    let launch = launches(&stage.report(&busy, serving(1))).remove(0);
    let other = stage.grant(&launch).remove(0);
    stage.list();
    stage.report(&other, serving(1));
    assert_eq!(words(&new_template(&mut stage)), [format!("fence {busy}")], "both are busy");

    let commands = stage.report(&other, serving(0));

    assert_eq!(words(&commands), [format!("fence {other}")], "its successor has room only when it has gone");
}

#[test]
fn surplus_outdated_workers_go_before_long_idle_ones() {
    let mut stage = Stage::with(vec![idle_count(3)]);
    let workers = idle_workers(&mut stage);
    stage.pass(3600);
    stage.queue(&[]);
    stage.list();
    workers.iter().zip([0, 0, 3600]).for_each(|(worker, seconds)| drop(stage.report(worker, idle_for(seconds))));
    // The third is made from the new template, and only one is wanted now.
    stage.instances[2].config = ConfigHash::new("c2");
    let plan = LaunchPlan { config: ConfigHash::new("c2"), ..plan() };
    let commands = stage.step(vec![
        Event::Configured(settings(vec![idle_count(1)])),
        Event::LaunchPlan { runner: RunnerName::new(RUNNER), plan: Ok(plan) },
        Event::Instances { asked_at: stage.now, listing: Ok(stage.instances.clone()) },
    ]);
    assert_eq!(words(&commands), [format!("fence {}", workers[0])]);
}

#[test]
fn workers_that_have_all_grown_too_old_are_replaced_one_by_one() {
    let mut stage = Stage::with(vec![RunnerSettings { max_age: Duration::from_secs(3600), ..idle_count(3) }]);
    let workers = idle_workers(&mut stage);
    stage.pass(3590);
    for worker in &workers {
        stage.report(worker, idle_for(3590));
    }
    stage.list();
    assert_eq!(words(&stage.queue(&[])), Vec::<String>::new());
    stage.pass(11);
    let commands = stage.queue(&[]);
    assert_eq!(words(&commands), ["launch 1 spot"]);
    let launch = launches(&commands).remove(0);
    let successor = stage.grant(&launch).remove(0);
    stage.list();
    assert_eq!(words(&stage.report(&successor, serving(0))), [format!("fence {}", workers[0])]);
}

#[test]
fn a_rebalance_hint_brings_a_successor_first() {
    let mut stage = Stage::with(vec![idle_count(1)]);
    let workers = idle_workers(&mut stage);
    let commands = stage.report(&workers[0], Report { rebalance: true, ..serving(0) });
    assert_eq!(words(&commands), ["launch 1 spot"]);
    let launch = launches(&commands).remove(0);
    assert!(launch.offerings.iter().all(|offering| offering.zone.as_str() != "a"), "{:?}", launch.offerings);
    let successor = stage.grant(&launch).remove(0);
    stage.list();
    assert_eq!(words(&stage.report(&successor, serving(0))), [format!("fence {}", workers[0])]);
}

#[test]
fn the_emptiest_worker_goes_and_comes_back_with_demand() {
    let mut stage = Stage::with(vec![RunnerSettings { capacity: 4, ..runner() }]);
    let launch = launches(&stage.queue(&(1..=8).collect::<Vec<_>>())).remove(0);
    let workers = stage.grant(&launch);
    assert_eq!(workers.len(), 2);
    stage.list();
    let poll = |stage: &mut Stage, jobs: [u32; 2], waiting: &[u64]| {
        stage.report(&workers[0], serving(jobs[0]));
        stage.report(&workers[1], serving(jobs[1]));
        stage.list();
        words(&stage.queue(waiting))
    };
    // Five jobs need both workers, however long.
    for _ in 0..20 {
        stage.pass(30);
        assert_eq!(poll(&mut stage, [3, 2], &[]), Vec::<String>::new());
    }
    // Four would fit on one.
    for _ in 0..10 {
        assert_eq!(poll(&mut stage, [3, 1], &[]), Vec::<String>::new());
        stage.pass(30);
    }
    assert_eq!(poll(&mut stage, [3, 1], &[]), [format!("fence {}", workers[1])]);
    stage.report(&workers[1], fenced(1, 0));
    assert_eq!(words(&stage.queue(&[20])), Vec::<String>::new(), "there is a slot for one more");
    stage.pass(1);
    assert_eq!(words(&stage.queue(&[20, 21])), [format!("unfence {}", workers[1])]);
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
fn an_adopted_fence_is_taken_back_or_carried_out() {
    let mut stage = Stage::with(vec![runner()]);
    let adopted = stage.instance("i-old");
    stage.instances.push(adopted.clone());
    stage.list();
    stage.queue(&[1]);
    let commands = stage
        .step(vec![Event::Worker { worker: adopted.id.clone(), event: WorkerEvent::Report(Box::new(fenced(0, 0))) }]);
    // One slot was coming already when it was adopted as booting; the queue's one job needs no second worker.
    assert!(launches(&commands).is_empty(), "{commands:?}");
    assert_eq!(words(&commands), ["unfence i-old"]);
}

#[test]
fn a_pause_retires_all_workers_and_a_resume_undoes_it() {
    let mut stage = Stage::with(vec![runner()]);
    let workers = stage.with_ready_workers(2);
    stage.report(&workers[0], serving(1));
    stage.queue(&[7]);
    let pause = Event::Operator(OperatorWish::Pause(RunnerName::new(RUNNER)));
    let fences: Vec<String> = workers.iter().map(|worker| format!("fence {worker}")).collect();
    assert_eq!(words(&stage.step(vec![pause])), fences, "the busy one finishes its job and takes no other");
    stage.pass(1);
    stage.report(&workers[0], fenced(1, 0));
    stage.report(&workers[1], fenced(0, 1));
    assert!(words(&stage.queue(&[7])).is_empty(), "nothing is launched");
    let resume = Event::Operator(OperatorWish::Resume(RunnerName::new(RUNNER)));
    let back: Vec<String> = workers.iter().map(|worker| format!("unfence {worker}")).collect();
    let commands = words(&stage.step(vec![resume]));
    assert!(commands.iter().any(|word| back.contains(word)) && !commands.iter().any(|w| w.starts_with("launch")));
}

#[test]
fn force_ends_a_worker_that_is_out_of_reach_and_one_that_boots() {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    for _ in 0..10 {
        stage.pass(10);
        stage.list();
    }
    let reason = stage.engine.snapshot().workers[0].reason.clone().unwrap();
    assert!(matches!(reason.reason, WorkerReason::Silent { healthy: true, .. }), "{reason:?}");
    assert!(reason.text.contains("drain --force"), "{reason}");
    let force = |worker: &WorkerId| Event::Operator(OperatorWish::Drain { workers: vec![worker.clone()], force: true });
    assert_eq!(words(&stage.step(vec![force(&worker)])), [format!("terminate {worker}")]);

    let launch = launches(&stage.queue(&[5])).remove(0);
    let booting = stage.grant(&launch).remove(0);
    stage.list();
    assert_eq!(words(&stage.step(vec![force(&booting)]))[0], format!("terminate {booting}"));
}

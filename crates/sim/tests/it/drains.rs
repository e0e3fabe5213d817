//! Scaling down kills no job: fence, see empty, stop, terminate, each seen in the worker's own reports.

use std::collections::BTreeSet;
use std::time::Duration;

use runner_fleet_engine::{
    Command, ConfigHash, DrainReason, Event, Health, IdleCount, IdlePolicy, IdleTime, LaunchPlan, OperatorRequest,
    Report, RunnerName, RunnerSettings, RunnerState, Settings, Want, WorkerEvent, WorkerId, WorkerReason,
};

use super::bench::{RUNNER, TestBench, launches, plan, runner, serving, settings, words};

fn idle_for(seconds: u64) -> Report {
    Report { idle_seconds: seconds, ..serving(0) }
}

pub(super) fn fenced(jobs: u32, open_requests: u32) -> Report {
    Report { runner: RunnerState::Fenced, open_requests, idle_seconds: 400, ..serving(jobs) }
}

pub(super) fn stopped() -> Report {
    Report { runner: RunnerState::Stopped, open_requests: 0, idle_seconds: 410, ..serving(0) }
}

/// After how many idle seconds of this worker anything is wanted.
fn first_word_after(bench: &mut TestBench, worker: &WorkerId) -> Option<u64> {
    (1..=400).find(|second| {
        bench.pass(1);
        let mut commands = bench.report(worker, idle_for(*second));
        commands.extend(bench.list());
        commands.extend(bench.queue(&[]));
        !words(&commands).is_empty()
    })
}

/// A bench with one worker that has been idle for longer than the policy allows, and the word to fence it.
fn fencing() -> (TestBench, runner_fleet_engine::WorkerId) {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.pass(400);
    bench.report(&worker, idle_for(400));
    bench.list();
    let commands = bench.queue(&[]);
    assert_eq!(words(&commands), [format!("fence {worker}")]);
    (bench, worker)
}

#[test]
fn a_surplus_idle_worker_goes_by_all_four_steps() {
    let (mut bench, worker) = fencing();
    bench.pass(1);
    assert!(words(&bench.report(&worker, fenced(0, 1))).is_empty(), "an open request may still bring a job");
    bench.pass(1);
    assert_eq!(words(&bench.report(&worker, fenced(0, 0))), [format!("stop {worker}")]);
    bench.pass(1);
    assert_eq!(words(&bench.report(&worker, stopped())), [format!("terminate {worker}")]);
}

#[test]
fn a_job_taken_while_being_fenced_is_finished_first() {
    let (mut bench, worker) = fencing();
    for _ in 0..100 {
        bench.pass(30);
        bench.list();
        bench.queue(&[]);
        assert!(words(&bench.report(&worker, fenced(1, 0))).is_empty());
    }
    assert_eq!(words(&bench.report(&worker, fenced(0, 0))), [format!("stop {worker}")]);
}

#[test]
fn returning_demand_unfences_and_launches_nothing() {
    let (mut bench, worker) = fencing();
    bench.pass(1);
    bench.report(&worker, fenced(0, 1));
    assert_eq!(words(&bench.queue(&[9])), [format!("unfence {worker}")]);
    bench.pass(1);
    assert!(words(&bench.queue(&[9])).is_empty(), "its slot counts although its report is old");
}

#[test]
fn a_worker_is_kept_for_idle_time_and_a_busy_one_for_ever() {
    let idle = IdlePolicy { time: IdleTime::Fixed(Duration::from_secs(60)), ..runner().idle };
    let mut bench = TestBench::with(vec![RunnerSettings { idle, ..runner() }]);
    let workers = bench.with_ready_workers(2);
    let mut said = Vec::new();
    for second in 1..=62 {
        bench.pass(1);
        let (open_requests, is_fenced) = (u32::from(second < 30), !said.is_empty());
        let runner = if is_fenced { RunnerState::Fenced } else { RunnerState::Serving };
        let mut commands = bench.report(&workers[0], Report { runner, open_requests, ..idle_for(second) });
        commands.extend(bench.report(&workers[1], serving(1)));
        bench.list();
        commands.extend(bench.queue(&[]));
        said.extend(words(&commands).into_iter().map(|word| (second, word)));
    }
    // Its request ends while it might still be needed, and nobody waits for that afterwards.
    let worker = &workers[0];
    assert_eq!(said, [(10, format!("fence {worker}")), (60, format!("stop {worker}"))]);
}

#[test]
fn a_worker_is_fenced_for_the_last_50_s_of_its_idle_time() {
    let fenced_after = |idle_time: u64| {
        let idle = IdlePolicy { time: IdleTime::Fixed(Duration::from_secs(idle_time)), ..runner().idle };
        let mut bench = TestBench::with(vec![RunnerSettings { idle, ..runner() }]);
        let workers = bench.with_ready_workers(1);
        first_word_after(&mut bench, &workers[0])
    };
    assert_eq!([5, 30, 60, 100, 300].map(fenced_after), [5, 10, 10, 50, 250].map(Some));
}

#[test]
fn an_idle_time_of_auto_is_as_long_as_a_boot() {
    let fenced_after = |boot: u64| {
        let idle = IdlePolicy { time: IdleTime::Auto, ..runner().idle };
        let mut bench =
            TestBench::with(vec![RunnerSettings { idle, boot_timeout: Duration::from_secs(900), ..runner() }]);
        let launch = launches(&bench.queue(&[1])).remove(0);
        let worker = bench.grant(&launch).remove(0);
        bench.list();
        bench.pass(boot);
        bench.report(&worker, serving(0));
        first_word_after(&mut bench, &worker)
    };
    // 50 s before it is over, and not within 10 s of a job; a minute is the least, five are the most.
    assert_eq!([20, 90, 200, 280, 600].map(fenced_after), [10, 40, 150, 230, 250].map(Some));
}

#[test]
fn a_job_that_an_early_fence_lets_in_keeps_the_worker() {
    let idle = IdlePolicy { time: IdleTime::Fixed(Duration::from_secs(60)), ..runner().idle };
    let mut bench = TestBench::with(vec![RunnerSettings { idle, ..runner() }]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.pass(20);
    bench.report(&worker, idle_for(20));
    bench.list();
    assert_eq!(words(&bench.queue(&[])), [format!("fence {worker}")]);
    bench.pass(5);
    assert_eq!(words(&bench.report(&worker, fenced(1, 0))), [format!("unfence {worker}")]);
}

#[test]
fn a_held_worker_is_left_alone() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.instances[0].hold = true;
    bench.pass(400);
    bench.report(&worker, idle_for(400));
    bench.list();
    assert!(words(&bench.queue(&[])).is_empty());
    let drain = OperatorRequest::Drain { workers: vec![worker.clone()], force: true };
    assert!(words(&bench.step(vec![Event::Operator(drain)])).is_empty(), "not even by force");
}

#[test]
fn an_interruption_fences_and_replaces_in_the_same_step() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.pass(2);
    bench.report(&worker, serving(1));
    bench.queue(&[]);
    bench.pass(1);
    bench.queue(&[5]);
    let launch = launches(&bench.queue(&[5]));
    assert!(launch.is_empty(), "the second worker is on its way already");

    let interruption = Some(bench.now.saturating_add(Duration::from_secs(120)).unwrap());
    let mut bench = TestBench::with(vec![RunnerSettings {
        idle: IdlePolicy { count: IdleCount::Fixed(1), ..runner().idle },
        ..runner()
    }]);
    let first = launches(&bench.opening).remove(0);
    let worker = bench.grant(&first).remove(0);
    bench.list();
    bench.report(&worker, serving(0));
    let commands = bench.report(&worker, Report { interruption, ..serving(0) });
    assert_eq!(words(&commands), [format!("fence {worker}"), "launch 1 spot".to_owned()]);
}

#[test]
fn a_place_is_left_alone_when_a_second_worker_says_so() {
    let mut bench = TestBench::with(vec![idle_count(2)]);
    let workers = idle_workers(&mut bench);
    let zones = |commands: &[Command]| -> BTreeSet<String> {
        let launches = launches(commands);
        launches.iter().flat_map(|launch| &launch.offerings).map(|offering| offering.zone.as_str().to_owned()).collect()
    };

    let interruption = Some(bench.now.saturating_add(Duration::from_secs(120)).unwrap());
    let interrupted = || Report { interruption, ..serving(0) };

    let first = bench.report(&workers[0], interrupted());
    assert!(zones(&first).contains("a"), "one worker's word closes a place for all");
    bench.report(&workers[0], serving(0));
    assert!(bench.report(&workers[0], interrupted()).is_empty(), "it has said so before");
    bench.grant(&launches(&first)[0]);
    bench.pass(60);
    bench.list();
    let second = bench.report(&workers[1], interrupted());

    assert!(!zones(&second).is_empty() && !zones(&second).contains("a"), "a successor from where EC2 takes back");
}

#[test]
fn max_jobs_fences_during_the_last_job() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_jobs: 1, ..runner() }]);
    let worker = bench.with_ready_workers(1).remove(0);
    assert_eq!(words(&bench.report(&worker, serving(1))), [format!("fence {worker}")]);
}

#[test]
fn a_late_boot_is_fenced_as_its_config_may_be_under_way() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    bench.pass(301);
    let booted = Report { runner: RunnerState::Absent, ..serving(0) };
    let commands = bench.report(&worker, booted);
    assert!(words(&commands).contains(&format!("fence {worker}")), "{commands:?}");
    assert!(!words(&commands).iter().any(|word| word.starts_with("terminate")), "{commands:?}");
}

/// A new template: workers made from the old one are outdated.
fn new_template(bench: &mut TestBench) -> Vec<Command> {
    let new = LaunchPlan { config: ConfigHash::new("c2"), ..plan() };
    bench.step(vec![Event::LaunchPlan { runner: RunnerName::new(RUNNER), plan: Ok(new) }])
}

fn idle_count(count: u32) -> RunnerSettings {
    RunnerSettings { idle: IdlePolicy { count: IdleCount::Fixed(count), ..runner().idle }, ..runner() }
}

/// Workers that the idle policy launched, all serving and idle.
fn idle_workers(bench: &mut TestBench) -> Vec<WorkerId> {
    let launch = launches(&bench.opening).remove(0);
    let workers = bench.grant(&launch);
    bench.list();
    for worker in &workers {
        bench.report(worker, serving(0));
    }
    bench.queue(&[]);
    workers
}

#[test]
fn drift_rolls_idle_workers_after_their_successors() {
    let mut bench = TestBench::with(vec![idle_count(3)]);
    let workers = idle_workers(&mut bench);
    // One is busy, so that a fourth is launched for the policy.
    let fourth = launches(&bench.report(&workers[0], serving(1)));
    assert_eq!(fourth.len(), 1);
    let fourth = fourth.iter().flat_map(|launch| bench.grant(launch)).collect::<Vec<_>>();
    bench.list();
    fourth.iter().for_each(|worker| drop(bench.report(worker, serving(0))));

    let commands = new_template(&mut bench);
    assert_eq!(words(&commands), ["launch 1 spot"], "nobody goes before the successor is ready");
    let launch = launches(&commands).remove(0);
    let successor = bench.grant(&launch).remove(0);
    assert_eq!(words(&bench.list()), Vec::<String>::new());
    let commands = bench.report(&successor, serving(0));
    assert_eq!(words(&commands), [format!("fence {}", workers[1])], "the oldest idle one, and one alone");
    bench.pass(1);
    assert_eq!(words(&bench.queue(&[])), Vec::<String>::new(), "one at a time");
}

#[test]
fn drift_does_not_wait_for_successors_that_have_no_room() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 3, ..idle_count(3) }]);
    let workers = idle_workers(&mut bench);
    assert_eq!(words(&new_template(&mut bench)), [format!("fence {}", workers[0])]);
}

#[test]
fn a_finishing_outdated_worker_keeps_no_idle_one_waiting() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 2, ..idle_count(2) }]);
    let workers = idle_workers(&mut bench);
    workers.iter().for_each(|worker| drop(bench.report(worker, serving(1))));
    assert_eq!(words(&new_template(&mut bench)), [format!("fence {}", workers[0])], "both are busy");
    let commands = bench.report(&workers[1], serving(0));
    assert_eq!(words(&commands), [format!("fence {}", workers[1])]);
}

#[test]
fn a_finished_job_leaves_no_room_for_a_successor() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 2, ..idle_count(1) }]);
    let busy = idle_workers(&mut bench).remove(0);
    let launch = launches(&bench.report(&busy, serving(1))).remove(0);
    let other = bench.grant(&launch).remove(0);
    bench.list();
    bench.report(&other, serving(1));
    assert_eq!(words(&new_template(&mut bench)), [format!("fence {busy}")], "both are busy");

    let commands = bench.report(&other, serving(0));

    assert_eq!(words(&commands), [format!("fence {other}")], "its successor has room only when it has gone");
}

#[test]
fn none_is_rolled_in_a_step_that_lets_an_idle_one_go() {
    let mut bench = TestBench::with(vec![idle_count(3)]);
    let workers = idle_workers(&mut bench);
    bench.pass(400);
    bench.queue(&[]);
    bench.list();
    for worker in &workers[..2] {
        bench.report(worker, serving(1)).iter().for_each(|command| assert!(matches!(command, Command::Launch(_))));
    }
    bench.report(&workers[2], idle_for(400));
    // Two places for two jobs: the idle one goes. With the first as outdated gone as well, there would be room for one.
    bench.instances[1].config = ConfigHash::new("c2");
    bench.instances[2].config = ConfigHash::new("c2");
    let few = RunnerSettings { max_workers: 2, ..idle_count(1) };
    let plan = LaunchPlan { config: ConfigHash::new("c2"), ..plan() };
    let commands = bench.step(vec![
        Event::Configured(settings(vec![few])),
        Event::LaunchPlan { runner: RunnerName::new(RUNNER), plan: Ok(plan) },
        Event::Instances { asked_at: bench.now, listing: Ok(bench.instances.clone()) },
    ]);
    assert_eq!(words(&commands), [format!("fence {}", workers[2])]);

    bench.pass(1);
    assert_eq!(words(&bench.queue(&[])), [format!("fence {}", workers[0])], "it finishes its job");
}

#[test]
fn no_successor_is_awaited_where_a_removed_runner_fills_all() {
    let other = RunnerSettings { name: RunnerName::new("other"), capacity: 2, ..idle_count(1) };
    let one = RunnerSettings { capacity: 2, ..idle_count(1) };
    let few = |runners| Settings { concurrent: 5, ..settings(runners) };
    let mut bench = TestBench::with(vec![one.clone(), other]);
    let mut workers = Vec::new();
    for launch in launches(&bench.opening.clone()) {
        workers.extend(bench.grant(&launch));
    }
    bench.list();
    workers.iter().for_each(|worker| drop(bench.report(worker, serving(0))));
    bench.queue(&[]);
    let of = |bench: &TestBench, name: &str| {
        let instance = bench.instances.iter().find(|instance| instance.runner.as_str() == name);
        instance.unwrap().id.clone()
    };
    let (old, stray) = (of(&bench, RUNNER), of(&bench, "other"));
    bench.report(&stray, serving(1));
    let commands = bench.step(vec![Event::Configured(few(vec![one]))]);
    assert_eq!(words(&commands), [format!("fence {stray}")], "it has a job, which may take hours");

    assert_eq!(words(&new_template(&mut bench)), [format!("fence {old}")], "no successor would find room beside it");
}

#[test]
fn surplus_outdated_workers_go_before_long_idle_ones() {
    let mut bench = TestBench::with(vec![idle_count(3)]);
    let workers = idle_workers(&mut bench);
    bench.pass(3600);
    bench.queue(&[]);
    bench.list();
    workers.iter().zip([0, 0, 3600]).for_each(|(worker, seconds)| drop(bench.report(worker, idle_for(seconds))));
    // The third is made from the new template, and only one is wanted now.
    bench.instances[2].config = ConfigHash::new("c2");
    let plan = LaunchPlan { config: ConfigHash::new("c2"), ..plan() };
    let commands = bench.step(vec![
        Event::Configured(settings(vec![idle_count(1)])),
        Event::LaunchPlan { runner: RunnerName::new(RUNNER), plan: Ok(plan) },
        Event::Instances { asked_at: bench.now, listing: Ok(bench.instances.clone()) },
    ]);
    assert_eq!(words(&commands), [format!("fence {}", workers[0])]);
}

#[test]
fn workers_that_have_all_grown_too_old_are_replaced_one_by_one() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_age: Duration::from_secs(3600), ..idle_count(3) }]);
    let workers = idle_workers(&mut bench);
    bench.pass(3590);
    for worker in &workers {
        bench.report(worker, idle_for(3590));
    }
    bench.list();
    assert_eq!(words(&bench.queue(&[])), Vec::<String>::new());
    bench.pass(11);
    let commands = bench.queue(&[]);
    assert_eq!(words(&commands), ["launch 1 spot"]);
    let launch = launches(&commands).remove(0);
    let successor = bench.grant(&launch).remove(0);
    bench.list();
    assert_eq!(words(&bench.report(&successor, serving(0))), [format!("fence {}", workers[0])]);
}

#[test]
fn a_rebalance_hint_brings_a_successor_first() {
    let mut bench = TestBench::with(vec![idle_count(1)]);
    let workers = idle_workers(&mut bench);
    let commands = bench.report(&workers[0], Report { rebalance: true, ..serving(0) });
    assert_eq!(words(&commands), ["launch 1 spot"]);
    let launch = launches(&commands).remove(0);
    let successor = bench.grant(&launch).remove(0);
    bench.list();
    assert_eq!(words(&bench.report(&successor, serving(0))), [format!("fence {}", workers[0])]);
}

#[test]
fn the_emptiest_worker_goes_and_comes_back_with_demand() {
    let mut bench = TestBench::with(vec![RunnerSettings { capacity: 4, ..runner() }]);
    let launch = launches(&bench.queue(&(1..=8).collect::<Vec<_>>())).remove(0);
    let workers = bench.grant(&launch);
    assert_eq!(workers.len(), 2);
    bench.list();
    let poll = |bench: &mut TestBench, jobs: [u32; 2], waiting: &[u64]| {
        bench.report(&workers[0], serving(jobs[0]));
        bench.report(&workers[1], serving(jobs[1]));
        bench.list();
        words(&bench.queue(waiting))
    };
    // Five jobs need both workers, however long.
    for _ in 0..20 {
        bench.pass(30);
        assert_eq!(poll(&mut bench, [3, 2], &[]), Vec::<String>::new());
    }
    // Four would fit on one.
    for _ in 0..10 {
        assert_eq!(poll(&mut bench, [3, 1], &[]), Vec::<String>::new());
        bench.pass(30);
    }
    assert_eq!(poll(&mut bench, [3, 1], &[]), [format!("fence {}", workers[1])]);
    bench.report(&workers[1], fenced(1, 0));
    assert_eq!(words(&bench.queue(&[20])), Vec::<String>::new(), "there is a slot for one more");
    bench.pass(1);
    assert_eq!(words(&bench.queue(&[20, 21])), [format!("unfence {}", workers[1])]);
}

#[test]
fn an_operator_drains_gently_and_only_force_ends_a_job() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.report(&worker, serving(1));
    let drain = |force| Event::Operator(OperatorRequest::Drain { workers: vec![worker.clone()], force });
    assert_eq!(words(&bench.step(vec![drain(false)])), [format!("fence {worker}")]);
    assert_eq!(words(&bench.step(vec![drain(true)])), [format!("terminate {worker}")]);
}

#[test]
fn an_adopted_fence_is_taken_back_or_carried_out() {
    let mut bench = TestBench::with(vec![runner()]);
    let adopted = bench.instance("i-old");
    bench.instances.push(adopted.clone());
    bench.list();
    bench.queue(&[1]);
    let commands = bench
        .step(vec![Event::Worker { worker: adopted.id.clone(), event: WorkerEvent::Report(Box::new(fenced(0, 0))) }]);
    // One slot was coming already when it was adopted as booting; the queue's one job needs no second worker.
    assert!(launches(&commands).is_empty(), "{commands:?}");
    assert_eq!(words(&commands), ["unfence i-old"]);
}

#[test]
fn a_pause_retires_all_workers_and_a_resume_undoes_it() {
    let mut bench = TestBench::with(vec![runner()]);
    let workers = bench.with_ready_workers(2);
    bench.report(&workers[0], serving(1));
    bench.queue(&[7]);
    let pause = Event::Operator(OperatorRequest::Pause(RunnerName::new(RUNNER)));
    let fences: Vec<String> = workers.iter().map(|worker| format!("fence {worker}")).collect();
    assert_eq!(words(&bench.step(vec![pause])), fences, "the busy one finishes its job and takes no other");
    bench.pass(1);
    bench.report(&workers[0], fenced(1, 0));
    bench.report(&workers[1], fenced(0, 1));
    assert!(words(&bench.queue(&[7])).is_empty(), "nothing is launched");
    let resume = Event::Operator(OperatorRequest::Resume(RunnerName::new(RUNNER)));
    let back: Vec<String> = workers.iter().map(|worker| format!("unfence {worker}")).collect();
    let commands = words(&bench.step(vec![resume]));
    assert!(commands.iter().any(|word| back.contains(word)) && !commands.iter().any(|w| w.starts_with("launch")));
}

#[test]
fn force_ends_a_worker_that_is_out_of_reach_and_one_that_boots() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    for _ in 0..10 {
        bench.pass(10);
        bench.list();
    }
    let reason = bench.engine.snapshot().workers[0].reason.clone().unwrap();
    assert!(matches!(reason.reason, WorkerReason::Silent { healthy: true, .. }), "{reason:?}");
    assert!(reason.text.contains("drain --force"), "{reason}");
    let force =
        |worker: &WorkerId| Event::Operator(OperatorRequest::Drain { workers: vec![worker.clone()], force: true });
    assert_eq!(words(&bench.step(vec![force(&worker)])), [format!("terminate {worker}")]);

    let launch = launches(&bench.queue(&[5])).remove(0);
    let booting = bench.grant(&launch).remove(0);
    bench.list();
    assert_eq!(words(&bench.step(vec![force(&booting)]))[0], format!("terminate {booting}"));
}

#[test]
fn a_worker_that_serves_after_its_stop_is_fenced_again() {
    let (mut bench, worker) = fencing();
    bench.pass(1);
    assert_eq!(words(&bench.report(&worker, fenced(0, 0))), [format!("stop {worker}")]);
    bench.pass(1);
    assert_eq!(words(&bench.report(&worker, serving(0))), [format!("fence {worker}")]);
    bench.pass(1);
    assert_eq!(words(&bench.report(&worker, fenced(0, 0))), [format!("stop {worker}")]);
    bench.pass(1);
    assert_eq!(words(&bench.report(&worker, stopped())), [format!("terminate {worker}")]);
}

#[test]
fn a_new_connection_is_told_what_is_wanted() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    let ready = Report { runner: RunnerState::Absent, open_requests: 0, ..serving(0) };
    bench.pass(400);
    assert_eq!(words(&bench.report(&worker, ready)), [format!("fence {worker}")], "its boot took too long");
    bench.instances[0].health = Health::Impaired;
    let silent = (0..6).flat_map(|_| {
        bench.pass(15);
        words(&bench.list())
    });
    assert!(silent.collect::<Vec<_>>().contains(&format!("terminate {worker}")), "and now it is lost");

    bench.pass(1);
    let commands = bench.report(&worker, serving(0));

    let connect = commands.iter().find_map(|command| match command {
        Command::Connect { worker: to, want, .. } if *to == worker => Some(want),
        _ => None,
    });
    assert!(matches!(connect, Some(Some(Want::Fence { reason: DrainReason::LateBoot { .. } }))), "{commands:?}");
}

//! A worker that says that jobs would fail on it is replaced at once; when all of them say so, that is no help.

use runner_fleet_engine::{
    Command, DrainReason, HeldBack, IdleCount, IdlePolicy, InstanceState, Report, RunnerSettings, RunnerState, Unfit,
    Want, WorkerId,
};

use super::bench::{TestBench, launches, runner, serving, words};

/// One idle worker is always wanted.
fn bench() -> TestBench {
    let idle = IdlePolicy { count: IdleCount::Fixed(1), ..runner().idle };
    TestBench::with(vec![RunnerSettings { idle, ..runner() }])
}

/// The worker that these commands launch comes up.
fn comes_up(bench: &mut TestBench, commands: &[Command]) -> WorkerId {
    let launch = launches(commands).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    bench.pass(5);
    bench.report(&worker, serving(0));
    worker
}

fn unfit(runner: RunnerState) -> Report {
    Report { unfit: Some(Unfit::Disk), runner, open_requests: 0, ..serving(0) }
}

/// It says that it is unfit, and goes.
fn is_unfit(bench: &mut TestBench, worker: &WorkerId) -> Vec<Command> {
    let commands = bench.report(worker, unfit(RunnerState::Serving));
    bench.report(worker, unfit(RunnerState::Fenced));
    bench.report(worker, unfit(RunnerState::Stopped));
    is_gone(bench, worker);
    commands
}

/// EC2 shows that it has ended.
fn is_gone(bench: &mut TestBench, worker: &WorkerId) -> Vec<Command> {
    let ended = bench.instances.iter_mut().find(|instance| instance.id == *worker);
    ended.expect("a worker that was there").state = InstanceState::Terminated;
    let commands = bench.list();
    bench.instances.retain(|instance| instance.id != *worker);
    commands
}

#[test]
fn an_unfit_worker_is_fenced_and_replaced_at_once() {
    let mut bench = bench();
    let opening = bench.opening.clone();
    let worker = comes_up(&mut bench, &opening);
    let commands = bench.report(&worker, unfit(RunnerState::Serving));
    assert_eq!(words(&commands), [format!("fence {worker}"), "launch 1 spot".to_owned()]);
    let reason = DrainReason::Unfit { why: Unfit::Disk };
    assert!(commands.contains(&Command::Want { worker: worker.clone(), want: Want::Fence { reason } }));
}

#[test]
fn work_that_comes_back_brings_no_unfit_worker_back() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.pass(400);
    bench.report(&worker, Report { idle_seconds: 400, ..serving(0) });
    bench.list();
    assert_eq!(words(&bench.queue(&[])), [format!("fence {worker}")], "it is idle, and was fit so far");
    bench.pass(1);
    bench.report(&worker, Report { open_requests: 1, ..unfit(RunnerState::Fenced) });
    assert_eq!(words(&bench.queue(&[1])), ["launch 1 spot"]);
}

#[test]
fn after_three_that_were_unfit_soon_there_is_no_fourth() {
    let mut bench = bench();
    let mut commands = bench.opening.clone();
    for _ in 0..3 {
        assert_eq!(launches(&commands).len(), 1);
        let worker = comes_up(&mut bench, &commands);
        bench.pass(60);
        bench.list();
        commands = is_unfit(&mut bench, &worker);
    }
    assert!(launches(&commands).is_empty(), "{commands:?}");
    let held_back = bench.engine.snapshot().runners[0].held_back.clone().map(|why| why.reason);
    let Some(HeldBack::Breaker { boots: 3, last, .. }) = &held_back else { panic!("{held_back:?}") };
    assert!(last.contains("disk_size"), "{last}");
}

#[test]
fn one_that_says_so_again_and_again_counts_once() {
    let mut bench = bench();
    let opening = bench.opening.clone();
    let worker = comes_up(&mut bench, &opening);
    let mut commands = Vec::new();
    for _ in 0..5 {
        commands.extend(bench.report(&worker, unfit(RunnerState::Serving)));
        bench.pass(1);
        commands.extend(bench.report(&worker, serving(0)));
        bench.pass(1);
    }
    assert_eq!(words(&commands), [format!("fence {worker}"), "launch 1 spot".to_owned()], "once unfit, it stays so");
    assert_eq!(bench.engine.snapshot().totals.unfit, 1);
}

#[test]
fn workers_that_become_unfit_late_say_nothing_of_the_next() {
    let mut bench = bench();
    let mut commands = bench.opening.clone();
    for _ in 0..4 {
        assert_eq!(launches(&commands).len(), 1);
        let worker = comes_up(&mut bench, &commands);
        for _ in 0..40 {
            bench.pass(60);
            bench.list();
            bench.report(&worker, serving(0));
        }
        commands = is_unfit(&mut bench, &worker);
    }
}

#[test]
fn one_that_was_fit_to_its_end_closes_the_row() {
    let mut bench = bench();
    let mut commands = bench.opening.clone();
    for turn in 0..6 {
        assert_eq!(launches(&commands).len(), 1, "{turn}");
        let worker = comes_up(&mut bench, &commands);
        bench.pass(60);
        bench.list();
        if turn % 3 == 2 {
            let stopped = Report { runner: RunnerState::Stopped, open_requests: 0, ..serving(0) };
            commands = bench.report(&worker, stopped);
            commands.extend(is_gone(&mut bench, &worker));
        } else {
            commands = is_unfit(&mut bench, &worker);
        }
    }
}

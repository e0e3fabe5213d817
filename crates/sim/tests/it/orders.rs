//! What operators order holds until they take it back, over a restart too; and what they have mended is tried at once.

use runner_fleet_engine::{
    Event, Failure, FailureClass, HeldBack, LaunchAnswer, LaunchError, LaunchErrorClass, Leftover, OperatorRequest,
    Orders, RunnerName, RunnerSettings, WorkerEvent, WorkerId,
};

use super::bench::{RUNNER, TestBench, launches, runner, serving, words};
use super::drains::fenced;

fn operator(request: OperatorRequest) -> Event {
    Event::Operator(request)
}

fn spot() -> RunnerName {
    RunnerName::new(RUNNER)
}

fn refused() -> LaunchAnswer {
    let error = LaunchError {
        offering: None,
        class: LaunchErrorClass::Denied,
        code: "UnauthorizedOperation".into(),
        message: "no".into(),
    };
    LaunchAnswer { launched: Vec::new(), errors: vec![error], leftover: Leftover::None }
}

fn held_back(bench: &TestBench) -> Option<HeldBack> {
    bench.engine.snapshot().runners[0].held_back.clone().map(|why| why.reason)
}

/// Boots as many workers as the runner asks for, none of which anybody can reach, until the breaker is open.
fn broken_network() -> TestBench {
    let mut bench = TestBench::with_three_out_of_reach();
    bench.pass(301);
    bench.list();
    bench.queue(&[1, 2, 3]);
    assert!(matches!(held_back(&bench), Some(HeldBack::Breaker { .. })), "{:?}", held_back(&bench));
    bench.instances.clear();
    for _ in 0..4 {
        bench.pass(20);
        bench.list();
        bench.queue(&[1, 2, 3]);
    }
    bench
}

#[test]
fn why_ssh_fails_is_said_wherever_somebody_looks() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 1, ..runner() }]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    let said = "cannot connect to 172.31.0.9:22: No route to host";
    let failure = runner_fleet_engine::ConnectionFailure::Unreachable(said.into());
    bench.step(vec![Event::Worker { worker: worker.clone(), event: WorkerEvent::Disconnected(failure) }]);
    bench.pass(59);
    bench.list();
    bench.queue(&[1]);
    let reason = |bench: &TestBench| bench.engine.snapshot().workers[0].reason.clone().unwrap().text;
    assert_eq!(reason(&bench), format!("no SSH: {said}"));
    bench.pass(1);
    bench.queue(&[1]);
    let advice = format!("no SSH: {said}; do security group, route and ssh_port let the manager in?");
    assert!(reason(&bench).starts_with(&advice), "{}", reason(&bench));
    let why = bench.engine.snapshot().jobs[0].reason.text.clone();
    assert!(why.contains(&advice), "{why}");

    let open = broken_network();
    let Some(HeldBack::Breaker { last, .. }) = held_back(&open) else { panic!("{:?}", held_back(&open)) };
    assert!(last.contains(said) && last.contains("`runner-fleet doctor`"), "{last}");
}

#[test]
fn a_retry_and_a_resume_close_the_breaker() {
    for requests in
        [vec![OperatorRequest::Retry(spot())], vec![OperatorRequest::Pause(spot()), OperatorRequest::Resume(spot())]]
    {
        let mut bench = broken_network();
        bench.pass(1);
        assert!(launches(&bench.queue(&[1, 2, 3])).is_empty());
        let commands = bench.step(requests.into_iter().map(operator).collect());
        let launched: u32 = launches(&commands).iter().map(|launch| launch.count).sum();
        assert!(launched > 1, "it is tried with one at a time still: {commands:?}");
    }
}

#[test]
fn a_retry_forgets_what_ec2_has_refused() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    bench.step(vec![Event::Launched { token: launch.token, answer: refused() }]);
    bench.pass(1);
    assert!(launches(&bench.queue(&[1])).is_empty());
    assert!(matches!(held_back(&bench), Some(HeldBack::Refused { .. })));
    let commands = bench.step(vec![operator(OperatorRequest::Retry(spot()))]);
    assert_eq!(words(&commands), ["launch 1 spot"]);
}

#[test]
fn a_retry_forgets_cool_downs_and_minds_throttling() {
    let mut bench = TestBench::with(vec![RunnerSettings { on_demand_fallback: false, ..runner() }]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let errors = launch.offerings.iter().map(|offering| LaunchError {
        offering: Some(offering.clone()),
        class: LaunchErrorClass::Capacity,
        code: "InsufficientInstanceCapacity".into(),
        message: "none".into(),
    });
    let answer = LaunchAnswer { launched: Vec::new(), errors: errors.collect(), leftover: Leftover::None };
    bench.step(vec![Event::Launched { token: launch.token, answer }]);
    bench.pass(1);
    assert!(launches(&bench.queue(&[1])).is_empty(), "{:?}", held_back(&bench));
    let launch = launches(&bench.step(vec![operator(OperatorRequest::Retry(spot()))])).remove(0);
    assert_eq!(launch.offerings.len(), 2, "all is open again, and not one on trial");

    let mut slow = refused();
    slow.errors[0].class = LaunchErrorClass::Slow;
    bench.step(vec![Event::Launched { token: launch.token, answer: slow }]);
    bench.pass(1);
    assert!(launches(&bench.step(vec![operator(OperatorRequest::Retry(spot()))])).is_empty());
    assert!(matches!(held_back(&bench), Some(HeldBack::Slow { .. })));
}

#[test]
fn a_drain_is_taken_back_while_it_can_be() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 2, ..runner() }]);
    let workers = bench.with_ready_workers(2);
    bench.queue(&[]);
    workers.iter().for_each(|worker| drop(bench.report(worker, serving(1))));
    let drain = OperatorRequest::Drain { workers: workers.clone(), force: false };
    bench.step(vec![operator(drain)]);
    assert_eq!(bench.engine.orders().drained.len(), 2);
    bench.pass(1);
    bench.report(&workers[0], fenced(1, 0));
    bench.report(&workers[1], fenced(0, 0));
    assert!(bench.engine.can_undrain(&workers[0]) && !bench.engine.can_undrain(&workers[1]), "one was told to stop");

    let commands = bench.step(vec![operator(OperatorRequest::Undrain(workers.clone()))]);

    assert_eq!(words(&commands), [format!("unfence {}", workers[0])]);
    assert_eq!(bench.engine.orders(), &Orders::default(), "what was taken back does not come again after a restart");
    assert!(!bench.engine.can_undrain(&workers[0]));
}

#[test]
fn orders_outlive_a_restart_and_not_what_they_are_about() {
    let mut bench = TestBench::with(vec![runner()]);
    let workers = bench.with_ready_workers(2);
    let worker = workers[0].clone();
    bench.step(vec![
        operator(OperatorRequest::Drain { workers: vec![worker.clone()], force: false }),
        operator(OperatorRequest::Pause(spot())),
    ]);
    let standing = bench.engine.orders().clone();
    assert_eq!(standing, Orders { paused: [spot()].into(), drained: [worker.clone()].into() });

    let mut next = TestBench::restarted(vec![runner()], bench.instances.clone(), standing.events());
    assert_eq!(next.engine.orders(), &standing);
    assert!(next.engine.snapshot().runners[0].paused);
    assert_eq!(words(&next.report(&worker, serving(0))), [format!("fence {worker}")]);
    let because = next.engine.snapshot().workers.iter().find(|known| known.id == worker).unwrap().reason.clone();
    assert!(because.unwrap().text.contains("an operator drains it"));

    next.instances.retain(|instance| instance.id != worker);
    for _ in 0..4 {
        next.pass(20);
        next.list();
    }
    assert!(next.engine.orders().drained.is_empty(), "the worker is gone, and with it the order");
    assert_eq!(next.engine.orders().paused, [spot()].into());
}

#[test]
fn a_pause_of_a_runner_that_is_gone_is_over() {
    let mut bench = TestBench::with(vec![runner()]);
    bench.step(vec![operator(OperatorRequest::Pause(spot()))]);
    let settings = |runners| Event::Configured(super::bench::settings(runners));
    bench.step(vec![settings(Vec::new())]);
    assert!(bench.engine.orders().paused.is_empty());
    bench.step(vec![settings(vec![runner()])]);
    assert!(!bench.engine.snapshot().runners[0].paused);
}

#[test]
fn unknown_is_not_zero() {
    let mut bench = TestBench::with(vec![runner()]);
    let waiting = |bench: &TestBench| {
        let snapshot = bench.engine.snapshot();
        (snapshot.runners[0].waiting, snapshot.waiting.complete, snapshot.waiting.total)
    };
    assert_eq!(waiting(&bench), (None, false, 0));
    bench.queue(&[1, 2]);
    assert_eq!(waiting(&bench), (Some(2), true, 2));
    bench.pass(60);
    let snapshot = Err(Failure::new(FailureClass::ServerError, "502"));
    let server = runner_fleet_engine::Server::new(super::bench::SERVER);
    bench.step(vec![Event::Queue { server, snapshot }]);
    assert_eq!(waiting(&bench), (None, false, 2), "two waited when it was last seen");
    let blind = TestBench::with(vec![RunnerSettings { sees_queue: false, ..runner() }]);
    assert_eq!(waiting(&blind), (None, true, 0), "nobody reads its queue");
}

#[test]
fn a_worker_that_a_person_holds_is_not_undrained() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker: WorkerId = bench.with_ready_workers(1).remove(0);
    bench.report(&worker, serving(1));
    bench.step(vec![operator(OperatorRequest::Drain { workers: vec![worker.clone()], force: false })]);
    bench.instances[0].hold = true;
    bench.list();
    assert!(!bench.engine.can_undrain(&worker));
}

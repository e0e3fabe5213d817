//! Waiting jobs get workers: as many as are needed, in one launch, within every ceiling.

use runner_fleet_engine::{
    Command, Event, Failure, FailureClass, HeldBack, IdleCount, IdlePolicy, Launch, LaunchAnswer, LaunchError,
    LaunchErrorClass, LaunchedWorker, Leftover, Market, Offering, RunnerName, RunnerSettings, WorkerId,
};

use super::bench::{RUNNER, TestBench, launches, runner, serving, words};

#[test]
fn three_jobs_get_three_workers_in_one_launch() {
    let mut bench = TestBench::with(vec![runner()]);
    let commands = bench.queue(&[1, 2, 3]);
    assert_eq!(words(&commands), ["launch 3 spot"]);

    bench.grant(&launches(&commands)[0]);
    for _ in 0..20 {
        bench.pass(3);
        assert!(launches(&bench.queue(&[1, 2, 3])).is_empty());
        bench.list();
    }
}

#[test]
fn a_job_just_taken_is_not_counted_twice() {
    let mut bench = TestBench::with(vec![runner()]);
    let workers = bench.with_ready_workers(1);
    bench.pass(3);
    bench.queue(&[1]);
    bench.pass(1);
    // The worker says "busy" before the next poll of the queue, and does not know the job's id yet.
    assert_eq!(words(&bench.report(&workers[0], serving(1))), Vec::<String>::new());
    bench.pass(2);
    assert_eq!(words(&bench.queue(&[])), Vec::<String>::new());
}

#[test]
fn idle_slots_are_kept_ready_and_refilled_when_they_are_taken() {
    let idle = IdlePolicy { count: IdleCount::Fixed(1), ..runner().idle };
    let mut bench = TestBench::with(vec![RunnerSettings { idle, ..runner() }]);
    let first = launches(&bench.opening);
    assert_eq!(first[0].count, 1);
    let workers = bench.grant(&first[0]);
    bench.list();
    bench.queue(&[]);
    assert!(words(&bench.report(&workers[0], serving(0))).is_empty());
    assert_eq!(words(&bench.report(&workers[0], serving(1))), ["launch 1 spot"]);
}

#[test]
fn no_launch_goes_beyond_max_workers_nor_beyond_concurrent() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 2, ..runner() }]);
    let commands = bench.queue(&[1, 2, 3, 4, 5]);
    assert_eq!(words(&commands), ["launch 2 spot"]);
    let snapshot = bench.engine.snapshot();
    let held_back = snapshot.runners[0].held_back.as_ref().map(|held_back| &held_back.reason);
    assert_eq!(held_back, Some(&HeldBack::MaxWorkers { max_workers: 2 }));

    let many: Vec<u64> = (1..=300).collect();
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 500, capacity: 3, ..runner() }]);
    assert_eq!(words(&bench.queue(&many)), ["launch 33 spot"], "concurrent = 100 holds 33 workers of 3 jobs each");
}

#[test]
fn a_shared_job_counts_for_the_first_runner_with_room() {
    let second = RunnerSettings { name: RunnerName::new("second"), ..runner() };
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 2, ..runner() }, second]);
    let commands = bench.queue(&[1, 2, 3]);
    let asked: Vec<(String, u32)> =
        launches(&commands).iter().map(|launch| (launch.runner.to_string(), launch.count)).collect();
    assert_eq!(asked, [("graviton".to_owned(), 2), ("second".to_owned(), 1)]);
}

/// EC2 has none of what the launch asks for.
fn no_capacity(launch: &Launch) -> Event {
    let error = |offering: &Offering| LaunchError {
        offering: Some(offering.clone()),
        class: LaunchErrorClass::Capacity,
        code: "InsufficientInstanceCapacity".into(),
        message: String::new(),
    };
    let errors = launch.offerings.iter().map(error).collect();
    Event::Launched {
        token: launch.token.clone(),
        answer: LaunchAnswer { launched: Vec::new(), errors, leftover: Leftover::None },
    }
}

#[test]
fn while_jobs_wait_a_closed_place_is_tried_every_half_minute() {
    let mut bench = TestBench::with(vec![RunnerSettings { on_demand_fallback: false, ..runner() }]);
    let mut tries = Vec::new();
    let mut first = launches(&bench.queue(&[1, 2]));
    for second in 0..=125 {
        for launch in std::mem::take(&mut first) {
            let zones: String = launch.offerings.iter().map(|offering| offering.zone.as_str()).collect();
            tries.push((second, launch.count, zones));
            bench.step(vec![no_capacity(&launch)]);
        }
        let held_back = bench.engine.snapshot().runners[0].held_back.clone().unwrap().reason;
        let HeldBack::NoOffering { said, until } = held_back else { panic!("{held_back:?}") };
        assert_eq!(said.as_deref(), Some("InsufficientInstanceCapacity"));
        assert!(until.unwrap().duration_since(bench.now).as_secs() <= 30);
        bench.pass(1);
        first = if second % 20 == 0 { launches(&bench.list()) } else { launches(&bench.queue(&[1, 2])) };
    }
    let one = |second, zone: &str| (second, 1, zone.to_owned());
    assert_eq!(tries, [(0, 2, "ab".to_owned()), one(30, "a"), one(60, "b"), one(90, "a"), one(120, "b")]);
}

#[test]
fn capacity_that_is_back_is_used_at_once() {
    let mut bench = TestBench::with(vec![RunnerSettings { on_demand_fallback: false, ..runner() }]);
    let launch = launches(&bench.queue(&[1, 2, 3])).remove(0);
    bench.step(vec![no_capacity(&launch)]);
    bench.pass(30);
    bench.list();
    let probe = launches(&bench.queue(&[1, 2, 3])).remove(0);
    assert_eq!(probe.count, 1);
    let Offering { market, instance_type, zone, .. } = probe.offerings[0].clone();
    let launched = vec![LaunchedWorker { id: WorkerId::new("i-1"), instance_type, zone, market }];
    let answer = LaunchAnswer { launched, errors: Vec::new(), leftover: Leftover::None };
    let rest = launches(&bench.step(vec![Event::Launched { token: probe.token, answer }])).remove(0);
    assert_eq!((rest.count, rest.offerings), (2, probe.offerings));
}

#[test]
fn idle_slots_alone_do_not_hurry() {
    let idle = IdlePolicy { count: IdleCount::Fixed(1), ..runner().idle };
    let mut bench = TestBench::with(vec![RunnerSettings { on_demand_fallback: false, idle, ..runner() }]);
    let launch = launches(&bench.opening).remove(0);
    bench.step(vec![no_capacity(&launch)]);
    for _ in 0..17 {
        bench.pass(10);
        assert!(launches(&bench.list()).is_empty() && launches(&bench.queue(&[])).is_empty());
    }
}

#[test]
fn on_demand_takes_only_what_spot_could_not_give() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1, 2, 3])).remove(0);
    let commands = bench.step(vec![no_capacity(&launch)]);
    let again = launches(&commands);
    assert_eq!((again.len(), again[0].market, again[0].count), (1, Market::OnDemand, 3));
}

#[test]
fn an_unanswered_launch_is_repeated_and_stays_counted() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let answer = LaunchAnswer {
        launched: Vec::new(),
        errors: vec![LaunchError {
            offering: None,
            class: LaunchErrorClass::Slow,
            code: "TimedOut".into(),
            message: String::new(),
        }],
        leftover: Leftover::Possible,
    };
    bench.step(vec![Event::Launched { token: launch.token.clone(), answer }]);
    for _ in 0..10 {
        bench.pass(3);
        bench.list();
        for repeated in launches(&bench.queue(&[1])) {
            assert_eq!(repeated.token, launch.token, "nothing but the same launch");
        }
    }
}

#[test]
fn a_refused_launch_waits_and_says_why() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let answer = LaunchAnswer {
        launched: Vec::new(),
        errors: vec![LaunchError {
            offering: None,
            class: LaunchErrorClass::Denied,
            code: "UnauthorizedOperation".into(),
            message: "not allowed".into(),
        }],
        leftover: Leftover::None,
    };
    bench.step(vec![Event::Launched { token: launch.token, answer }]);
    bench.pass(3);
    assert!(launches(&bench.queue(&[1])).is_empty());
    let held_back = bench.engine.snapshot().runners[0].held_back.clone().unwrap().reason;
    let said = "UnauthorizedOperation: not allowed";
    assert!(matches!(&held_back, HeldBack::Refused { last, .. } if last == said), "{held_back:?}");
    bench.pass(60);
    bench.list();
    assert_eq!(launches(&bench.queue(&[1])).len(), 1);
}

#[test]
fn three_failed_boots_open_the_breaker_which_tries_one() {
    let mut bench = TestBench::with(vec![runner()]);
    let workers = {
        let launch = launches(&bench.queue(&[1, 2, 3])).remove(0);
        bench.grant(&launch)
    };
    bench.list();
    bench.pass(301);
    bench.list();
    bench.queue(&[1, 2, 3]);
    let held_back = bench.engine.snapshot().runners[0].held_back.clone().unwrap().reason;
    assert!(matches!(held_back, HeldBack::Breaker { boots: 3, .. }), "{held_back:?}");
    bench.instances.retain(|instance| !workers.contains(&instance.id));

    for _ in 0..140 {
        bench.pass(3);
        let mut commands = bench.list();
        commands.extend(bench.queue(&[1, 2, 3]));
        if let Some(launch) = launches(&commands).first() {
            assert_eq!(launch.count, 1, "one trial after the breaker");
            return;
        }
    }
    panic!("the breaker never closed again: {:#?}", bench.engine.snapshot());
}

/// What is said to the connections of workers, and the ends: `connect i-0001`.
fn links_and_ends(commands: &[Command]) -> Vec<String> {
    let said = commands.iter().filter_map(|command| match command {
        Command::Connect { worker, .. } => Some(format!("connect {worker}")),
        Command::Disconnect { worker } => Some(format!("disconnect {worker}")),
        Command::Terminate(all) => Some(format!("terminate {}", all[0].worker)),
        _ => None,
    });
    said.collect()
}

#[test]
fn a_worker_given_up_loses_its_link_first() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    assert_eq!(links_and_ends(&bench.list()), [format!("connect {worker}")]);
    bench.pass(301);

    assert_eq!(links_and_ends(&bench.list()), [format!("disconnect {worker}"), format!("terminate {worker}")]);

    // EC2 did not hear it; the worker goes on booting, and the call is repeated.
    bench.pass(61);
    assert_eq!(links_and_ends(&bench.list()), [format!("terminate {worker}")]);
}

#[test]
fn a_worker_given_up_that_serves_gets_its_link_back() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    bench.pass(301);
    bench.list();

    // Its connection had told this before it was let go; EC2 did not hear of the end.
    assert_eq!(links_and_ends(&bench.report(&worker, serving(1))), [format!("connect {worker}")]);
    assert!(links_and_ends(&bench.report(&worker, serving(1))).is_empty());
    bench.pass(61);
    assert!(links_and_ends(&bench.list()).is_empty(), "it has a job");
}

#[test]
fn nothing_is_launched_for_a_token_that_is_refused() {
    let mut bench = TestBench::with(vec![runner()]);
    let facts = |class| {
        let failure = Failure::new(class, "403 Forbidden");
        Event::Runner { runner: RunnerName::new(RUNNER), facts: Err(failure) }
    };
    bench.step(vec![facts(FailureClass::TokenRefused)]);
    assert!(launches(&bench.queue(&[1])).is_empty(), "it would ask in vain");
    let held_back = bench.engine.snapshot().runners[0].held_back.clone().map(|why| why.reason);
    assert!(matches!(held_back, Some(HeldBack::NoFacts { .. })), "{held_back:?}");
    let commands = bench.step(vec![facts(FailureClass::ServerError)]);
    assert_eq!(launches(&commands).len(), 1, "what is known of it is old, and good enough");
}

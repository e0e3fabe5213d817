//! Unknown is not zero: a failed or partial answer launches nothing, ends nothing.

use std::collections::BTreeSet;
use std::time::Duration;

use runner_fleet_engine::{
    ConnectionFailure, Engine, Event, Failure, FailureClass, Health, HeldBack, InstanceState, QueueSnapshot, Report,
    RunnerName, RunnerSettings, Server, WorkerEvent,
};

use super::bench::{RUNNER, SERVER, TestBench, bad_gateway, facts, plan, runner, serving, settings, taken_back, words};

#[test]
fn nothing_is_launched_before_two_good_listings() {
    let bench = TestBench::with(vec![runner()]);
    let mut engine = Engine::new("ci", 7, bench.now);
    let mut now = bench.now;
    let jobs = vec![bench.job(1)];
    let name = RunnerName::new(RUNNER);
    let mut events = vec![
        Event::Configured(settings(vec![runner()])),
        Event::Runner { runner: name.clone(), facts: Ok(facts()) },
        Event::LaunchPlan { runner: name, plan: Ok(plan()) },
    ];
    for second in 0..12 {
        let snapshot = QueueSnapshot { as_of: now, jobs: jobs.clone(), complete: true, blind: 0 };
        events.push(Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) });
        if second % 3 == 0 {
            events.push(Event::Instances { asked_at: now, listing: Ok(Vec::new()) });
        }
        let launched = words(&engine.step(now, events.drain(..)));
        assert_eq!(launched.is_empty(), second < 6, "at second {second}: {launched:?}");
        if second >= 6 {
            return;
        }
        now = now.saturating_add(std::time::Duration::from_secs(1)).unwrap();
    }
}

#[test]
fn a_failed_queue_ends_no_idle_worker_and_launches_none() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    for _ in 0..40 {
        bench.pass(30);
        bench.list();
        bench.report(&worker, serving(0));
        let failed = Event::Queue { server: Server::new(SERVER), snapshot: Err(bad_gateway()) };
        assert!(words(&bench.step(vec![failed])).is_empty());
    }
    let queue = &bench.engine.snapshot().runners[0].queue;
    assert!(!queue.is_known(), "{queue:?}");
}

#[test]
fn after_an_hour_unseen_those_go_whom_gitlab_gives_nothing() {
    for (name, snapshot) in [("no answer", None), ("one project is hidden", Some(false))] {
        let mut bench = TestBench::with(vec![runner()]);
        let workers = bench.with_ready_workers(3);
        bench.queue(&[]);
        let mut gone = Vec::new();
        for minute in 1..=70 {
            for _ in 0..4 {
                bench.pass(15);
                let mut commands = bench.list();
                let snapshot = match snapshot {
                    None => Err(bad_gateway()),
                    Some(complete) => Ok(QueueSnapshot { as_of: bench.now, jobs: Vec::new(), complete, blind: 0 }),
                };
                commands.extend(bench.step(vec![Event::Queue { server: Server::new(SERVER), snapshot }]));
                for (worker, open_requests) in workers.iter().zip([1, 1, 0]) {
                    let asking = Report { idle_seconds: minute * 60, open_requests, ..serving(0) };
                    commands.extend(bench.report(worker, asking));
                }
                gone.extend(words(&commands).into_iter().map(|word| (minute, word)));
            }
        }
        let of_first_hour = gone.iter().filter(|(minute, _)| *minute < 60).count();
        assert_eq!(of_first_hour, 0, "{name}: {gone:?}");
        let fenced: BTreeSet<&str> = gone.iter().filter_map(|(_, word)| word.strip_prefix("fence ")).collect();
        assert_eq!(
            fenced,
            BTreeSet::from([workers[0].as_str(), workers[1].as_str()]),
            "{name}: who does not ask stays"
        );
    }
}

#[test]
fn an_incomplete_poll_launches_but_retires_nobody() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.pass(400);
    bench.list();
    let report = Report { idle_seconds: 400, ..serving(0) };
    let poll = |jobs, bench: &TestBench| Event::Queue {
        server: Server::new(SERVER),
        snapshot: Ok(QueueSnapshot { as_of: bench.now, jobs, complete: false, blind: 0 }),
    };
    let event = poll(Vec::new(), &bench);
    assert!(words(&bench.step(vec![event])).is_empty());
    assert!(words(&bench.report(&worker, report)).is_empty());
    let event = poll(vec![bench.job(5), bench.job(6)], &bench);
    assert_eq!(words(&bench.step(vec![event])), ["launch 1 spot"]);
}

#[test]
fn failed_listings_stop_launches_and_retirement() {
    let mut bench = TestBench::with(vec![runner()]);
    let throttled = Failure::new(FailureClass::Throttled, "throttled");
    for _ in 0..4 {
        bench.pass(30);
        let failed = Event::Instances { asked_at: bench.now, listing: Err(throttled.clone()) };
        bench.step(vec![failed]);
    }
    assert!(words(&bench.queue(&[1, 2])).is_empty());
    let held_back = bench.engine.snapshot().runners[0].held_back.clone().unwrap().reason;
    assert_eq!(held_back, HeldBack::NoListing { failure: throttled });
}

#[test]
fn a_listing_that_was_overtaken_changes_nothing() {
    let mut bench = TestBench::with(vec![runner()]);
    bench.with_ready_workers(1);
    let (asked_at, older) = (bench.now, bench.instances.clone());
    bench.pass(2);
    bench.instances[0].hold = true;
    bench.list();

    bench.step(vec![Event::Instances { asked_at, listing: Ok(older) }]);

    assert!(bench.engine.snapshot().workers[0].hold, "a person has just set the tag");
}

#[test]
fn an_unreachable_worker_is_ended_only_when_impaired() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.report(&worker, serving(1));
    for _ in 0..20 {
        bench.pass(10);
        bench.list();
        let down = WorkerEvent::Disconnected(ConnectionFailure::Unreachable("connection timed out".into()));
        let commands = bench.step(vec![Event::Worker { worker: worker.clone(), event: down }]);
        assert!(words(&commands).is_empty(), "{commands:?}");
    }
    assert_eq!(words(&bench.queue(&[2])), ["launch 1 spot"], "its slot does not count any more");
    bench.instances[0].health = Health::Impaired;
    bench.pass(10);
    assert_eq!(words(&bench.list()), [format!("terminate {worker}")]);
}

#[test]
fn a_silent_adopted_worker_is_no_failed_boot() {
    let bench = TestBench::with(vec![runner()]);
    let old = bench.instance("i-old");
    let mut bench = TestBench::adopting(vec![runner()], vec![old]);
    for _ in 0..100 {
        bench.pass(30);
        bench.queue(&[]);
        assert!(words(&bench.list()).is_empty());
    }
}

#[test]
fn an_instance_that_ends_by_itself_is_noticed_and_replaced() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.report(&worker, serving(1));
    bench.queue(&[2]);
    bench.pass(40);
    bench.instances[0].state = InstanceState::Terminated;
    bench.instances[0].state_reason = Some(taken_back());
    bench.list();
    let told = bench.engine.snapshot().decisions.iter().any(|decision| {
        decision.text == format!("{worker} has ended by itself, with 1 running jobs: Server.SpotInstanceTermination")
    });
    assert!(told, "{:?}", bench.engine.snapshot().decisions);
}

#[test]
fn an_adopted_worker_that_never_had_an_agent_is_a_failed_boot() {
    let mut bench = TestBench::with(vec![runner()]);
    let adopted = bench.instance("i-old");
    bench.pass(1_000);
    bench.instances.push(adopted.clone());
    assert!(words(&bench.list()).is_empty());
    bench.pass(100);
    assert!(words(&bench.list()).is_empty(), "healthy and out of reach: it may be running a job");
    let event = WorkerEvent::NoAgent;
    let commands = bench.step(vec![Event::Worker { worker: adopted.id.clone(), event }]);
    assert_eq!(words(&commands), ["terminate i-old"], "no agent, so that it has never had a job");
}

#[test]
fn a_worker_unheard_for_a_day_goes_though_ec2_calls_it_well() {
    for (max_age, hours) in [(Duration::ZERO, 24), (Duration::from_secs(48 * 3600), 48)] {
        let mut bench = TestBench::with(vec![RunnerSettings { max_age, ..runner() }]);
        let worker = bench.with_ready_workers(1).remove(0);
        bench.report(&worker, serving(1));
        let mut ends = |seconds: u64| {
            (0..seconds / 15).any(|_| {
                bench.pass(15);
                words(&bench.list()).contains(&format!("terminate {worker}"))
            })
        };
        assert!(!ends(hours * 3600 - 15), "it may run a job");
        assert!(ends(15), "after {hours} hours");
    }
}

#[test]
fn projects_that_nobody_sees_are_counted() {
    let mut bench = TestBench::with(vec![runner()]);
    let snapshot = QueueSnapshot { as_of: bench.now, jobs: Vec::new(), complete: true, blind: 3 };
    bench.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }]);
    assert_eq!(bench.engine.snapshot().runners[0].projects_blind, 3);
}

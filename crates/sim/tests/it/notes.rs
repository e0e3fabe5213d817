//! What the log is told: a line for each step of a worker's life, once, with its ids.

use runner_fleet_engine::{
    EndedBy, Event, HeldBack, JobId, LaunchAnswer, LaunchError, LaunchErrorClass, Leftover, Note, NoteLevel, Report,
    StateReason, WorkerId,
};

use super::bench::{TestBench, launches, runner, serving, taken_back};
use super::drains::{fenced, stopped};

/// What the last step told, as words: level, event, worker or runner.
fn told(bench: &TestBench) -> Vec<String> {
    let of = |note: &Note| {
        let level = if note.level == NoteLevel::Warning { "WARN " } else { "" };
        let whom = note.worker.as_ref().map(ToString::to_string);
        let whom = whom.or_else(|| note.runner.as_ref().map(ToString::to_string)).unwrap_or_default();
        let job = note.job.map(|job| format!(" {job}")).unwrap_or_default();
        format!("{level}{} {whom}{job}", note.event.as_str())
    };
    let shown = bench.engine.notes().iter().filter(|note| note.level != NoteLevel::Debug);
    shown.map(of).collect()
}

fn with_jobs(ids: &[u64]) -> Report {
    let count = u32::try_from(ids.len()).unwrap();
    Report { job_ids: ids.iter().map(|id| JobId(*id)).collect(), ..serving(count) }
}

#[test]
fn a_workers_life_is_a_line_for_each_step() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[7])).remove(0);
    assert_eq!(told(&bench), ["launching graviton"]);
    let worker = bench.grant(&launch).remove(0);
    assert_eq!(told(&bench), [format!("launched {worker}")]);
    bench.list();
    assert!(told(&bench).is_empty(), "it was told already: {:?}", told(&bench));
    bench.pass(41);
    bench.report(&worker, serving(0));
    assert_eq!(told(&bench), [format!("ready {worker}")]);
    let ready = &bench.engine.notes()[0];
    assert_eq!((ready.lasted.unwrap().as_secs(), ready.text.clone()), (41, format!("{worker} is ready after 41s")));
    bench.report(&worker, with_jobs(&[7]));
    assert_eq!(told(&bench), [format!("job_started {worker} 7")]);
    bench.pass(30);
    bench.report(&worker, with_jobs(&[7]));
    assert!(told(&bench).is_empty(), "a job that goes on is no news");
    bench.report(&worker, with_jobs(&[8]));
    assert_eq!(told(&bench), [format!("job_ended {worker} 7"), format!("job_started {worker} 8")]);
    assert_eq!(bench.engine.notes()[0].lasted.unwrap().as_secs(), 30);

    bench.report(&worker, serving(0));
    let drain = runner_fleet_engine::OperatorRequest::Drain { workers: vec![worker.clone()], force: false };
    bench.step(vec![Event::Operator(drain)]);
    assert_eq!(told(&bench), [format!("fenced {worker}")], "who ordered it is told by the driver");
    bench.report(&worker, fenced(0, 0));
    bench.report(&worker, stopped());
    assert_eq!(told(&bench), [format!("terminating {worker}")]);
    end(&mut bench, &worker, None);
    assert_eq!(told(&bench), [format!("ended {worker}")]);
    let ended = &bench.engine.notes()[0];
    assert!(ended.text.contains("an operator drains it"), "{}", ended.text);
    assert!(ended.reason.is_some() && ended.lasted.is_some() && ended.runner.is_some(), "{ended:?}");
}

/// A listing shows the worker as terminated.
fn end(bench: &mut TestBench, worker: &WorkerId, by: Option<runner_fleet_engine::StateReason>) {
    bench.pass(3);
    let instance = bench.instances.iter_mut().find(|instance| instance.id == *worker).unwrap();
    instance.state = runner_fleet_engine::InstanceState::Terminated;
    instance.state_reason = by;
    bench.list();
}

#[test]
fn what_exists_at_the_start_is_adopted_in_one_line() {
    let mut bench = TestBench::with(vec![runner()]);
    let old = ["i-a", "i-b"].map(|id| bench.instance(id));
    bench.instances.extend(old);
    bench.pass(3);
    bench.list();
    assert_eq!(told(&bench)[0], "adopted ");
    assert_eq!(bench.engine.notes()[0].text, "adopted 2 workers that exist already: i-a, i-b");
    bench.report(&WorkerId::new("i-a"), with_jobs(&[3]));
    assert_eq!(told(&bench), ["job_found i-a 3", "ready i-a"]);
}

#[test]
fn what_needs_a_person_is_a_warning() {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.report(&worker, with_jobs(&[1]));
    bench.report(&worker, Report { interruption: Some(bench.now), ..with_jobs(&[1]) });
    assert_eq!(told(&bench)[0], format!("WARN interrupted {worker}"));
    end(&mut bench, &worker, Some(taken_back()));
    assert_eq!(told(&bench)[0], format!("WARN ended {worker}"));
    assert!(bench.engine.notes()[0].text.contains("with 1 running jobs"), "{}", bench.engine.notes()[0].text);
}

/// EC2 takes the call, and ends the instance without a word of the key.
#[test]
fn a_volumes_key_that_may_not_be_used_is_told() {
    let mut bench = TestBench::with_three_out_of_reach();
    let worker = bench.instances[0].id.clone();
    let code = "Client.InternalError".to_owned();
    end(&mut bench, &worker, Some(StateReason { by: EndedBy::Us, code }));
    let note = bench.engine.notes().iter().find(|note| note.text.contains("has ended by itself")).unwrap();
    let why = ": Client.InternalError, mostly a KMS key of its volume that the manager's role may not use";
    assert!(note.text.ends_with(why), "{}", note.text);
    assert_eq!(note.level, NoteLevel::Warning);
}

#[test]
fn a_shortage_is_told_when_it_begins_and_when_it_is_over() {
    let mut bench = TestBench::with(vec![runner()]);
    let none = |launch: &runner_fleet_engine::Launch| {
        let errors = launch.offerings.iter().map(|offering| LaunchError {
            offering: Some(offering.clone()),
            class: LaunchErrorClass::Capacity,
            code: "InsufficientInstanceCapacity".into(),
            message: "We have none.".into(),
        });
        LaunchAnswer { launched: Vec::new(), errors: errors.collect(), leftover: Leftover::None }
    };
    let mut warnings = Vec::new();
    for _ in 0..200 {
        let commands = bench.queue(&[1]);
        for launch in launches(&commands) {
            bench.step(vec![Event::Launched { token: launch.token.clone(), answer: none(&launch) }]);
            warnings.extend(bench.engine.notes().iter().filter(|n| n.level == NoteLevel::Warning).cloned());
        }
        bench.pass(3);
        bench.list();
    }
    assert_eq!(warnings.len(), 1, "{warnings:#?}");
    assert!(warnings[0].text.ends_with("InsufficientInstanceCapacity (c8g.large in a, c8g.large in b): We have none."));
    for _ in 0..100 {
        let commands = bench.queue(&[1]);
        if let Some(launch) = launches(&commands).first() {
            bench.grant(launch);
            assert!(told(&bench).contains(&"launch_full graviton".to_owned()), "{:?}", told(&bench));
            return;
        }
        bench.pass(3);
        bench.list();
    }
    panic!("it was not tried again");
}

#[test]
fn failed_boots_are_a_warning_each_and_the_breaker_one() {
    let mut bench = TestBench::with_three_out_of_reach();
    let mut warnings: Vec<Note> = Vec::new();
    for _ in 0..60 {
        bench.pass(10);
        bench.queue(&[1, 2, 3]);
        warnings.extend(bench.engine.notes().iter().filter(|note| note.level == NoteLevel::Warning).cloned());
        bench.list();
        warnings.extend(bench.engine.notes().iter().filter(|note| note.level == NoteLevel::Warning).cloned());
        let held_back = bench.engine.snapshot().runners[0].held_back.clone();
        if matches!(held_back.map(|why| why.reason), Some(HeldBack::Breaker { .. })) {
            break;
        }
    }
    let events: Vec<&str> = warnings.iter().map(|note| note.event.as_str()).collect();
    assert_eq!(events, ["boot_failed", "boot_failed", "boot_failed", "breaker_open", "trouble_began"]);
    assert!(warnings.iter().all(|note| note.text.contains("No route to host")), "{warnings:#?}");
    assert!(warnings[3].text.contains("`runner-fleet retry graviton`"), "{}", warnings[3].text);

    let retry = runner_fleet_engine::OperatorRequest::Retry(runner_fleet_engine::RunnerName::new("graviton"));
    bench.step(vec![Event::Operator(retry)]);
    assert!(told(&bench).contains(&"breaker_closed graviton".to_owned()), "{:?}", told(&bench));
}

use super::*;
use serde_json::{Value, json};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(1_800_000_000 + second).unwrap()
}

fn history() -> History {
    History::new(|| at(3600))
}

/// A look at one runner with `slots` slots, of which one works, and the jobs that wait.
fn look(second: i64, slots: u32, waiting: &[u64]) -> FleetSnapshot {
    let engine = runner_fleet_engine::Engine::new("ci", 1, at(second));
    let mut value = serde_json::to_value(engine.snapshot()).unwrap();
    let known = json!({"state": "known"});
    value["at"] = json!(at(second));
    value["ec2"] = known.clone();
    value["runners"] = json!([{
        "name": "spot", "queue": known, "facts": known, "launch_plan": known, "running": 1, "waiting": waiting.len(),
        "idle_wanted": 0, "idle_ready": slots - 1, "workers": slots, "slots": slots, "max_workers": 10,
        "held_back": null, "paused": false, "forecast": null, "over_price_cap": []
    }]);
    let job = |id: &u64| {
        json!({"id": id, "project": 1, "name": "test", "waited_seconds": 30.0, "runner": "spot",
        "reason": {"kind": "next-step", "text": "soon"}})
    };
    value["jobs"] = waiting.iter().map(job).collect::<Value>();
    value["waiting"] = json!({"complete": true, "total": waiting.len(), "unmatched": 0, "longest_seconds": 30.0});
    serde_json::from_value(value).unwrap()
}

fn note(kind: NoteKind, worker: &str, job: Option<u64>) -> Note {
    Note {
        event: kind,
        level: runner_fleet_engine::NoteLevel::Info,
        runner: Some(runner_fleet_engine::RunnerName::new("spot")),
        worker: Some(runner_fleet_engine::WorkerId::new(worker)),
        instance_type: None,
        zone: None,
        market: None,
        job: job.map(JobId),
        lasted: None,
        jobs: None,
        usd: None,
        trouble: None,
        reason: None,
        text: format!("{worker} {}", kind.as_str()),
    }
}

fn rows(history: &History, runner: Option<&str>) -> Vec<crate::history::HistoryRow> {
    let text = |text: &str| Some(text.to_owned());
    let question = HistoryQuestion {
        from: Some(at(0).to_string()),
        to: Some(at(3600).to_string()),
        step: text("60"),
        runner: runner.map(str::to_owned),
    };
    history.rows(&question).unwrap().rows
}

#[test]
fn a_minute_of_looks_becomes_a_row() {
    let history = history();
    for second in 0..=60 {
        history.look(&look(second, if second < 30 { 2 } else { 4 }, &[7]));
    }
    history.note(at(61), &[note(NoteKind::JobStarted, "i-1", Some(7)), note(NoteKind::Launched, "i-2", None)]);
    let rows = rows(&history, Some("spot"));
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[0].seconds, 59.0, "the first look stands for nothing, because nobody watched before");
    assert_eq!(rows[0].get(Number::SlotsPaid), Some(3.0));
    assert_eq!(rows[0].get(Number::LongestWaitSeconds), Some(30.0));
    assert_eq!(rows[0].get(Number::UsdPerHourSpot), Some(0.0), "no worker costs nothing");
    assert_eq!(rows[1].get(Number::WaitP50Seconds), Some(31.0), "30 s when it was seen last, and one more");
    assert_eq!((rows[1].get(Number::JobsBegun), rows[1].get(Number::WorkersLaunched)), (Some(1.0), Some(1.0)));
    assert_eq!(self::rows(&history, None)[1].get(Number::JobsBegun), Some(1.0));
}

#[test]
fn unknown_is_never_zero() {
    let history = history();
    let mut blind = look(0, 2, &[]);
    blind.waiting.complete = false;
    blind.runners[0].waiting = None;
    blind.ec2 = runner_fleet_engine::Knowledge::Unknown { failure: runner_fleet_engine::Failure::awaited("it") };
    history.look(&blind);
    for row in rows(&history, None).iter().chain(&rows(&history, Some("spot"))) {
        for number in [Number::JobsWaiting, Number::LongestWaitSeconds, Number::SlotsPaid, Number::UsdPerHourSpot] {
            assert_eq!(row.get(number), None, "{}", number.as_str());
        }
    }
}

#[test]
fn a_question_of_a_runner_that_nobody_knows_is_bad() {
    let history = history();
    history.look(&look(0, 2, &[]));
    let question = HistoryQuestion { runner: Some("spto".into()), ..HistoryQuestion::default() };
    assert_eq!(history.rows(&question).unwrap_err().0, "nothing is known of a runner named spto");
}

#[test]
fn which_worker_ran_the_job_and_why_did_it_end() {
    let history = history();
    let happened = [
        note(NoteKind::Launched, "i-1", None),
        note(NoteKind::JobStarted, "i-2", Some(7002)),
        note(NoteKind::JobStarted, "i-1", Some(7003)),
        note(NoteKind::Ended, "i-1", None),
    ];
    for (second, note) in happened.into_iter().enumerate() {
        history.note(at(second as i64), &[note]);
    }
    let find = |question: EventsQuestion| -> Vec<String> {
        history.events(&question).unwrap().events.into_iter().map(|event| event.text).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(find(EventsQuestion { job: some("7003"), ..Default::default() }), ["i-1 job_started"]);
    let of_worker = EventsQuestion { worker: some("i-1"), kind: some("launched,ended"), ..Default::default() };
    assert_eq!(find(of_worker), ["i-1 launched", "i-1 ended"]);
    let newest = EventsQuestion { limit: some("2"), ..Default::default() };
    assert_eq!(find(newest), ["i-1 job_started", "i-1 ended"]);
    let oldest = EventsQuestion { limit: some("2"), after: some("0"), ..Default::default() };
    assert_eq!(find(oldest), ["i-1 launched", "i-2 job_started"]);
}

#[test]
fn of_many_events_the_newest_stay() {
    let history = history();
    let notes: Vec<Note> = (0..EVENTS_MAX as u64 + 5).map(|job| note(NoteKind::JobStarted, "i-1", Some(job))).collect();
    history.note(at(0), &notes);
    let oldest = EventsQuestion { limit: Some("1".into()), after: Some("0".into()), ..Default::default() };
    assert_eq!(history.events(&oldest).unwrap().events[0].job, Some(JobId(5)));
    let ids: BTreeSet<u64> = history.lock().events.iter().map(|event| event.id).collect();
    assert_eq!(ids.len(), EVENTS_MAX, "each has its own id, though all are of one moment");
}

#[test]
fn questions_that_make_no_sense_are_told_why() {
    let history = history();
    let some = |text: &str| Some(text.to_owned());
    let bad = [
        HistoryQuestion { from: some("soon"), ..Default::default() },
        HistoryQuestion { from: some("1h"), to: some("2h"), ..Default::default() },
        HistoryQuestion { step: some("0"), ..Default::default() },
        HistoryQuestion { step: some("61"), ..Default::default() },
        HistoryQuestion { step: some("-60"), ..Default::default() },
        HistoryQuestion { from: some("30d"), step: some("60"), ..Default::default() },
        HistoryQuestion {
            from: some("-9999-01-01T00:00:00Z"),
            to: some("9999-01-01T00:00:00Z"),
            step: some("60"),
            ..Default::default()
        },
        HistoryQuestion { runner: some(""), ..Default::default() },
    ];
    for question in bad {
        let why = history.rows(&question).unwrap_err().0;
        assert!(why.contains('`') || why.contains("rows"), "{question:?}: {why}");
    }
    for question in [
        EventsQuestion { limit: some("0"), ..Default::default() },
        EventsQuestion { limit: some("1001"), ..Default::default() },
        EventsQuestion { job: some("x"), ..Default::default() },
        EventsQuestion { kind: some("nope"), ..Default::default() },
    ] {
        assert!(history.events(&question).is_err(), "{question:?}");
    }
    let long = HistoryQuestion { from: some("31d"), ..Default::default() };
    assert_eq!(history.rows(&long).unwrap().step_seconds, 6 * 3600);
}

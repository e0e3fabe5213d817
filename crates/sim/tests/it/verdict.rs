//! The verdict: each kind of trouble begins when it has lasted, has one `since` while it lasts, and is over when it is.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{
    Command, Engine, Event, Failure, FailureClass, Health, Instance, Launch, LaunchAnswer, LaunchError,
    LaunchErrorClass, LaunchToken, Leftover, NoteKind, OperatorRequest, PendingJob, QueueSnapshot, Report, RunnerFacts,
    RunnerName, RunnerSettings, Server, Severity, TokenEnd, TokenKind, Trouble, TroubleReason, Unfit, Verdict,
    WorkerId,
};
use runner_fleet_sim::run::{Brain, simulate};
use runner_fleet_sim::soak::Kind;

use super::bench::{RUNNER, SERVER, TestBench, bad_gateway, facts, forbidden, launches, plan, runner, serving};

/// A bench that goes on in steps of three seconds, as the service does, and hears what the log is told of troubles.
struct Days {
    bench: TestBench,
    /// What waits; each since it was first shown.
    jobs: Vec<PendingJob>,
    /// What GitLab answers instead.
    queue_failure: Option<Failure>,
    blind: u32,
    told: Vec<(NoteKind, &'static str)>,
}

impl Days {
    fn of(bench: TestBench) -> Self {
        Self { bench, jobs: Vec::new(), queue_failure: None, blind: 0, told: Vec::new() }
    }

    fn new() -> Self {
        Self::of(TestBench::with(vec![runner()]))
    }

    fn job(&mut self, id: u64) -> &mut Self {
        self.jobs.push(self.bench.job(id));
        self
    }

    fn step(&mut self, events: Vec<Event>) -> Vec<Command> {
        let commands = self.bench.step(events);
        let notes = self.bench.engine.notes().iter();
        self.told.extend(notes.filter_map(|note| Some((note.event, note.trouble?.1))));
        commands
    }

    fn now(&self) -> Timestamp {
        self.bench.now
    }

    /// Lets so many seconds pass; `answer` says what comes of each launch.
    fn pass(&mut self, seconds: u64, mut answer: impl FnMut(&Launch) -> Option<LaunchAnswer>) {
        for _ in 0..seconds.div_ceil(3) {
            self.bench.pass(3);
            let as_of = self.now();
            let jobs = self.jobs.iter().cloned().map(|job| PendingJob { seen_at: as_of, ..job }).collect();
            let snapshot = match &self.queue_failure {
                Some(failure) => Err(failure.clone()),
                None => Ok(QueueSnapshot { as_of, jobs, complete: true, blind: self.blind }),
            };
            let listing = Ok(self.bench.instances.clone());
            let commands = self.step(vec![
                Event::Instances { asked_at: as_of, listing },
                Event::Queue { server: Server::new(SERVER), snapshot },
            ]);
            let mut open = launches(&commands);
            // What one market does not give is asked of the other at once.
            while let Some(launch) = open.pop() {
                if let Some(answer) = answer(&launch) {
                    let commands = self.step(vec![Event::Launched { token: launch.token.clone(), answer }]);
                    open.extend(launches(&commands));
                }
            }
        }
    }

    fn verdict(&self) -> Verdict {
        self.bench.engine.snapshot().verdict
    }

    fn kinds(&self) -> Vec<&'static str> {
        self.verdict().troubles.iter().map(|trouble| trouble.reason.reason.kind()).collect()
    }

    /// The only trouble.
    fn only(&self) -> Trouble {
        let verdict = self.verdict();
        assert_eq!(verdict.troubles.len(), 1, "{verdict:#?}");
        assert_eq!(verdict.severity, verdict.troubles[0].severity);
        verdict.troubles[0].clone()
    }

    /// How often the log was told that a trouble of this kind began, and that it was over.
    fn told(&self, kind: &str) -> (usize, usize) {
        let count = |event| self.told.iter().filter(|told| **told == (event, kind)).count();
        (count(NoteKind::TroubleBegan), count(NoteKind::TroubleOver))
    }
}

fn silence(_: &Launch) -> Option<LaunchAnswer> {
    None
}

/// EC2 gives none, for this reason.
fn none(class: LaunchErrorClass, code: &str) -> impl FnMut(&Launch) -> Option<LaunchAnswer> {
    move |launch| {
        let errors = launch.offerings.iter().map(|offering| LaunchError {
            offering: (class == LaunchErrorClass::Capacity).then(|| offering.clone()),
            class,
            code: code.to_owned(),
            message: "We have none.".into(),
        });
        Some(LaunchAnswer { launched: Vec::new(), errors: errors.collect(), leftover: Leftover::None })
    }
}

fn unfit() -> Report {
    Report { unfit: Some(Unfit::Docker), ..serving(0) }
}

#[test]
fn a_calm_fleet_is_ok() {
    let mut days = Days::new();
    days.pass(3600, silence);
    assert_eq!(days.verdict(), Verdict { severity: Severity::Ok, troubles: Vec::new() });
    assert_eq!(days.told, []);
}

#[test]
fn boots_that_fail_are_critical_while_jobs_wait() {
    let mut days = Days::of(TestBench::with_three_out_of_reach());
    days.jobs = (1..=3).map(|id| days.bench.job(id)).collect();
    days.pass(290, silence);
    assert_eq!(days.kinds(), [""; 0], "one boot takes long");
    days.pass(30, silence);
    let trouble = days.only();
    assert_eq!((trouble.severity, trouble.runner.as_ref().unwrap().as_str()), (Severity::Critical, RUNNER));
    assert_eq!(trouble.jobs_waiting, Some(3));
    assert!(
        matches!(trouble.reason.reason, TroubleReason::BootsFail { in_a_row: 3, until: Some(_), .. }),
        "{trouble:?}"
    );
    assert!(trouble.reason.text.contains("No route to host"), "{}", trouble.reason);
    assert!(trouble.advice.contains("`runner-fleet doctor --runner graviton`"), "{}", trouble.advice);
    assert!(trouble.advice.contains("`runner-fleet retry graviton`"), "{}", trouble.advice);

    days.bench.instances.clear();
    days.jobs.clear();
    days.pass(3600, silence);
    let later = days.only();
    assert_eq!((later.since, later.severity), (trouble.since, Severity::Warning), "nobody is to get up for it now");
    days.step(vec![Event::Operator(OperatorRequest::Retry(RunnerName::new(RUNNER)))]);
    days.pass(3, silence);
    assert_eq!((days.kinds().len(), days.told("boots-fail")), (0, (1, 1)));
}

#[test]
fn a_warning_that_becomes_critical_is_told_again() {
    let mut days = Days::of(TestBench::with_three_out_of_reach());
    days.pass(400, silence);
    assert_eq!(days.only().severity, Severity::Warning);
    days.job(4).pass(6, silence);
    assert_eq!(days.only().severity, Severity::Critical);
    days.jobs.clear();
    days.pass(6, silence);
    days.job(5).pass(6, silence);
    let worse = days.told.iter().filter(|told| **told == (NoteKind::TroubleWorse, "boots-fail")).count();
    assert_eq!((worse, days.told("boots-fail")), (1, (1, 0)));
}

#[test]
fn workers_that_are_unfit_in_a_row_are_a_trouble() {
    let mut days = Days::new();
    for worker in days.bench.with_ready_workers(3) {
        days.bench.report(&worker, unfit());
    }
    days.pass(3, silence);
    assert!(days.kinds().contains(&"workers-unfit"), "{:?}", days.verdict());
    let text = &days.verdict().troubles[0].reason.text;
    assert!(text.contains("3 in a row") && text.contains("Docker does not answer"), "{text}");
}

#[test]
fn a_shortage_is_told_once_however_often_it_is_tried() {
    let mut days = Days::new();
    days.job(1).pass(270, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    assert_eq!(days.kinds(), [""; 0], "a shortage that ends by itself is no trouble");
    days.pass(60, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    let trouble = days.only();
    assert_eq!((trouble.reason.reason.kind(), trouble.severity), ("no-capacity", Severity::Critical));
    assert!(trouble.reason.text.contains("InsufficientInstanceCapacity"), "{}", trouble.reason);
    for _ in 0..100 {
        days.pass(60, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
        let now = days.only();
        assert_eq!((now.since, now.reason.reason.kind()), (trouble.since, "no-capacity"));
    }
    days.jobs.clear();
    days.pass(90, silence);
    assert_eq!((days.kinds().len(), days.told("no-capacity")), (0, (1, 1)));
}

#[test]
fn launches_that_are_refused_are_told_with_ec2s_words() {
    let mut days = Days::new();
    days.job(1).pass(30, none(LaunchErrorClass::Denied, "UnauthorizedOperation"));
    assert_eq!(days.kinds(), [""; 0]);
    days.pass(90, none(LaunchErrorClass::Denied, "UnauthorizedOperation"));
    let trouble = days.only();
    assert!(trouble.reason.text.contains("UnauthorizedOperation: We have none."), "{}", trouble.reason);
    days.pass(3600, none(LaunchErrorClass::Denied, "UnauthorizedOperation"));
    assert_eq!((days.only().since, days.told("launches-refused")), (trouble.since, (1, 0)));
}

#[test]
fn a_queue_is_a_trouble_when_it_is_unreadable_for_long() {
    let mut days = Days::new();
    for _ in 0..20 {
        days.queue_failure = Some(bad_gateway());
        days.pass(90, silence);
        days.queue_failure = None;
        days.pass(60, silence);
    }
    assert_eq!(days.told, [], "a GitLab that restarts is no trouble");
    days.queue_failure = Some(bad_gateway());
    days.pass(150, silence);
    let trouble = days.only();
    assert_eq!((trouble.severity, trouble.runner.clone()), (Severity::Critical, None), "it is the server's");
    assert_eq!(trouble.jobs_waiting, None, "unknown is not zero");
    assert!(trouble.reason.text.contains(SERVER) && trouble.reason.text.contains("502 Bad Gateway"), "{trouble:?}");
    days.queue_failure = Some(forbidden());
    days.pass(3, silence);
    assert!(days.only().advice.contains("make a new api_token"), "{}", days.only().advice);
    assert_eq!(days.only().since, trouble.since);
    days.queue_failure = None;
    days.pass(36, silence);
    assert_eq!((days.kinds().len(), days.told("queue-unreadable")), (0, (1, 1)));
}

#[test]
fn what_was_wrong_is_not_over_because_nobody_sees_the_queue() {
    let mut days = Days::new();
    days.job(1).pass(400, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    assert_eq!(days.kinds(), ["no-capacity"]);
    days.queue_failure = Some(bad_gateway());
    days.pass(600, silence);
    assert_eq!(days.told("no-capacity"), (1, 0));
    assert_eq!(days.kinds().len(), 2, "{:?}", days.kinds());
}

#[test]
fn tokens_are_told_when_refused_and_before_they_end() {
    let mut days = Days::new();
    let name = || RunnerName::new(RUNNER);
    let at = days.now() + Duration::from_secs(10 * 24 * 3600);
    let ends = RunnerFacts { token_end: Some(TokenEnd { at, token: TokenKind::ApiToken }), ..facts() };
    days.step(vec![Event::Runner { runner: name(), facts: Ok(ends) }]);
    days.pass(3, silence);
    let trouble = days.only();
    assert_eq!(trouble.severity, Severity::Warning);
    assert!(trouble.reason.text.starts_with("its api_token ends in 9d"), "{}", trouble.reason);

    let refused = Failure::new(FailureClass::TokenRefused, "GitLab does not accept the token");
    days.step(vec![Event::Runner { runner: name(), facts: Err(refused) }]);
    days.pass(30, silence);
    assert_eq!(days.kinds(), ["token-ends"]);
    days.pass(60, silence);
    assert_eq!(days.kinds(), ["token-refused", "token-ends"], "the worst first");
    days.step(vec![Event::Runner { runner: name(), facts: Ok(facts()) }]);
    days.pass(3, silence);
    assert_eq!(days.kinds(), [""; 0]);
}

#[test]
fn a_runner_that_cannot_be_launched_for_is_a_trouble() {
    let mut days = Days::of(TestBench::with(vec![runner(), named("second")]));
    let third =
        runner_fleet_engine::Settings { runners: vec![runner(), named("new")], ..super::bench::settings(vec![]) };
    days.step(vec![Event::Configured(third)]);
    let new = || RunnerName::new("new");
    let denied = || Failure::new(FailureClass::Denied, "denied");
    days.step(vec![
        Event::Runner { runner: new(), facts: Err(denied()) },
        Event::LaunchPlan { runner: new(), plan: Err(denied()) },
    ]);
    days.pass(170, silence);
    assert_eq!(days.kinds(), [""; 0], "a start has to find out first");
    days.pass(20, silence);
    assert_eq!(days.kinds(), ["facts-unknown", "launch-plan-unknown"]);
    assert!(days.verdict().troubles.iter().all(|trouble| trouble.severity == Severity::Critical));
    days.step(vec![
        Event::Runner { runner: new(), facts: Ok(facts()) },
        Event::LaunchPlan { runner: new(), plan: Ok(plan()) },
    ]);
    days.pass(3, silence);
    assert_eq!(days.kinds(), [""; 0]);
    // What was good once still serves.
    days.step(vec![Event::LaunchPlan { runner: new(), plan: Err(denied()) }]);
    days.pass(1700, silence);
    assert_eq!(days.kinds(), [""; 0]);
    days.pass(200, silence);
    assert_eq!((days.only().severity, days.only().reason.reason.kind()), (Severity::Warning, "launch-plan-unknown"));
}

fn named(name: &str) -> RunnerSettings {
    RunnerSettings { name: RunnerName::new(name), ..runner() }
}

#[test]
fn an_ec2_that_does_not_list_is_a_trouble() {
    let mut days = Days::new();
    let late = |days: &mut Days, seconds: u64| {
        for _ in 0..seconds / 3 {
            days.bench.pass(3);
            let listing = Err(Failure::late(Duration::from_secs(30)));
            days.step(vec![Event::Instances { asked_at: days.bench.now, listing }]);
        }
    };
    late(&mut days, 200);
    assert!(!days.kinds().contains(&"ec2-unlisted"), "{:?}", days.kinds());
    late(&mut days, 30);
    assert!(days.kinds().contains(&"ec2-unlisted"), "{:?}", days.kinds());
    assert!(days.verdict().troubles.iter().any(|trouble| trouble.reason.text.contains("no answer within 30 s")));
    days.pass(60, silence);
    assert_eq!((days.kinds().len(), days.told("ec2-unlisted")), (0, (1, 1)));
}

#[test]
fn another_manager_is_told_for_as_long_as_it_is_there() {
    let mut days = Days::new();
    days.pass(300, silence);
    let token = LaunchToken::new(format!("{:032x}-{}", 7, days.bench.started_at.as_second() - 3600));
    let instance = Instance { launch: Some(token), ..days.bench.instance("i-elder") };
    days.bench.instances.push(instance);
    days.pass(3, silence);
    let trouble = days.verdict().troubles[0].clone();
    assert!(matches!(trouble.reason.reason, TroubleReason::AnotherManager { is_elder: true, .. }), "{trouble:?}");
    days.bench.instances.clear();
    days.pass(16 * 60, silence);
    assert_eq!((days.kinds().len(), days.told("another-manager")), (0, (1, 1)));
}

#[test]
fn jobs_that_nobody_may_take_are_a_warning_in_the_end() {
    let mut days = Days::new();
    days.job(1).job(2);
    days.jobs[0].tags = BTreeSet::from(["gpu".to_owned()]);
    days.jobs[1].tags = BTreeSet::from(["gpu".to_owned()]);
    days.pass(15 * 60, silence);
    assert_eq!(days.kinds(), [""; 0], "another's runner may be busy");
    days.pass(90, silence);
    let trouble = days.only();
    assert_eq!((trouble.severity, trouble.jobs_waiting), (Severity::Warning, Some(2)));
    assert!(trouble.reason.text.contains("graviton has no tag gpu"), "{}", trouble.reason);
    assert!(trouble.advice.contains("`runner-fleet status --job 1`"), "{}", trouble.advice);
}

#[test]
fn jobs_that_wait_longer_than_a_boot_may_take_are_critical() {
    let mut days = Days::new();
    let worker = days.bench.with_ready_workers(1).remove(0);
    days.job(1);
    // It says that it is free, and takes nothing.
    let beside = |days: &mut Days, seconds: u64| {
        for _ in 0..seconds / 30 {
            days.pass(30, silence);
            days.bench.report(&worker, serving(0));
        }
    };
    beside(&mut days, 330);
    assert_eq!(days.kinds(), [""; 0]);
    beside(&mut days, 150);
    let trouble = days.only();
    let TroubleReason::JobsWait { jobs: 1, limit, longest, .. } = &trouble.reason.reason else { panic!("{trouble:?}") };
    assert!(longest > limit && limit.as_secs() == 330, "{trouble:?}");
    days.jobs.clear();
    beside(&mut days, 90);
    assert_eq!((days.kinds().len(), days.told("jobs-wait")), (0, (1, 1)));
}

#[test]
fn a_cause_that_is_told_says_all_of_the_waiting() {
    let mut days = Days::new();
    days.job(1).pass(3600, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    assert_eq!((days.kinds(), days.told("jobs-wait")), (vec!["no-capacity"], (0, 0)));
}

#[test]
fn ceilings_and_pauses_are_warnings_while_jobs_wait() {
    for (settings, kind) in [
        (RunnerSettings { max_workers: 1, ..runner() }, "max_workers = 1"),
        (RunnerSettings { limit: 1, ..runner() }, "limit = 1"),
    ] {
        let mut days = Days::of(TestBench::with(vec![settings]));
        let worker = days.bench.with_ready_workers(1).remove(0);
        days.job(1).job(2).job(3);
        let busy = |days: &mut Days, seconds: u64| {
            for _ in 0..seconds / 30 {
                days.pass(30, silence);
                days.bench.report(&worker, Report { job_ids: [runner_fleet_engine::JobId(1)].into(), ..serving(1) });
            }
        };
        busy(&mut days, 600);
        assert_eq!(days.kinds(), [""; 0], "that is what a ceiling is for");
        busy(&mut days, 60);
        let trouble = days.only();
        assert_eq!(trouble.severity, Severity::Warning);
        assert!(trouble.reason.text.contains(kind), "{}", trouble.reason);
    }
    let mut days = Days::new();
    days.step(vec![Event::Operator(OperatorRequest::Pause(RunnerName::new(RUNNER)))]);
    days.pass(3600, silence);
    assert_eq!(days.kinds(), [""; 0], "nobody waits");
    days.job(1).pass(360, silence);
    assert_eq!((days.only().reason.reason, days.only().severity), (TroubleReason::Paused, Severity::Warning));
    assert!(days.only().advice.contains("`runner-fleet resume graviton`"));
}

#[test]
fn workers_that_are_silent_for_minutes_are_a_trouble() {
    let mut days = Days::new();
    let workers = days.bench.with_ready_workers(4);
    let busy: Vec<&WorkerId> = workers.iter().collect();
    busy.iter().for_each(|worker| drop(days.bench.report(worker, serving(1))));
    days.bench.instances.iter_mut().for_each(|instance| instance.health = Health::Ok);
    days.pass(240, silence);
    assert_eq!(days.kinds(), [""; 0], "a host may restart");
    days.pass(90, silence);
    let trouble = days.only();
    assert_eq!(trouble.severity, Severity::Critical, "all of them are no bad hosts");
    assert!(trouble.reason.text.starts_with("4 of 4 workers cannot be reached"), "{}", trouble.reason);
    busy.iter().for_each(|worker| drop(days.bench.report(worker, serving(1))));
    days.bench.pass(0);
    days.pass(60, silence);
    assert_eq!(days.kinds(), ["workers-unreachable"], "it is over when it has been away");
    busy.iter().for_each(|worker| drop(days.bench.report(worker, serving(1))));
    days.pass(9, silence);
    assert_eq!((days.kinds().len(), days.told("workers-unreachable")), (0, (1, 1)));
}

#[test]
fn a_broken_law_is_told_for_a_day() {
    let mut days = Days::new();
    days.bench.engine.law_broken("law 2: too many");
    days.pass(3, silence);
    assert!(days.only().reason.text.contains("law 2: too many"));
    assert!(days.only().advice.contains("`runner-fleet support-bundle`"));
    days.bench.now = days.now() + Duration::from_secs(25 * 3600);
    days.pass(6, silence);
    assert!(!days.kinds().contains(&"laws-broken"), "{:?}", days.kinds());
}

#[test]
fn hidden_projects_are_a_warning() {
    let mut days = Days::new();
    days.blind = 2;
    days.pass(660, silence);
    assert_eq!(
        days.only().reason.text,
        format!("2 projects of {SERVER} are hidden from the api_token: their jobs wait unseen")
    );
    days.blind = 0;
    days.pass(90, silence);
    assert_eq!(days.kinds(), [""; 0]);
}

#[test]
fn a_clock_that_jumps_begins_and_ends_nothing() {
    let mut days = Days::new();
    days.job(1).pass(60, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    // An hour forward, as a host that slept.
    days.bench.pass(3600);
    days.pass(120, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    assert!(!days.kinds().contains(&"no-capacity"), "three minutes are not five: {:?}", days.kinds());
    days.pass(300, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    let before = days.verdict().troubles.iter().find(|t| t.reason.reason.kind() == "no-capacity").unwrap().clone();
    // Two hours back.
    days.bench.now = days.now() - Duration::from_secs(7200);
    days.pass(60, none(LaunchErrorClass::Capacity, "InsufficientInstanceCapacity"));
    let after = days.verdict().troubles.iter().find(|t| t.reason.reason.kind() == "no-capacity").unwrap().clone();
    assert!(after.since < days.now(), "it did not begin in the future");
    let moved = before.since.duration_since(after.since).as_secs();
    assert_eq!(moved, 7200 - 3, "it has lasted as long as before");
    assert_eq!(days.told("no-capacity"), (1, 0));
}

/// The engine, and what it says of itself.
struct Judged {
    engine: Engine,
    /// The newest verdict.
    last: Arc<Mutex<Verdict>>,
    /// A critical trouble is as bad as a broken law.
    strict: bool,
}

impl Brain for Judged {
    fn step(&mut self, now: Timestamp, events: Vec<Event>) -> Vec<Command> {
        let commands = Engine::step(&mut self.engine, now, events);
        *self.last.lock().unwrap() = self.engine.snapshot().verdict;
        commands
    }

    fn laws_broken(&mut self) -> Vec<String> {
        let last = self.last.lock().unwrap();
        let critical = last.troubles.iter().filter(|trouble| trouble.severity == Severity::Critical && self.strict);
        critical.map(|trouble| trouble.reason.to_string()).collect()
    }
}

/// The verdict at the end of a world.
fn judged(kind: Kind, seed: u64) -> Verdict {
    let last = Arc::new(Mutex::new(Verdict::default()));
    let make = |manager: &str, seed, now| Judged {
        engine: Engine::new(manager, seed, now),
        last: Arc::clone(&last),
        strict: kind == Kind::Honest,
    };
    simulate(seed, &kind.scenario(seed), make).unwrap();
    // Every manager of the world is gone with it.
    Mutex::into_inner(Arc::into_inner(last).unwrap()).unwrap()
}

#[test]
fn honest_worlds_have_no_critical_trouble() {
    for seed in 0..8 {
        // A world has jobs that nobody may take.
        let verdict = judged(Kind::Honest, seed);
        let others = verdict.troubles.iter().filter(|trouble| trouble.reason.reason.kind() != "jobs-unmatched");
        assert_eq!(others.count(), 0, "seed {seed}: {verdict:#?}");
    }
}

#[test]
fn no_critical_trouble_outlasts_its_cause() {
    for seed in 0..8 {
        let verdict = judged(Kind::Rough, seed);
        assert!(verdict.severity < Severity::Critical, "seed {seed}: {verdict:#?}");
    }
}

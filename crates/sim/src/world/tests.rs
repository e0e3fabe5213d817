use super::*;
use crate::doubles::{Plain, Vice};
use crate::event_log::{Ending, Killer};
use crate::run::simulate;
use crate::scenario::{JobSpec, Shortage};
use crate::workload;
use runner_fleet_engine::{
    ConnectionFailure, DrainReason, EndReason, InstanceState, Inventory, KeyPairName, Launch, LaunchAnswer,
    LaunchErrorClass, LaunchPlan, LaunchReason, LaunchToken, Leftover, Market, Report, ResourceAction, RetryOutcome,
    RunnerName, RunnerState, TemplateName, Termination, Want, WorkerEvent,
};

/// A world and what its manager has heard.
struct TestBench {
    world: World,
    heard: Vec<Event>,
}

impl TestBench {
    fn new(scenario: Scenario) -> Self {
        Self::seeded(scenario, 1)
    }

    fn seeded(scenario: Scenario, seed: u64) -> Self {
        let mut world = World::new(scenario, seed);
        let start = world.now();
        world.manager_starts(start);
        Self { world, heard: Vec::new() }
    }

    fn pass(&mut self, seconds: u64) -> &mut Self {
        let until = later(self.world.now(), Duration::from_secs(seconds));
        let heard = self.world.advance_to(until);
        self.heard.extend(heard);
        self
    }

    fn tell(&mut self, command: Command) -> &mut Self {
        let now = self.world.now();
        self.world.apply(now, &command);
        self
    }

    fn launch(&mut self, token: &str, count: u32) -> &mut Self {
        let launch = launch(&self.world.scenario, token, count);
        self.tell(Command::Launch(launch))
    }

    /// A worker that is connected and serves.
    fn serving(&mut self) -> WorkerId {
        self.launch("t", 1).pass(10);
        let worker = self.answers()[0].launched[0].id.clone();
        let (runner, address) = (RunnerName::new("spot"), std::net::Ipv4Addr::new(10, 0, 0, 1).into());
        self.tell(Command::Connect { worker: worker.clone(), runner, address, want: None }).pass(120);
        assert_eq!(self.report(&worker).runner, RunnerState::Serving);
        worker
    }

    fn fence(&mut self, worker: &WorkerId) -> &mut Self {
        self.tell(Command::Want { worker: worker.clone(), want: Want::Fence { reason: DrainReason::Paused } })
    }

    fn answers(&self) -> Vec<&LaunchAnswer> {
        self.heard
            .iter()
            .filter_map(|e| if let Event::Launched { answer, .. } = e { Some(answer) } else { None })
            .collect()
    }

    fn retried(&self) -> Vec<RetryOutcome> {
        let of = |event: &Event| match event {
            Event::Retried { outcome, .. } => Some(outcome.clone()),
            _ => None,
        };
        self.heard.iter().filter_map(of).collect()
    }

    fn report(&self, worker: &WorkerId) -> Report {
        let of = |event: &Event| match event {
            Event::Worker { worker: about, event: WorkerEvent::Report(report) } if about == worker => {
                Some((**report).clone())
            }
            _ => None,
        };
        self.heard.iter().rev().find_map(of).expect("a report")
    }

    fn down(&self, worker: &WorkerId) -> Option<ConnectionFailure> {
        self.heard.iter().rev().find_map(|event| match event {
            Event::Worker { worker: about, event: WorkerEvent::Disconnected(failure) } if about == worker => {
                Some(failure.clone())
            }
            _ => None,
        })
    }

    fn state(&self, job: u64) -> JobState {
        self.world.gitlab.jobs[&JobId(job)].state
    }

    fn faults_seen(&self, what: &str) -> bool {
        self.world.log.facts.iter().any(|(_, fact)| matches!(fact, Fact::Fault(seen, _) if seen.contains(what)))
    }
}

/// Everything that a launch needs is there already.
fn scenario() -> Scenario {
    let mut scenario = Scenario::new(Timestamp::UNIX_EPOCH);
    let templates = scenario.plans.iter().map(|(runner, plan)| (plan.template.clone(), runner.clone()));
    scenario.inherited = Inventory { key_pairs: [key_pair()].into(), templates: templates.collect() };
    scenario.settings.check_interval = Duration::from_secs(3);
    scenario
}

fn key_pair() -> KeyPairName {
    KeyPairName::new("runner-fleet-sim-key")
}

fn faulty(faults: Faults) -> TestBench {
    TestBench::new(scenario().with_faults(faults))
}

fn job(after: u64, takes: u64) -> JobSpec {
    JobSpec::new(Duration::from_secs(after), Duration::from_secs(takes))
}

fn launch(scenario: &Scenario, token: &str, count: u32) -> Launch {
    let runner = RunnerName::new("spot");
    let LaunchPlan { config, template, places } = scenario.plans[&runner].clone();
    Launch {
        token: LaunchToken::new(token),
        runner,
        count,
        market: Market::Spot,
        offerings: places.iter().map(|place| place.on(Market::Spot)).collect(),
        template,
        config,
        spot_max_price: None,
        tags: std::collections::BTreeMap::new(),
        reason: LaunchReason::LaunchUnanswered,
    }
}

#[test]
fn the_same_seed_gives_the_same_ledger() {
    let scenario = workload::small_and_rough(5);
    let log = |seed| {
        let end = simulate(seed, &scenario, |_, seed, _| Plain::new(Vice::None, seed));
        end.map_or_else(|broken| broken.world, |outcome| outcome.world).log
    };
    let one = log(9);
    assert!(one.facts.len() > 100);
    assert_eq!(one, log(9));
    assert_ne!(one, log(10));
}

#[test]
fn a_waiting_runner_gets_the_first_job_by_id_at_once() {
    let mut bench = TestBench::new(scenario().with_jobs([job(600, 30), job(600, 30)]));
    let worker = bench.serving();
    bench.pass(600 - 130 + 2);
    assert_eq!((bench.state(1001), bench.state(1002)), (JobState::Running, JobState::Pending));
    assert_eq!(bench.report(&worker).jobs(), 1);
    bench.pass(45);
    assert_eq!((bench.state(1001), bench.state(1002)), (JobState::Succeeded, JobState::Running));
}

#[test]
fn a_job_that_no_tag_matches_stays_and_is_shown() {
    let mut bench = TestBench::new(scenario().with_jobs([job(0, 30).tagged("windows"), job(0, 30).tagged("arm")]));
    bench.serving();
    assert_eq!((bench.state(1001), bench.state(1002)), (JobState::Pending, JobState::Succeeded));
    let shown = bench.heard.iter().rev().find_map(|event| match event {
        Event::Queue { snapshot: Ok(snapshot), .. } => {
            Some(snapshot.jobs.iter().map(|job| job.id.0).collect::<Vec<_>>())
        }
        _ => None,
    });
    assert_eq!(shown, Some(vec![1001]));
}

#[test]
fn untagged_jobs_and_paused_runners_are_matched() {
    let mut wants_tags = scenario().with_jobs([job(0, 30)]);
    wants_tags.facts.values_mut().for_each(|facts| facts.run_untagged = false);
    let mut paused = scenario().with_jobs([job(0, 30)]);
    paused.facts.values_mut().for_each(|facts| facts.paused = true);
    let mut protected = scenario().with_jobs([job(0, 30)]);
    protected.facts.values_mut().for_each(|facts| facts.protected_only = true);
    for scenario in [wants_tags, paused, protected] {
        let mut bench = TestBench::new(scenario);
        bench.serving();
        assert_eq!(bench.state(1001), JobState::Pending);
        assert!(!bench.world.is_runnable(&bench.world.gitlab.jobs[&JobId(1001)]));
    }
}

#[test]
fn a_fenced_worker_is_empty_after_its_last_job() {
    let mut bench = TestBench::new(scenario().with_jobs([job(0, 300), job(200, 30)]));
    let worker = bench.serving();
    assert_eq!(bench.report(&worker).jobs(), 1);
    bench.fence(&worker).pass(60);
    let fenced = bench.report(&worker);
    assert_eq!((fenced.runner, fenced.is_empty()), (RunnerState::Fenced, false));
    bench.pass(400);
    assert_eq!((bench.state(1001), bench.state(1002)), (JobState::Succeeded, JobState::Pending));
    assert!(bench.report(&worker).is_empty());
}

#[test]
fn an_open_request_of_a_fenced_worker_may_still_bring_a_job() {
    let seen: Vec<JobState> = (1..40)
        .map(|seed| {
            let mut bench = TestBench::seeded(scenario().with_jobs([job(150, 30)]), seed);
            let worker = bench.serving();
            bench.fence(&worker).pass(15);
            assert_eq!(bench.report(&worker).runner, RunnerState::Fenced);
            bench.pass(15);
            bench.state(1001)
        })
        .collect();
    assert!(seen.contains(&JobState::Running) && seen.contains(&JobState::Pending), "{seen:?}");
}

#[test]
fn an_unfenced_worker_asks_again() {
    let mut bench = TestBench::new(scenario().with_jobs([job(300, 30)]));
    let worker = bench.serving();
    bench.fence(&worker).pass(60);
    assert!(bench.report(&worker).is_empty());
    bench.tell(Command::Want { worker: worker.clone(), want: Want::Serve }).pass(150);
    assert_eq!(bench.state(1001), JobState::Succeeded);
}

#[test]
fn stop_needs_a_fenced_and_empty_worker() {
    let mut bench = TestBench::new(scenario());
    let worker = bench.serving();
    let stop = Command::Want { worker: worker.clone(), want: Want::Stop { reason: DrainReason::Paused } };
    bench.tell(stop.clone()).pass(10);
    assert_eq!(bench.report(&worker).runner, RunnerState::Serving);
    bench.fence(&worker).pass(60).tell(stop).pass(10);
    assert_eq!(bench.report(&worker).runner, RunnerState::Stopped);
}

#[test]
fn a_first_request_makes_the_row_and_forget_deletes_it() {
    let mut bench = TestBench::new(scenario());
    let worker = bench.serving();
    let system_id = SystemId::of(&worker);
    assert_eq!(bench.world.rows().collect::<Vec<_>>(), vec![(&system_id, &worker)]);
    bench
        .tell(Command::Terminate(vec![Termination {
            worker: worker.clone(),
            reason: EndReason::Drained(DrainReason::Paused),
        }]))
        .pass(90);
    bench.tell(Command::Forget { worker: worker.clone(), runner: RunnerName::new("spot"), system_id }).pass(5);
    assert_eq!(bench.world.rows().count(), 0);
    assert!(bench.heard.contains(&Event::Forgotten { worker, outcome: Ok(()) }));
}

#[test]
fn a_token_launches_once_and_answers_alike() {
    let mut bench = TestBench::new(scenario());
    bench.launch("t", 2).pass(5).launch("t", 2).pass(5);
    let answers = bench.answers();
    assert_eq!(answers.len(), 2);
    assert_eq!(answers[0], answers[1]);
    assert_eq!(bench.world.machines().count(), 2);
}

#[test]
fn a_token_with_another_request_is_refused() {
    let mut bench = TestBench::new(scenario());
    bench.launch("t", 2).pass(5).launch("t", 3).pass(5);
    let second = bench.answers()[1];
    assert_eq!((second.errors[0].class, second.launched.len()), (LaunchErrorClass::Invalid, 0));
    assert_eq!(bench.world.machines().count(), 2);
}

#[test]
fn a_shortage_gives_what_there_is_and_names_the_rest() {
    let mut scenario = scenario();
    let (from, until) = (Duration::ZERO, Duration::from_secs(60));
    scenario.shortages = vec![Shortage { market: None, instance_type: None, zone: None, from, until, room: 2 }];
    let mut bench = TestBench::new(scenario);
    bench.launch("t", 5).pass(5);
    let answer = bench.answers()[0];
    assert_eq!((answer.launched.len(), answer.errors.len(), answer.leftover), (2, 4, Leftover::None));
    bench.pass(60).launch("u", 3).pass(5);
    assert_eq!(bench.answers()[1].launched.len(), 3);
}

#[test]
fn listings_lag_behind_and_show_the_ended_for_an_hour() {
    let listed = |bench: &mut TestBench| {
        bench.heard.clear();
        bench.tell(Command::ListInstances { with_health: false }).pass(1);
        match bench.heard.iter().find(|event| matches!(event, Event::Instances { .. })) {
            Some(Event::Instances { listing: Ok(listing), .. }) => listing.iter().map(|one| one.state).collect(),
            other => panic!("no listing: {other:?}"),
        }
    };
    let mut bench = TestBench::new(scenario());
    bench.launch("t", 8);
    let fresh: Vec<InstanceState> = listed(&mut bench);
    assert!(fresh.len() < 8, "all are shown at once");
    bench.pass(60);
    assert_eq!(listed(&mut bench), vec![InstanceState::Running; 8]);
    let all = bench
        .world
        .machines()
        .map(|(id, _)| Termination { worker: id.clone(), reason: EndReason::Drained(DrainReason::Paused) })
        .collect();
    bench.tell(Command::Terminate(all)).pass(120);
    assert_eq!(listed(&mut bench), vec![InstanceState::Terminated; 8]);
    bench.pass(3700);
    assert_eq!(listed(&mut bench), vec![]);
}

#[test]
fn a_spot_notice_comes_two_minutes_before_the_end() {
    let mut scenario = scenario().with_jobs([job(0, 900)]);
    scenario.interruptions = vec![Duration::from_secs(200)];
    let mut bench = TestBench::new(scenario);
    let worker = bench.serving();
    bench.pass(75);
    assert!(bench.report(&worker).interruption.is_some());
    assert_eq!(bench.state(1001), JobState::Running);
    bench.pass(120);
    assert_eq!(bench.state(1001), JobState::Killed(Killer::Interruption));
    assert_eq!(bench.world.machines().next().unwrap().1.ending, Some(Ending::Interrupted));
}

#[test]
fn a_failed_job_is_retried_once() {
    let mut scenario = scenario().with_jobs([job(0, 900)]);
    scenario.interruptions = vec![Duration::from_secs(200)];
    scenario.runner_mut().unwrap().retry_interrupted = true;
    let mut bench = TestBench::new(scenario);
    let worker = bench.serving();
    let server = bench.world.scenario.settings.runners[0].server.clone();
    let (runner, project) = (RunnerName::new("spot"), runner_fleet_engine::ProjectId(1));
    let retry = Command::Retry { worker, runner, runner_id: 1, server, project, job: JobId(1001) };
    bench.pass(100).tell(retry.clone()).pass(5);
    assert_eq!(bench.retried(), [RetryOutcome::StillRuns]);
    bench.pass(195).tell(retry.clone()).pass(5);
    assert_eq!(bench.state(1002), JobState::Pending);
    bench.tell(retry).pass(5);
    assert_eq!(bench.world.jobs().count(), 2);
    assert!(matches!(bench.retried().as_slice(), [_, RetryOutcome::Queued(JobId(1002)), RetryOutcome::NotNeeded(_)]));
}

#[test]
fn gitlab_retries_a_lost_job_as_its_yaml_says() {
    let mut scenario = scenario().with_jobs([JobSpec { retries: 1, ..job(0, 900) }]);
    scenario.interruptions = vec![Duration::from_secs(200)];
    let mut bench = TestBench::new(scenario);
    bench.serving();
    bench.pass(300);
    assert_eq!(bench.state(1001), JobState::Killed(Killer::Interruption));
    assert_eq!(bench.state(1002), JobState::Pending);
    assert_eq!(bench.world.gitlab.jobs[&JobId(1002)].spec.retries, 0);
}

#[test]
fn a_crash_of_the_manager_loses_its_answers_and_no_job() {
    let mut bench = TestBench::new(scenario().with_jobs([job(0, 300)]));
    let worker = bench.serving();
    let now = bench.world.now();
    bench.launch("u", 1);
    bench.world.manager_dies(now);
    bench.heard.clear();
    bench.pass(60);
    assert!(bench.heard.is_empty(), "{:?}", bench.heard);
    assert_eq!(bench.world.machines().count(), 2, "the call was on its way");
    let now = bench.world.now();
    bench.world.manager_starts(now);
    let (runner, address) = (RunnerName::new("spot"), std::net::Ipv4Addr::new(10, 0, 0, 1).into());
    bench.tell(Command::Connect { worker: worker.clone(), runner, address, want: None }).pass(10);
    assert_eq!(bench.report(&worker).jobs(), 1);
    bench.pass(300);
    assert_eq!(bench.state(1001), JobState::Succeeded);
}

#[test]
fn a_worker_without_a_manager_ends_itself_after_its_job() {
    let mut scenario = scenario().with_jobs([job(0, 1200)]);
    scenario.settings.runners[0].orphan_timeout = Duration::from_secs(600);
    let mut bench = TestBench::new(scenario);
    bench.serving();
    let now = bench.world.now();
    bench.world.manager_dies(now);
    bench.pass(900);
    assert_eq!(bench.world.live().count(), 1);
    bench.pass(600);
    assert_eq!((bench.state(1001), bench.world.live().count()), (JobState::Succeeded, 0));
}

#[test]
fn listings_and_looks_fail_when_told_to() {
    let faults = Faults { listing_fails: 1.0, queue_fails: 1.0, preparation_fails: 1.0, ..Faults::default() };
    let mut bench = faulty(faults);
    bench.tell(Command::ListInstances { with_health: false }).pass(10);
    assert!(bench.heard.iter().any(|e| matches!(e, Event::Instances { listing: Err(_), .. })));
    assert!(bench.heard.iter().any(|e| matches!(e, Event::Queue { snapshot: Err(_), .. })));
    assert!(bench.heard.iter().any(|e| matches!(e, Event::LaunchPlan { plan: Err(_), .. })));
    assert!(bench.heard.iter().any(|e| matches!(e, Event::Runner { facts: Err(_), .. })));
    assert!(!bench.heard.iter().any(|e| matches!(e, Event::Queue { snapshot: Ok(_), .. })));
}

#[test]
fn a_partial_look_says_so() {
    let mut bench = faulty(Faults { queue_partial: 1.0, ..Faults::default() });
    bench.pass(10);
    let complete = |event: &Event| matches!(event, Event::Queue { snapshot: Ok(snapshot), .. } if snapshot.complete);
    assert!(bench.heard.iter().any(|e| matches!(e, Event::Queue { snapshot: Ok(_), .. })));
    assert!(!bench.heard.iter().any(complete));
}

#[test]
fn answers_are_lost_late_or_doubled_when_told_to() {
    let listings = |faults, seconds| {
        let mut bench = faulty(faults);
        bench.tell(Command::ListInstances { with_health: false }).pass(seconds);
        bench.heard.iter().filter(|event| matches!(event, Event::Instances { .. })).count()
    };
    assert_eq!(listings(Faults::default(), 1), 1);
    assert_eq!(listings(Faults { answer_lost: 1.0, ..Faults::default() }, 60), 0);
    assert_eq!(listings(Faults { answer_late: 1.0, ..Faults::default() }, 1), 0);
    assert_eq!(listings(Faults { answer_late: 1.0, ..Faults::default() }, 60), 1);
    assert_eq!(listings(Faults { answer_doubled: 1.0, ..Faults::default() }, 60), 2);
}

#[test]
fn launches_fail_in_each_way_when_told_to() {
    let answer = |faults| {
        let mut bench = faulty(faults);
        bench.launch("t", 1).pass(60);
        (bench.answers()[0].clone(), bench.world.machines().count())
    };
    let (refused, made) = answer(Faults { no_capacity: 1.0, ..Faults::default() });
    assert_eq!((refused.errors[0].class, refused.errors.len(), made), (LaunchErrorClass::Capacity, 4, 0));
    let (throttled, made) = answer(Faults { throttled: 1.0, ..Faults::default() });
    assert_eq!((throttled.errors[0].class, throttled.leftover, made), (LaunchErrorClass::Slow, Leftover::None, 0));

    let made: Vec<usize> = (1..10)
        .map(|seed| {
            let faults = Faults { launch_unanswered: 1.0, ..Faults::default() };
            let mut bench = TestBench::seeded(scenario().with_faults(faults), seed);
            bench.launch("t", 1).pass(60);
            assert_eq!(bench.answers()[0].leftover, Leftover::Possible);
            bench.world.machines().count()
        })
        .collect();
    assert!(made.contains(&0) && made.contains(&1), "{made:?}");
}

#[test]
fn a_failed_terminate_leaves_the_worker_and_says_so() {
    let mut bench = faulty(Faults { terminate_fails: 1.0, forget_fails: 1.0, ..Faults::default() });
    let worker = bench.serving();
    bench
        .tell(Command::Terminate(vec![Termination {
            worker: worker.clone(),
            reason: EndReason::Drained(DrainReason::Paused),
        }]))
        .pass(5);
    assert!(bench.heard.iter().any(|event| matches!(event, Event::TerminateFailed { .. })));
    assert_eq!(bench.world.live().count(), 1);
    let (runner, system_id) = (RunnerName::new("spot"), SystemId::of(&worker));
    bench.tell(Command::Forget { worker, runner, system_id }).pass(5);
    assert!(bench.heard.iter().any(|event| matches!(event, Event::Forgotten { outcome: Err(_), .. })));
}

/// Launches one worker, connects to it, waits, and returns how it stands.
fn booted(faults: Faults, seconds: u64) -> (TestBench, WorkerId) {
    let mut bench = faulty(faults);
    bench.launch("t", 1).pass(10);
    let worker = bench.answers()[0].launched[0].id.clone();
    let (runner, address) = (RunnerName::new("spot"), std::net::Ipv4Addr::new(10, 0, 0, 1).into());
    bench.tell(Command::Connect { worker: worker.clone(), runner, address, want: None }).pass(seconds);
    (bench, worker)
}

#[test]
fn boots_go_wrong_in_each_way_when_told_to() {
    let (bench, worker) = booted(Faults::default(), 100);
    assert_eq!(bench.world.hosts[&worker].runner_state, RunnerState::Serving);
    let (bench, worker) = booted(Faults { boot_slow: 1.0, ..Faults::default() }, 80);
    assert_eq!(bench.world.hosts[&worker].runner_state, RunnerState::Absent);
    let (bench, worker) = booted(Faults { boot_hangs: 1.0, ..Faults::default() }, 1200);
    assert_eq!(bench.world.hosts[&worker].runner_state, RunnerState::Absent);
    let (bench, _) = booted(Faults { boot_fails: 1.0, ..Faults::default() }, 120);
    assert_eq!(bench.world.machines().next().unwrap().1.ending, Some(Ending::PoweredOff));
    let (bench, worker) = booted(Faults { wrong_host_key: 1.0, ..Faults::default() }, 60);
    assert!(matches!(bench.down(&worker), Some(ConnectionFailure::WrongHostKey(_))));
}

#[test]
fn workers_get_into_each_trouble_when_told_to() {
    let often = 200.0;
    let (bench, worker) = booted(Faults { host_deaths_per_hour: often, ..Faults::default() }, 600);
    assert!(bench.faults_seen("host dies") && !bench.world.hosts[&worker].alive);
    assert_eq!(bench.world.live().count(), 1, "EC2 still says that it runs");
    let (bench, worker) = booted(Faults { silences_per_hour: often, ..Faults::default() }, 600);
    assert!(bench.faults_seen("silent") && bench.world.hosts[&worker].alive);
    let (bench, worker) = booted(Faults { breaks_per_hour: often, ..Faults::default() }, 600);
    assert!(bench.faults_seen("connection breaks"));
    assert!(matches!(bench.down(&worker), Some(ConnectionFailure::Unreachable(_))));
    let (bench, worker) = booted(Faults { runner_crashes_per_hour: 50.0, ..Faults::default() }, 3600);
    assert_eq!(bench.report(&worker).runner, RunnerState::Failed);
    let (bench, _) = booted(Faults { interruptions_per_hour: often, ..Faults::default() }, 600);
    assert_eq!(bench.world.machines().next().unwrap().1.ending, Some(Ending::Interrupted));
}

#[test]
fn people_hold_workers_and_cancel_jobs_when_told_to() {
    let faults = Faults { holds_per_hour: 100.0, cancels_per_hour: 100.0, ..Faults::default() };
    let mut bench = TestBench::new(scenario().with_jobs([job(200, 3000), job(200, 3000)]).with_faults(faults));
    bench.serving();
    bench.pass(900);
    let facts = &bench.world.log.facts;
    assert!(facts.iter().any(|(_, fact)| matches!(fact, Fact::Hold(_, true))));
    assert!(facts.iter().any(|(_, fact)| matches!(fact, Fact::JobKilled { by: Killer::Person, .. })));
}

#[test]
fn the_manager_crashes_and_stands_still_when_told_to() {
    let faults = Faults {
        until: Duration::from_secs(3600),
        manager_crashes_per_hour: 20.0,
        clock_jumps_per_hour: 10.0,
        ..Faults::default()
    };
    let mut starts = 0;
    let scenario = scenario().with_jobs([job(0, 30)]).with_faults(faults);
    let end = simulate(3, &scenario, |_, seed, _| {
        starts += 1;
        Plain::new(Vice::None, seed)
    });
    let world = end.map_or_else(|broken| broken.world, |outcome| outcome.world);
    assert!(starts > 3, "{starts} starts");
    assert!(world.log.facts.iter().any(|(_, fact)| matches!(fact, Fact::Fault("the manager stands still", None))));
}

#[test]
fn nothing_goes_wrong_any_more_once_it_is_calm() {
    let mut faults = Faults::rough(Duration::ZERO);
    faults.interruptions_per_hour = 100.0;
    let (bench, worker) = booted(faults, 900);
    assert_eq!(bench.world.hosts[&worker].runner_state, RunnerState::Serving);
    assert!(!bench.faults_seen(""));
}

#[test]
fn a_world_whose_prices_differ_tells_them_as_they_are_paid() {
    let told = |price_seed| {
        let mut bench = TestBench::new(Scenario { price_seed, ..scenario() });
        bench.pass(2);
        let polls = bench.heard.iter().filter_map(|event| match event {
            Event::Prices(snapshot) => Some(snapshot.clone()),
            _ => None,
        });
        polls.collect::<Vec<_>>()
    };
    assert_eq!(told(None), []);
    let snapshot = told(Some(3)).remove(0);
    assert_eq!(snapshot.region, "eu-central-1");
    let scenario = scenario();
    let places = &scenario.plans[&RunnerName::new("spot")].places;
    let spot = snapshot.spot.unwrap();
    assert_eq!(spot.len(), places.len());
    for place in places {
        let paid = crate::prices::rate(Some(3), &place.on(Market::Spot), scenario.start);
        assert_eq!(spot[&(place.instance_type.clone(), place.zone.clone())].to_bits(), paid.to_bits());
    }
}

/// A world in which an earlier installation has left a template of this runner, one of a runner that is gone, and a key.
fn inherited(faults: Faults, seed: u64) -> TestBench {
    let mut scenario = scenario().with_faults(faults);
    let templates = [("former", "spot"), ("bygone", "bygone")];
    scenario.inherited = Inventory {
        key_pairs: [KeyPairName::new("lost")].into(),
        templates: templates.map(|(name, runner)| (TemplateName::new(name), RunnerName::new(runner))).into(),
    };
    TestBench::seeded(scenario, seed)
}

/// The template that launches need at first, and the key pair.
fn needed(bench: &TestBench) -> Inventory {
    let (runner, plan) = bench.world.scenario.plans.iter().next().unwrap();
    Inventory { key_pairs: [key_pair()].into(), templates: [(plan.template.clone(), runner.clone())].into() }
}

#[test]
fn launch_needs_are_made_first_and_the_rest_goes_later() {
    let mut bench = inherited(Faults::default(), 1);
    bench.pass(3);
    assert!(bench.heard.iter().any(|event| matches!(event, Event::LaunchPlan { plan: Ok(_), .. })));
    let there = bench.world.inventory();
    assert_eq!((there.templates.len(), there.key_pairs.len()), (3, 2));
    bench.pass(40);
    assert_eq!(bench.world.inventory(), needed(&bench));
}

#[test]
fn a_call_that_fails_is_made_again_whether_it_worked_or_not() {
    for seed in 0..20 {
        let faults = Faults { chore_fails: 0.7, until: Duration::from_secs(600), ..Faults::default() };
        let mut bench = inherited(faults, seed);
        bench.pass(1000);
        assert_eq!(bench.world.inventory(), needed(&bench), "seed {seed}");
    }
}

#[test]
fn a_manager_that_dies_leaves_what_the_next_one_deletes() {
    let mut bench = inherited(Faults::default(), 1);
    bench.pass(10);
    let now = bench.world.now();
    bench.world.manager_dies(now);
    bench.pass(600);
    assert_eq!(bench.world.inventory().templates.len(), 3);
    bench.world.manager_starts(later(now, Duration::from_secs(600)));
    bench.pass(60);
    assert_eq!(bench.world.inventory(), needed(&bench));
}

#[test]
fn a_launch_from_what_is_gone_is_refused_and_has_it_made_again() {
    for (action, code) in [
        (
            ResourceAction::DeleteTemplate(needed(&TestBench::new(scenario())).templates.into_keys().next().unwrap()),
            "Template",
        ),
        (ResourceAction::DeleteKeyPair(key_pair()), "KeyPair"),
    ] {
        let mut bench = TestBench::new(scenario());
        bench.pass(60);
        let now = bench.world.now();
        bench.world.stock.carry_out(&action, &RunnerName::new("spot"), now);
        bench.launch("t", 1).pass(10);
        let refused = &bench.answers()[0].errors[0];
        assert!(refused.code.contains(code) && refused.class == LaunchErrorClass::Invalid, "{refused:?}");
        bench.pass(60).launch("again", 1).pass(10);
        assert_eq!(bench.answers()[1].launched.len(), 1, "{code}");
    }
}

#[test]
fn people_delete_by_hand_when_told_to() {
    let mut bench = faulty(Faults { deletions_by_hand_per_hour: 60.0, ..Faults::default() });
    bench.pass(1200);
    let by_hand = |(_, fact): &(Timestamp, Fact)| matches!(fact, Fact::Administered(what) if what.contains("by hand"));
    assert!(bench.world.log.facts.iter().any(by_hand));
}

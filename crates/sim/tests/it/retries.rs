//! `retry_interrupted`: a job that EC2 took away is queued again once; one that ended by itself is not.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{
    Command, Event, Instance, InstanceState, JobId, ProjectId, Report, RetryOutcome, RunnerSettings, Server, WorkerId,
};
use runner_fleet_sim::run::run;
use runner_fleet_sim::scenario::JobSpec;
use runner_fleet_sim::{Faults, JobState, Outcome, Scenario};

use super::bench::{SERVER, TestBench, bad_gateway, forbidden, runner, serving, taken_back};

/// A world with one interruption after 200 s, and a job that runs for so long.
fn interrupted(takes: u64, faults: Faults, seed: u64) -> Outcome {
    let job = JobSpec::new(Duration::ZERO, Duration::from_secs(takes));
    let mut scenario = Scenario::new(Timestamp::UNIX_EPOCH).with_jobs([job]).with_faults(faults);
    scenario.interruptions = vec![Duration::from_secs(200)];
    scenario.runner_mut().unwrap().retry_interrupted = true;
    run(seed, &scenario).unwrap()
}

#[test]
fn a_job_on_an_interrupted_worker_is_retried_once_and_succeeds() {
    let outcome = interrupted(900, Faults::default(), 1);
    let states: Vec<JobState> = outcome.world.jobs().map(|(_, job)| job.state).collect();
    assert!(matches!(states.as_slice(), [JobState::Killed(_), JobState::Succeeded]), "{states:?}");
}

#[test]
fn a_job_that_finishes_in_its_two_minutes_is_not_retried() {
    let outcome = interrupted(200, Faults::default(), 1);
    let states: Vec<JobState> = outcome.world.jobs().map(|(_, job)| job.state).collect();
    assert_eq!(states, [JobState::Succeeded]);
}

#[test]
fn bad_answers_retry_nothing_twice_and_forget_nothing() {
    let faults = Faults {
        until: Duration::from_secs(1800),
        answer_lost: 0.4,
        answer_late: 0.2,
        answer_doubled: 0.3,
        retry_fails: 0.4,
        ..Faults::default()
    };
    for seed in 0..60 {
        // The world's own check says when a job is retried that may not be.
        let outcome = interrupted(900, faults.clone(), seed);
        for (id, job) in outcome.world.jobs() {
            let lost = matches!(job.state, JobState::Killed(_));
            assert_eq!(job.retried_as.is_some(), lost, "seed {seed}, job {id}: {job:?}");
        }
    }
}

/// A worker under notice, with job 7 of project 70.
fn under_notice() -> (TestBench, WorkerId, Report) {
    let mut bench = TestBench::with(vec![RunnerSettings { retry_interrupted: true, ..runner() }]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.queue(&[]);
    let interruption = Some(bench.now.saturating_add(Duration::from_secs(120)).unwrap());
    let projects = BTreeMap::from([(JobId(7), ProjectId(70))]);
    let report = Report { interruption, job_ids: [JobId(7)].into(), projects, ..serving(1) };
    assert_eq!(asked(&bench.report(&worker, report.clone())), []);
    (bench, worker, report)
}

fn asked(commands: &[Command]) -> Vec<(JobId, ProjectId)> {
    let of = |command: &Command| match command {
        Command::Retry { job, project, .. } => Some((*job, *project)),
        _ => None,
    };
    commands.iter().filter_map(of).collect()
}

fn answer(bench: &mut TestBench, outcome: RetryOutcome) -> Vec<Command> {
    bench.step(vec![Event::Retried { server: Server::new(SERVER), job: JobId(7), outcome }])
}

#[test]
fn gitlab_is_asked_once_the_job_has_left_until_it_knows() {
    let (mut bench, worker, report) = under_notice();
    bench.pass(80);
    let ended = Report { job_ids: [].into(), projects: BTreeMap::new(), ..report };
    assert_eq!(asked(&bench.report(&worker, ended)), [(JobId(7), ProjectId(70))]);
    assert_eq!(asked(&answer(&mut bench, RetryOutcome::StillRuns)), []);
    bench.pass(11);
    assert_eq!(asked(&bench.list()), [(JobId(7), ProjectId(70))]);
    answer(&mut bench, RetryOutcome::Failed(bad_gateway()));
    bench.pass(11);
    assert_eq!(asked(&bench.list()), [], "ever more rarely");
    bench.pass(11);
    assert_eq!(asked(&bench.list()), [(JobId(7), ProjectId(70))]);
    answer(&mut bench, RetryOutcome::Queued(JobId(8)));
    for _ in 0..20 {
        bench.pass(60);
        assert_eq!(asked(&bench.list()), []);
    }
    assert_eq!(bench.engine.snapshot().totals.jobs_retried, 1);
}

#[test]
fn a_silent_interruption_is_followed_up_from_the_report() {
    let (mut bench, worker, report) = under_notice();
    bench.report(&worker, Report { interruption: None, ..report });
    bench.pass(5);
    let gone = |instance: &Instance| Instance {
        state: InstanceState::Terminated,
        state_reason: Some(taken_back()),
        ..instance.clone()
    };
    bench.instances = bench.instances.iter().map(gone).collect();
    assert_eq!(asked(&bench.list()), [(JobId(7), ProjectId(70))]);
}

#[test]
fn a_workers_row_is_kept_until_its_lost_jobs_are_asked_about() {
    let (mut bench, worker, _) = under_notice();
    let forgets = |commands: &[Command]| commands.iter().any(|command| matches!(command, Command::Forget { .. }));
    let gone =
        Instance { state: InstanceState::Terminated, state_reason: Some(taken_back()), ..bench.instances[0].clone() };
    assert_eq!(gone.id, worker);
    bench.instances = vec![gone];

    let commands = bench.list();
    assert_eq!((asked(&commands).len(), forgets(&commands)), (1, false), "GitLab tells by its row what ran there");
    bench.pass(15);
    assert!(!forgets(&answer(&mut bench, RetryOutcome::StillRuns)));
    bench.pass(15);
    assert!(forgets(&answer(&mut bench, RetryOutcome::Queued(JobId(8)))));
}

#[test]
fn a_refusal_is_told_once_and_our_retry_not_retried() {
    let (mut bench, worker, report) = under_notice();
    let both = Report {
        job_ids: [JobId(7), JobId(9)].into(),
        projects: [(JobId(7), ProjectId(70)), (JobId(9), ProjectId(70))].into(),
        ..report.clone()
    };
    bench.report(&worker, both);
    bench.pass(5);
    let ended = Report { job_ids: [].into(), projects: BTreeMap::new(), ..report };
    assert_eq!(asked(&bench.report(&worker, ended)).len(), 2);
    answer(&mut bench, RetryOutcome::Refused(forbidden()));
    let other =
        Event::Retried { server: Server::new(SERVER), job: JobId(9), outcome: RetryOutcome::Refused(forbidden()) };
    bench.step(vec![other]);
    let told =
        bench.engine.snapshot().decisions.iter().filter(|decision| decision.text.contains("cannot be retried")).count();
    assert_eq!(told, 1);

    let (mut bench, worker, report) = under_notice();
    let next = Report { job_ids: [JobId(8)].into(), projects: [(JobId(8), ProjectId(70))].into(), ..report.clone() };
    bench.report(&worker, Report { job_ids: [].into(), projects: BTreeMap::new(), ..report });
    answer(&mut bench, RetryOutcome::Queued(JobId(8)));
    bench.report(&worker, next.clone());
    assert_eq!(asked(&bench.report(&worker, Report { job_ids: [].into(), projects: BTreeMap::new(), ..next })), []);
}

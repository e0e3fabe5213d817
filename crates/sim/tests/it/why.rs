//! "Why is my job waiting?" has one sentence of answer.

use std::collections::BTreeSet;

use runner_fleet_engine::snapshot::JobState;
use runner_fleet_engine::{
    Event, FleetSnapshot, JobId, PendingJob, QueueSnapshot, Report, RunnerName, RunnerSettings, Server, TroubleClass,
};

use super::stage::{RUNNER, SERVER, Stage, bad_gateway, facts, launches, runner, serving};

fn why(stage: &Stage, job: u64) -> (JobState, String) {
    let job_statuses = stage.engine.job_statuses(JobId(job));
    assert_eq!(job_statuses.len(), 1, "{job_statuses:?}");
    (job_statuses[0].state, job_statuses[0].reason.text.clone())
}

fn says(stage: &Stage, job: u64, words: &str) {
    let (_, why) = why(stage, job);
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_jobs_way_in_sentences() {
    let mut stage = Stage::with(vec![RunnerSettings { max_workers: 1, ..runner() }]);
    says(&stage, 1, "the queue is not known: the first poll of the queue is awaited");
    let commands = stage.queue(&[1, 2]);
    says(&stage, 1, "a launch has been on its way for 0s; more are not launched: all 1 workers of max_workers exist");
    let worker = stage.grant(&launches(&commands)[0]).remove(0);
    stage.list();
    stage.pass(40);
    stage.queue(&[1, 2]);
    says(&stage, 2, &format!("waits for {worker}, booting for 40s (waiting for SSH); more are not"));
    stage.report(&worker, serving(0));
    stage.queue(&[1]);
    says(&stage, 1, &format!("{worker} has a free slot and takes it at its next request"));
    stage.report(&worker, Report { job_ids: [JobId(1)].into(), ..serving(1) });
    assert_eq!(why(&stage, 1), (JobState::Running, format!("it runs on {worker}, a worker of {RUNNER}")));
    stage.queue(&[]);
    assert_eq!(why(&stage, 9).0, JobState::Unknown);
    says(&stage, 9, "is not among the jobs that wait");
    stage.queue(&[3]);
    stage.pass(60);
    stage.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Err(bad_gateway()) }]);
    says(&stage, 3, "the queue could not be read for 1m: 502 Bad Gateway");
}

#[test]
fn a_job_that_nobody_may_take_says_what_every_runner_lacks() {
    let mut stage = Stage::with(vec![runner()]);
    let tagged = PendingJob { tags: BTreeSet::from(["gpu".to_owned()]), ..stage.job(1) };
    let snapshot = QueueSnapshot { as_of: stage.now, jobs: vec![tagged], complete: true };
    stage.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }]);
    says(&stage, 1, "no runner here may take it: graviton has no tag gpu");
    let protected = runner_fleet_engine::RunnerFacts { protected_only: true, ..facts() };
    stage.step(vec![Event::Runner { runner: RunnerName::new(RUNNER), facts: Ok(protected) }]);
    let open = PendingJob { protected: Some(false), ..stage.job(2) };
    let snapshot = QueueSnapshot { as_of: stage.now, jobs: vec![open], complete: true };
    stage.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }]);
    says(&stage, 2, "takes jobs of protected refs only");
}

#[test]
fn the_picture_is_bounded_and_counts_all() {
    let mut stage = Stage::with(vec![runner()]);
    let ids: Vec<u64> = (1..=3_000).collect();
    stage.queue(&ids);
    let snapshot = stage.engine.snapshot();
    assert_eq!(
        (snapshot.jobs.len(), snapshot.waiting.total, snapshot.waiting.unmatched),
        (FleetSnapshot::JOBS_MAX, 3_000, 0)
    );
}

#[test]
fn an_unknown_queue_alone_holds_nothing_back() {
    let mut stage = Stage::with(vec![runner()]);
    stage.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Err(bad_gateway()) }]);
    let snapshot = stage.engine.snapshot();
    assert_eq!(snapshot.runners[0].held_back, None);
    let trouble = snapshot.runners[0].queue.trouble().unwrap();
    assert_eq!(trouble.class, TroubleClass::ServerError);
}

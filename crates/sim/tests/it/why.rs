//! "Why is my job waiting?" has one sentence of answer.

use std::collections::BTreeSet;

use runner_fleet_engine::snapshot::JobState;
use runner_fleet_engine::{
    Event, FailureClass, FleetSnapshot, JobId, PendingJob, ProjectPath, QueueSnapshot, Report, RunnerName,
    RunnerSettings, Server,
};

use super::bench::{RUNNER, SERVER, TestBench, bad_gateway, facts, launches, runner, serving};

fn why(bench: &TestBench, job: u64) -> (JobState, String) {
    let job_statuses = bench.engine.job_statuses(JobId(job));
    assert_eq!(job_statuses.len(), 1, "{job_statuses:?}");
    (job_statuses[0].state, job_statuses[0].reason.text.clone())
}

fn says(bench: &TestBench, job: u64, words: &str) {
    let (_, why) = why(bench, job);
    assert!(why.contains(words), "{why}");
}

#[test]
fn a_jobs_way_in_sentences() {
    let mut bench = TestBench::with(vec![RunnerSettings { max_workers: 1, ..runner() }]);
    says(&bench, 1, "the queue is not known: the first poll of the queue is awaited");
    let commands = bench.queue(&[1, 2]);
    says(&bench, 1, "a launch has been on its way for 0s");
    says(&bench, 2, "no worker is launched: all 1 workers of max_workers exist");
    let worker = bench.grant(&launches(&commands)[0]).remove(0);
    bench.list();
    bench.pass(40);
    bench.queue(&[1, 2]);
    says(&bench, 1, &format!("waits for {worker}, booting for 40s (waiting for SSH)"));
    says(&bench, 2, "no worker is launched: all 1 workers of max_workers exist");
    bench.report(&worker, serving(0));
    bench.queue(&[1]);
    says(&bench, 1, &format!("{worker} has a free slot and takes it at its next request"));
    bench.report(&worker, Report { job_ids: [JobId(1)].into(), ..serving(1) });
    assert_eq!(why(&bench, 1), (JobState::Running, format!("it runs on {worker}, a worker of {RUNNER}")));
    bench.queue(&[]);
    assert_eq!(why(&bench, 9).0, JobState::Unknown);
    says(&bench, 9, "is not among the jobs that wait");
    bench.queue(&[3]);
    bench.pass(60);
    bench.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Err(bad_gateway()) }]);
    says(&bench, 3, "the queue could not be read for 1m: 502 Bad Gateway");
}

#[test]
fn a_job_that_nobody_may_take_says_what_every_runner_lacks() {
    let mut bench = TestBench::with(vec![runner()]);
    let tagged = PendingJob { tags: BTreeSet::from(["gpu".to_owned()]), ..bench.job(1) };
    let snapshot = QueueSnapshot { as_of: bench.now, jobs: vec![tagged], complete: true, blind: 0 };
    bench.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }]);
    says(&bench, 1, "no runner here may take it: graviton has no tag gpu");
    let protected = runner_fleet_engine::RunnerFacts { protected_only: true, ..facts() };
    bench.step(vec![Event::Runner { runner: RunnerName::new(RUNNER), facts: Ok(protected) }]);
    let open = PendingJob { protected: Some(false), ..bench.job(2) };
    let snapshot = QueueSnapshot { as_of: bench.now, jobs: vec![open], complete: true, blind: 0 };
    bench.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }]);
    says(&bench, 2, "takes jobs of protected refs only");
}

#[test]
fn the_picture_is_bounded_and_counts_all() {
    let mut bench = TestBench::with(vec![runner()]);
    let ids: Vec<u64> = (1..=3_000).collect();
    bench.queue(&ids);
    let snapshot = bench.engine.snapshot();
    assert_eq!(
        (snapshot.jobs.len(), snapshot.waiting.total, snapshot.waiting.unmatched),
        (FleetSnapshot::JOBS_MAX, 3_000, 0)
    );
}

#[test]
fn an_unknown_queue_alone_holds_nothing_back() {
    let mut bench = TestBench::with(vec![runner()]);
    bench.step(vec![Event::Queue { server: Server::new(SERVER), snapshot: Err(bad_gateway()) }]);
    let snapshot = bench.engine.snapshot();
    assert_eq!(snapshot.runners[0].held_back, None);
    let failure = snapshot.runners[0].queue.failure().unwrap();
    assert_eq!(failure.class, FailureClass::ServerError);
}

#[test]
fn a_waiting_job_is_linked_where_its_path_is_known() {
    let mut bench = TestBench::with(vec![runner()]);
    let told = PendingJob { project_path: ProjectPath::new("acme/build"), ..bench.job(7) };
    bench.queue_of(vec![told, bench.job(8)]);
    let links: Vec<_> = bench.engine.snapshot().jobs.into_iter().map(|job| job.url).collect();
    assert_eq!(links, [Some(format!("{SERVER}/acme/build/-/jobs/7")), None]);
}

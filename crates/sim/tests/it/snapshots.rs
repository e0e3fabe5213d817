//! What people are shown: a failed ECR login, with its cause, for as long as it helps.

use runner_fleet_engine::{EcrError, Report, WorkerId};

use super::bench::{TestBench, runner, serving};

fn with_worker() -> (TestBench, WorkerId) {
    let mut bench = TestBench::with(vec![runner()]);
    let worker = bench.with_ready_workers(1).remove(0);
    (bench, worker)
}

#[test]
fn a_failed_ecr_login_is_shown_for_an_hour() {
    let (mut bench, worker) = with_worker();
    let error = EcrError { at: Some(bench.now), text: "Error retrieving credentials: denied".into() };
    let report = Report { ecr_error: Some(error.clone()), ..serving(0) };

    bench.report(&worker, report.clone());
    assert_eq!(bench.engine.snapshot().workers[0].ecr_error, Some(error.clone()));

    bench.pass(3601);
    bench.report(&worker, report);
    let snapshot = bench.engine.snapshot();
    assert_eq!(snapshot.workers.first().and_then(|worker| worker.ecr_error.clone()), None);
}

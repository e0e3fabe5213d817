//! What people are shown: a failed ECR login, with its cause, for as long as it helps.

use runner_fleet_engine::{EcrError, Report, WorkerId};

use super::stage::{Stage, runner, serving};

fn with_worker() -> (Stage, WorkerId) {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    (stage, worker)
}

#[test]
fn a_failed_ecr_login_is_shown_for_an_hour() {
    let (mut stage, worker) = with_worker();
    let error = EcrError { at: Some(stage.now), text: "Error retrieving credentials: denied".into() };
    let report = Report { ecr_error: Some(error.clone()), ..serving(0) };

    stage.report(&worker, report.clone());
    assert_eq!(stage.engine.snapshot().workers[0].ecr_error, Some(error.clone()));

    stage.pass(3601);
    stage.report(&worker, report);
    let snapshot = stage.engine.snapshot();
    assert_eq!(snapshot.workers.first().and_then(|worker| worker.ecr_error.clone()), None);
}

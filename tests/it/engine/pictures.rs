//! What people are shown: the page reads fields that the state really has, and a failed ECR login is shown with its cause
//! for as long as it helps.

use std::time::Duration;

use runner_fleet::engine::view::JobView;
use runner_fleet::engine::{EcrError, JobId, Knowledge, ProjectId, Report, View, WorkerId};
use serde_json::Value;

use super::stage::{Stage, runner, serving};

const PAGE: &str = include_str!("../../../src/http/dashboard.js");

fn with_worker() -> (Stage, WorkerId) {
    let mut stage = Stage::with(vec![runner()]);
    let worker = stage.with_ready_workers(1).remove(0);
    (stage, worker)
}

/// The names behind `variable.` in the page's script.
fn fields_of(variable: &str) -> Vec<&'static str> {
    let dotted = format!("{variable}.");
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let starts = PAGE.match_indices(&dotted).filter(|(at, _)| !PAGE[..*at].ends_with(is_name));
    starts.map(|(at, _)| PAGE[at + dotted.len()..].split(|c| !is_name(c)).next().unwrap()).collect()
}

#[test]
fn the_page_reads_only_what_the_state_has() {
    let (stage, _) = with_worker();
    let mut view: View = stage.engine.view();
    view.jobs.push(JobView {
        id: JobId(1),
        project: ProjectId(2),
        name: "test".into(),
        waited: Duration::from_secs(61),
        runner: None,
        why: "because".into(),
    });
    view.ec2 = Knowledge::Stale { age: Duration::from_secs(5), why: "no answer".into() };
    view.workers[0].ecr_error = Some(EcrError { at: None, text: "denied".into() });
    let state = serde_json::to_value(&view).unwrap();
    let parts: [(&str, &Value); 6] = [
        ("w", &state["workers"][0]),
        ("ecr", &state["workers"][0]["ecr_error"]),
        ("j", &state["jobs"][0]),
        ("r", &state["runners"][0]),
        ("d", &state["decisions"][0]),
        ("known.stale", &state["ec2"]["stale"]),
    ];
    for (variable, value) in parts {
        let fields = fields_of(variable);
        assert!(!fields.is_empty(), "{variable} is not read any more");
        for field in fields {
            assert!(value.get(field).is_some(), "the page reads {variable}.{field}, but there is: {value}");
        }
    }
}

#[test]
fn a_failed_ecr_login_is_shown_for_an_hour() {
    let (mut stage, worker) = with_worker();
    let error = EcrError { at: Some(stage.now), text: "Error retrieving credentials: denied".into() };
    let report = Report { ecr_error: Some(error.clone()), ..serving(0) };

    stage.report(&worker, report.clone());
    assert_eq!(stage.engine.view().workers[0].ecr_error, Some(error.clone()));

    stage.pass(3601);
    stage.report(&worker, report);
    let view = stage.engine.view();
    assert_eq!(view.workers.first().and_then(|worker| worker.ecr_error.clone()), None);
}

//! The pages: all of them answered from the snapshot that the loop published last.

use std::sync::Arc;

use axum::Router;
use axum::extract::{RawQuery, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use jiff::{SignedDuration, Timestamp};
use runner_fleet_engine::{FailureClass, FleetSnapshot, Knowledge, Trouble};

use super::site::Site;
use super::{page, past};

/// The loop steps every second: after 30 missed ones it hangs.
const ALIVE_WITHIN: SignedDuration = SignedDuration::from_secs(30);

/// All pages.
pub fn router(site: Site) -> Router {
    Router::new()
        .route("/", get(page::index))
        .route("/page/{file}", get(page::file))
        .route("/api/v1/about", get(about))
        .route("/metrics", get(metrics))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/api/v1/state", get(state))
        .route("/api/v1/costs", get(costs))
        .route("/api/v1/history", get(past::history))
        .route("/api/v1/events", get(past::events))
        .fallback(|| async {
            let pages = "there is no such page; there are /, /metrics, /healthz, /readyz, /api/v1/state, /api/v1/costs, \
                         /api/v1/history and /api/v1/events\n";
            (StatusCode::NOT_FOUND, pages)
        })
        .layer(axum::middleware::from_fn_with_state(Arc::clone(&site.hosts), super::host::is_checked))
        .with_state(site)
        .layer(axum::middleware::map_response(guarded))
}

/// Headers that every answer carries: nothing is cached, framed, sniffed or loaded from elsewhere.
async fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_SECURITY_POLICY, page::POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::CACHE_CONTROL, "no-store"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn metrics(State(site): State<Site>) -> Response {
    let mut body = String::new();
    match prometheus_client::encoding::text::encode(&mut body, &site.registry) {
        Ok(()) => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            ([(header::CONTENT_TYPE, kind)], body).into_response()
        }
        Err(_) => (StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written\n").into_response(),
    }
}

/// Whether the loop steps.
async fn healthz(State(site): State<Site>) -> Response {
    let age = (site.now)().duration_since(site.snapshot.borrow().at);
    if age <= ALIVE_WITHIN {
        (StatusCode::OK, "alive\n").into_response()
    } else {
        let why = format!("the loop has not stepped for {} s\n", age.as_secs());
        (StatusCode::SERVICE_UNAVAILABLE, why).into_response()
    }
}

/// Whether decisions rest on recent answers.
async fn readyz(State(site): State<Site>) -> Response {
    let snapshot = Arc::clone(&site.snapshot.borrow());
    let troubles = troubles(&snapshot);
    match unready(&snapshot, (site.now)()).as_slice() {
        [] => (StatusCode::OK, format!("ready\n{troubles}")).into_response(),
        reasons => (StatusCode::SERVICE_UNAVAILABLE, reasons.concat() + &troubles).into_response(),
    }
}

/// A line for each trouble. A service that is ready may have some: that boots fail is no reason to restart it.
fn troubles(snapshot: &FleetSnapshot) -> String {
    let line = |trouble: &Trouble| format!("{}: {trouble} (since {:.0})\n", trouble.severity.as_str(), trouble.since);
    snapshot.verdict.troubles.iter().map(line).collect()
}

/// A line for everything that is not known recently enough. The queue of a runner that cannot see one counts as known.
fn unready(snapshot: &FleetSnapshot, now: Timestamp) -> Vec<String> {
    let mut lines = Vec::new();
    if now.duration_since(snapshot.at) > ALIVE_WITHIN {
        lines.push("the loop does not step\n".into());
    }
    match &snapshot.ec2 {
        Knowledge::Known => {}
        Knowledge::Stale { age, failure } => {
            lines.push(format!("EC2 was last listed {} s ago: {failure}\n", age.as_secs()));
        }
        Knowledge::Unknown { failure } => lines.push(format!("EC2 was never listed: {failure}\n")),
    }
    for runner in &snapshot.runners {
        if let Some(failure) = runner.facts.failure().filter(|failure| failure.class == FailureClass::TokenRefused) {
            lines.push(format!("{} cannot ask for jobs: {failure}\n", runner.name));
        }
        match &runner.queue {
            Knowledge::Known => {}
            Knowledge::Stale { age, failure } => {
                lines.push(format!("the queue of {} was last seen {} s ago: {failure}\n", runner.name, age.as_secs()));
            }
            Knowledge::Unknown { failure } => {
                lines.push(format!("the queue of {} was never seen: {failure}\n", runner.name));
            }
        }
    }
    lines
}

async fn costs(State(site): State<Site>, RawQuery(asked): RawQuery) -> Response {
    super::costs::answer(site.costs, asked, (site.now)()).await
}

async fn state(State(site): State<Site>) -> Response {
    let snapshot = Arc::clone(&site.snapshot.borrow());
    axum::Json(snapshot.as_ref()).into_response()
}

async fn about(State(site): State<Site>) -> Response {
    axum::Json(site.about.as_ref()).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::snapshot::{
        Decision, DecisionKind, JobSnapshot, RunnerSnapshot, WorkerSnapshot, WorkerState,
    };
    use runner_fleet_engine::{
        EcrError, Engine, Explained, Failure, FailureClass, HeldBack, InstanceType, JobId, JobReason, Market,
        ProjectId, RunnerName, WorkerId, WorkerReason, Zone,
    };
    use std::time::Duration;

    #[test]
    fn unready_says_what_is_not_known() {
        let start = Timestamp::UNIX_EPOCH;
        let mut snapshot = Engine::new("ci", 1, start).snapshot();
        snapshot.ec2 = Knowledge::Unknown { failure: Failure::awaited("the first listing") };
        assert_eq!(unready(&snapshot, start), ["EC2 was never listed: the first listing is awaited\n"]);
        snapshot.ec2 = Knowledge::Stale { age: Duration::from_secs(70), failure: denied() };
        assert_eq!(unready(&snapshot, start), ["EC2 was last listed 70 s ago: denied\n"]);
        snapshot.ec2 = Knowledge::Known;
        assert!(unready(&snapshot, start).is_empty());
        assert_eq!(unready(&snapshot, start + SignedDuration::from_secs(31)), ["the loop does not step\n"]);
    }

    fn denied() -> Failure {
        Failure::new(FailureClass::Denied, "denied")
    }

    /// A state with one of each thing that the page shows.
    fn full() -> FleetSnapshot {
        let now = Timestamp::UNIX_EPOCH;
        let mut snapshot = Engine::new("ci", 1, now).snapshot();
        snapshot.ec2 = Knowledge::Stale { age: Duration::from_secs(5), failure: denied() };
        snapshot.runners.push(RunnerSnapshot {
            name: RunnerName::new("spot"),
            queue: Knowledge::Known,
            projects_blind: 0,
            facts: Knowledge::Known,
            token_end: None,
            launch_plan: Knowledge::Known,
            running: 0,
            waiting: Some(1),
            idle_wanted: 0,
            idle_ready: 0,
            workers: 1,
            slots: 1,
            max_workers: 4,
            held_back: Some(Explained::at(now, HeldBack::Paused)),
            paused: false,
            forecast: None,
            over_price_cap: Vec::new(),
            outlook: Default::default(),
            promise: Default::default(),
        });
        snapshot.workers.push(WorkerSnapshot {
            id: WorkerId::new("i-1"),
            runner: RunnerName::new("spot"),
            state: WorkerState::Busy,
            reason: Some(Explained::at(
                now,
                WorkerReason::Booting { since: now, step: "docker".into(), failure: None },
            )),
            phase: None,
            jobs: 1,
            job_ids: vec![JobId(1)],
            age: Duration::from_secs(61),
            idle: None,
            instance_type: InstanceType::new("m7g.large"),
            zone: Zone::new("eu-central-1a"),
            market: Market::Spot,
            usd_per_hour: None,
            usd_estimated: None,
            hold: false,
            ecr_error: Some(EcrError { at: None, text: "denied".into() }),
        });
        snapshot.jobs.push(JobSnapshot {
            id: JobId(1),
            project: ProjectId(2),
            project_path: None,
            url: None,
            name: "test".into(),
            waited: Duration::from_secs(61),
            runner: None,
            reason: Explained::at(now, JobReason::NextStep),
        });
        snapshot.decisions.push(Decision {
            at: now,
            kind: DecisionKind::Launch,
            runner: None,
            worker: None,
            reason: None,
            text: "launched".into(),
        });
        snapshot
    }

    /// The names behind `variable.` in the page's script.
    fn fields_of(variable: &str) -> Vec<String> {
        let dotted = format!("{variable}.");
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let script = page::scripts();
        let starts = script.match_indices(&dotted).filter(|(at, _)| !script[..*at].ends_with(is_name));
        starts.map(|(at, _)| script[at + dotted.len()..].split(|c| !is_name(c)).next().unwrap().to_owned()).collect()
    }

    #[test]
    fn the_page_reads_only_what_the_state_has() {
        let state = serde_json::to_value(full()).unwrap();
        let parts = [
            ("w", &state["workers"][0]),
            ("ecr", &state["workers"][0]["ecr_error"]),
            ("j", &state["jobs"][0]),
            ("r", &state["runners"][0]),
            ("what", &state["ec2"]),
            ("r.held_back", &state["runners"][0]["held_back"]),
            ("w.reason", &state["workers"][0]["reason"]),
            ("j.reason", &state["jobs"][0]["reason"]),
        ];
        for (variable, value) in parts {
            let fields = fields_of(variable);
            assert!(!fields.is_empty(), "{variable} is not read any more");
            // `promise` is there where waits are measured.
            for field in fields.into_iter().filter(|field| field != "promise") {
                assert!(value.get(&field).is_some(), "the page reads {variable}.{field}, but there is: {value}");
            }
        }
    }
}

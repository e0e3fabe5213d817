//! A worker is root's machine, and root there may be anybody: what one of them says or ignores costs that worker and the slots
//! on it, and never another one.

use runner_fleet_engine::WorkerId;
use runner_fleet_engine::snapshot::WorkerState;
use serde_json::{Value, json};

use super::service::{Instance, Service};
use super::workers::Worker;
use super::{JOB, SPEED, states};

/// What was told to a worker that serves and was left alone.
const LEFT_ALONE: [&str; 2] = ["host-key", "configure"];

/// Two idle workers: the first one will lie.
async fn pair(region: &str) -> (Service, [(Instance, Worker); 2]) {
    let mut service = Service::start(region, SPEED).await;
    service.configure_pair();
    service.reload().await;
    let both_idle = async |service: &Service| {
        let workers = service.status().await.workers;
        workers.len() == 2 && workers.iter().all(|worker| worker.state == WorkerState::Idle)
    };
    service.until("both are idle", both_idle).await;
    let instances = <[Instance; 2]>::try_from(service.instances().await).unwrap();
    let pair = instances.map(|instance| {
        let worker = service.worker(&instance);
        (instance, worker)
    });
    (service, pair)
}

/// Shown in `status` by the one field that is text, so that it is seen which report has been taken in.
fn marked(service: &Service, lie: &Value, mark: &str) -> Value {
    let mut lie = lie.clone();
    lie["ecr_error"] = json!(format!("time={} level=error msg=\"{mark}\"", service.clock.now()));
    lie
}

async fn shows(service: &Service, id: &str, mark: &str) -> bool {
    let workers = service.status().await.workers;
    let liar = workers.iter().find(|worker| worker.id == WorkerId::new(id));
    liar.and_then(|worker| worker.ecr_error.as_ref()).is_some_and(|error| error.text.contains(mark))
}

async fn state_of(service: &Service, id: &str) -> Option<WorkerState> {
    let workers = service.status().await.workers;
    workers.iter().find(|worker| worker.id == WorkerId::new(id)).map(|worker| worker.state)
}

async fn no_law_is_broken(service: &Service) {
    let metrics = service.page("/metrics").await;
    assert!(metrics.contains("runner_fleet_laws_broken_total 0"), "{metrics}");
}

/// The worker beside the liar is the twin of one beside an honest worker: nothing more is told to it, and it stays.
#[tokio::test]
async fn no_lie_of_a_worker_reaches_its_neighbour() {
    let (mut service, [(liar, lying), (honest, neighbour)]) = pair("sa-east-1").await;
    let many: Vec<u64> = (7000..9000).collect();
    let foreign: serde_json::Map<String, Value> = many.iter().map(|id| (id.to_string(), json!(2))).collect();
    let lies = [
        json!({ "jobs_metrics": u32::MAX, "jobs_docker": u32::MAX }),
        json!({ "job_ids": many, "projects": foreign }),
        json!({ "requests": u32::MAX }),
        json!({ "started": u64::MAX, "idle_seconds": 0 }),
        json!({ "idle_seconds": u64::MAX }),
        json!({ "queue_size": u32::MAX }),
        json!({ "disk_free_mib": 0 }),
        json!({ "step": "x".repeat(10_000), "error": "\u{1b}[31m" }),
        json!({ "rust": { "is": ["new", null] } }),
    ];
    for (number, lie) in lies.iter().enumerate() {
        let mark = format!("lie-{number}");
        lying.lies(&marked(&service, lie, &mark));
        service.until(format!("{lie} is taken in"), async |service| shows(service, &liar.id, &mark).await).await;
        assert_eq!(neighbour.told(), LEFT_ALONE, "{lie}");
        assert_eq!(state_of(&service, &honest.id).await, Some(WorkerState::Idle), "{lie}");
        assert_eq!(states(&service).await, ["running", "running"], "{lie}");
    }

    // A job that waits is not hidden by a lie about its id: while the liar is believed to be busy, the other one may take it.
    lying.lies(&json!({ "job_ids": [JOB], "jobs_metrics": 1, "jobs_docker": 1 }));
    service.gitlab.state().waiting.insert(JOB);
    let waits = async |service: &Service| service.status().await.runners[0].waiting.is_some_and(|waiting| waiting > 0);
    service.until("the job is seen to wait", waits).await;
    service.gitlab.state().waiting.clear();
    assert_eq!(neighbour.told(), LEFT_ALONE);
    no_law_is_broken(&service).await;
    service.stop().await.unwrap();
}

/// What ends a worker ends the liar alone, and its place is filled at once: no offering is closed, no breaker opened.
#[tokio::test]
async fn a_lie_that_ends_a_worker_ends_the_liar_alone() {
    let (mut service, [(liar, lying), (honest, neighbour)]) = pair("ap-south-1").await;
    let in_a_minute = service.clock.now() + jiff::SignedDuration::from_mins(1);

    lying.lies(&json!({ "interruption": in_a_minute, "rebalance": true }));

    let replaced = async |service: &Service| {
        let instances = service.instances().await;
        let runs = |id: &str| instances.iter().any(|instance| instance.id == id && instance.state == "running");
        !runs(&liar.id) && instances.iter().filter(|instance| instance.state == "running").count() == 2
    };
    service.until("the liar is replaced", replaced).await;
    assert_eq!(neighbour.told(), LEFT_ALONE);
    assert_eq!(state_of(&service, &honest.id).await, Some(WorkerState::Idle));
    no_law_is_broken(&service).await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_worker_that_ignores_every_stop_is_terminated() {
    let (mut service, [(hostile, ignoring), (honest, neighbour)]) = pair("eu-north-1").await;
    ignoring.ignores_stops();
    ignoring.lies(&json!({ "unfit": "docker" }));

    let is_gone = async |service: &Service| {
        service.instances().await.iter().any(|instance| instance.id == hostile.id && instance.state == "terminated")
    };
    service.until("it is terminated", is_gone).await;

    let told = ignoring.told();
    for verb in ["fence", "stop", "hard-stop"] {
        assert!(told.iter().any(|told| told == verb), "never told to {verb}: {told:?}");
    }
    assert_eq!(neighbour.told(), LEFT_ALONE);
    assert_eq!(state_of(&service, &honest.id).await, Some(WorkerState::Idle));
    no_law_is_broken(&service).await;
    service.stop().await.unwrap();
}

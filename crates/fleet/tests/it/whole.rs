//! The whole service, as `runner-fleet run` runs it: configuration from a file, control socket, pages, engine and world; with
//! GitLab played over HTTP, EC2 by moto, and workers by an SSH server in memory.
//!
//! If these broke, the parts would still be right one by one, and the fleet would not work.

mod gitlab;
mod hostile;
mod service;
mod troubles;
mod workers;

use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use runner_fleet::control::{self, Answer, ClientError, RefusalKind, Request};
use runner_fleet_engine::snapshot::WorkerState;
use runner_fleet_engine::{FailureClass, HeldBack, RunnerName, SystemId, TokenKind, WorkerId};
use tracing::Level;

use self::gitlab::RUNNER_TOKEN;
use self::service::Service;

const JOB: u64 = 7231;
/// How much faster than the world's the time of a service passes that launches workers: the engine takes a launch without an
/// answer for lost after 90 s of it.
const SPEED: f64 = 10.0;

#[tokio::test]
async fn a_job_makes_a_worker_which_runs_it_and_ends() {
    let mut service = Service::start("us-east-2", SPEED).await;

    service.gitlab.state().waiting.insert(JOB);
    let (instance, worker) = service.first_worker().await;
    assert_eq!(instance.state, "running");
    let tags = ["runner-fleet:manager", "runner-fleet:runner", "Name"].map(|key| instance.tags[key].as_str());
    assert_eq!(tags, ["whole", "arm", "whole-arm"]);
    let (bundle, system_id) = (worker.bundle().unwrap(), SystemId::of(&WorkerId::new(&instance.id)));
    assert!(bundle.contains(&format!("system-id {system_id}")) && bundle.contains(RUNNER_TOKEN), "{bundle}");

    service.gitlab.state().waiting.remove(&JOB);
    worker.takes(JOB);
    service.until("the worker is busy", async |service| is(service, WorkerState::Busy).await).await;
    worker.finishes(JOB, service.clock.now());
    service.until("its row is deleted", async |service| !service.gitlab.state().forgotten.is_empty()).await;

    assert_eq!(service.gitlab.state().forgotten, [system_id.as_str()]);
    assert_eq!(worker.told(), ["host-key", "configure", "fence", "stop"]);
    assert_eq!(states(&service).await, ["terminated"]);
    assert_eq!(service.gitlab.state().unknown, [""; 0]);
    // The page shows a step of the engine when that is over, and the row may be gone before.
    let is_counted =
        async |service: &Service| service.page("/metrics").await.contains("runner_fleet_workers_terminated_total 1");
    service.until("its end is counted", is_counted).await;
    let metrics = service.page("/metrics").await;
    assert!(metrics.contains("runner_fleet_laws_broken_total 0"), "{metrics}");
    for (sample, least) in [
        ("job_wait_seconds_count{runner=\"arm\"}", 1.0),
        ("jobs_taken_total{runner=\"arm\"}", 1.0),
        ("boot_seconds_count{runner=\"arm\",type=\"c7g.large\"}", 1.0),
        ("boot_phase_seconds_count{runner=\"arm\",phase=\"sshd\"}", 1.0),
        ("boot_phase_seconds_count{runner=\"arm\",phase=\"first-request\"}", 1.0),
        ("launches_total{runner=\"arm\",market=\"on-demand\",reason=\"demand\"}", 1.0),
        ("workers_ended_total{runner=\"arm\",reason=\"idle\"}", 1.0),
        ("api_requests_total{api=\"ec2\",operation=\"DescribeInstances\",outcome=\"ok\"}", 2.0),
        ("api_request_seconds_count{api=\"gitlab\",operation=\"GET /projects/:id/jobs\"}", 1.0),
    ] {
        let line = metrics.lines().find_map(|line| line.strip_prefix(&format!("runner_fleet_{sample} ")));
        assert!(line.is_some_and(|value| value.parse::<f64>().unwrap() >= least), "{sample}: {line:?}\n{metrics}");
    }
    // Nothing is there that is not described; and of what is described nothing is missing but what has not happened.
    let (shown, described) = (crate::metrics::families(&metrics), crate::metrics::catalogued());
    assert!(shown.keys().all(|name| described.contains_key(name)), "{shown:?}");
    let missing: Vec<&String> = described.keys().filter(|name| !shown.contains_key(*name)).collect();
    assert_eq!(missing, ["runner_fleet_boot_step_seconds", "runner_fleet_boots_failed_total"]);
    assert_eq!(service.log.with(Level::WARN, ""), [""; 0]);
    assert_eq!(service.log.with(Level::ERROR, ""), [""; 0]);
    for event in ["launched", "ready", "job_started", "job_ended", "fenced", "terminating", "ended"] {
        let lines = service.log.with(Level::INFO, &format!("event={event:?}"));
        assert_eq!(lines.len(), 1, "{event}: {}", service.log);
        assert!(lines[0].contains(&format!("worker.id={}", instance.id)), "{lines:?}");
        assert!(lines[0].contains("runner.name=arm") && lines[0].contains("market=on-demand"), "{lines:?}");
    }
    let started = service.log.with(Level::INFO, "event=\"started\"");
    assert!(started.len() == 1 && started[0].contains("manager=\"whole\""), "{started:?}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_pause_outlives_a_restart_and_says_whose_it_was() {
    let mut service = Service::start("eu-west-3", SPEED).await;
    let arm = || RunnerName::new("arm");
    control::ask(&service.socket(), &Request::Pause { runner: arm() }).await.unwrap();
    service.until("it is paused", async |service| service.status().await.runners[0].paused).await;
    let told = service.log.with(Level::INFO, "event=\"operator\"");
    assert!(told.len() == 1 && told[0].contains("operator.uid="), "{told:?}");

    service.stop().await.unwrap();
    service.begin();
    service.until("it listens again", async |service| service.page("/readyz").await == "ready\n").await;

    assert!(service.status().await.runners[0].paused, "{}", service.log);
    service.gitlab.state().waiting.insert(JOB);
    control::ask(&service.socket(), &Request::Resume { runner: arm() }).await.unwrap();
    service.first_worker().await;
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_reload_answers_with_what_came_of_it() {
    let mut service = Service::start("ca-central-1", SPEED).await;
    let good = control::ask(&service.socket(), &Request::Reload).await;
    assert!(matches!(&good, Ok(Answer::Done { told, .. }) if told.contains("1 runner")), "{good:?}");
    service.configure("many");
    let bad = control::ask(&service.socket(), &Request::Reload).await;
    let Err(ClientError::Refused { why, kind: RefusalKind::BadConfiguration }) = bad else { panic!("{bad:?}") };
    assert!(why.contains("idle_count") && why.contains("the previous one holds"), "{why}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_minute_of_502_is_told_once_and_so_is_its_end() {
    let mut service = Service::start("us-west-1", 30.0).await;
    let (outage, since) = ("looking at the queue of arm", service.clock.now());

    service.gitlab.state().is_down = true;
    let passes = async |service: &Service| minute_has_passed(service, since) && service.gitlab.state().refusals >= 3;
    service.until("a minute passes, and GitLab is asked in it", passes).await;
    let looks = {
        let mut gitlab = service.gitlab.state();
        gitlab.is_down = false;
        gitlab.looks
    };
    service.until("the queue is seen again", async |service| service.gitlab.state().looks > looks + 1).await;

    let told = [Level::WARN, Level::INFO].map(|level| service.log.with(level, outage));
    assert!(matches!(told.each_ref().map(Vec::as_slice), [[_], [_]]), "{}", service.log);
    assert!(told[0][0].contains("server-error") && told[1][0].contains("works again"), "{told:?}");
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_reload_takes_effect_and_a_broken_file_does_not() {
    let mut service = Service::start("ap-southeast-1", SPEED).await;
    assert!(service.instances().await.is_empty());

    service.configure(1);
    service.reload().await;
    service.first_worker().await;
    service.configure("many");
    service.reload().await;
    service.until("the broken file is told", async |s| !s.log.with(Level::ERROR, "not reloaded").is_empty()).await;

    let refusals = service.log.with(Level::ERROR, "");
    assert!(refusals.len() == 1 && refusals[0].contains("idle_count"), "{refusals:?}");
    service.until("the worker is idle", async |service| is(service, WorkerState::Idle).await).await;
    assert_eq!(service.status().await.runners[0].idle_wanted, 1, "the previous configuration stands");
    assert_eq!(states(&service).await, ["running"]);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_that_ends_soon_is_told_once() {
    let mut service = Service::start("ap-northeast-1", SPEED).await;
    let in_three_days = service.clock.now() + SignedDuration::from_hours(72);
    service.gitlab.state().api_token_ends = Some(in_three_days.to_zoned(TimeZone::UTC).date());
    service.reload().await; // looks at once, and not after ten minutes
    let is_seen = async |service: &Service| {
        let runner = service.status().await.runners.remove(0);
        runner.token_end.is_some_and(|end| end.token == TokenKind::ApiToken)
    };
    service.until("the end of the token is seen", is_seen).await;
    // The page shows a step of the engine when that is over; what is asked of the loop is newer.
    let left = async |service: &Service| -> Option<i64> {
        let prefix = "runner_fleet_token_expires_seconds{runner=\"arm\",token=\"api_token\"} ";
        let metrics = service.page("/metrics").await;
        metrics.lines().find_map(|line| line.strip_prefix(prefix)).map(|left| left.parse().unwrap())
    };
    service.until("it is measured", async |service| left(service).await.is_some()).await;
    let left = left(&service).await.unwrap();
    assert!((40 * 3600..73 * 3600).contains(&left), "{left}");
    assert_eq!(service.log.with(Level::WARN, "api_token").len(), 1, "{}", service.log);
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_token_that_was_reset_is_read_again_where_it_lies() {
    const NEW: &str = "glrt-ZyXwVuTsRqPoNmLkJiHg";
    let mut service = Service::start("eu-west-2", SPEED).await;
    let is_refused = async |service: &Service| {
        let facts = service.status().await.runners.remove(0).facts;
        facts.failure().is_some_and(|failure| failure.class == FailureClass::TokenRefused)
    };
    service.gitlab.state().new_token = Some(NEW);
    service.reload().await; // looks at once, and not after ten minutes
    service.until("the old token is refused", is_refused).await;
    let is_told = async |service: &Service| service.page("/readyz").await.contains("arm cannot ask for jobs");
    service.until("it is not ready", is_told).await;
    service.configure(1);
    service.reload().await;
    let is_held_back = async |service: &Service| {
        let held_back = service.status().await.runners.remove(0).held_back;
        held_back.is_some_and(|held_back| matches!(held_back.reason, HeldBack::NoFacts { .. }))
    };
    service.until("nothing is launched that could not ask", is_held_back).await;
    assert!(service.instances().await.is_empty());

    service.write_token(NEW);

    let (_, worker) = service.first_worker().await;
    assert!(worker.bundle().unwrap().contains(NEW));
    service.stop().await.unwrap();
}

#[tokio::test]
async fn a_stop_leaves_the_workers_and_the_next_start_adopts_them() {
    let mut service = Service::start("ap-southeast-2", SPEED).await;
    service.gitlab.state().waiting.insert(JOB);
    let (instance, worker) = service.first_worker().await;
    service.gitlab.state().waiting.remove(&JOB);
    worker.takes(JOB);
    service.until("the worker is busy", async |service| is(service, WorkerState::Busy).await).await;

    service.stop().await.unwrap();

    assert!(!service.socket().exists(), "the control socket is left behind");
    service.until("nobody listens", async |service| service.page("/healthz").await.is_empty()).await;
    let met = ["host-key", "configure"].map(str::to_owned).to_vec();
    assert_eq!((worker.told(), states(&service).await), (met.clone(), vec!["running".to_owned()]));
    service.begin();
    service.until("it listens again", async |service| service.page("/readyz").await == "ready\n").await;
    service.until("the worker is found again", async |service| is(service, WorkerState::Busy).await).await;
    assert_eq!(service.status().await.workers[0].id.as_str(), instance.id);
    assert_eq!((service.workers.told(), states(&service).await.len()), (met, 1), "met by its own key, and left alone");
    assert_eq!(service.gitlab.state().forgotten, [""; 0]);
    service.stop().await.unwrap();
}

/// Whether there is one worker, and it is so.
async fn is(service: &Service, state: WorkerState) -> bool {
    let workers = service.status().await.workers;
    workers.len() == 1 && workers[0].state == state
}

async fn states(service: &Service) -> Vec<String> {
    service.instances().await.into_iter().map(|instance| instance.state).collect()
}

fn minute_has_passed(service: &Service, since: Timestamp) -> bool {
    service.clock.now().duration_since(since) >= SignedDuration::from_mins(1)
}

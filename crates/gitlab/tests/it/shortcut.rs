//! The one-request queue: used once it has proved that this token may ask, left for good reasons, never trusted blindly.

use std::collections::BTreeMap;

use runner_fleet_engine::{ProjectId, ProjectPath, QueueSnapshot, RunnerName};
use runner_fleet_gitlab::{GitLabError, QueueReader, QueueScope, RunnerInQueue};
use wiremock::matchers::{body_string_contains, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{API_TOKEN, Clock, asked, client, get, json, recorded};

const REST: &str = "/projects/1/jobs";
const GRAPHQL: &str = "/api/graphql";

fn reader(server: &MockServer, runners: &[(&str, u64, Option<u64>)]) -> QueueReader {
    let runner = |(name, id, only): &(&str, u64, Option<u64>)| {
        let restricted_to = only.map(|project| [ProjectId(project)].into());
        (RunnerName::new(*name), RunnerInQueue { id: *id, restricted_to })
    };
    let runners = runners.iter().map(runner).collect::<BTreeMap<_, _>>();
    let scope = QueueScope { projects: [ProjectId(1)].into(), runners, needs_protection: false };
    QueueReader::new(client(&server.uri()), scope)
}

async fn graphql(server: &MockServer, runner: u64, answer: ResponseTemplate) {
    Mock::given(method("POST"))
        .and(path(GRAPHQL))
        .and(header("private-token", API_TOKEN))
        .and(body_string_contains(format!("gid://gitlab/Ci::Runner/{runner}\"")))
        .respond_with(answer)
        .mount(server)
        .await;
}

async fn rest(server: &MockServer) {
    get(server, "/api/v4/projects/1/jobs", json(200, recorded!("jobs.json"))).await;
}

async fn poll(reader: &mut QueueReader, clock: &Clock) -> Result<QueueSnapshot, GitLabError> {
    clock.advance(3);
    reader.poll(&|| clock.now()).await
}

/// What the next poll asks for.
async fn asked_by_next(server: &MockServer, reader: &mut QueueReader, clock: &Clock) -> Vec<String> {
    let before = asked(server).await.len();
    let _ = poll(reader, clock).await;
    asked(server).await.split_off(before)
}

#[tokio::test]
async fn after_showing_a_job_it_replaces_the_projects() {
    let server = MockServer::start().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_queue.json"))).await;
    graphql(&server, 7, json(200, recorded!("graphql_queue.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, &[("all", 6, None), ("one", 7, Some(1))]);

    let first = poll(&mut reader, &clock).await.unwrap();
    assert!(first.jobs.iter().all(|job| job.offered_to.is_none()), "the first poll goes through the projects");
    let second = poll(&mut reader, &clock).await.unwrap();

    assert_eq!(asked(&server).await, [REST, GRAPHQL, GRAPHQL, GRAPHQL, GRAPHQL]);
    assert!(second.complete);
    let paths: Vec<_> =
        second.jobs.iter().filter_map(|job| job.project_path.as_ref()).map(ProjectPath::as_str).collect();
    assert_eq!(paths, ["acme/new", "acme/p"]);
    let offers: Vec<_> = second
        .jobs
        .iter()
        .map(|job| (job.id.0, job.offered_to.iter().flatten().map(RunnerName::as_str).collect::<Vec<_>>()))
        .collect();
    assert_eq!(
        offers,
        [(7229, vec!["all"]), (7231, vec!["all", "one"])],
        "7229 is outside of what `one` is restricted to"
    );
    assert_eq!(second.jobs[1].queued_at, "2026-08-22T09:59:48Z".parse().unwrap());
    assert_eq!(second.jobs[1].seen_at, clock.now());
}

#[tokio::test]
async fn an_empty_answer_proves_nothing() {
    let server = MockServer::start().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_empty.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, &[("r", 6, None)]);
    for _ in 0..5 {
        assert_eq!(poll(&mut reader, &clock).await.unwrap().jobs.len(), 4, "an empty list must not hide the queue");
    }
    let probes = asked(&server).await.into_iter().filter(|path| path == GRAPHQL).count();
    assert_eq!(probes, 1, "at most one probe a minute");
}

#[tokio::test]
async fn a_server_that_refuses_is_not_asked_again_soon() {
    for refusal in [
        json(200, recorded!("graphql_refused.json")),
        json(200, r#"{"data":{"jobs":null}}"#),
        json(404, r#"{"error":"404 Not Found"}"#),
        json(403, recorded!("403_scope.json")),
    ] {
        let server = MockServer::start().await;
        rest(&server).await;
        graphql(&server, 6, refusal).await;
        let clock = Clock::start();
        let mut reader = reader(&server, &[("r", 6, None)]);
        for _ in 0..30 {
            assert_eq!(poll(&mut reader, &clock).await.unwrap().jobs.len(), 4);
            clock.advance(60);
        }
        let probes = asked(&server).await.into_iter().filter(|path| path == GRAPHQL).count();
        assert_eq!(probes, 1);
    }
}

#[tokio::test]
async fn a_refusal_later_on_falls_back_in_the_same_look() {
    let server = MockServer::start().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_queue.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, &[("r", 6, None)]);
    poll(&mut reader, &clock).await.unwrap();
    assert_eq!(asked_by_next(&server, &mut reader, &clock).await, [GRAPHQL]);
    server.reset().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_refused.json"))).await;

    let seen = poll(&mut reader, &clock).await.unwrap();

    assert_eq!(asked(&server).await, [GRAPHQL, REST]);
    assert!(seen.jobs.len() == 4 && seen.complete);
}

#[tokio::test]
async fn a_sick_server_is_no_reason_to_ask_more() {
    let server = MockServer::start().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_queue.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, &[("r", 6, None)]);
    poll(&mut reader, &clock).await.unwrap();
    server.reset().await;
    rest(&server).await;
    graphql(&server, 6, json(502, "")).await;

    assert!(poll(&mut reader, &clock).await.unwrap_err().is_transient());
    assert_eq!(asked(&server).await, [GRAPHQL], "the projects are not asked instead");
    for _ in 0..2 {
        clock.advance(60);
        assert!(poll(&mut reader, &clock).await.is_err());
    }
    clock.advance(60);
    assert_eq!(poll(&mut reader, &clock).await.unwrap().jobs.len(), 4, "a way that never answers is left in the end");
}

#[tokio::test]
async fn a_long_silence_is_checked_with_the_projects() {
    let server = MockServer::start().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_queue.json"))).await;
    let clock = Clock::start();
    let mut reader = reader(&server, &[("r", 6, None)]);
    poll(&mut reader, &clock).await.unwrap();
    server.reset().await;
    rest(&server).await;
    graphql(&server, 6, json(200, recorded!("graphql_empty.json"))).await;

    let silent = poll(&mut reader, &clock).await.unwrap();
    assert!(silent.jobs.is_empty() && silent.complete, "an empty queue is believed for a while");
    clock.advance(600);
    assert!(poll(&mut reader, &clock).await.unwrap().jobs.is_empty());
    clock.advance(300);
    let checked = poll(&mut reader, &clock).await.unwrap();
    assert_eq!(checked.jobs.len(), 4, "a token that lost its rights would show an empty queue for ever");
}

#[tokio::test]
async fn pages_are_followed_by_cursor() {
    let server = MockServer::start().await;
    rest(&server).await;
    let more = recorded!("graphql_queue.json").replace("\"hasNextPage\":false", "\"hasNextPage\":true");
    Mock::given(path(GRAPHQL))
        .and(body_string_contains("\"after\":null"))
        .respond_with(json(200, &more))
        .mount(&server)
        .await;
    let last = recorded!("graphql_queue.json").replace("Build/7231", "Build/7100").replace("Build/7229", "Build/7101");
    Mock::given(path(GRAPHQL))
        .and(body_string_contains("eyJpZCI6IjcyMjkifQ"))
        .respond_with(json(200, &last))
        .mount(&server)
        .await;
    let clock = Clock::start();
    let mut reader = reader(&server, &[("r", 6, None)]);
    poll(&mut reader, &clock).await.unwrap();
    let seen = poll(&mut reader, &clock).await.unwrap();
    assert_eq!(seen.jobs.iter().map(|job| job.id.0).collect::<Vec<_>>(), [7100, 7101, 7229, 7231]);
}

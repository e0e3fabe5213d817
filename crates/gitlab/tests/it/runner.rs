//! The runner token's calls: verify keeps the runner alive, forget removes a worker's row, and nothing ever deletes the
//! runner itself.

use runner_fleet_engine::{SystemId, WorkerId};
use runner_fleet_gitlab::{GitLab, GitLabError, Verified, manager_system_id};
use serde_json::json as value;
use wiremock::matchers::{any, body_json, header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{RUNNER_TOKEN, client, json, options, recorded, runner_token};

#[tokio::test]
async fn verify_sends_the_managers_own_system_id() {
    let server = MockServer::start().await;
    let id = manager_system_id("ci-eu");
    Mock::given(method("POST"))
        .and(path("/api/v4/runners/verify"))
        .and(header("runner-token", RUNNER_TOKEN))
        .and(body_json(value!({"token": RUNNER_TOKEN, "system_id": id.as_str()})))
        .respond_with(json(200, recorded!("verify.json")))
        .expect(1)
        .mount(&server)
        .await;
    // No api token is needed for it.
    let mut options = options(&server.uri());
    options.api_token = None;
    let verified = GitLab::new(options).unwrap().verify(&runner_token(), &id).await;
    assert_eq!(verified, Ok(Verified { id: 12345, expires_at: None }));
}

#[tokio::test]
async fn the_end_of_a_token_is_read() {
    let verified = verify(json(200, recorded!("verify_expires.json"))).await.unwrap();
    assert_eq!(verified.expires_at, Some("2026-12-24T00:00:00Z".parse().unwrap()));
    assert_eq!(verify(json(200, r#"{"id":3}"#)).await, Ok(Verified { id: 3, expires_at: None }), "an older server");
}

#[tokio::test]
async fn a_bad_runner_token_is_told_as_such() {
    let error = verify(json(403, recorded!("403.json"))).await.unwrap_err();
    assert!(error.is_denied());
    assert!(
        error.to_string().ends_with("write the token that GitLab showed when the runner was created (glrt-…) as token")
    );
    let orphaned = verify(json(422, recorded!("422_orphaned.json"))).await.unwrap_err();
    assert!(orphaned.to_string().contains("create a new runner"), "{orphaned}");
    let nonsense = verify(json(200, &format!(r#"{{"id":"{RUNNER_TOKEN}"}}"#))).await.unwrap_err();
    assert!(!nonsense.to_string().contains(RUNNER_TOKEN), "{nonsense}");
}

#[tokio::test]
async fn forgetting_deletes_one_managers_row() {
    let server = MockServer::start().await;
    let id = SystemId::of(&WorkerId::new("i-0abc"));
    Mock::given(method("DELETE"))
        .and(path("/api/v4/runners/managers"))
        .and(header("runner-token", RUNNER_TOKEN))
        .and(body_json(value!({"token": RUNNER_TOKEN, "system_id": id.as_str()})))
        .respond_with(ResponseTemplate::new(204))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(client(&server.uri()).forget(&runner_token(), &id).await, Ok(()));
}

#[tokio::test]
async fn a_row_that_is_gone_is_forgotten_and_other_answers_are_not() {
    assert_eq!(forget(json(404, recorded!("404_manager.json"))).await, Ok(()));
    assert!(forget(json(403, recorded!("403.json"))).await.unwrap_err().is_denied());
    assert!(forget(ResponseTemplate::new(404).set_body_string("<html></html>")).await.is_err(), "a proxy's 404");
    assert!(forget(ResponseTemplate::new(502)).await.unwrap_err().is_transient());
}

async fn verify(answer: ResponseTemplate) -> Result<Verified, GitLabError> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    client(&server.uri()).verify(&runner_token(), &manager_system_id("ci-eu")).await
}

async fn forget(answer: ResponseTemplate) -> Result<(), GitLabError> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    client(&server.uri()).forget(&runner_token(), &SystemId::new("r_0a1b2c3d4e5f")).await
}

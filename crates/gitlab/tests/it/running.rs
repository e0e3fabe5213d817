//! What GitLab shows as running on one worker.

use runner_fleet_engine::{SystemId, WorkerId};
use runner_fleet_gitlab::GitLabError;
use wiremock::matchers::{any, header, method, path, query_param};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{API_TOKEN, client, json, recorded};

fn row() -> SystemId {
    SystemId::of(&WorkerId::new("i-0abc"))
}

#[tokio::test]
async fn the_jobs_of_one_worker_are_asked_for() {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v4/runners/6/jobs"))
        .and(query_param("status", "running"))
        .and(query_param("system_id", row().as_str()))
        .and(header("private-token", API_TOKEN))
        .respond_with(json(200, recorded!("runner_jobs.json")))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(client(&server.uri()).running_jobs(6, &row()).await, Ok(1));
}

#[tokio::test]
async fn only_an_answer_says_that_none_runs() {
    assert_eq!(answered(json(200, "[]")).await, Ok(0));
    assert_eq!(answered(json(200, r#"[{"status":"success"}]"#)).await, Ok(0), "a server that filters otherwise");
    assert!(answered(json(403, recorded!("403_runner.json"))).await.unwrap_err().is_denied());
    assert!(answered(ResponseTemplate::new(502)).await.unwrap_err().is_transient());
    for nonsense in ["", "{}", r#"[{"id":1}]"#, "<html></html>"] {
        answered(ResponseTemplate::new(200).set_body_string(nonsense)).await.unwrap_err();
    }
}

async fn answered(answer: ResponseTemplate) -> Result<u32, GitLabError> {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    client(&server.uri()).running_jobs(6, &row()).await
}

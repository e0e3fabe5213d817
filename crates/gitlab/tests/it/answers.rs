//! Whatever comes back, there is one clear error that answers its questions and never shows a token.

use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{JobId, ProjectId, SystemId};
use runner_fleet_gitlab::{GitLab, GitLabError, RanOn, Restriction, Retried};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use wiremock::matchers::{any, header, header_exists, header_regex, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::{API_TOKEN, RUNNER_TOKEN, asked, client, get, impatient, json, options, recorded};

/// The error of one call with the api token that is answered like this.
async fn error_of(answer: ResponseTemplate) -> GitLabError {
    let server = MockServer::start().await;
    Mock::given(any()).respond_with(answer).mount(&server).await;
    failing_call(&server.uri()).await
}

async fn failing_call(url: &str) -> GitLabError {
    failing_call_of(client(url)).await
}

async fn failing_call_of(client: GitLab) -> GitLabError {
    let error = client.retry(ProjectId(1), JobId(7)).await.unwrap_err();
    let text = format!("{error} {error:?}");
    assert!(!text.contains(API_TOKEN) && !text.contains(RUNNER_TOKEN), "a token is shown: {text}");
    error
}

/// A server that sends these bytes to the first request, and then closes the connection.
async fn raw(bytes: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 4096];
            let _ = stream.read(&mut request).await;
            let _ = stream.write_all(bytes).await;
        }
    });
    url
}

fn told(error: &GitLabError, part: &str) {
    assert!(error.to_string().contains(part), "{part:?} is not in: {error}");
}

#[tokio::test]
async fn every_kind_of_429_says_when_to_come_back() {
    let now: Timestamp = "2026-08-22T10:00:47Z".parse().unwrap();
    let everything = ResponseTemplate::new(429)
        .insert_header("RateLimit-Limit", "60")
        .insert_header("RateLimit-Name", "throttle_authenticated_api")
        .insert_header("RateLimit-Remaining", "0")
        .insert_header("RateLimit-Reset", "1609844400")
        .insert_header("Retry-After", "30")
        .set_body_string(recorded!("429_everything.txt"));
    let looser_limit = json(429, recorded!("429_endpoint.json")).insert_header("RateLimit-Remaining", "1800");
    let migrations = json(429, recorded!("429_migrations.json")).insert_header("Retry-After", "60");
    let cases = [
        (json(429, recorded!("429_endpoint.json")), 13, "this minute"),
        (looser_limit, 13, "this minute"),
        (everything, 30, "throttle_authenticated_api"),
        (migrations, 60, "migrated"),
    ];
    for (answer, seconds, words) in cases {
        let error = error_of(answer).await;
        assert!(error.is_throttled() && error.is_transient(), "{error}");
        assert_eq!(error.retry_after(now), Some(Duration::from_secs(seconds)), "{error}");
        told(&error, words);
    }
}

#[tokio::test]
async fn refusals_are_told_apart() {
    let denied = [
        json(401, r#"{"message":"401 Unauthorized"}"#),
        json(401, recorded!("401_revoked.json")),
        json(403, recorded!("403_scope.json")),
        json(403, recorded!("403.json")),
        json(403, recorded!("403_retry.json")),
    ];
    for answer in denied {
        let error = error_of(answer).await;
        assert!(error.is_denied() && !error.is_transient() && !error.is_not_found(), "{error}");
    }
    let missing = error_of(json(404, recorded!("404_project.json"))).await;
    assert!(missing.is_not_found() && !missing.is_denied() && !missing.is_transient());
    told(&missing, "cannot retry job 7 of project 1 at http://127.0.0.1");
    told(&missing, "404 Project Not Found");
    let page = error_of(ResponseTemplate::new(404).set_body_string("<html>no such host here</html>")).await;
    assert!(!page.is_not_found(), "a proxy's page is not GitLab's word: {page}");
}

#[tokio::test]
async fn a_sick_server_is_a_passing_failure() {
    for answer in [
        ResponseTemplate::new(502).set_body_string(recorded!("502.html")),
        ResponseTemplate::new(503),
        json(500, r#"{"message":"500 Internal Server Error"}"#),
        ResponseTemplate::new(200).set_body_string("<html>maintenance</html>"),
        json(200, ""),
        json(200, r#"[{"id":1"#),
        json(200, r#"{"id":"seven"}"#),
    ] {
        let error = error_of(answer).await;
        assert!(error.is_transient() && !error.is_denied() && !error.is_throttled(), "{error}");
    }
}

#[tokio::test]
async fn a_hanging_server_is_left_after_the_time_out() {
    let server = MockServer::start().await;
    let late = json(200, recorded!("retry.json")).set_delay(Duration::from_secs(60));
    Mock::given(any()).respond_with(late).mount(&server).await;
    let error = failing_call_of(impatient(&server.uri())).await;
    assert!(error.is_transient());
    told(&error, "no answer within");
    // Headers in time, the body never: the time-out holds for the whole call.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let hold = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\n{").await.unwrap();
        std::future::pending::<()>().await;
    });
    told(&failing_call_of(impatient(&url)).await, "no answer within");
    hold.abort();
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error() {
    for bytes in [
        &b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{\"id\":1}"[..],
        &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n8\r\n{\"id\":1}\r\n"[..],
        &b"HTTP/1.1 200 OK\r\n"[..],
        &b"\x16\x03\x01\x02\x00garbage"[..],
        &b""[..],
    ] {
        let error = failing_call(&raw(bytes).await).await;
        assert!(error.is_transient(), "{error}");
    }
}

#[tokio::test]
async fn a_huge_body_is_not_read() {
    let announced = error_of(json(200, &" ".repeat(65 * 1024))).await;
    told(&announced, "larger than 64 KiB");
    // Without a length it is counted while it comes; this server would send for ever.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let flood = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        while stream.write_all(&[b' '; 8192]).await.is_ok() {}
    });
    told(&failing_call(&url).await, "larger than 64 KiB");
    flood.await.unwrap();
}

#[tokio::test]
async fn nobody_listening_is_told_without_an_address_book() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let error = failing_call(&url).await;
    assert!(error.is_transient());
    told(&error, "the server cannot be reached");
    told(&error, "refused");
}

#[tokio::test]
async fn a_token_that_the_server_repeats_is_masked() {
    let body = format!(r#"{{"message":"bad token {API_TOKEN} or {RUNNER_TOKEN}"}}"#);
    told(&error_of(json(400, &body)).await, "bad token [masked] or [masked]");
}

#[tokio::test]
async fn the_token_goes_to_no_other_server() {
    let (server, elsewhere) = (MockServer::start().await, MockServer::start().await);
    let away = ResponseTemplate::new(302).insert_header("location", format!("{}/api/v4/x", elsewhere.uri()));
    Mock::given(any()).respond_with(away).mount(&server).await;

    let error = failing_call(&server.uri()).await;

    told(&error, &format!("redirects to {}", elsewhere.uri()));
    told(&error, "as url");
    assert!(asked(&elsewhere).await.is_empty());
}

#[tokio::test]
async fn a_renamed_project_is_found_under_its_new_name() {
    let server = MockServer::start().await;
    get(&server, "/api/v4/runners/6", json(200, recorded!("runner_instance.json"))).await;
    let moved = ResponseTemplate::new(301).insert_header("location", "/api/v4/projects/42");
    get(&server, "/api/v4/projects/acme%2Fold", moved).await;
    get(&server, "/api/v4/projects/42", json(200, r#"{"id":42}"#)).await;
    let restriction = Restriction { projects: vec!["acme/old".into()], groups: vec![] };

    let found = client(&server.uri()).discover(6, &restriction).await.unwrap();

    assert_eq!(found.projects, [ProjectId(42)].into());
}

#[tokio::test]
async fn a_circle_of_redirects_ends() {
    let server = MockServer::start().await;
    Mock::given(any())
        .respond_with(ResponseTemplate::new(307).insert_header("location", "/again"))
        .mount(&server)
        .await;
    told(&failing_call(&server.uri()).await, "redirects");
    assert!(asked(&server).await.len() <= 4);
}

#[tokio::test]
async fn a_retry_is_one_post_with_the_api_token() {
    let server = MockServer::start().await;
    Mock::given(method("POST"))
        .and(path("/api/v4/projects/1/jobs/7/retry"))
        .and(header("private-token", API_TOKEN))
        .and(header_regex("user-agent", "^runner-fleet/"))
        .respond_with(json(201, recorded!("retry.json")))
        .expect(1)
        .mount(&server)
        .await;
    assert_eq!(client(&server.uri()).retry(ProjectId(1), JobId(7)).await, Ok(JobId(7240)));
}

fn ran_on(runner_id: u64) -> RanOn {
    RanOn { runner_id, system_id: SystemId::new("r_0123456789ab") }
}

/// A GitLab that shows this job, and answers its retry like that, at most so often.
async fn with_job(job: String, retry: ResponseTemplate, retries: u64) -> MockServer {
    let server = MockServer::start().await;
    Mock::given(method("GET"))
        .and(path("/api/v4/projects/1/jobs/7"))
        .and(header("private-token", API_TOKEN))
        .respond_with(json(200, &job))
        .expect(1)
        .mount(&server)
        .await;
    Mock::given(method("POST"))
        .and(path("/api/v4/projects/1/jobs/7/retry"))
        .respond_with(retry)
        .expect(retries)
        .mount(&server)
        .await;
    server
}

#[tokio::test]
async fn only_a_lost_job_is_retried_after_a_look() {
    let lost = recorded!("job_lost.json");
    let server = with_job(lost.to_owned(), json(201, recorded!("retry.json")), 1).await;
    let retried = client(&server.uri()).retry_lost(ProjectId(1), JobId(7), &ran_on(3)).await;
    assert_eq!(retried, Ok(Retried::As(JobId(7240))));

    let done = lost.replace("\"failed\"", "\"success\"").replace("\"runner_interrupted\"", "null");
    let server = with_job(done, json(201, recorded!("retry.json")), 0).await;
    let left = client(&server.uri()).retry_lost(ProjectId(1), JobId(7), &ran_on(3)).await;
    assert_eq!(left, Ok(Retried::NotNeeded("its status is success".into())));

    let server = with_job(lost.to_owned(), json(201, recorded!("retry.json")), 0).await;
    let foreign = client(&server.uri()).retry_lost(ProjectId(1), JobId(7), &ran_on(4)).await;
    assert!(matches!(foreign, Ok(Retried::NotNeeded(_))), "{foreign:?}");
}

#[tokio::test]
async fn who_was_faster_has_retried_it_and_a_small_scope_is_told() {
    let lost = recorded!("job_lost.json");
    let server = with_job(lost.to_owned(), json(403, recorded!("403_retry.json")), 1).await;
    let late = client(&server.uri()).retry_lost(ProjectId(1), JobId(7), &ran_on(3)).await;
    assert!(matches!(late, Ok(Retried::NotNeeded(_))), "{late:?}");

    let server = with_job(lost.to_owned(), json(403, recorded!("403_scope.json")), 1).await;
    let error = client(&server.uri()).retry_lost(ProjectId(1), JobId(7), &ran_on(3)).await.unwrap_err();
    assert!(error.is_denied());
    told(&error, "retry_interrupted needs an api_token with scope api");
}

#[tokio::test]
async fn without_an_api_token_nothing_is_sent() {
    let server = MockServer::start().await;
    Mock::given(header_exists("private-token")).respond_with(json(200, "{}")).expect(0).mount(&server).await;
    let mut options = options(&server.uri());
    options.api_token = None;
    let error = GitLab::new(options).unwrap().retry(ProjectId(1), JobId(7)).await.unwrap_err();
    assert!(error.is_denied());
    told(&error, "no api_token is configured; set api_token");
    assert!(asked(&server).await.is_empty());
}

#[tokio::test]
async fn a_token_with_a_line_break_is_an_error_and_no_header() {
    let server = MockServer::start().await;
    let mut options = options(&server.uri());
    options.api_token = Some("glpat-secret\r\nx-evil: 1".into());
    let error = GitLab::new(options).unwrap().retry(ProjectId(1), JobId(7)).await.unwrap_err();
    told(&error, "characters that no token has");
    assert!(!error.to_string().contains("secret"));
    assert!(asked(&server).await.is_empty());
}

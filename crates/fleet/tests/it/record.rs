//! `record`: the real program asks a GitLab double for a past day, and `simulate` runs what it wrote. If this broke, people
//! would decide on a past that was not theirs, or find names and commits in a file that they pass around.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use wiremock::matchers::{header, method, path, query_param, query_param_is_missing};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::config_file::ConfigFile;

const RUNNER: &str = include_str!("../../../gitlab/tests/recorded/runner_project.json");
const FROM: &str = "2026-08-20T00:00:00Z";
const TO: &str = "2026-08-21T00:00:00Z";

/// An ended job as GitLab lists it, with some of what is none of our business.
fn job(id: u64, project: u64, created_at: &str, started_at: Option<&str>) -> Value {
    json!({
        "id": id, "status": if started_at.is_some() { "success" } else { "canceled" }, "name": "secret-project-name",
        "created_at": created_at, "started_at": started_at, "finished_at": started_at.map(|at| at.replace(":00Z", ":30Z")),
        "duration": started_at.map(|_| 30.0), "queued_duration": started_at.map(|_| 60.0), "tag_list": ["arm64"],
        "user": { "username": "jane" }, "commit": { "title": "fix", "author_email": "jane@example.com" },
        "pipeline": { "id": 7, "project_id": project, "ref": "main", "sha": "0123" },
    })
}

/// Runner 6 of two projects: the first has two pages that matter and a third that nobody should ask for.
async fn gitlab(second_project: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let mount = async |verb, at: &str, answer| {
        Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(&server).await;
    };
    let verified = json!({ "id": 6, "token": "glrt-x", "token_expires_at": null });
    mount("POST", "/api/v4/runners/verify", ResponseTemplate::new(200).set_body_json(verified)).await;
    mount("GET", "/api/v4/runners/6", ResponseTemplate::new(200).set_body_raw(RUNNER, "application/json")).await;
    mount("GET", "/api/v4/projects/2/jobs", second_project).await;
    let link = format!(r#"<{}/api/v4/projects/1/jobs?cursor=second&scope%5B%5D=success>; rel="next""#, server.uri());
    let pages =
        Mock::given(method("GET")).and(path("/api/v4/projects/1/jobs")).and(header("private-token", "glpat-read"));
    pages
        .and(query_param("order_by", "id"))
        .and(query_param_is_missing("cursor"))
        .respond_with(ResponseTemplate::new(200).insert_header("link", link.as_str()).set_body_json([
            job(44, 1, "2026-08-21T00:01:00Z", Some("2026-08-21T00:02:00Z")),
            // Queued within the day by its wait of a minute, although it began after it.
            job(43, 1, "2026-08-20T23:50:00Z", Some("2026-08-21T00:00:00Z")),
            job(42, 1, "2026-08-20T12:00:00Z", None),
        ]))
        .expect(1)
        .mount(&server)
        .await;
    // Made the day before, queued within the day: started by hand, or after other stages. Then one that is too old.
    let second = [
        job(41, 1, "2026-08-19T20:00:00Z", Some("2026-08-20T08:01:00Z")),
        job(40, 1, "2026-08-18T20:00:00Z", Some("2026-08-18T20:01:00Z")),
    ];
    let answer = ResponseTemplate::new(200).insert_header("link", link.as_str()).set_body_json(second);
    let more = Mock::given(method("GET")).and(path("/api/v4/projects/1/jobs")).and(query_param("cursor", "second"));
    more.respond_with(answer).expect(1).mount(&server).await;
    server
}

async fn record(gitlab: &MockServer, folder: &Path) -> Output {
    let config = ConfigFile::new(folder).runner("url", gitlab.uri()).write(folder);
    let output = folder.join("day.json");
    run(&[
        "record",
        "--config",
        config.to_str().unwrap(),
        "--from",
        FROM,
        "--to",
        TO,
        "--output",
        output.to_str().unwrap(),
    ])
    .await
}

async fn run(args: &[&str]) -> Output {
    let keys = [("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "x")];
    tokio::process::Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args(args)
        .env_clear()
        .envs(keys)
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_past_day_becomes_a_workload_without_names_and_people() {
    let folder = tempfile::tempdir().unwrap();
    let other = [job(50, 2, "2026-08-20T09:00:00Z", Some("2026-08-20T09:05:00Z"))];
    let gitlab = gitlab(ResponseTemplate::new(200).set_body_json(other)).await;

    let output = record(&gitlab, folder.path()).await;

    assert!(output.status.success(), "{output:?}");
    let file = folder.path().join("day.json");
    let text = std::fs::read_to_string(&file).unwrap();
    let jobs: Vec<Value> = serde_json::from_str(&text).unwrap();
    let ids: Vec<u64> = jobs.iter().map(|job| job["id"].as_u64().unwrap()).collect();
    assert_eq!(ids, [41, 42, 43, 50], "queued within the day, by id");
    for private in ["secret-project-name", "jane", "0123", "main"] {
        assert!(!text.contains(private), "{private} is in the file");
    }
    assert!(!folder.path().join("day.json.partial").exists() && !folder.path().join("state").exists());

    let config = folder.path().join("config.toml");
    let simulated =
        run(&["simulate", "--config", config.to_str().unwrap(), "--workload", file.to_str().unwrap(), "--json"]).await;
    let report: Value = serde_json::from_slice(&simulated.stdout).unwrap_or_else(|_| panic!("{simulated:?}"));
    assert_eq!(report["workload"]["jobs"], 3, "the one that never started cannot be replayed");
    assert!(report["workload"]["notes"].to_string().contains('1'), "{report:#}");
}

#[tokio::test]
async fn half_a_past_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let refused = json!({ "message": "403 Forbidden" });
    let gitlab = gitlab(ResponseTemplate::new(403).set_body_json(refused)).await;

    let output = record(&gitlab, folder.path()).await;

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("project 2") && told.contains("403"), "{told}");
    assert!(!folder.path().join("day.json").exists(), "a part of the past was written");
}

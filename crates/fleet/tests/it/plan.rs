//! `plan` without the service: the real program looks at a GitLab double and an EC2 emulator, tells what the service would
//! do, and leaves both as they were. If this broke, a person who only wants to look would launch, or be told a lie.

use std::process::Output;

use serde_json::Value;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::aws::World;
use super::config_file::ConfigFile;

const RUNNER: &str = include_str!("../../../gitlab/tests/recorded/runner_project.json");
const JOBS: &str = include_str!("../../../gitlab/tests/recorded/jobs.json");

#[tokio::test]
async fn three_waiting_jobs_are_three_workers_that_nobody_launches() {
    let (gitlab, ec2) = (gitlab(JOBS, 200).await, World::new("ap-east-1").await);

    let output = plan(&gitlab, &ec2, "ap-east-1", &["--json"]).await;

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() && told.contains("The service does not run"), "{output:?}");
    let plan: Value = serde_json::from_slice(&output.stdout).unwrap();
    let actions: Vec<_> = plan["actions"].as_array().unwrap().iter().map(|action| &action["what"]).collect();
    let what = actions[0].as_str().unwrap();
    assert!(
        actions.len() == 1 && what.starts_with("launch 3 spot workers for arm: c7g.large in ap-east-1"),
        "{plan:#}"
    );
    let waiting: Vec<_> = plan["waiting"].as_array().unwrap().iter().map(|job| job["id"].as_u64().unwrap()).collect();
    assert_eq!(waiting, [7228, 7229, 7230, 7231]);
    // Nothing was made, and GitLab was only asked.
    assert_eq!((ec2.templates().await.len(), ec2.key_pairs().await.len(), ec2.running_instances().await), (0, 0, 0));
    let requests = gitlab.received_requests().await.unwrap();
    let posted: Vec<_> = requests.iter().filter(|r| r.method.as_str() != "GET").map(|r| r.url.path()).collect();
    assert!(posted.iter().all(|path| ["/api/v4/runners/verify", "/api/graphql"].contains(path)), "{posted:?}");
}

#[tokio::test]
async fn a_queue_that_cannot_be_read_is_not_an_empty_one() {
    let (gitlab, ec2) = (gitlab("{}", 403).await, World::new("af-south-1").await);

    let output = plan(&gitlab, &ec2, "af-south-1", &[]).await;

    let told = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{output:?}");
    assert!(!told.contains("launch 3") && told.contains("arm"), "{told}");
}

/// Runner 6 of two projects; these jobs wait in the first.
async fn gitlab(jobs: &str, status: u16) -> MockServer {
    let server = MockServer::start().await;
    let json = |status, body: &str| ResponseTemplate::new(status).set_body_raw(body, "application/json");
    let answers = [
        ("POST", "/api/v4/runners/verify", json(200, r#"{"id":6,"token":"glrt-x","token_expires_at":null}"#)),
        ("GET", "/api/v4/runners/6", json(200, RUNNER)),
        ("GET", "/api/v4/projects/1/jobs", json(status, jobs)),
        ("GET", "/api/v4/projects/2/jobs", json(status, if status == 200 { "[]" } else { "{}" })),
    ];
    for (verb, at, answer) in answers {
        Mock::given(method(verb)).and(path(at)).respond_with(answer).mount(&server).await;
    }
    server
}

async fn plan(gitlab: &MockServer, ec2: &World, region: &str, more: &[&str]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    let config = ConfigFile::new(folder.path())
        .runner("name", "arm")
        .runner("url", gitlab.uri())
        .runner("limit", 5)
        .workers_in(ec2)
        .workers("region", region)
        .write(folder.path());
    let output = tokio::process::Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args(["plan", "--config"])
        .arg(&config)
        .args(more)
        .env_clear()
        .envs([("AWS_ENDPOINT_URL", ec2.endpoint()), ("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "x")])
        .output()
        .await
        .unwrap();
    assert!(!folder.path().join("state").exists(), "a plan has written a key");
    output
}

//! `shadow`: the real program watches another manager's machines. If this broke, a team that only wants to look would change
//! its fleet, or decide by numbers that nobody has seen.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use wiremock::matchers::{body_string_contains, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::config_file::ConfigFile;

const RUNNER: &str = include_str!("../../../gitlab/tests/recorded/runner_project.json");

/// A machine that docker+machine has made, for ten days.
const MACHINE: &str = r#"<DescribeInstancesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><reservationSet><item>
  <instancesSet><item><instanceId>i-0dead</instanceId><instanceType>m7g.large</instanceType>
  <launchTime>2026-08-20T08:00:00.000Z</launchTime><placement><availabilityZone>eu-central-1a</availabilityZone></placement>
  <instanceState><code>16</code><name>running</name></instanceState><instanceLifecycle>spot</instanceLifecycle>
  <tagSet><item><key>Name</key><value>runner-abcdefghi-gitlab-1788000000-0badcafe</value></item></tagSet>
  </item></instancesSet></item></reservationSet></DescribeInstancesResponse>"#;

const PRICES: &str = r#"<DescribeSpotPriceHistoryResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><spotPriceHistorySet>
  <item><instanceType>m7g.large</instanceType><productDescription>Linux/UNIX</productDescription>
  <spotPrice>0.0300</spotPrice><timestamp>2026-08-20T00:00:00.000Z</timestamp>
  <availabilityZone>eu-central-1a</availabilityZone></item></spotPriceHistorySet></DescribeSpotPriceHistoryResponse>"#;

/// EC2 as far as it is asked; everything else is an error.
async fn ec2() -> MockServer {
    let server = MockServer::start().await;
    for (action, answer) in [("Action=DescribeInstances", MACHINE), ("Action=DescribeSpotPriceHistory", PRICES)] {
        let answer = ResponseTemplate::new(200).set_body_raw(answer, "text/xml");
        Mock::given(method("POST")).and(body_string_contains(action)).respond_with(answer).mount(&server).await;
    }
    server
}

/// Runner 6 of two projects. Two runners have taken jobs of the first.
async fn gitlab(queued_at: &str) -> MockServer {
    let job = |id: u64, runner: u64| {
        json!({
            "id": id, "status": "success", "name": "build", "created_at": queued_at, "started_at": queued_at,
            "finished_at": queued_at, "duration": 60.0, "queued_duration": 0.0, "tag_list": ["arm64"],
            "pipeline": { "project_id": 1 }, "runner": { "id": runner, "description": "arm" },
        })
    };
    let server = MockServer::start().await;
    let jobs = ResponseTemplate::new(200).set_body_json([job(41, 6), job(40, 7)]);
    let runner = ResponseTemplate::new(200).set_body_raw(RUNNER, "application/json");
    let none = ResponseTemplate::new(200).set_body_json(json!([]));
    for (at, answer) in
        [("/api/v4/runners/6", runner), ("/api/v4/projects/1/jobs", jobs), ("/api/v4/projects/2/jobs", none)]
    {
        Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(&server).await;
    }
    server
}

async fn shadow(gitlab: &MockServer, ec2: &MockServer, folder: &Path) -> Output {
    let config = ConfigFile::new(folder)
        .runner("name", "arm")
        .runner("url", gitlab.uri())
        .workers("region", "eu-central-1")
        .write(folder);
    tokio::process::Command::new(env!("CARGO_BIN_EXE_runner-fleet"))
        .args(["shadow", "--now", "--json", "--runner", "arm=6", "--machines", "Name=runner-*-gitlab-*", "--config"])
        .arg(&config)
        .arg("--folder")
        .arg(folder.join("watch"))
        .env_clear()
        .envs([("AWS_ACCESS_KEY_ID", "AKIATEST"), ("AWS_SECRET_ACCESS_KEY", "x"), ("AWS_ENDPOINT_URL", &ec2.uri())])
        .output()
        .await
        .unwrap()
}

#[tokio::test]
async fn a_watch_changes_nothing_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().unwrap();
    // Two looks: the second one goes on with the watch of the first, and finds what was queued between them.
    let (ec2, before) = (ec2().await, gitlab("2026-08-20T09:00:00Z").await);
    let first = shadow(&before, &ec2, folder.path()).await;
    let first: Value = serde_json::from_slice(&first.stdout).unwrap_or_else(|_| panic!("{first:?}"));
    assert_eq!((&first["looks"], &first["theirs"]["jobs"], &first["ours"]), (&1.into(), &0.into(), &Value::Null));
    let between = gitlab(first["since"].as_str().unwrap()).await;

    let output = shadow(&between, &ec2, folder.path()).await;

    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!((&report["looks"], &report["since"]), (&2.into(), &first["since"]));
    assert_eq!((&report["theirs"]["jobs"], &report["theirs"]["machines"]), (&1.into(), &1.into()), "{report:#}");
    assert_eq!(report["ours"]["jobs"], 1, "the same job, simulated: {report:#}");
    let kept: Value = serde_json::from_slice(&std::fs::read(folder.path().join("watch/report.json")).unwrap()).unwrap();
    assert_eq!(kept, report);

    for server in [before, between] {
        for request in server.received_requests().await.unwrap() {
            assert_eq!(request.method.as_str(), "GET", "{}", request.url);
        }
    }
    let asked = ec2.received_requests().await.unwrap();
    assert!(asked.len() >= 4, "{asked:?}");
    for request in asked {
        let body = String::from_utf8(request.body).unwrap();
        assert!(body.starts_with("Action=Describe"), "{body}");
    }
}

#[tokio::test]
async fn no_new_watch_is_written_over_what_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("watch/machines.json");
    std::fs::create_dir_all(file.parent().unwrap()).unwrap();
    std::fs::write(&file, "{\"version\": 9}").unwrap();
    let output = shadow(&gitlab("2026-08-20T09:00:00Z").await, &ec2().await, folder.path()).await;
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("machines.json"), "{told}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "{\"version\": 9}");
}

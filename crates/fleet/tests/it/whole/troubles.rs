//! A trouble, from where it comes up to everybody who is to hear of it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use jiff::tz::TimeZone;
use runner_fleet_engine::Severity;
use serde_json::Value;
use tokio::process::Command;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::service::Service;

/// Nobody may see this but who is told.
const SECRET: &str = "T0-sesame";

/// `status --check`, as a monitoring program calls it: the exit code and the line.
async fn checked(service: &Service) -> (Option<i32>, String) {
    let config = service.path();
    let args = ["status", "--check", "--config", config.to_str().unwrap()];
    let output = Command::new(env!("CARGO_BIN_EXE_runner-fleet")).args(args).output().await.unwrap();
    assert!(output.stderr.is_empty(), "{output:?}");
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.lines().count(), 1, "{text}");
    (output.status.code(), text)
}

/// The api token ends in three days: a warning from the moment on in which GitLab says so.
async fn token_ends(service: &Service, ends: bool) {
    let in_three_days = (service.clock.now() + SignedDuration::from_hours(72)).to_zoned(TimeZone::UTC).date();
    service.gitlab.state().api_token_ends = ends.then_some(in_three_days);
    service.reload().await; // looks at once, and not after ten minutes
}

async fn has(service: &Service, severity: Severity) -> bool {
    service.status().await.verdict.severity == severity
}

#[tokio::test]
async fn the_verdict_is_the_exit_code_of_a_check() {
    let mut service = Service::start("eu-central-2", 30.0).await;
    let (code, text) = checked(&service).await;
    assert_eq!(code, Some(0), "{text}");
    assert!(text.starts_with("RUNNER-FLEET OK - nothing is wrong | critical=0 warning=0 jobs_waiting=0"), "{text}");

    token_ends(&service, true).await;
    service.until("the token's end is a warning", async |service| has(service, Severity::Warning).await).await;
    let (code, text) = checked(&service).await;
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("WARNING - arm: its api_token ends in 2d") && text.contains("runner-fleet reload"), "{text}");
    let is_shown = async |service: &Service| service.page("/readyz").await.contains("warning: arm: its api_token ends");
    service.until("the page tells it", is_shown).await;
    assert!(service.page("/readyz").await.starts_with("ready\n"), "a service with troubles may be ready");
    let metrics = service.page("/metrics").await;
    for line in
        ["runner_fleet_verdict 1", "runner_fleet_trouble{runner=\"arm\",kind=\"token-ends\",severity=\"warning\"} 1"]
    {
        assert!(metrics.lines().any(|found| found == line), "{metrics}");
    }

    service.gitlab.state().is_down = true;
    service.until("an outage is critical", async |service| has(service, Severity::Critical).await).await;
    let (code, text) = checked(&service).await;
    assert_eq!(code, Some(2), "{text}");
    assert!(text.contains("CRITICAL - the queue of ") && text.contains("(1 more: `runner-fleet status`)"), "{text}");
    assert!(text.contains("jobs_waiting=U"), "unknown is not zero: {text}");

    service.stop().await.unwrap();
    let (code, text) = checked(&service).await;
    assert_eq!(code, Some(3), "{text}");
    assert!(text.starts_with("RUNNER-FLEET UNKNOWN - "), "{text}");
    std::fs::write(service.path(), "concurrent = ").unwrap();
    assert_eq!(checked(&service).await.0, Some(3), "a file that cannot be read is no trouble of the fleet");
}

/// A program that notes each message, and the folder where.
fn listener(folder: &Path) -> (PathBuf, PathBuf) {
    let (program, heard) = (folder.join("listen"), folder.join("heard"));
    std::fs::write(&program, format!("#!/bin/sh\ncat >> {0}\necho >> {0}\n", heard.display())).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    (program, heard)
}

fn heard(at: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(at).unwrap_or_default();
    text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {text}"))).collect()
}

async fn posted(hook: &MockServer) -> Vec<Value> {
    let requests = hook.received_requests().await.unwrap();
    requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
}

fn events(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["event"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_trouble_is_told_once_and_once_when_it_is_over() {
    let (hook, folder) = (MockServer::start().await, tempfile::tempdir().unwrap());
    let (program, at) = listener(folder.path());
    let here =
        || Mock::given(method("POST")).and(path(format!("/{SECRET}"))).and(header("content-type", "application/json"));
    // The first answer is a bad moment.
    here().respond_with(ResponseTemplate::new(503)).up_to_n_times(1).with_priority(1).mount(&hook).await;
    here().respond_with(ResponseTemplate::new(200)).mount(&hook).await;
    let mut service = Service::start("me-south-1", super::SPEED).await;
    service.tell_of_troubles(&format!("{}/{SECRET}", hook.uri()), &program);

    token_ends(&service, true).await;
    service.until("both have heard", async |_| heard(&at).len() == 1 && posted(&hook).await.len() == 2).await;
    let first = heard(&at).remove(0);
    assert_eq!((&first["version"], &first["manager"]), (&1.into(), &"whole".into()));
    assert_eq!(first["trouble"]["reason"]["kind"], "token-ends");
    assert!(first["text"].as_str().unwrap().starts_with("[warning] whole: arm: its api_token ends in 2d"), "{first}");
    assert_eq!(posted(&hook).await, [first.clone(), first.clone()], "the second is another try of the first");

    let is_kept =
        async |service: &Service| std::fs::read_to_string(service.kept()).is_ok_and(|kept| kept.contains("token-ends"));
    service.until("it is kept", is_kept).await;
    service.stop().await.unwrap();
    service.begin();
    service
        .until("it shows again", async |service| {
            !service.page("/readyz").await.is_empty() && has(service, Severity::Warning).await
        })
        .await;
    token_ends(&service, false).await;
    service.until("its end is told", async |_| heard(&at).len() == 2 && posted(&hook).await.len() == 3).await;

    let all = heard(&at);
    assert_eq!((events(&all), events(&posted(&hook).await)), (vec!["began", "over"], vec!["began", "began", "over"]));
    assert_eq!(all[1]["trouble"]["since"], first["trouble"]["since"], "over the restart it is the same one");
    service.stop().await.unwrap();
    assert!(!service.log.to_string().contains(SECRET), "the address is a secret");
}

#[tokio::test]
async fn a_test_says_who_has_heard_it() {
    let (hook, folder) = (MockServer::start().await, tempfile::tempdir().unwrap());
    let (program, at) = listener(folder.path());
    let address = format!("{}/{SECRET}", hook.uri());
    let mut on_trouble = toml::Table::new();
    on_trouble.insert("url".to_owned(), "env:HOOK".into());
    on_trouble.insert("command".to_owned(), vec![program.to_str().unwrap().to_owned()].into());
    let config =
        crate::config_file::ConfigFile::new(folder.path()).fleet("on_trouble", on_trouble).write(folder.path());
    let call = async || {
        let args = ["trouble-test", "--config", config.to_str().unwrap()];
        let output =
            Command::new(env!("CARGO_BIN_EXE_runner-fleet")).args(args).env("HOOK", &address).output().await.unwrap();
        (output.status.code(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, text) = call().await;
    let expected = "fleet.on_trouble.url: not told: it answers 404 Not Found\nfleet.on_trouble.command: told\n";
    assert_eq!((code, text.as_str()), (Some(1), expected));
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(204)).mount(&hook).await;
    assert_eq!(call().await.0, Some(0));
    assert_eq!(events(&heard(&at)), ["test", "test"]);
    assert!(heard(&at)[0]["trouble"].is_null());
}

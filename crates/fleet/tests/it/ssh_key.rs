//! The manager's SSH key outlives its host: it is kept in an SSM parameter, of an emulator that others wrote, and every
//! manager of the name ends with that one key.
//!
//! If this broke, a new host could not reach the running workers, or two hosts would take them from each other.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_sdk_ssm::types::ParameterType;
use runner_fleet::aws::{Aws, AwsError, ManagerPolicy, SshKeyParameter, manager_policy};
use runner_fleet::live::ssh_key::{Parameter, SshKeyError};
use runner_fleet::ssh::ManagerKey;
use secrecy::ExposeSecret;
use wiremock::matchers::{any, header};
use wiremock::{Mock, MockServer, ResponseTemplate};

use super::aws::World;
use super::config_file::ConfigFile;

const REGION: &str = "eu-west-2";
/// Generous: only a broken service ever waits this long.
const DEADLINE: Duration = Duration::from_secs(30);

#[tokio::test]
async fn a_new_host_has_the_key_of_the_first_start() {
    let (world, host, new_host) = (World::new(REGION).await, Host::new(), Host::new());
    let parameter = Parameter::new(world.another_door(), "/first/key");

    let made = parameter.prepare(host.state_dir(), "ci").await.unwrap();
    let again = parameter.prepare(host.state_dir(), "ci").await.unwrap();
    let adopted = parameter.prepare(new_host.state_dir(), "ci").await.unwrap();

    assert_eq!([&again, &adopted].map(ManagerKey::fingerprint), [made.fingerprint(), made.fingerprint()]);
    assert_eq!(adopted.host_key("arm").public_openssh, made.host_key("arm").public_openssh);
    assert_eq!(new_host.key().unwrap(), made.fingerprint(), "`runner-fleet ssh` needs the file");
    let kept = world.ssm().get_parameter().name("/first/key").send().await.unwrap().parameter.unwrap();
    assert_eq!((kept.r#type(), kept.version()), (Some(&ParameterType::SecureString), 1), "written once");
    assert!(kept.value().unwrap().starts_with("kms:alias/aws/ssm:"), "as the emulator marks what is encrypted");
}

#[tokio::test]
async fn an_installation_takes_its_key_along() {
    let (world, host, new_host) = (World::new(REGION).await, Host::new(), Host::new());
    let own = ManagerKey::load_or_create(host.state_dir()).unwrap();
    let parameter = Parameter::new(world.another_door(), "/along/key");

    let kept = parameter.prepare(host.state_dir(), "ci").await.unwrap();
    let adopted = parameter.prepare(new_host.state_dir(), "ci").await.unwrap();

    assert_eq!([kept.fingerprint(), adopted.fingerprint()], [own.fingerprint(), own.fingerprint()]);
    assert_eq!(host.files().len(), 1, "{:?}", host.files());
}

#[tokio::test]
async fn another_key_of_this_host_makes_room_and_is_not_lost() {
    let (world, host) = (World::new(REGION).await, Host::new());
    let parameter = Parameter::new(world.another_door(), "/room/key");
    let shared = parameter.fill(ManagerKey::fresh(), "ci").await.unwrap();
    let own = ManagerKey::load_or_create(host.state_dir()).unwrap();

    let key = parameter.prepare(host.state_dir(), "ci").await.unwrap();

    assert_eq!((key.fingerprint(), host.key()), (shared.fingerprint(), Some(shared.fingerprint())));
    assert_eq!(host.files(), ["manager_ed25519".to_owned(), format!("manager_ed25519.{}", own.fingerprint())]);
}

#[tokio::test]
async fn managers_that_start_at_once_end_with_one_key() {
    let world = World::new(REGION).await;
    let (one, other) = (world.another_door(), world.another_door());
    let (one, other) = (Parameter::new(one, "/race/key"), Parameter::new(other, "/race/key"));

    // Both have looked before either has written: the worst order.
    assert!(one.read().await.unwrap().is_none() && other.read().await.unwrap().is_none());
    let first = one.fill(ManagerKey::fresh(), "ci").await.unwrap();
    let second = other.fill(ManagerKey::fresh(), "ci").await.unwrap();

    assert_eq!(first.fingerprint(), second.fingerprint());
    assert_eq!(one.read().await.unwrap().unwrap().fingerprint(), first.fingerprint());
}

#[tokio::test]
async fn no_secret_or_no_key_is_refused_unchanged() {
    let world = World::new(REGION).await;
    let key = ManagerKey::fresh().to_openssh();
    let sesame = key.expose_secret();
    world.parameter("/clear/key", sesame, ParameterType::String).await;
    world.parameter("/token/key", "glrt-sesame", ParameterType::SecureString).await;

    for (name, told) in [
        ("/clear/key", "/clear/key in eu-west-2 is no SecureString"),
        ("/token/key", "/token/key in eu-west-2 is not an ed25519 private key"),
    ] {
        let host = Host::new();
        let error = Parameter::new(world.another_door(), name).prepare(host.state_dir(), "ci").await.unwrap_err();

        assert!(error.to_string().contains(told), "{error}");
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("sesame") && !shown.contains("PRIVATE KEY"), "{shown}");
        assert_eq!(host.files(), [""; 0]);
    }
}

#[tokio::test]
async fn an_unusable_file_of_this_host_is_left_alone() {
    let (world, host) = (World::new(REGION).await, Host::new());
    fs::write(host.state_dir().join("manager_ed25519"), "garbage").unwrap();

    let parameter = Parameter::new(world.another_door(), "/garbage/key");
    let error = parameter.prepare(host.state_dir(), "ci").await.unwrap_err();

    assert!(matches!(error, SshKeyError::File(_)), "{error}");
    assert!(parameter.read().await.unwrap().is_none(), "garbage was put into SSM");
    assert_eq!(fs::read_to_string(host.state_dir().join("manager_ed25519")).unwrap(), "garbage");
}

#[tokio::test]
async fn what_ssm_answers_is_told_and_no_key_is_made() {
    let world = World::new(REGION).await;
    let kinds = |error: &AwsError| (error.is_denied(), error.is_throttled(), error.is_transient());
    for (status, code, expected, told) in [
        (400, "AccessDeniedException", (true, false, false), "ssm:GetParameter is denied; attach the policy"),
        (400, "ThrottlingException", (false, true, true), "ssm:GetParameter is throttled"),
        (500, "InternalServerError", (false, false, true), "ssm:GetParameter failed on AWS's side"),
        (400, "ValidationException", (false, false, false), "ssm:GetParameter answered ValidationException"),
    ] {
        let (ssm, host) = (MockServer::start().await, Host::new());
        Mock::given(any()).respond_with(refusal(status, code)).mount(&ssm).await;

        let error = parameter_at(&world, &ssm).prepare(host.state_dir(), "ci").await.unwrap_err();

        assert!(matches!(&error, SshKeyError::Aws(of_aws) if kinds(of_aws) == expected), "{error:?}");
        assert!(error.to_string().contains(told), "{error}");
        assert_eq!(host.files(), [""; 0], "a key that nobody else will have");
    }
}

#[tokio::test]
async fn a_key_that_cannot_be_read_yet_is_awaited() {
    let (world, ssm, host) = (World::new(REGION).await, MockServer::start().await, Host::new());
    let call = |action: &str| Mock::given(header("x-amz-target", format!("AmazonSSM.{action}").as_str()));
    call("GetParameter").respond_with(refusal(400, "ParameterNotFound")).mount(&ssm).await;
    call("PutParameter").respond_with(refusal(400, "ParameterAlreadyExists")).mount(&ssm).await;

    let error = parameter_at(&world, &ssm).prepare(host.state_dir(), "ci").await.unwrap_err();

    assert!(error.to_string().contains("exists and is not found; this passes"), "{error}");
    assert_eq!(host.files(), [""; 0]);
}

#[tokio::test]
async fn what_keeping_a_key_takes_is_in_the_printed_policy() {
    let (world, host) = (World::new(REGION).await, Host::new());
    let aws = world.another_door();
    Parameter::new(aws.clone(), "/policy/key").prepare(host.state_dir(), "ci").await.unwrap();

    let input = |ssh_key| ManagerPolicy {
        partition: "aws".to_owned(),
        account: None,
        regions: [REGION.to_owned()].into(),
        manager: "ci".to_owned(),
        parameters: [].into(),
        images: [].into(),
        instance_types: [].into(),
        secrets: [].into(),
        ssh_key,
        instance_profiles: [].into(),
        roles: [].into(),
        kms_keys: [].into(),
        with_doctor: false,
    };
    let ssh_key = SshKeyParameter { region: REGION.to_owned(), name: "/policy/key".to_owned() };
    let (with, without) = (manager_policy(&input(Some(ssh_key))).to_string(), manager_policy(&input(None)).to_string());

    let called = aws.calls().snapshot();
    assert_eq!(called.keys().collect::<Vec<_>>(), ["ssm:GetParameter", "ssm:PutParameter"]);
    assert!(called.keys().all(|action| with.contains(action.as_str())), "{with}");
    assert!(!without.contains("ssm:"), "{without}");
}

#[tokio::test]
async fn a_new_hosts_service_starts_with_the_former_key() {
    let world = World::new(REGION).await;
    let (host, new_host) = (Host::new(), Host::new());

    for host in [&host, &new_host] {
        let mut service = host.command("run", "ssm:/service/key", &world).spawn().unwrap();
        let written = tokio::time::timeout(DEADLINE, async {
            while host.key().is_none() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        written.await.expect("the service has written no key");
        service.kill().await.unwrap();
    }

    assert_eq!(host.key(), new_host.key());
}

#[tokio::test]
async fn a_plan_looks_for_the_key_where_the_configuration_says() {
    let (world, host) = (World::new(REGION).await, Host::new());
    world.parameter("/plan/key", "glrt-sesame", ParameterType::String).await;

    let output = host.command("plan", "ssm:/plan/key", &world).output().await.unwrap();

    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("cannot use the manager's SSH key") && told.contains("is no SecureString"), "{told}");
    assert!(!told.contains("sesame"), "{told}");
}

/// Answers as SSM does when it refuses.
fn refusal(status: u16, code: &str) -> ResponseTemplate {
    let body = format!(r#"{{"__type":"{code}","message":"no"}}"#);
    ResponseTemplate::new(status).set_body_raw(body, "application/x-amz-json-1.1")
}

/// A parameter of a double, which is asked once.
fn parameter_at(world: &World, ssm: &MockServer) -> Parameter {
    let settings = world.settings.to_builder().endpoint_url(ssm.uri()).retry_config(RetryConfig::disabled()).build();
    Parameter::new(Aws::from_sdk_config(&settings).unwrap(), "/ci/key")
}

/// A host with a state directory and a configuration.
struct Host {
    state_dir: tempfile::TempDir,
    etc: tempfile::TempDir,
}

impl Host {
    fn new() -> Self {
        Self { state_dir: tempfile::tempdir().unwrap(), etc: tempfile::tempdir().unwrap() }
    }

    fn state_dir(&self) -> &Path {
        self.state_dir.path()
    }

    /// The names of all files in its state directory.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.state_dir()).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// The fingerprint of the key in its state directory.
    fn key(&self) -> Option<String> {
        ManagerKey::load(self.state_dir()).ok().map(|key| key.fingerprint())
    }

    /// The real program with a configuration of this host; nobody listens where GitLab should.
    fn command(&self, subcommand: &str, ssh_key: &str, world: &World) -> tokio::process::Command {
        let path = ConfigFile::new(self.etc.path())
            .global("listen_address", "")
            .fleet("state_dir", self.state_dir().to_str().unwrap())
            .fleet("ssh_key", ssh_key)
            .runner("url", "http://127.0.0.1:1")
            .workers_in(world)
            .workers("region", REGION)
            .write(self.etc.path());
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_runner-fleet"));
        command.arg(subcommand).arg("--config").arg(path).env_clear().kill_on_drop(true);
        command.envs([("AWS_ENDPOINT_URL", world.endpoint()), ("AWS_ACCESS_KEY_ID", "AKIATEST")]);
        command.env("AWS_SECRET_ACCESS_KEY", "x").stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

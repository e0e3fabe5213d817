//! An environment in which everything is well, until a test says otherwise.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::sync::{Arc, Mutex};

use runner_fleet::ssh::ManagerKey;
use russh::keys::{Algorithm, PrivateKey};
use secrecy::ExposeSecret;
use serde_json::Value;
use tokio::net::TcpListener;
use wiremock::matchers::any;
use wiremock::{Mock, MockServer, Request, Respond, ResponseTemplate};

use crate::config_file::ConfigFile;
use crate::ssh::server::{Script, Server, exit, script, stdin, stranger};

pub(super) const RUNNER_TOKEN: &str = "glrt-AbCdEfGhIjKlMnOpQrSt";
pub(super) const API_TOKEN: &str = "glpat-AbCdEfGhIjKlMnOp1234";
/// What the helper prints on success.
pub(super) const HELPER_SECRET: &str = "eyJwYXlsb2FkIjoi-the-password";
const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";

type Answers = Arc<Mutex<BTreeMap<String, (u16, String)>>>;
type Commands = Arc<Mutex<BTreeMap<String, (u32, String)>>>;

pub(super) struct TestEnv {
    folder: tempfile::TempDir,
    _gitlab: MockServer,
    aws: MockServer,
    gitlab_answers: Answers,
    answers: Answers,
    commands: Commands,
    environment: Mutex<bool>,
    config: PathBuf,
}

/// What `doctor --json` said.
pub(super) struct Seen {
    pub(super) code: i32,
    json: Value,
    stderr: String,
}

impl Seen {
    fn findings(&self) -> impl Iterator<Item = &Value> {
        self.json["findings"].as_array().into_iter().flatten()
    }

    /// The steps with this verdict.
    pub(super) fn with(&self, verdict: &str) -> Vec<String> {
        let of = self.findings().filter(|finding| finding["verdict"] == verdict);
        of.map(|finding| finding["step"].as_str().unwrap().to_owned()).collect()
    }

    /// Whether a step came to this, with these words in what was found or in the advice.
    pub(super) fn says(&self, step: &str, verdict: &str, words: &str) -> bool {
        self.findings().any(|finding| {
            finding["step"] == step && finding["verdict"] == verdict && finding.to_string().contains(words)
        })
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "exit code {}\n{:#}\n{}", self.code, self.json, self.stderr)
    }
}

impl TestEnv {
    pub(super) async fn new() -> Self {
        Self::build(None).await
    }

    /// Somebody else's machine answers at the worker's address.
    pub(super) async fn with_a_strangers_host_key() -> Self {
        Self::build(Some(stranger(Algorithm::Ed25519))).await
    }

    async fn build(host_key: Option<PrivateKey>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (gitlab, aws) = (MockServer::start().await, MockServer::start().await);
        let (gitlab_answers, answers, commands) = (Answers::default(), Answers::default(), Commands::default());
        Mock::given(any()).respond_with(GitLab(Arc::clone(&gitlab_answers))).mount(&gitlab).await;
        Mock::given(any()).respond_with(Aws(Arc::clone(&answers))).mount(&aws).await;
        let key = ManagerKey::load_or_create(&folder.path().join("state")).unwrap();
        let own = key.worker_host_key("spot", "i-01").private_openssh;
        let host_key = host_key.unwrap_or_else(|| PrivateKey::from_openssh(own.expose_secret()).unwrap());
        let port = serve(Server::with_host_key(&key, host_key, worker(Arc::clone(&commands)))).await;
        let config = configuration(folder.path(), &gitlab.uri(), port).write(folder.path());
        let environment = Mutex::new(true);
        let env = Self { folder, _gitlab: gitlab, aws, gitlab_answers, answers, commands, environment, config };
        env.aws_is_well();
        env.worker_is_well();
        for (door, body) in [
            ("verify", r#"{"id":6,"token":"x","token_expires_at":null}"#),
            ("self", r#"{"scopes":["read_api"],"expires_at":"2099-01-01"}"#),
            ("runner", include_str!("../../../../gitlab/tests/recorded/runner_project.json")),
            ("jobs", include_str!("../../../../gitlab/tests/recorded/jobs.json")),
            ("jobs of 2", "[]"),
        ] {
            env.gitlab(door, 200, body);
        }
        env
    }

    /// From now on GitLab answers so at one of its doors: verify, self, runner, jobs, jobs of 2.
    pub(super) fn gitlab(&self, door: &str, status: u16, body: &str) {
        self.gitlab_answers.lock().unwrap().insert(door.to_owned(), (status, body.to_owned()));
    }

    /// From now on AWS answers a call so.
    pub(super) fn aws(&self, action: &str, status: u16, body: &str) {
        self.answers.lock().unwrap().insert(action.to_owned(), (status, body.to_owned()));
    }

    pub(super) fn aws_is_well(&self) {
        let would = ec2_error("DryRunOperation", "Request would have succeeded, but DryRun flag is set.");
        let rights = [
            "ecr:GetAuthorizationToken",
            "ecr:BatchCheckLayerAvailability",
            "ecr:BatchGetImage",
            "ecr:GetDownloadUrlForLayer",
            "ecr-public:GetAuthorizationToken",
            "sts:GetServiceBearerToken",
            "s3:GetObject",
            "s3:PutObject",
            "s3:ListBucket",
        ];
        for (action, status, body) in [
            ("GetCallerIdentity", 200, identity()),
            ("DescribeImages", 200, image("arm64")),
            ("DescribeSubnets", 200, subnets()),
            ("DescribeSecurityGroups", 200, group("vpc-1", 0)),
            ("DescribeInstanceTypeOfferings", 200, offerings()),
            ("DescribeKeyPairs", 200, "<DescribeKeyPairsResponse><keySet/></DescribeKeyPairsResponse>".into()),
            ("DescribeLaunchTemplates", 200, template()),
            ("RunInstances", 412, would.clone()),
            ("CreateFleet", 412, would.clone()),
            ("ImportKeyPair", 412, would.clone()),
            ("CreateLaunchTemplate", 412, would),
            ("GetServiceQuota", 200, quota(640.0)),
            ("DescribeInstanceTypes", 200, types()),
            ("GetInstanceProfile", 200, profile("ec2.amazonaws.com")),
            ("SimulatePrincipalPolicy", 200, simulated(&rights.map(|right| (right, true)))),
            ("DescribeInstances", 200, instance("127.0.0.1")),
        ] {
            self.aws(action, status, &body);
        }
    }

    /// From now on a command that contains these words ends so.
    pub(super) fn worker(&self, words: &str, status: u32, said: &str) {
        self.commands.lock().unwrap().insert(words.to_owned(), (status, said.to_owned()));
    }

    pub(super) fn worker_is_well(&self) {
        let report = r#"{"v":1,"phase":"ready","step":"","error":"","runner":"serving","jobs_metrics":0,"jobs_docker":0,"job_ids":[],"requests":1,"started":0,"idle_seconds":1,"queue_size":null,"disk_free_mib":1000,"interruption":null,"rebalance":false}"#;
        self.worker("agent report", 0, report);
        self.worker("uname -m", 0, "aarch64\n");
        self.worker("ecr-login -v", 0, "amazon-ecr-credential-helper 0.12.0 (abc)\n");
        self.worker("ecr-login get", 0, "");
        self.worker("/ld-linux", 1, "");
        self.worker("tail -c", 0, "");
    }

    pub(super) fn forget_environment(&self) {
        *self.environment.lock().unwrap() = false;
    }

    pub(super) fn lose_key(&self) {
        std::fs::remove_file(self.folder.path().join("state/manager_ed25519")).unwrap();
    }

    /// From now on the key is kept in SSM as well; there this lies, or nothing.
    pub(super) fn key_in_ssm(&self, text: Option<&str>) {
        let config = std::fs::read_to_string(&self.config).unwrap();
        if !config.contains("ssh_key") {
            let with = config.replacen("[fleet]", "[fleet]\nssh_key = \"ssm:/ci/key\"", 1);
            std::fs::write(&self.config, with).unwrap();
        }
        match text {
            Some(text) => {
                let parameter = serde_json::json!({ "Name": "/ci/key", "Type": "SecureString", "Value": text });
                self.aws("GetParameter", 200, &serde_json::json!({ "Parameter": parameter }).to_string());
            }
            None => self.aws("GetParameter", 400, &json_error("ParameterNotFound")),
        }
    }

    /// From now on the workers' volumes are encrypted with this key.
    pub(super) fn volume_key(&self, key: &str) {
        let config = std::fs::read_to_string(&self.config).unwrap();
        let with = format!("root_volume = {{ kms_key_id = \"{key}\" }}\ninstance_profile =");
        std::fs::write(&self.config, config.replacen("instance_profile =", &with, 1)).unwrap();
    }

    /// The key of this host, as it would lie in SSM.
    pub(super) fn key(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("state/manager_ed25519")).unwrap()
    }

    pub(super) fn has_key(&self) -> bool {
        self.folder.path().join("state/manager_ed25519").exists()
    }

    /// Whether every call that could change something was a dry run.
    pub(super) async fn launched_nothing(&self) -> bool {
        let sent = self.aws.received_requests().await.unwrap();
        assert!(!sent.is_empty());
        let changes = ["RunInstances", "CreateFleet", "ImportKeyPair", "CreateLaunchTemplate", "Delete", "Terminate"];
        sent.iter().all(|request| {
            let body = String::from_utf8_lossy(&request.body).into_owned();
            let changes = changes.iter().any(|action| body.contains(&format!("Action={action}")));
            let target = request.headers.get("x-amz-target").map(|value| value.to_str().unwrap());
            (!changes || body.contains("DryRun=true")) && target != Some("AmazonSSM.PutParameter")
        })
    }

    pub(super) async fn doctor(&self, args: &[&str]) -> Seen {
        let output = self.run(&[args, &["--json"]].concat()).await;
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
        Seen { code: output.status.code().unwrap_or(-1), json, stderr }
    }

    pub(super) async fn run(&self, args: &[&str]) -> Output {
        let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_runner-fleet"));
        command.arg("doctor").args(args).arg("--config").arg(&self.config).env_clear().kill_on_drop(true);
        command.env("AWS_ENDPOINT_URL", self.aws.uri()).env("AWS_ACCESS_KEY_ID", ACCESS_KEY);
        command.env("AWS_SECRET_ACCESS_KEY", "wJalrXUtnFEMI-secret").env("AWS_MAX_ATTEMPTS", "1");
        if *self.environment.lock().unwrap() {
            command.env("API_TOKEN", API_TOKEN);
        }
        let run = command.output();
        tokio::time::timeout(std::time::Duration::from_secs(60), run).await.expect("doctor ends").unwrap()
    }
}

async fn serve(server: Server) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            server.serve(stream);
        }
    });
    port
}

/// A worker's shell. A `get` of the helper is only right with a host on stdin and its output thrown away.
fn worker(commands: Commands) -> Script {
    script(move |command, mut channel| {
        let commands = Arc::clone(&commands);
        async move {
            let input = stdin(&mut channel).await;
            let known =
                commands.lock().unwrap().iter().find(|(words, _)| command.contains(*words)).map(|(_, a)| a.clone());
            let (mut status, mut said) = known.unwrap_or((127, format!("{command}: not found")));
            if command.contains(" get") {
                let asked = String::from_utf8(input).unwrap();
                status = if asked.ends_with('\n') && asked.contains('.') { status } else { 99 };
                said = if command.contains(">/dev/null") { said } else { HELPER_SECRET.to_owned() };
            }
            if status == 0 {
                channel.data_bytes(said).await.unwrap();
            } else {
                channel.extended_data_bytes(1, said).await.unwrap();
            }
            exit(&channel, status).await;
        }
    })
}

/// Answers by door; everything else is not found.
struct GitLab(Answers);

impl Respond for GitLab {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let path = request.url.path();
        let door = match path {
            "/api/v4/runners/verify" => "verify",
            "/api/v4/personal_access_tokens/self" => "self",
            "/api/v4/runners/6" => "runner",
            "/api/v4/projects/1/jobs" => "jobs",
            "/api/v4/projects/2/jobs" => "jobs of 2",
            _ => "nowhere",
        };
        let answer = self.0.lock().unwrap().get(door).cloned();
        let (status, body) = answer.unwrap_or((404, r#"{"message":"404 Not Found"}"#.to_owned()));
        ResponseTemplate::new(status).set_body_raw(body, "application/json")
    }
}

/// Answers by action: query protocols name it in the body, JSON protocols in a header.
struct Aws(Answers);

impl Respond for Aws {
    fn respond(&self, request: &Request) -> ResponseTemplate {
        let body = String::from_utf8_lossy(&request.body);
        let in_body = body.split('&').find_map(|field| field.strip_prefix("Action="));
        let target = request.headers.get("x-amz-target").and_then(|value| value.to_str().ok());
        let action = in_body.or_else(|| target?.rsplit('.').next()).unwrap_or("nothing");
        match self.0.lock().unwrap().get(action) {
            Some((status, body)) => ResponseTemplate::new(*status).set_body_raw(body.clone(), "text/xml"),
            None => ResponseTemplate::new(501).set_body_string(format!("{action} is not played here")),
        }
    }
}

fn configuration(folder: &Path, gitlab: &str, port: u16) -> ConfigFile {
    let ecr = toml::toml! { registries = ["123456789012.dkr.ecr.eu-central-1.amazonaws.com", "public.ecr.aws"] };
    let cache = toml::toml! { Type = "s3" s3 = { BucketName = "ci-cache", BucketLocation = "eu-central-1" } };
    ConfigFile::new(folder)
        .runner("cache", cache)
        .runner("url", gitlab)
        .runner("token", RUNNER_TOKEN)
        .runner("limit", 4)
        .workers("api_token", "env:API_TOKEN")
        .workers("ami", "ami-0123456789abcdef0")
        .workers("subnets", vec!["subnet-0000000000000000a", "subnet-0000000000000000b"])
        .workers("security_groups", vec!["sg-0123456789abcdef0"])
        .workers("instance_profile", "ci-worker")
        .workers("ssh_port", i64::from(port))
        .workers("runner_sha256", "0".repeat(64))
        .workers("runner_url", "https://example.com/gitlab-runner")
        .workers("ecr", ecr)
}

pub(super) fn ec2_error(code: &str, message: &str) -> String {
    format!(
        "<Response><Errors><Error><Code>{code}</Code><Message>{message}</Message></Error></Errors><RequestID>r</RequestID></Response>"
    )
}

/// As STS and IAM render it.
pub(super) fn query_error(code: &str) -> String {
    format!(
        "<ErrorResponse><Error><Type>Sender</Type><Code>{code}</Code><Message>no</Message></Error><RequestId>r</RequestId></ErrorResponse>"
    )
}

pub(super) fn json_error(code: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"no"}}"#)
}

fn identity() -> String {
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>arn:aws:sts::123456789012:assumed-role/manager/i-0</Arn>\
     <UserId>AROA:i-0</UserId><Account>123456789012</Account></GetCallerIdentityResult></GetCallerIdentityResponse>"
        .into()
}

pub(super) fn image(architecture: &str) -> String {
    format!(
        "<DescribeImagesResponse><imagesSet><item><imageId>ami-0123456789abcdef0</imageId><architecture>{architecture}</architecture>\
         <rootDeviceName>/dev/xvda</rootDeviceName><blockDeviceMapping><item><deviceName>/dev/xvda</deviceName>\
         <ebs><volumeSize>8</volumeSize></ebs></item></blockDeviceMapping></item></imagesSet></DescribeImagesResponse>"
    )
}

fn subnets() -> String {
    let subnet = |letter: &str| {
        format!(
            "<item><subnetId>subnet-0000000000000000{letter}</subnetId><vpcId>vpc-1</vpcId>\
             <availableIpAddressCount>100</availableIpAddressCount>\
             <availabilityZone>eu-central-1{letter}</availabilityZone></item>"
        )
    };
    format!("<DescribeSubnetsResponse><subnetSet>{}{}</subnetSet></DescribeSubnetsResponse>", subnet("a"), subnet("b"))
}

/// A group that lets one port in; 0: all.
pub(super) fn group(vpc: &str, port: u16) -> String {
    let ports = if port == 0 {
        "<ipProtocol>-1</ipProtocol>".to_owned()
    } else {
        format!("<ipProtocol>tcp</ipProtocol><fromPort>{port}</fromPort><toPort>{port}</toPort>")
    };
    format!(
        "<DescribeSecurityGroupsResponse><securityGroupInfo><item><groupId>sg-0123456789abcdef0</groupId><vpcId>{vpc}</vpcId>\
         <ipPermissions><item>{ports}</item></ipPermissions></item></securityGroupInfo></DescribeSecurityGroupsResponse>"
    )
}

fn offerings() -> String {
    let row = |zone: &str| {
        format!("<item><instanceType>c8g.large</instanceType><location>eu-central-1{zone}</location></item>")
    };
    format!(
        "<DescribeInstanceTypeOfferingsResponse><instanceTypeOfferingSet>{}{}</instanceTypeOfferingSet>\
         </DescribeInstanceTypeOfferingsResponse>",
        row("a"),
        row("b")
    )
}

fn types() -> String {
    "<DescribeInstanceTypesResponse><instanceTypeSet><item><instanceType>c8g.large</instanceType>\
     <vCpuInfo><defaultVCpus>2</defaultVCpus></vCpuInfo></item></instanceTypeSet></DescribeInstanceTypesResponse>"
        .into()
}

fn tags() -> String {
    let tag = |key: &str, value: &str| format!("<item><key>runner-fleet:{key}</key><value>{value}</value></item>");
    format!("<tagSet>{}{}{}</tagSet>", tag("manager", "ci"), tag("runner", "spot"), tag("config", "cafe"))
}

fn template() -> String {
    format!(
        "<DescribeLaunchTemplatesResponse><launchTemplates><item>\
         <launchTemplateName>runner-fleet-ci-spot-0123</launchTemplateName>{}</item></launchTemplates>\
         </DescribeLaunchTemplatesResponse>",
        tags()
    )
}

pub(super) fn quota(value: f64) -> String {
    format!(r#"{{"Quota":{{"ServiceCode":"ec2","QuotaCode":"L-34B43A08","Value":{value:.1}}}}}"#)
}

pub(super) fn profile(service: &str) -> String {
    format!(
        "<GetInstanceProfileResponse><GetInstanceProfileResult><InstanceProfile><Path>/</Path>\
         <InstanceProfileName>ci-worker</InstanceProfileName><InstanceProfileId>AIPA</InstanceProfileId>\
         <Arn>arn:aws:iam::123456789012:instance-profile/ci-worker</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
         <Roles><member><Path>/</Path><RoleName>ci-worker</RoleName><RoleId>AROA</RoleId>\
         <Arn>arn:aws:iam::123456789012:role/ci-worker</Arn><CreateDate>2026-01-01T00:00:00Z</CreateDate>\
         <AssumeRolePolicyDocument>%7B%22Service%22%3A%22{service}%22%7D</AssumeRolePolicyDocument>\
         </member></Roles></InstanceProfile></GetInstanceProfileResult></GetInstanceProfileResponse>"
    )
}

pub(super) fn simulated(rights: &[(&str, bool)]) -> String {
    let row = |(action, allowed): &(&str, bool)| {
        let decision = if *allowed { "allowed" } else { "implicitDeny" };
        format!("<member><EvalActionName>{action}</EvalActionName><EvalDecision>{decision}</EvalDecision></member>")
    };
    format!(
        "<SimulatePrincipalPolicyResponse><SimulatePrincipalPolicyResult><EvaluationResults>{}</EvaluationResults>\
         </SimulatePrincipalPolicyResult></SimulatePrincipalPolicyResponse>",
        rights.iter().map(row).collect::<String>()
    )
}

/// A running worker at this address.
pub(super) fn instance(address: &str) -> String {
    format!(
        "<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-01</instanceId>\
         <instanceState><code>16</code><name>running</name></instanceState><instanceType>c8g.large</instanceType>\
         <launchTime>2026-09-01T08:00:00.000Z</launchTime>\
         <placement><availabilityZone>eu-central-1a</availabilityZone></placement>\
         <privateIpAddress>{address}</privateIpAddress>{}</item></instancesSet></item></reservationSet>\
         </DescribeInstancesResponse>",
        tags()
    )
}

pub(super) fn no_instances() -> String {
    "<DescribeInstancesResponse><reservationSet/></DescribeInstancesResponse>".into()
}

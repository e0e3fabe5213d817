//! For tests: an [`Aws`] that gets recorded answers instead of AWS's, and remembers what it sent.

use std::collections::{BTreeMap, VecDeque};
use std::io::Read;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider, SharedHttpClient};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::body::SdkBody;
use aws_smithy_types::timeout::TimeoutConfig;
use base64::Engine as _;

use super::cache::Image;
use super::client::Aws;
use super::spec::{Ami, LaunchSpec, RootVolume};
use runner_fleet_engine::{
    Arch, ConfigHash, InstanceType, Launch, LaunchReason, LaunchToken, Market, Offering, RunnerName, SubnetId,
    TemplateName, Zone,
};

/// One answer of the wire.
#[derive(Clone, Debug)]
pub(crate) enum Answer {
    Body { status: u16, body: String },
    Lost,
    Never,
}

impl Answer {
    pub(crate) fn xml(status: u16, body: &str) -> Self {
        Self::Body { status, body: body.to_owned() }
    }

    pub(crate) fn json(status: u16, body: &str) -> Self {
        Self::xml(status, body)
    }

    /// An error as EC2 renders it.
    pub(crate) fn ec2_error(status: u16, code: &str, message: &str) -> Self {
        let error = format!("<Error><Code>{code}</Code><Message>{message}</Message></Error>");
        Self::xml(status, &format!("<Response><Errors>{error}</Errors><RequestID>r-1</RequestID></Response>"))
    }

    /// The connection breaks.
    pub(crate) fn lost() -> Self {
        Self::Lost
    }

    /// Nothing comes, and the connection stays.
    pub(crate) fn never() -> Self {
        Self::Never
    }
}

/// The wire: answers in order, then refuses.
#[derive(Clone, Debug)]
pub(crate) struct Replay {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    bodies: Arc<Mutex<Vec<String>>>,
}

impl Replay {
    /// The bodies of all requests so far, as sent.
    pub(crate) fn bodies(&self) -> Vec<String> {
        self.bodies.lock().unwrap().clone()
    }

    /// One request's form fields, a line each, readable.
    pub(crate) fn wire(&self, index: usize) -> String {
        let body = self.bodies()[index].clone();
        body.split('&').map(readable).collect::<Vec<_>>().join("\n")
    }
}

fn readable(field: &str) -> String {
    let (key, value) = field.split_once('=').unwrap();
    let value = decoded(value);
    let is_random = value.len() == 36 && value.matches('-').count() == 4;
    match key {
        "ClientToken" if is_random => format!("{key}=(random)"),
        "LaunchTemplateData.UserData" => {
            let gzip = base64::engine::general_purpose::STANDARD.decode(value).unwrap();
            let mut text = String::new();
            flate2::read::GzDecoder::new(gzip.as_slice()).read_to_string(&mut text).unwrap();
            format!("{key}=(base64, gzip) {text}")
        }
        _ => format!("{key}={value}"),
    }
}

fn decoded(value: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = value.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        rest = tail;
        match first {
            b'+' => bytes.push(b' '),
            b'%' => {
                bytes.push(u8::from_str_radix(std::str::from_utf8(&rest[..2]).unwrap(), 16).unwrap());
                rest = &rest[2..];
            }
            other => bytes.push(*other),
        }
    }
    String::from_utf8(bytes).unwrap()
}

impl HttpConnector for Replay {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().unwrap_or_default();
        self.bodies.lock().unwrap().push(String::from_utf8(body.to_vec()).unwrap());
        let answer = self.answers.lock().unwrap().pop_front();
        if matches!(answer, Some(Answer::Never)) {
            return HttpConnectorFuture::new(std::future::pending());
        }
        HttpConnectorFuture::ready(match answer {
            Some(Answer::Body { status, body }) => {
                Ok(HttpResponse::new(status.try_into().unwrap(), SdkBody::from(body)))
            }
            Some(Answer::Lost | Answer::Never) => Err(ConnectorError::io("connection reset".into())),
            None => Err(ConnectorError::user("an unexpected request".into())),
        })
    }
}

impl HttpClient for Replay {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

/// An [`Aws`] in eu-central-1 that gets these answers, one for each attempt.
pub(crate) fn aws_with(answers: impl IntoIterator<Item = Answer>) -> (Aws, Replay) {
    let credentials = Credentials::new("AKID", "secret", None, None, "test");
    aws_for(answers, SharedCredentialsProvider::new(credentials), None)
}

/// As [`aws_with`], but the user's settings give an attempt only this time.
pub(crate) fn hurried_aws_with(answers: impl IntoIterator<Item = Answer>, attempt: Duration) -> Aws {
    let credentials = Credentials::new("AKID", "secret", None, None, "test");
    aws_for(answers, SharedCredentialsProvider::new(credentials), Some(attempt)).0
}

/// An [`Aws`] whose provider finds no credentials.
pub(crate) fn aws_without_credentials() -> (Aws, Replay) {
    let empty = ProfileFileCredentialsProvider::builder().profile_name("no-such-profile-of-runner-fleet").build();
    aws_for([], SharedCredentialsProvider::new(empty), None)
}

fn aws_for(
    answers: impl IntoIterator<Item = Answer>,
    credentials: SharedCredentialsProvider,
    attempt: Option<Duration>,
) -> (Aws, Replay) {
    let replay = Replay { answers: Arc::new(Mutex::new(answers.into_iter().collect())), bodies: Arc::default() };
    let mut timeouts = TimeoutConfig::builder();
    timeouts.set_operation_attempt_timeout(attempt);
    let settings = SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
        .timeout_config(timeouts.build())
        .credentials_provider(credentials)
        .http_client(SharedHttpClient::new(replay.clone()))
        .build();
    (Aws::from_sdk_config(&settings).unwrap(), replay)
}

/// A spec that fits to the recorded answers.
pub(crate) fn a_spec() -> LaunchSpec {
    LaunchSpec {
        manager: "ci-eu".to_owned(),
        runner: RunnerName::new("arm"),
        ami: Ami::Id("ami-0abc".to_owned()),
        arch: Arch::Arm64,
        instance_types: vec![InstanceType::new("c8g.large"), InstanceType::new("c7g.large")],
        subnets: vec![SubnetId::new("subnet-a"), SubnetId::new("subnet-b"), SubnetId::new("subnet-a2")],
        security_groups: vec!["sg-1".to_owned()],
        instance_profile: Some("ci-worker".to_owned()),
        public_key_openssh: "ssh-ed25519 AAAAC3Nza manager\n".to_owned(),
        key_fingerprint: "SHA256:Fp1".to_owned(),
        root_volume: RootVolume {
            size_gib: 30,
            kind: "gp3".to_owned(),
            encrypted: true,
            iops: Some(3_000),
            throughput: None,
            kms_key_id: None,
            device: None,
        },
        hop_limit: 2,
        tags: BTreeMap::from([("team".to_owned(), "build".to_owned())]),
        user_data: b"#cloud-config\n{}".to_vec(),
        spot_max_price: None,
        public_address: false,
        extra_hash: "runner-config".to_owned(),
    }
}

/// The image of [`a_spec`].
pub(crate) fn an_image() -> Image {
    Image {
        id: "ami-0abc".to_owned(),
        architecture: "arm64".to_owned(),
        root_device: "/dev/xvda".to_owned(),
        root_size_gib: 8,
    }
}

/// A launch of three workers in two zones.
pub(crate) fn a_launch(market: Market) -> Launch {
    let offering = |kind: &str, zone: &str, subnet: &str| Offering {
        market,
        instance_type: InstanceType::new(kind),
        zone: Zone::new(zone),
        subnet: SubnetId::new(subnet),
    };
    Launch {
        token: LaunchToken::new("token-1"),
        runner: RunnerName::new("arm"),
        count: 3,
        market,
        offerings: vec![
            offering("c8g.large", "eu-central-1a", "subnet-a"),
            offering("c7g.large", "eu-central-1a", "subnet-a"),
            offering("c7g.large", "eu-central-1b", "subnet-b"),
        ],
        template: TemplateName::new("runner-fleet-ci-eu-arm-0123"),
        config: ConfigHash::new("cafe"),
        spot_max_price: None,
        tags: BTreeMap::new(),
        reason: LaunchReason::SpotMissing { missing: 3 },
    }
}

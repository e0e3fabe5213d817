//! The AWS room against moto, an EC2 and SSM emulator that others wrote: what we send is understood by someone else, and
//! what comes back is read.
//!
//! Each test works in a region of its own of one shared emulator, which ends with this process. If these broke, no
//! worker would be launched, found again, or ended.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_ec2::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_ec2::types::{Filter, Tag};
use aws_sdk_ssm::types::ParameterType;
use jiff::Timestamp;
use runner_fleet::aws::{AddressKind, Ami, Aws, LaunchSpec, ManagerPolicy, RootVolume, manager_policy};
use runner_fleet_engine::{
    Arch, Health, Instance, InstanceState, InstanceType, Launch, LaunchErrorClass, LaunchPlan, LaunchReason,
    LaunchToken, Leftover, Market, RunnerName, SubnetId, TemplateName, WorkerId,
};
use runner_fleet_testing::tools::which;
use secrecy::ExposeSecret;

const MANAGER: &str = "it";

#[tokio::test]
async fn preparing_twice_gives_one_template_and_one_key_pair() {
    let world = World::new("eu-central-1").await;
    let spec = world.spec("arm");

    let first = world.aws.plan(&spec).await.unwrap();
    let by_another_process = world.another_door().plan(&spec).await.unwrap();

    assert_eq!(first, by_another_process);
    assert_eq!(world.templates().await, [first.template.as_str()]);
    assert_eq!(world.key_pairs().await, ["runner-fleet-it-abc"]);
    assert_eq!(first.places.len(), 4, "two types in two zones: {:?}", first.places);
}

#[tokio::test]
async fn a_changed_runner_gets_a_new_template_the_old_one_goes() {
    let world = World::new("eu-west-1").await;
    let mut spec = world.spec("arm");
    let first = world.aws.plan(&spec).await.unwrap();
    let other = world.aws.plan(&world.spec("other")).await.unwrap();

    spec.user_data = b"#cloud-config\n{packages: [jq]}".to_vec();
    spec.key_fingerprint = "SHA256:def".to_owned();
    let second = world.aws.plan(&spec).await.unwrap();
    assert_ne!(first.template, second.template);
    assert_ne!(first.config, second.config);

    // A launch from the former one may be on its way; later it goes.
    assert_eq!((world.templates().await.len(), world.key_pairs().await.len()), (3, 2));
    let both = ["arm", "other"].map(RunnerName::new).into();
    assert_eq!(world.aws.collect_garbage(&spec, &second.template, &both).await.unwrap(), 2);
    let mut left = [second.template.as_str(), other.template.as_str()];
    left.sort_unstable();
    assert_eq!(world.templates().await, left);
    assert_eq!(world.key_pairs().await, ["runner-fleet-it-def"]);

    let one = BTreeSet::from([RunnerName::new("arm")]);
    assert_eq!(world.aws.collect_garbage(&spec, &second.template, &one).await.unwrap(), 1);
    assert_eq!(world.templates().await, [second.template.as_str()]);
    assert_eq!(world.aws.collect_garbage(&spec, &second.template, &one).await.unwrap(), 0);
}

#[tokio::test]
async fn three_workers_are_launched_listed_and_ended() {
    let world = World::new("us-east-1").await;
    let plan = world.aws.plan(&world.spec("arm")).await.unwrap();
    world.foreign_instance(&plan).await;

    let launch = a_launch(&plan, "token-3", 3, Market::Spot);
    let answer = world.launch(&launch).await;

    assert_eq!(answer.launched.len(), 3, "{answer:?}");
    assert_eq!((answer.errors.len(), answer.leftover), (0, Leftover::None), "{answer:?}");
    let listed = world.list().await;
    let ids = |all: &[Instance]| all.iter().map(|instance| instance.id.clone()).collect::<BTreeSet<_>>();
    assert_eq!(ids(&listed), answer.launched.iter().map(|worker| worker.id.clone()).collect());
    for instance in &listed {
        assert_eq!(instance.runner, launch.runner);
        assert_eq!(instance.config, plan.config);
        assert_eq!(instance.launch.as_ref(), Some(&launch.token));
        assert_eq!(instance.state, InstanceState::Running);
        assert_eq!(instance.market, Market::Spot);
        assert_eq!(instance.health, Health::Ok);
        assert!(instance.address.is_some_and(|address| address.to_string().starts_with("172.31.")), "{instance:?}");
        let is_asked = |place: &&runner_fleet_engine::Place| {
            place.instance_type == instance.instance_type && place.zone == instance.zone
        };
        assert!(plan.places.iter().any(|place| is_asked(&place)), "{instance:?}");
        assert!(!instance.hold && instance.state_reason.is_none());
    }

    let all: Vec<WorkerId> = listed.iter().map(|instance| instance.id.clone()).collect();
    let (ends, stays) = all.split_at(2);
    assert_eq!(world.aws.terminate(ends).await, []);

    let states: BTreeMap<WorkerId, InstanceState> =
        world.list().await.into_iter().map(|instance| (instance.id, instance.state)).collect();
    assert!(ends.iter().all(|id| states[id].is_ending()), "{states:?}");
    assert_eq!(states[&stays[0]], InstanceState::Running);
    assert_eq!(world.running_instances().await, 2, "the third worker and the foreign instance still run");
}

#[tokio::test]
async fn on_demand_a_missing_address_and_a_hold_are_seen() {
    let world = World::new("us-west-2").await;
    let spec = LaunchSpec { public_address: true, ..world.spec("arm") };
    let plan = world.aws.plan(&spec).await.unwrap();
    let answer = world.launch(&a_launch(&plan, "token", 1, Market::OnDemand)).await;
    let id = answer.launched[0].id.as_str();
    let hold = Tag::builder().key("runner-fleet:hold").value("").build();
    world.ec2.create_tags().resources(id).tags(hold).send().await.unwrap();

    let listed = world.aws.instances(MANAGER, &|_| AddressKind::Public, false).await.unwrap();

    assert_eq!(listed.len(), 1);
    assert_eq!((listed[0].market, listed[0].hold, listed[0].health), (Market::OnDemand, true, Health::Unknown));
    assert_eq!(listed[0].address, None, "the emulator gives fleets no public address, and the private one is not it");
}

#[tokio::test]
async fn a_fleet_of_several_pages_is_listed_whole() {
    let world = World::new("eu-north-1").await;
    let plan = world.aws.plan(&world.spec("arm")).await.unwrap();
    let aws = world.another_door().with_instances_per_page(25);

    let answer = world.launch(&a_launch(&plan, "many", 60, Market::Spot)).await;
    let listed = aws.instances(MANAGER, &|_| AddressKind::Private, false).await.unwrap();

    assert_eq!((answer.launched.len(), listed.len()), (60, 60));
    assert!(aws.calls().snapshot()["ec2:DescribeInstances"] >= 3, "{:?}", aws.calls());
    let all: Vec<WorkerId> = listed.into_iter().map(|instance| instance.id).collect();
    assert_eq!(aws.terminate(&all).await, []);
    assert_eq!(aws.calls().snapshot()["ec2:TerminateInstances"], 1);
    assert_eq!(world.running_instances().await, 0);
}

#[tokio::test]
async fn a_hundred_workers_cost_at_most_fifteen_calls() {
    let world = World::new("eu-west-3").await;

    let plan = world.aws.plan(&world.spec("arm")).await.unwrap();
    let answer = world.launch(&a_launch(&plan, "hundred", 100, Market::Spot)).await;
    let running = world.list().await.iter().filter(|instance| instance.state == InstanceState::Running).count();
    // As the service does beside it, every ten minutes.
    world.aws.spot_prices(&BTreeSet::from([InstanceType::new("c7g.large")]), at_some_time()).await.unwrap();

    assert_eq!((answer.launched.len(), running), (100, 100));
    let calls = world.aws.calls();
    assert!(calls.of_service("ec2") <= 15, "{:?}", calls.snapshot());
}

#[tokio::test]
async fn what_the_configuration_gets_wrong_is_told_by_name() {
    let world = World::new("ca-central-1").await;
    let told = async |spec: LaunchSpec| world.aws.plan(&spec).await.unwrap_err().to_string();

    let subnets = vec![SubnetId::new("subnet-0123456789abcdef0")];
    let error = told(LaunchSpec { subnets, ..world.spec("arm") }).await;
    assert!(error.contains("does not exist in ca-central-1") && error.contains("subnet-0123456789abcdef0"), "{error}");

    let error = told(LaunchSpec { ami: Ami::Id("ami-0123456789abcdef0".to_owned()), ..world.spec("arm") }).await;
    assert!(error.contains("the image ami-0123456789abcdef0 does not exist in ca-central-1"), "{error}");

    let error = told(LaunchSpec { ami: Ami::Parameter("/no/such".to_owned()), ..world.spec("arm") }).await;
    assert!(error.contains("the SSM parameter /no/such does not exist"), "{error}");

    let error = told(LaunchSpec { arch: Arch::Amd64, ..world.spec("arm") }).await;
    assert!(error.contains("is arm64, but the instance types of runner arm are x86_64"), "{error}");

    assert!(world.templates().await.is_empty() && world.key_pairs().await.is_empty(), "nothing was made");
}

#[tokio::test]
async fn a_vanished_template_is_mended_by_the_next_plan() {
    let world = World::new("sa-east-1").await;
    let plan = world.aws.plan(&world.spec("arm")).await.unwrap();
    world.ec2.delete_launch_template().launch_template_name(plan.template.as_str()).send().await.unwrap();

    let answer = world.launch(&a_launch(&plan, "gone", 1, Market::Spot)).await;

    assert_eq!((answer.launched.len(), answer.leftover), (0, Leftover::None));
    assert_eq!(answer.errors[0].class, LaunchErrorClass::Invalid, "{answer:?}");
    assert!(world.templates().await.is_empty());
    assert_eq!(world.aws.plan(&world.spec("arm")).await.unwrap(), plan);
    assert_eq!(world.templates().await, [plan.template.as_str()]);
}

#[tokio::test]
async fn an_unknown_id_does_not_keep_the_others_alive() {
    let world = World::new("eu-south-1").await;
    let plan = world.aws.plan(&world.spec("arm")).await.unwrap();
    let launched = world.launch(&a_launch(&plan, "two", 2, Market::Spot)).await.launched;
    let unknown = WorkerId::new("i-0123456789abcdef0");
    let ids = [launched[0].id.clone(), unknown.clone(), launched[1].id.clone()];

    let failures = world.aws.terminate(&ids).await;

    assert_eq!(failures.len(), 1, "{failures:?}");
    assert_eq!(failures[0].worker, unknown);
    assert_eq!(world.running_instances().await, 0);
}

#[tokio::test]
async fn secrets_and_image_ids_come_from_parameters() {
    let world = World::new("ap-south-1").await;
    world.parameter("/ci/token", "glrt-secret", ParameterType::SecureString).await;
    world.parameter("/ci/image", &world.image, ParameterType::String).await;

    let secret = world.aws.secret("/ci/token").await.unwrap();
    let spec = LaunchSpec { ami: Ami::Parameter("/ci/image".to_owned()), ..world.spec("arm") };
    let by_parameter = world.aws.plan(&spec).await.unwrap();

    assert_eq!(secret.expose_secret(), "glrt-secret");
    assert_eq!(by_parameter, world.aws.plan(&world.spec("arm")).await.unwrap());
    let error = world.aws.secret("/ci/none").await.unwrap_err();
    assert!(error.to_string().contains("the SSM parameter /ci/none does not exist in ap-south-1"), "{error}");
}

#[tokio::test]
async fn every_call_of_a_fleets_life_is_in_the_policy() {
    let world = World::new("eu-south-2").await;
    world.parameter("/ci/image", &world.image, ParameterType::String).await;
    let mut spec = LaunchSpec { ami: Ami::Parameter("/ci/image".to_owned()), ..world.spec("arm") };
    let plan = world.aws.plan(&spec).await.unwrap();
    let launched = world.launch(&a_launch(&plan, "life", 1, Market::Spot)).await.launched;
    world.list().await;
    world.aws.spot_prices(&spec.instance_types.iter().cloned().collect(), at_some_time()).await.unwrap();
    world.aws.terminate(&[launched[0].id.clone()]).await;
    spec.key_fingerprint = "SHA256:def".to_owned();
    world.another_door().plan(&spec).await.unwrap();
    let changed = world.another_door();
    spec.key_fingerprint = "SHA256:ghi".to_owned();
    let present = changed.plan(&spec).await.unwrap().template;
    changed.collect_garbage(&spec, &present, &BTreeSet::new()).await.unwrap();

    let policy = manager_policy(&ManagerPolicy {
        partition: "aws".to_owned(),
        account: None,
        regions: BTreeSet::from(["eu-south-2".to_owned()]),
        manager: MANAGER.to_owned(),
        parameters: BTreeSet::from(["/ci/image".to_owned()]),
        images: [].into(),
        instance_types: [].into(),
        secrets: BTreeSet::new(),
        ssh_key: None,
        instance_profiles: BTreeSet::new(),
        roles: BTreeSet::new(),
        kms_keys: BTreeSet::new(),
        with_doctor: false,
    })
    .to_string();
    let mut called = world.aws.calls().snapshot();
    called.extend(changed.calls().snapshot());

    assert_eq!(called.len(), 15, "all operations of the room: {called:?}");
    for action in called.keys() {
        assert!(policy.contains(&format!("\"{action}\"")), "{action} is called but not allowed by {policy}");
    }
}

#[tokio::test]
async fn what_doctor_asks_is_understood_and_changes_nothing() {
    let world = World::new("ap-northeast-1").await;
    let spec = world.spec("arm");
    let plan = world.aws.plan(&spec).await.unwrap();
    let place = &plan.places[0];
    let new_key = LaunchSpec { key_fingerprint: "SHA256:new".to_owned(), ..spec.clone() };

    let who = world.aws.identity().await.unwrap();
    let subnets = world.aws.look_at_subnets(&spec.subnets).await.unwrap();
    let groups = world.aws.look_at_groups(&spec.security_groups).await.unwrap();
    let vcpus = world.aws.vcpus(&spec.instance_types).await.unwrap();
    world.aws.may_run(&spec, &world.image, place).await.unwrap();
    world.aws.may_launch(&spec, &plan.template, Market::Spot, &plan.places).await.unwrap();
    world.aws.may_import_key(&new_key).await.unwrap();
    let no_profile = world.aws.role_of("nobody").await.unwrap_err();
    let no_group = world.aws.look_at_groups(&["sg-0123".to_owned()]).await.unwrap_err();

    assert_eq!(who.account.len(), 12, "{who:?}");
    assert!(subnets.iter().all(|subnet| subnet.vpc == groups[0].vpc && subnet.free_addresses > 0), "{subnets:?}");
    assert!(vcpus.values().all(|count| *count >= 2) && vcpus.len() == 2, "{vcpus:?}");
    assert!(no_profile.is_not_found(), "{no_profile:?}");
    assert!(no_group.is_not_found(), "{no_group:?}");
    assert_eq!(world.running_instances().await, 0);
    assert_eq!(world.key_pairs().await, ["runner-fleet-it-abc"]);
}

#[tokio::test]
async fn the_role_of_a_profile_is_read() {
    let world = World::new("ap-northeast-2").await;
    let iam = aws_sdk_iam::Client::new(&world.settings);
    let trust =
        r#"{"Statement":[{"Effect":"Allow","Principal":{"Service":"ec2.amazonaws.com"},"Action":"sts:AssumeRole"}]}"#;
    iam.create_role().role_name("worker-role").assume_role_policy_document(trust).send().await.unwrap();
    iam.create_instance_profile().instance_profile_name("ci-worker").send().await.unwrap();
    let empty = world.aws.role_of("ci-worker").await.unwrap();
    let add = iam.add_role_to_instance_profile().instance_profile_name("ci-worker").role_name("worker-role");
    add.send().await.unwrap();

    let role = world.aws.role_of("arn:aws:iam::123456789012:instance-profile/ci-worker").await.unwrap().unwrap();

    assert_eq!(empty, None);
    assert!(role.arn.ends_with(":role/worker-role") && role.trusts_ec2(), "{role:?}");
}

#[tokio::test]
async fn an_unreachable_endpoint_is_transient_and_may_have_launched() {
    let port = free_port();
    let aws = Aws::from_sdk_config(&settings(&format!("http://127.0.0.1:{port}"), "eu-central-1")).unwrap();

    let error = aws.instances(MANAGER, &|_| AddressKind::Private, false).await.unwrap_err();
    let plan = LaunchPlan {
        config: runner_fleet_engine::ConfigHash::new("c"),
        template: TemplateName::new("t"),
        places: Vec::new(),
    };
    let answer = aws.launch(MANAGER, &a_launch(&plan, "token", 1, Market::Spot)).await;

    assert!(error.is_transient() && !error.is_denied(), "{error}");
    assert!(error.to_string().contains("cannot list workers in eu-central-1: ec2:DescribeInstances"), "{error}");
    assert_eq!((answer.errors[0].class, answer.leftover), (LaunchErrorClass::Slow, Leftover::Possible), "{answer:?}");
    assert_eq!(aws.calls().snapshot()["ec2:CreateFleet"], 1, "a launch is repeated by the engine alone");
}

/// A region of the emulator, with an image, and our door to it.
pub(super) struct World {
    aws: Aws,
    ec2: aws_sdk_ec2::Client,
    pub(super) settings: SdkConfig,
    pub(super) image: String,
    pub(super) subnets: Vec<SubnetId>,
    pub(super) group: String,
    moto: &'static Moto,
}

impl World {
    pub(super) async fn new(region: &str) -> Self {
        let moto = Moto::shared().await;
        let settings = settings(&moto.endpoint, region);
        let ec2 = aws_sdk_ec2::Client::new(&settings);
        // The emulator knows Amazon's images, and forgets the architecture of one that is registered.
        let arm64 = Filter::builder().name("architecture").values("arm64").build();
        let images = ec2.describe_images().filters(arm64).send().await.unwrap();
        let image = images.images().first().expect("moto has an arm64 image in every region");
        let subnets = ec2.describe_subnets().send().await.unwrap();
        let groups = ec2.describe_security_groups().send().await.unwrap();
        Self {
            aws: Aws::from_sdk_config(&settings).unwrap(),
            image: image.image_id().unwrap().to_owned(),
            subnets: subnets.subnets().iter().take(2).map(|s| SubnetId::new(s.subnet_id().unwrap())).collect(),
            group: groups.security_groups()[0].group_id().unwrap().to_owned(),
            ec2,
            settings,
            moto,
        }
    }

    /// Where the emulator listens.
    pub(super) fn endpoint(&self) -> &str {
        &self.moto.endpoint
    }

    /// As after a restart: with nothing remembered.
    pub(super) fn another_door(&self) -> Aws {
        Aws::from_sdk_config(&self.settings).unwrap()
    }

    fn spec(&self, runner: &str) -> LaunchSpec {
        LaunchSpec {
            manager: MANAGER.to_owned(),
            runner: RunnerName::new(runner),
            ami: Ami::Id(self.image.clone()),
            arch: Arch::Arm64,
            instance_types: vec![InstanceType::new("c7g.large"), InstanceType::new("m7g.large")],
            subnets: self.subnets.clone(),
            security_groups: vec![self.group.clone()],
            instance_profile: None,
            public_key_openssh: PUBLIC_KEY.to_owned(),
            key_fingerprint: "SHA256:abc".to_owned(),
            root_volume: RootVolume {
                size_gib: 30,
                kind: "gp3".to_owned(),
                encrypted: true,
                iops: None,
                throughput: None,
                kms_key_id: None,
                device: None,
            },
            hop_limit: 1,
            tags: BTreeMap::from([("team".to_owned(), "build".to_owned())]),
            user_data: b"#cloud-config\n{}".to_vec(),
            spot_max_price: None,
            public_address: false,
            extra_hash: "runner".to_owned(),
        }
    }

    async fn launch(&self, launch: &Launch) -> runner_fleet_engine::LaunchAnswer {
        self.aws.launch(MANAGER, launch).await
    }

    async fn list(&self) -> Vec<Instance> {
        self.aws.instances(MANAGER, &|_| AddressKind::Private, true).await.unwrap()
    }

    pub(super) async fn templates(&self) -> Vec<String> {
        let answer = self.ec2.describe_launch_templates().send().await.unwrap();
        let mut names: Vec<_> =
            answer.launch_templates().iter().map(|t| t.launch_template_name().unwrap().to_owned()).collect();
        names.sort();
        names
    }

    pub(super) async fn key_pairs(&self) -> Vec<String> {
        let answer = self.ec2.describe_key_pairs().send().await.unwrap();
        answer.key_pairs().iter().map(|pair| pair.key_name().unwrap().to_owned()).collect()
    }

    /// An instance of the same image without our tags.
    async fn foreign_instance(&self, plan: &LaunchPlan) {
        let kind = plan.places[0].instance_type.as_str().into();
        let call = self.ec2.run_instances().image_id(&self.image).instance_type(kind).min_count(1).max_count(1);
        call.send().await.unwrap();
    }

    /// Of anyone.
    pub(super) async fn running_instances(&self) -> usize {
        let running = Filter::builder().name("instance-state-name").values("running").build();
        let answer = self.ec2.describe_instances().filters(running).send().await.unwrap();
        answer.reservations().iter().map(|reservation| reservation.instances().len()).sum()
    }

    pub(super) fn ssm(&self) -> aws_sdk_ssm::Client {
        aws_sdk_ssm::Client::new(&self.settings)
    }

    pub(super) async fn parameter(&self, name: &str, value: &str, kind: ParameterType) {
        self.ssm().put_parameter().name(name).value(value).r#type(kind).send().await.unwrap();
    }
}

const PUBLIC_KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILqNbRxEmMl7cCOcC2Xwq7Vhfjpr8GvlHb/mA0AlTp5Y manager";

fn a_launch(plan: &LaunchPlan, token: &str, count: u32, market: Market) -> Launch {
    Launch {
        token: LaunchToken::new(token),
        runner: RunnerName::new("arm"),
        count,
        market,
        offerings: plan.places.iter().map(|place| place.on(market)).collect(),
        template: plan.template.clone(),
        config: plan.config.clone(),
        spot_max_price: None,
        tags: BTreeMap::new(),
        reason: LaunchReason::SpotMissing { missing: count },
    }
}

/// Any time will do: the emulator makes its prices up.
fn at_some_time() -> Timestamp {
    "2026-09-01T08:00:00Z".parse().unwrap()
}

fn settings(endpoint: &str, region: &str) -> SdkConfig {
    let credentials = Credentials::new("AKIATEST", "secret", None, None, "test");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The emulator, which all tests share and which ends with this process: it reads a pipe that only we hold.
struct Moto {
    endpoint: String,
    _held: std::process::Child,
}

/// Python and all of boto are loaded first.
const START_TIMEOUT: Duration = Duration::from_secs(60);

impl Moto {
    async fn shared() -> &'static Self {
        static SHARED: LazyLock<Moto> = LazyLock::new(Moto::start);
        SHARED.wait_until_it_listens().await;
        &SHARED
    }

    fn start() -> Self {
        let port = free_port();
        assert!(
            which("moto_server").is_some(),
            "no EC2 emulator: `make test` installs it, or: pip install 'moto[server,ec2,ssm]'"
        );
        let held = Command::new("sh")
            .args(["-c", "moto_server -H 127.0.0.1 -p \"$1\" & read -r _; kill $!", "sh", &port.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        Self { endpoint: format!("http://127.0.0.1:{port}"), _held: held }
    }

    async fn wait_until_it_listens(&self) {
        let address = self.endpoint.trim_start_matches("http://");
        let listens = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        let outcome = tokio::time::timeout(START_TIMEOUT, listens).await;
        outcome.unwrap_or_else(|_| panic!("moto_server does not listen on {address} after {START_TIMEOUT:?}"));
    }
}

fn free_port() -> u16 {
    free_address().port()
}

/// An address that nobody listens at.
pub(super) fn free_address() -> SocketAddr {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

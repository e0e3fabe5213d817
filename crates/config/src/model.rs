//! The typed configuration: what every other room reads.
//!
//! `Debug` of all of it is safe to log: secrets show their reference, and tables that are only passed through (they may
//! hold cache keys or passwords in `environment`) show their keys alone.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use super::{Ami, Ecr, OnTrouble, Proxy, RootVolume, Secret, SshKey, SshKeyParameter, Tool};
use runner_fleet_engine::{
    Arch, Budget, IdleCount, IdleTime, InstanceType, Market, RunnerName, ScheduleEntry, Server, SubnetId, UsdPerHour,
};

/// The whole file, checked.
#[derive(Clone, PartialEq)]
pub struct Config {
    /// Jobs at one time over all runners; at least 1.
    pub concurrent: u32,
    /// Time between two polls of the queue. Default 3 s.
    pub check_interval: Duration,
    /// Where dashboard, metrics and health listen; `None` when the file says `""`. Default 127.0.0.1:9252.
    pub listen_address: Option<SocketAddr>,
    /// What is worth a log line. Default info.
    pub log_level: LogLevel,
    /// Text for people or JSON for machines. Default text.
    pub log_format: LogFormat,
    /// `[fleet]`: what belongs to the manager as a whole.
    pub fleet: Fleet,
    /// The `[[runners]]` sections in file order; at least one.
    pub runners: Vec<Runner>,
    /// The other top-level keys and tables of GitLab Runner (`connection_max_age`, `[session_server]`, …), for the
    /// workers, in file order.
    pub global: toml::Table,
}

/// `log_level`. GitLab Runner's `fatal` and `panic` are read as `error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Only what needs a person.
    Error,
    /// Also what went on in a worse way.
    Warn,
    /// Also what changed something.
    Info,
    /// Also why.
    Debug,
    /// Everything.
    Trace,
}

/// `log_format`. GitLab Runner's `runner` is read as `text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// Sentences with fields behind them.
    Text,
    /// One object a line.
    Json,
}

/// `[fleet]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fleet {
    /// The owner name in every tag: letters, digits, `.`, `_`, `-`, at most 32.
    pub manager: String,
    /// Where the SSH key lies on this host. Default `/var/lib/runner-fleet`.
    pub state_dir: PathBuf,
    /// Where the SSH key is kept, so that it outlives this host. Default: nowhere but in `state_dir`.
    pub ssh_key: SshKey,
    /// The operator's socket. Default `/run/runner-fleet/control.sock`.
    pub control_socket: PathBuf,
    /// Names under which the pages may be asked for, beside addresses and names of private networks.
    pub page_hosts: Vec<String>,
    /// Who is told of troubles; `None`: nobody but the log.
    pub on_trouble: Option<OnTrouble>,
    /// The collector of OpenTelemetry that is told of metrics and jobs: its address, to which `/v1/metrics` and `/v1/traces` are
    /// appended. Default: none.
    pub otlp: Option<String>,
}

/// One `[[runners]]` section.
#[derive(Clone, PartialEq)]
pub struct Runner {
    /// Its `name`: letters, digits, `.`, `_`, `-`, at most 64; unique in the file.
    pub name: RunnerName,
    /// Its `url`: http or https, without a trailing slash or `/ci`.
    pub server: Server,
    /// Its runner token.
    pub token: Secret,
    /// `tls-ca-file`: a path on the manager.
    pub tls_ca_file: Option<PathBuf>,
    /// Jobs at one time of this runner; 0: no limit of its own.
    pub limit: u32,
    /// The section as the user wrote it, values and order kept, each key of GitLab Runner once and in its canonical
    /// spelling, for the workers' config.toml. Left out: `token`,
    /// `fleet`, `machine`, `autoscaler`; `executor` is always `docker`. `tls-ca-file` is still in it, and names a file
    /// of the manager.
    pub section: toml::Table,
    /// `[runners.fleet]`.
    pub fleet: RunnerFleet,
}

/// `[runners.fleet]`: what runner-fleet needs to know to launch and retire this runner's workers.
#[derive(Clone, PartialEq)]
pub struct RunnerFleet {
    /// Sees the queue (`read_api`; `api` with `retry_interrupted`).
    pub api_token: Option<Secret>,
    /// Ids or full paths of the only projects in which the queue is looked for; empty: as the runner's scope says.
    pub projects: Vec<String>,
    /// Ids or full paths of the only groups in which the queue is looked for; empty: as the runner's scope says.
    pub groups: Vec<String>,
    /// Retry, once, a job that a spot interruption killed.
    pub retry_interrupted: bool,
    /// `None`: the manager's own region.
    pub region: Option<String>,
    /// The image.
    pub ami: Ami,
    /// At least one; all of [`RunnerFleet::arch`]; order is the preference for on-demand.
    pub instance_types: Vec<InstanceType>,
    /// The processor that the image, the binaries and all instance types share.
    pub arch: Arch,
    /// Spot or on-demand. Default spot.
    pub market: Market,
    /// On-demand takes what spot could not give. Default true.
    pub on_demand_fallback: bool,
    /// USD per hour, as decimal text as EC2 takes it; `None`: the on-demand price.
    pub spot_max_price: Option<UsdPerHour>,
    /// What its workers may cost; `None`: no limit.
    pub budget: Option<Budget>,
    /// At least one.
    pub subnets: Vec<SubnetId>,
    /// Ids; at least one.
    pub security_groups: Vec<String>,
    /// Name, or ARN (`arn:…:instance-profile/…`).
    pub instance_profile: Option<String>,
    /// By which address the manager reaches a worker. Default private.
    pub address: Address,
    /// Default `admin`.
    pub ssh_user: String,
    /// Default 22.
    pub ssh_port: u16,
    /// The root disk.
    pub root_volume: RootVolume,
    /// IMDSv2 hops, 1 to 64. Default 1; 2 when ECR is wired into jobs.
    pub metadata_hop_limit: u8,
    /// Added to instances and volumes: at most 46, so that ours fit into EC2's 50.
    pub tags: BTreeMap<String, String>,
    /// Counts everything not yet terminated; at least 1. Default ceil(limit / capacity), or what `concurrent` allows.
    pub max_workers: u32,
    /// Jobs at one time on one worker; at least 1. Default 1.
    pub capacity: u32,
    /// Retire a worker after so many jobs; 0: never for that.
    pub max_jobs: u32,
    /// Retire when idle after this. Default 24 h.
    pub max_age: Duration,
    /// Free job slots kept ready, or as many as the forecast says. Default 0.
    pub idle_count: IdleCount,
    /// How long a worker above that stays, or as long as a boot takes. Default that.
    pub idle_time: IdleTime,
    /// With a forecast: 95 of 100 jobs are to wait no longer than this for a slot. Default 30 s.
    pub target_wait: Duration,
    /// The floor with a factor or a forecast. Default 0; at most `idle_count`.
    pub idle_count_min: u32,
    /// The ceiling of a forecast; `None`: what `max_workers` hold.
    pub idle_count_max: Option<u32>,
    /// Wanted idle = clamp(in use × factor, min, idle_count); 0: off.
    pub idle_scale_factor: f64,
    /// Workers booting at one time; 0: no limit.
    pub max_booting: u32,
    /// From launch to ready. Default 5 min.
    pub boot_timeout: Duration,
    /// A worker without a manager and without a job ends itself after this. Default 30 min.
    pub orphan_timeout: Duration,
    /// Run as root on the worker at the end of boot.
    pub setup_script: Option<SetupScript>,
    /// Into the worker's daemon.json.
    pub registry_mirrors: Vec<String>,
    /// Into the worker's daemon.json, as it is.
    pub docker_daemon: toml::Table,
    /// Of Docker, gitlab-runner and the boot's downloads.
    pub proxy: Proxy,
    /// gitlab-runner, for images that have none.
    pub gitlab_runner: Tool,
    /// Exceptions by time; the last one that matches wins.
    pub schedule: Vec<ScheduleEntry>,
    /// `[runners.fleet.ecr]`, also when `enabled = false`; see [`RunnerFleet::active_ecr`].
    pub ecr: Option<Ecr>,
}

/// Which of a worker's addresses the manager connects to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// Inside the VPC.
    Private,
    /// Over the internet; the launch asks for a public address.
    Public,
}

/// `setup_script`, read when the configuration is loaded.
#[derive(Clone, PartialEq, Eq)]
pub struct SetupScript {
    /// Where it was read.
    pub path: PathBuf,
    /// The script; at most 64 KiB of UTF-8.
    pub content: String,
}

impl Config {
    /// The SSM parameter that keeps the manager's SSH key, if one does. It lies in the region of the first runner: what
    /// the file says is the same for the service, for whoever runs `doctor`, and for `iam-policy` on another machine.
    pub fn ssh_key_parameter(&self) -> Option<SshKeyParameter<'_>> {
        let region = self.runners.first().and_then(|runner| runner.fleet.region.as_deref());
        match &self.fleet.ssh_key {
            SshKey::StateDir => None,
            SshKey::Parameter(name) => Some(SshKeyParameter { region, name }),
        }
    }
}

impl RunnerFleet {
    /// The ECR table when it is switched on.
    pub fn active_ecr(&self) -> Option<&Ecr> {
        self.ecr.as_ref().filter(|ecr| ecr.enabled)
    }
}

/// Shows a table by its keys: its values may be secret.
struct KeysOf<'a>(&'a toml::Table);

impl fmt::Debug for KeysOf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl fmt::Debug for SetupScript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, content } = self;
        f.debug_struct("SetupScript").field("path", path).field("bytes", &content.len()).finish()
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { concurrent, check_interval, listen_address, log_level, log_format, fleet, runners, global } = self;
        f.debug_struct("Config")
            .field("concurrent", concurrent)
            .field("check_interval", check_interval)
            .field("listen_address", listen_address)
            .field("log_level", log_level)
            .field("log_format", log_format)
            .field("fleet", fleet)
            .field("runners", runners)
            .field("global", &KeysOf(global))
            .finish()
    }
}

impl fmt::Debug for Runner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, server, token, tls_ca_file, limit, section, fleet } = self;
        f.debug_struct("Runner")
            .field("name", name)
            .field("server", server)
            .field("token", token)
            .field("tls_ca_file", tls_ca_file)
            .field("limit", limit)
            .field("section", &KeysOf(section))
            .field("fleet", fleet)
            .finish()
    }
}

impl fmt::Debug for RunnerFleet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RunnerFleet")
            .field("api_token", &self.api_token)
            .field("region", &self.region)
            .field("ami", &self.ami)
            .field("instance_types", &self.instance_types)
            .field("market", &self.market)
            .field("subnets", &self.subnets)
            .field("max_workers", &self.max_workers)
            .field("capacity", &self.capacity)
            .field("idle_count", &self.idle_count)
            .field("idle_time", &self.idle_time)
            .field("target_wait", &self.target_wait)
            .field("docker_daemon", &KeysOf(&self.docker_daemon))
            .field("schedule", &self.schedule)
            .field("ecr", &self.ecr)
            .finish_non_exhaustive()
    }
}

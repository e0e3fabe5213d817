//! What a worker is made from: the input of everything that this room renders.
//!
//! A plain struct, filled by whoever has read the configuration; this room knows no configuration file. All of it except
//! `section` (and the runner token, which is passed on its own) ends up in user-data, which anyone who may describe the
//! instance can read.

use std::fmt;
use std::time::Duration;

use secrecy::SecretString;

use runner_fleet_engine::{Arch, RunnerName};

/// One runner's workers.
#[derive(Clone)]
pub struct WorkerSpec {
    /// `[fleet] manager`, for comments that people read on the worker.
    pub manager: String,
    /// The runner.
    pub runner: RunnerName,
    /// The user's `[[runners]]` section, order kept, without `fleet`, `machine` and `token`. May hold secrets
    /// (`environment`, `[runners.cache.s3]`); it goes to the worker over SSH only.
    pub section: toml::Table,
    /// GitLab Runner's top-level keys that the manager does not read (`connection_max_age`, `[session_server]`, …), order kept.
    pub globals: toml::Table,
    /// The content of `tls-ca-file`, which lies on the manager: certificates, PEM.
    pub tls_ca: Option<String>,
    /// GitLab's base URL; used where the section has no `url`.
    pub url: String,
    /// The architecture of the instance types.
    pub arch: Arch,
    /// Jobs at one time on one worker, at least 1.
    pub capacity: u32,
    /// Jobs after which a worker is retired; 0: no limit; 1: `gitlab-runner run-single`, strictly one.
    pub max_jobs: u32,
    /// The SSH login.
    pub ssh_user: String,
    /// How long the bootstrap may take before the worker gives up and powers off.
    pub boot_timeout: Duration,
    /// How long a worker stays without a manager.
    pub orphan_timeout: Duration,
    /// `[runners.fleet.ecr]`; absent where there is none.
    pub ecr: Option<EcrSpec>,
    /// The gitlab-runner binary for images that have none.
    pub runner_binary: Download,
    /// `registry-mirrors` of the worker's Docker daemon.
    pub registry_mirrors: Vec<String>,
    /// Further keys of the worker's `daemon.json`; they win over `registry_mirrors`.
    pub docker_daemon: toml::Table,
    /// The proxy of Docker, gitlab-runner and what the boot downloads.
    pub proxy: Proxy,
    /// The text of `setup_script`: run as root at the end of the boot, by its `#!` line or else by `sh`.
    pub setup_script: Option<String>,
    /// The SSH host key that every worker of this specification presents.
    pub host_key: HostKey,
    /// `check_interval` of the worker's runner, in seconds.
    pub check_interval: u32,
}

/// `[runners.fleet.ecr]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EcrSpec {
    /// The exact registry hosts; Docker knows no wildcard here.
    pub registries: Vec<String>,
    /// When false, nothing is installed or wired.
    pub enabled: bool,
    /// Whether job containers get the helper and its configuration too.
    pub in_jobs: bool,
    /// How many hops answers of the metadata service may go. At one, no job in a network of its own reaches it.
    pub metadata_hop_limit: u8,
    /// The helper binary for images that have none, or one that is too old.
    pub helper: Download,
    /// The oldest release of the helper that serves these registries (and jobs), like `0.9.0`; empty: any.
    pub helper_needed: String,
}

/// By which proxy a worker reaches other hosts. Holds no login: user-data is readable to every job.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For http.
    pub http: Option<String>,
    /// For https.
    pub https: Option<String>,
    /// What is reached without it: hosts, domains with a leading dot, addresses, networks. The metadata service always is.
    pub no_proxy: Vec<String>,
}

/// A program that is downloaded if the image does not have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Download {
    /// Its version, for people.
    pub version: String,
    /// The address of the binary for the specification's architecture.
    pub url: String,
    /// What the binary must match.
    pub checksum: Checksum,
}

/// What proves that a download is the released program; every digest is a SHA-256 in lower-case hex.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The binary's.
    Binary(String),
    /// The binary's is the one that a list in the format of `sha256sum` gives for an entry.
    Listed {
        /// Where the list lies.
        url: String,
        /// The list's own digest.
        sha256: String,
        /// The binary's path in the list.
        entry: String,
    },
}

/// An ed25519 SSH host key, made by the manager, so that it knows the worker from the first byte on.
#[derive(Clone, Debug)]
pub struct HostKey {
    /// The private half, in OpenSSH's PEM-like text format.
    pub private: SecretString,
    /// The public half: `ssh-ed25519 AAAA…`, one line.
    pub public: String,
}

impl WorkerSpec {
    /// Whether a worker takes one job and no more, with `gitlab-runner run-single`.
    pub fn is_single_use(&self) -> bool {
        self.max_jobs == 1
    }

    /// The ECR settings, if they are switched on and name a registry.
    pub fn active_ecr(&self) -> Option<&EcrSpec> {
        self.ecr.as_ref().filter(|ecr| ecr.enabled && !ecr.registries.is_empty())
    }
}

/// Leaves out `section` and `setup_script`, which may hold what no log may show.
impl fmt::Debug for WorkerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerSpec")
            .field("manager", &self.manager)
            .field("runner", &self.runner)
            .field("arch", &self.arch)
            .field("capacity", &self.capacity)
            .field("max_jobs", &self.max_jobs)
            .finish_non_exhaustive()
    }
}

//! What a runner's workers are made of: the configuration, in the words of the rooms that render and launch them.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::aws::{self, LaunchSpec};
use crate::ssh::ManagerKey;
use runner_fleet_config as config;
use runner_fleet_config::{Ami, ChecksumList, Config, Runner, Tool};
use runner_fleet_engine::text::short_hex;
use runner_fleet_engine::{RunnerName, WorkerId};
use runner_fleet_worker as worker;
use runner_fleet_worker::{Checksum, Download, EcrSpec, HostKey, UserDataTooLarge, WorkerSpec};

/// More does not fit into user-data.
const CA_FILE_BYTES_MAX: u64 = 16 * 1024;

/// What the worker of a runner is rendered from.
pub fn worker_spec(config: &Config, runner: &Runner, host_key: HostKey) -> WorkerSpec {
    let fleet = &runner.fleet;
    WorkerSpec {
        manager: config.fleet.manager.clone(),
        runner: runner.name.clone(),
        section: runner.section.clone(),
        globals: config.global.clone(),
        tls_ca: runner.tls_ca_file.as_deref().and_then(certificates),
        url: runner.server.as_str().to_owned(),
        arch: fleet.arch,
        capacity: fleet.capacity,
        max_jobs: fleet.max_jobs,
        ssh_user: fleet.ssh_user.clone(),
        boot_timeout: fleet.boot_timeout,
        orphan_timeout: fleet.orphan_timeout,
        ecr: fleet.ecr.as_ref().map(|ecr| EcrSpec {
            registries: ecr.registries.iter().map(|host| host.as_str().to_owned()).collect(),
            enabled: ecr.enabled,
            in_jobs: ecr.in_jobs,
            metadata_hop_limit: fleet.metadata_hop_limit,
            helper: download(&ecr.helper),
            helper_needed: ecr.needs().first().map(|(version, _)| version.to_string()).unwrap_or_default(),
        }),
        runner_binary: download(&fleet.gitlab_runner),
        registry_mirrors: fleet.registry_mirrors.clone(),
        docker_daemon: fleet.docker_daemon.clone(),
        proxy: worker::Proxy {
            http: fleet.proxy.http.clone(),
            https: fleet.proxy.https.clone(),
            no_proxy: fleet.proxy.no_proxy.clone(),
        },
        setup_script: fleet.setup_script.as_ref().map(|script| script.content.clone()),
        host_key,
        check_interval: u32::try_from(config.check_interval.as_secs()).unwrap_or(u32::MAX).max(1),
    }
}

/// The certificates that the workers' runners trust, too. A file that cannot be read has been told of before: without it
/// there is no client for GitLab either.
fn certificates(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    file.take(CA_FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

/// The host key of a runner's workers, which the manager alone can derive.
pub fn host_key(runner: &RunnerName, key: &ManagerKey) -> HostKey {
    let derived = key.host_key(runner.as_str());
    HostKey { private: derived.private_openssh, public: derived.public_openssh }
}

/// What EC2 launches the worker of a runner from.
///
/// # Errors
/// The user-data is larger than EC2 takes.
pub fn launch_spec(config: &Config, runner: &Runner, key: &ManagerKey) -> Result<LaunchSpec, UserDataTooLarge> {
    let spec = spec_without_key(config, runner, host_key(&runner.name, key))?;
    Ok(LaunchSpec { public_key_openssh: key.public_openssh(), key_fingerprint: key.fingerprint(), ..spec })
}

/// The same without the manager's key, which only the service's user may read: enough to look, nothing to launch from.
///
/// # Errors
/// The user-data is larger than EC2 takes.
pub fn spec_without_key(config: &Config, runner: &Runner, host_key: HostKey) -> Result<LaunchSpec, UserDataTooLarge> {
    let fleet = &runner.fleet;
    let worker = worker_spec(config, runner, host_key);
    Ok(LaunchSpec {
        manager: config.fleet.manager.clone(),
        runner: runner.name.clone(),
        ami: match &fleet.ami {
            Ami::Id(id) => aws::Ami::Id(id.clone()),
            Ami::Parameter(name) => aws::Ami::Parameter(name.clone()),
        },
        arch: fleet.arch,
        instance_types: fleet.instance_types.clone(),
        subnets: fleet.subnets.clone(),
        security_groups: fleet.security_groups.clone(),
        instance_profile: fleet.instance_profile.clone(),
        public_key_openssh: String::new(),
        key_fingerprint: String::new(),
        root_volume: root_volume(&fleet.root_volume),
        hop_limit: fleet.metadata_hop_limit.into(),
        tags: fleet.tags.clone(),
        user_data: worker::user_data(&worker)?.as_bytes().to_vec(),
        spot_max_price: fleet.spot_max_price.clone(),
        public_address: fleet.address == config::Address::Public,
        extra_hash: extra_hash(&worker),
    })
}

fn root_volume(volume: &config::RootVolume) -> aws::RootVolume {
    aws::RootVolume {
        size_gib: volume.size_gib,
        kind: volume.volume_type.as_str().to_owned(),
        encrypted: volume.encrypted,
        iops: volume.iops,
        throughput: volume.throughput,
        kms_key_id: volume.kms_key_id.clone(),
        device: volume.device.clone(),
    }
}

fn download(tool: &Tool) -> Download {
    let checksum = match &tool.checksum {
        config::Checksum::Binary(sha256) => Checksum::Binary(sha256.clone()),
        config::Checksum::Listed(ChecksumList { url, sha256, entry }) => {
            Checksum::Listed { url: url.clone(), sha256: sha256.clone(), entry: entry.clone() }
        }
    };
    Download { version: tool.version.clone(), url: tool.url.clone(), checksum }
}

/// What reaches a worker over SSH instead of in its user-data is part of what it is made of, too: a hash of its
/// config.toml, without the token (a token that was rotated is pushed again, and makes no worker old).
fn extra_hash(worker: &WorkerSpec) -> String {
    let rendered = worker::runner_config(worker, &SecretString::from(""), &WorkerId::new("any"));
    let digest = Sha256::digest(rendered.expose_secret().as_bytes());
    short_hex(&digest, 16)
}

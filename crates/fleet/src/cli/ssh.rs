//! `ssh`: an operator's shell on a worker.

use std::net::SocketAddr;
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::aws::AddressKind;
use crate::live::births::is_young;
use crate::live::clock::Clock;
use crate::live::host_keys::host_keys;
use crate::live::regions::Regions;
use crate::ssh::shell::{Shell, known_hosts_path};
use crate::ssh::{ManagerKey, Target};
use runner_fleet_config::{Address, Config};
use runner_fleet_engine::failure::chain;
use runner_fleet_engine::{Instance, RunnerName, WorkerId};

use super::operate::instance_id;
use super::{CliError, Global, service};

/// Open a shell on a worker, or run a command there.
///
/// Uses the system's ssh with the manager's key and the worker's pinned host key, and nothing of your own SSH
/// configuration. The worker's address is read from EC2.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet ssh i-0123456789abcdef0\n  \
                        runner-fleet ssh i-0123456789abcdef0 -- sudo journalctl -u gitlab-runner -n 50")]
pub(super) struct SshArgs {
    /// The instance id, as `status` shows it.
    #[arg(value_parser = instance_id)]
    worker: WorkerId,
    /// The command; a shell when absent.
    #[arg(last = true)]
    command: Vec<String>,
}

/// Looks the worker up and hands the terminal to ssh; its exit code is ours.
pub(super) fn run(global: &Global, args: &SshArgs) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    // ssh wants a file. The service writes it at its start, also where SSM keeps the key.
    let key = ManagerKey::load(&config.fleet.state_dir).map_err(|error| {
        CliError::failed("use the manager's SSH key (run this on its host, as root or runner-fleet)", &error)
    })?;
    let worker = &args.worker;
    let instance = service::block_on(find(&config, worker))??;
    let target = target(&config, &instance, &key, Clock::real().now())?;
    let known_hosts = known_hosts_path(&std::env::temp_dir());
    let shell = Shell::new(worker.as_str(), &target, key.path(), &known_hosts, &args.command);
    let status = shell.run(&known_hosts).map_err(|error| CliError::failed("start ssh", &error))?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}

async fn find(config: &Config, worker: &WorkerId) -> Result<Instance, CliError> {
    let regions = Regions::default();
    let addresses = |name: &RunnerName| {
        let runner = config.runners.iter().find(|runner| runner.name == *name);
        match runner.map(|runner| runner.fleet.address) {
            Some(Address::Public) => AddressKind::Public,
            Some(Address::Private) | None => AddressKind::Private,
        }
    };
    for runner in &config.runners {
        let connected = regions.of(runner.fleet.region.as_deref()).await;
        connected.map_err(|error| CliError::failed("reach EC2", &error))?;
    }
    for aws in regions.all().await {
        let listed = aws.instances(&config.fleet.manager, &addresses, false).await;
        let listed = listed.map_err(|error| CliError::Failed(chain(&error)))?;
        if let Some(found) = listed.into_iter().find(|instance| instance.id == *worker) {
            return Ok(found);
        }
    }
    Err(CliError::BadUsage(format!(
        "no worker of manager {} is named {worker}; see `runner-fleet status`",
        config.fleet.manager
    )))
}

fn target(config: &Config, instance: &Instance, key: &ManagerKey, now: Timestamp) -> Result<Target, CliError> {
    let Some(address) = instance.address else {
        return Err(CliError::Failed(format!("{} has no address yet; try again in some seconds", instance.id)));
    };
    let Some(runner) = config.runners.iter().find(|runner| runner.name == instance.runner) else {
        let why = format!(
            "{} belongs to {}, which is not configured: its user and port are unknown",
            instance.id, instance.runner
        );
        return Err(CliError::Failed(why));
    };
    let may_be_new = is_young(instance.launched_at, &runner.fleet, now);
    let host_keys = host_keys(&instance.runner, &instance.id, key, may_be_new);
    let host_keys = host_keys.pinned().map_err(|why| CliError::Failed(why.to_owned()))?;
    let address = SocketAddr::new(address, runner.fleet.ssh_port);
    Ok(Target { address, user: runner.fleet.ssh_user.clone(), host_keys })
}

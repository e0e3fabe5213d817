//! `render`: exactly what a worker of a runner receives.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use secrecy::SecretString;
use serde_json::json;

use crate::live::worker_spec;
use crate::ssh::ManagerKey;
use crate::ssh::keys::KEY_FILE;
use runner_fleet_config::Config;
use runner_fleet_engine::{RunnerName, WorkerId};
use runner_fleet_worker as worker;
use runner_fleet_worker::HostKey;

use super::output::write_json;
use super::{CliError, Global, service};

/// Print what a worker of this runner receives: user-data, config.toml, Docker configuration; secrets masked.
///
/// Asks neither GitLab nor AWS. The instance id, which is part of the worker's name, is only known after a launch: an
/// example stands for it.
#[derive(Args, Debug)]
#[command(
    override_usage = "runner-fleet render [OPTIONS] <RUNNER>\n       runner-fleet render [OPTIONS] --manager-docker-config"
)]
#[command(after_help = "Examples:\n  runner-fleet render graviton-spot\n  \
                        runner-fleet render graviton-spot --json | jq -r .user_data\n  \
                        runner-fleet render --manager-docker-config > /root/.docker/config.json")]
pub(super) struct RenderArgs {
    /// The runner: `name` of its `[[runners]]` section.
    #[arg(required_unless_present = "manager_docker_config")]
    runner: Option<String>,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
    /// Print Docker's config.json for the manager's own host instead, with the ECR login for the registries of all runners.
    ///
    /// The manager pulls nothing: only who runs the manager itself from a private image needs this.
    #[arg(long, conflicts_with_all = ["runner", "json"])]
    manager_docker_config: bool,
}

/// Renders and prints.
pub(super) fn run(global: &Global, args: &RenderArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    if args.manager_docker_config {
        return manager_docker_config(&config, out);
    }
    let name = args.runner.as_deref().unwrap_or_default();
    let runner = service::runner_named(&config, name)?;
    let spec = worker_spec::worker_spec(&config, runner, host_key(&config, &runner.name));
    let rendered = worker::render(&spec, &WorkerId::new("i-0123456789abcdef0"));
    if args.json {
        let value = json!({
            "version": 1,
            "runner": runner.name,
            "user_data": rendered.user_data,
            "config_toml": rendered.config_toml,
            "docker_config": rendered.docker_config,
        });
        write_json(out, &value)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (title, text) in [
        ("user-data (gzipped for EC2)", &rendered.user_data),
        ("/etc/gitlab-runner/config.toml (over SSH)", &rendered.config_toml),
        ("/root/.docker/config.json", &rendered.docker_config),
    ] {
        writeln!(out, "# ---- {title}\n{}\n", text.trim_end())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn manager_docker_config(config: &Config, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let ecrs = config.runners.iter().filter_map(|runner| runner.fleet.active_ecr());
    let hosts: BTreeSet<&str> = ecrs.flat_map(|ecr| &ecr.registries).map(|host| host.as_str()).collect();
    if hosts.is_empty() {
        let why = "no registry is configured; write registries = [\"…\"] in [runners.fleet.ecr] of a runner";
        return Err(CliError::Failed(why.into()));
    }
    writeln!(out, "{}", worker::docker_config_for(hosts.into_iter()).trim_end())?;
    Ok(ExitCode::SUCCESS)
}

/// The real one where this user may read the manager's key, else a stand-in: rendering makes no key.
fn host_key(config: &Config, runner: &RunnerName) -> HostKey {
    let state_dir = &config.fleet.state_dir;
    let known = state_dir.join(KEY_FILE).exists().then(|| ManagerKey::load(state_dir).ok()).flatten();
    known.map_or_else(
        || HostKey { private: SecretString::from(""), public: "ssh-ed25519 (made at the first start)".into() },
        |key| worker_spec::host_key(runner, &key),
    )
}

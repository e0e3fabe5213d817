//! `render`: exactly what a worker of a runner receives.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use secrecy::SecretString;
use serde_json::json;

use crate::config::Config;
use crate::engine::{RunnerName, WorkerId};
use crate::live::recipe;
use crate::ssh::ManagerKey;
use crate::ssh::keys::KEY_FILE;
use crate::worker::{self, HostKey};

use super::output::write_json;
use super::{CliError, Global, service};

/// Print what a worker of this runner receives: user-data, config.toml, Docker configuration; secrets masked.
///
/// Asks neither GitLab nor AWS. The instance id, which is part of the worker's name, is only known after a launch: an
/// example stands for it.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet render graviton-spot\n  \
                        runner-fleet render graviton-spot --json | jq -r .user_data")]
pub(super) struct RenderArgs {
    /// The runner's name in the configuration.
    runner: String,
    /// Print one JSON object instead of text.
    #[arg(long)]
    json: bool,
}

/// Renders and prints.
pub(super) fn run(global: &Global, args: &RenderArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    let Some(runner) = config.runners.iter().find(|runner| runner.name.as_str() == args.runner) else {
        let names = config.runners.iter().map(|runner| runner.name.as_str()).collect::<Vec<_>>().join(", ");
        return Err(CliError::BadUsage(format!("no runner is named {}; there is: {names}", args.runner)));
    };
    let spec = recipe::worker_spec(&config, runner, host_key(&config, &runner.name));
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

/// The real one where this user may read the manager's key, else a stand-in: rendering makes no key.
fn host_key(config: &Config, runner: &RunnerName) -> HostKey {
    let state_dir = &config.fleet.state_dir;
    let known = state_dir.join(KEY_FILE).exists().then(|| ManagerKey::load(state_dir).ok()).flatten();
    known.map_or_else(
        || HostKey { private: SecretString::from(""), public: "ssh-ed25519 (made at the first start)".into() },
        |key| recipe::host_key(runner, &key),
    )
}

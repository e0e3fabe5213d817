//! `runner-fleet check`: is the configuration file good, and what does it come to?

use std::io::Write;
use std::path::Path;

use runner_fleet_config as config;
use runner_fleet_config::{Ami, Loaded, Runner, Warning};
use runner_fleet_engine::IdleCount;

/// Parse and validate the configuration; print every problem at once, each with line and key path.
///
/// Looks at nothing but the file and what it refers to on this machine: neither GitLab nor AWS is asked. Exit code 0
/// when `run` would start with this file, 2 when not.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  runner-fleet check --config config/minimal.toml")]
pub struct CheckArgs {
    /// Print nothing when there is no problem; warnings are still printed.
    #[arg(long)]
    pub silent: bool,
}

/// Prints the report; the exit code is 0 or 2.
///
/// # Errors
/// When `out` cannot be written to.
pub fn run(args: &CheckArgs, config: &Path, out: &mut dyn Write) -> Result<u8, std::io::Error> {
    let CheckArgs { silent } = args;
    match config::load(config) {
        Ok(loaded) => {
            if !silent {
                summary(&loaded, config, out)?;
            }
            warnings(&loaded.warnings, out)?;
            Ok(0)
        }
        Err(problems) => {
            writeln!(out, "{problems}")?;
            Ok(2)
        }
    }
}

fn summary(loaded: &Loaded, path: &Path, out: &mut dyn Write) -> Result<(), std::io::Error> {
    let config = &loaded.config;
    let count = config.runners.len();
    let plural = if count == 1 { "" } else { "s" };
    writeln!(
        out,
        "{}: good; manager {}, {count} runner{plural}, at most {} jobs at one time",
        path.display(),
        config.fleet.manager,
        config.concurrent
    )?;
    for runner in &config.runners {
        writeln!(out, "  {}", line(runner))?;
    }
    Ok(())
}

/// One runner in one line.
fn line(runner: &Runner) -> String {
    let fleet = &runner.fleet;
    let ami = match &fleet.ami {
        Ami::Id(id) => id.clone(),
        Ami::Parameter(name) => format!("ssm:{name}"),
    };
    let queue = match &fleet.api_token {
        Some(token) => format!("sees the queue with {token}"),
        None => "does not see the queue".to_owned(),
    };
    let idle = match fleet.idle_count {
        IdleCount::Fixed(count) => count.to_string(),
        IdleCount::Auto => "as many as the forecast says".to_owned(),
    };
    format!(
        "{}: {}, token {}, {queue}; {} type{} of {} on {}, image {ami}; up to {} workers of capacity {}, {idle} idle for {}s",
        runner.name,
        runner.server,
        runner.token,
        fleet.instance_types.len(),
        if fleet.instance_types.len() == 1 { "" } else { "s" },
        fleet.arch,
        fleet.market,
        fleet.max_workers,
        fleet.capacity,
        fleet.idle_time.as_secs(),
    )
}

fn warnings(warnings: &[Warning], out: &mut dyn Write) -> Result<(), std::io::Error> {
    if warnings.is_empty() {
        return Ok(());
    }
    let count = warnings.len();
    writeln!(out, "{count} warning{}", if count == 1 { "" } else { "s" })?;
    for warning in warnings {
        writeln!(out, "  {warning}")?;
    }
    Ok(())
}

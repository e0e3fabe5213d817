//! `support-bundle`: what a report of a problem needs, in one file, without secrets.

mod masked;

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use serde_json::{Value, json};

use crate::control::{self, Answer, Request};
use crate::doctor::{Finding, examine};
use crate::live::clock::Clock;
use runner_fleet_config as config;
use runner_fleet_config::Loaded;

use super::{CliError, Global, doctor, service};

/// Gather what a report of a problem needs into one file, without secrets.
///
/// The version, the configuration (values of secrets, variables and scripts left out), the state with the last decisions,
/// and what `doctor` finds. What cannot be had is said in its place. Names of runners, projects and jobs, ids and addresses
/// are in it: read it before you hand it on. The log is not: add `journalctl -u runner-fleet --since -1h`.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  sudo runner-fleet support-bundle\n  \
                        runner-fleet support-bundle --without-doctor --output bundle.json")]
pub(super) struct SupportBundleArgs {
    /// The file, which must not exist yet; for its owner alone.
    #[arg(long, value_name = "FILE", default_value = "runner-fleet-support.json")]
    output: PathBuf,
    /// Do not look at GitLab and AWS.
    #[arg(long)]
    without_doctor: bool,
}

/// Gathers and writes.
pub(super) fn run(global: &Global, args: &SupportBundleArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let failed = |error: &dyn std::error::Error| CliError::failed(&format!("write {}", args.output.display()), error);
    // First, so that nobody waits for doctor in vain.
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&args.output);
    let mut file = file.map_err(|error| failed(&error))?;
    let clock = Clock::real();
    let loaded = config::load(&global.config);
    let text = std::fs::read_to_string(&global.config);
    let configuration = match (&loaded, text) {
        (Ok(_), Ok(text)) => masked::document(&text),
        (Err(problems), Ok(text)) => json!({ "problems": problems.to_string(), "file": masked::document(&text) }),
        (_, Err(error)) => json!({ "error": error.to_string() }),
    };
    let known = loaded.as_ref().ok();
    let asks = known.filter(|_| !args.without_doctor);
    let bundle = json!({
        "version": 1,
        "at": clock.now(),
        "program": crate::version::text(),
        "configuration": configuration,
        "state": known.map_or(Value::Null, state),
        "doctor": asks.map_or(Value::Null, |loaded| findings(loaded, clock)),
    });
    let text = serde_json::to_string_pretty(&bundle).map_err(|error| failed(&error))?;
    writeln!(file, "{text}").and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
    writeln!(out, "{}: read it before you hand it on", args.output.display())?;
    Ok(ExitCode::SUCCESS)
}

/// What the service says, or why it says nothing.
fn state(loaded: &Loaded) -> Value {
    let asked = service::block_on(control::ask(&loaded.config.fleet.control_socket, &Request::Status));
    match asked {
        Ok(Ok(Answer::Status { snapshot })) => serde_json::to_value(snapshot).unwrap_or(Value::Null),
        Ok(Ok(other)) => json!({ "error": service::unexpected(&other).to_string() }),
        Ok(Err(error)) => json!({ "error": format!("cannot {error}") }),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

fn findings(loaded: &Loaded, clock: Clock) -> Value {
    let mut tell = |_: &Finding| {};
    let examined = examine(&loaded.config, &loaded.warnings, &[], clock, &mut tell);
    match service::block_on(examined) {
        Ok(diagnosis) => doctor::to_json(&diagnosis),
        Err(error) => json!({ "error": error.to_string() }),
    }
}

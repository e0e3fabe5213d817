//! `drain`, `pause`, `resume`: what an operator may do to the running service.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use crate::control::{Answer, Request};
use runner_fleet_engine::{RunnerName, WorkerId};

use super::{CliError, Global, service};

/// Retire workers: they take no more jobs, finish what they run, and end.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet drain i-0123456789abcdef0\n  \
                        runner-fleet drain --force i-0123456789abcdef0   # kills its running jobs")]
pub(super) struct DrainArgs {
    /// Instance ids, as `status` shows them.
    #[arg(required = true, value_name = "WORKER")]
    workers: Vec<String>,
    /// Do not wait for running jobs: they fail.
    #[arg(long)]
    force: bool,
}

/// Launch nothing more for a runner, and retire its idle workers.
///
/// Running jobs finish. Holds until `resume`, or until the service is restarted.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet pause graviton-spot")]
pub(super) struct PauseArgs {
    /// The runner's name in the configuration.
    runner: String,
}

/// Undo `pause`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet resume graviton-spot")]
pub(super) struct ResumeArgs {
    /// The runner's name in the configuration.
    runner: String,
}

/// `drain`.
pub(crate) fn drain(global: &Global, args: &DrainArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let workers = args.workers.iter().map(WorkerId::new).collect();
    request(global, &Request::Drain { workers, force: args.force }, out)
}

/// `pause`.
pub(crate) fn pause(global: &Global, args: &PauseArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Pause { runner: RunnerName::new(&args.runner) }, out)
}

/// `resume`.
pub(crate) fn resume(global: &Global, args: &ResumeArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Resume { runner: RunnerName::new(&args.runner) }, out)
}

fn request(global: &Global, request: &Request, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    match service::ask(&service::socket(global)?, request)? {
        Answer::Done { told } => writeln!(out, "{told}")?,
        other => return Err(service::unexpected(&other)),
    }
    Ok(ExitCode::SUCCESS)
}

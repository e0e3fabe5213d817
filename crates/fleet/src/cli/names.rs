//! `names`, for completions: what can stand in the place of a name now.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, ValueEnum};

use crate::control::{Answer, Request};

use super::{CliError, Global, service};

/// Print the names that completions offer.
#[derive(Args, Debug)]
#[command(hide = true, after_help = "Example:\n  runner-fleet names workers")]
pub(super) struct NamesArgs {
    /// Of what.
    of: NamesOf,
}

/// What has names.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum NamesOf {
    /// The configuration's runners.
    Runners,
    /// The workers that the service knows.
    Workers,
}

/// One a line.
pub(super) fn run(global: &Global, args: &NamesArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    match args.of {
        NamesOf::Runners => {
            for runner in &config.runners {
                writeln!(out, "{}", runner.name)?;
            }
        }
        NamesOf::Workers => {
            if let Answer::Status { snapshot } = service::ask(&config.fleet.control_socket, &Request::Status)? {
                for worker in &snapshot.workers {
                    writeln!(out, "{}", worker.id)?;
                }
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

//! `trouble-test`: would anybody hear of a trouble?

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use crate::live::clock::Clock;
use crate::live::on_trouble;
use crate::live::regions::Regions;

use super::{CliError, Global, service};

/// Send a message that says that it is a test to all that [fleet.on_trouble] names.
///
/// Reads the configuration by itself, as this user and with this shell's environment, and asks each once; the service need
/// not run. Exit code 1 when one did not hear it.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet trouble-test")]
pub(super) struct TroubleTestArgs {}

/// Sends and tells what came of it.
pub(super) fn run(global: &Global, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    if config.fleet.on_trouble.is_none() {
        let why = "nobody is told of troubles: the configuration has no [fleet.on_trouble] (docs/configuration.md)";
        return Err(CliError::Failed(why.into()));
    }
    let now = Clock::real().now();
    let outcomes = service::block_on(on_trouble::test(&config, &Regions::default(), now))?;
    for (key, outcome) in &outcomes {
        match outcome {
            Ok(()) => writeln!(out, "{key}: told")?,
            Err(failure) => writeln!(out, "{key}: not told: {failure}")?,
        }
    }
    let all_heard = outcomes.iter().all(|(_, outcome)| outcome.is_ok());
    Ok(if all_heard { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

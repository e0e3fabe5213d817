//! `schema`: the configuration file for editors.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use super::CliError;
use runner_fleet_config as config;

/// Print the JSON Schema of the configuration, for editors that complete keys and mark mistakes.
///
/// It knows names, kinds and shapes; whether the values fit together is what `check` tells. An editor reads it where the
/// first line of a configuration names it: `#:schema ./schema.json`.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet schema > /etc/runner-fleet/schema.json")]
pub(super) struct SchemaArgs {}

/// Prints it.
pub(super) fn run(out: &mut dyn Write) -> Result<ExitCode, CliError> {
    out.write_all(config::schema().as_bytes())?;
    Ok(ExitCode::SUCCESS)
}

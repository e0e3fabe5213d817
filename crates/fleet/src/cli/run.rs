//! `run`: the service.

use std::process::ExitCode;

use clap::Args;
use tracing::{info, warn};

use crate::live::service::serve;

use super::{CliError, Global, logging, service};

/// Two cores is what the manager's host has; connections wait far more than they compute.
const THREADS: usize = 2;

/// Run the service.
///
/// SIGHUP reloads the configuration; SIGTERM ends the service at once and leaves all workers and jobs alone: the next
/// start adopts them.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet run\n  runner-fleet run --config ./config.toml -v\n  \
                        systemctl reload runner-fleet            # read the configuration again")]
pub(super) struct RunArgs {}

/// Runs until a signal ends it.
pub(super) fn run(global: &Global, _args: &RunArgs) -> Result<ExitCode, CliError> {
    let loaded = service::load(global)?;
    logging::start(global, loaded.config.log_level, loaded.config.log_format);
    info!("runner-fleet {} starts with {}", crate::version::text(), global.config.display());
    loaded.warnings.iter().for_each(|warning| warn!("{}: {warning}", global.config.display()));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .enable_all()
        .build()
        .map_err(|error| CliError::failed("start the runtime", &error))?;
    let outcome = runtime.block_on(serve(global.config.clone(), loaded.config));
    // Calls that are under way are left: the next start sees what came of them.
    runtime.shutdown_background();
    outcome.map_err(|error| CliError::failed("start the service", &error))?;
    Ok(ExitCode::SUCCESS)
}

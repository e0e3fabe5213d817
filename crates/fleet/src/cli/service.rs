//! How subcommands reach the running service.

use std::future::Future;
use std::path::{Path, PathBuf};

use crate::control::{self, Answer, ClientError, RefusalKind, Request};
use runner_fleet_config as config;
use runner_fleet_config::{Config, Loaded, Problems, Runner};

use super::{CliError, Global};

/// The configuration, or the report of all its problems.
pub(super) fn load(global: &Global) -> Result<Loaded, CliError> {
    config::load(&global.config).map_err(|problems| bad_config(&global.config, &problems))
}

/// The report of a file that cannot be used; where there is none, how to get one.
pub(super) fn bad_config(path: &Path, problems: &Problems) -> CliError {
    CliError::BadConfig(match path.try_exists() {
        Ok(false) => format!(
            "there is no file {}; copy config/minimal.toml there (packages have it in \
             /usr/share/doc/runner-fleet/examples) and fill it in, or name another with --config FILE",
            path.display()
        ),
        Ok(true) | Err(_) => problems.to_string(),
    })
}

/// The runner of this name, or which there are.
pub(super) fn runner_named<'c>(config: &'c Config, name: &str) -> Result<&'c Runner, CliError> {
    config.runners.iter().find(|runner| runner.name.as_str() == name).ok_or_else(|| {
        let names = config.runners.iter().map(|runner| runner.name.as_str()).collect::<Vec<_>>().join(", ");
        CliError::BadUsage(format!("no runner is named {name}; there is: {names}"))
    })
}

/// Where the service of this configuration listens.
pub(super) fn socket(global: &Global) -> Result<PathBuf, CliError> {
    Ok(load(global)?.config.fleet.control_socket)
}

/// Asks the service once.
pub(super) fn ask(socket: &Path, request: &Request) -> Result<Answer, CliError> {
    block_on(control::ask(socket, request))?.map_err(failed)
}

/// Asks the service once; `None` when it does not run.
pub(super) fn ask_if_running(socket: &Path, request: &Request) -> Result<Option<Answer>, CliError> {
    match block_on(control::ask(socket, request))? {
        Ok(answer) => Ok(Some(answer)),
        Err(ClientError::NotRunning { .. }) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}

/// There is no answer, or it is no.
pub(super) fn failed(error: ClientError) -> CliError {
    match error {
        ClientError::Refused { why, kind: RefusalKind::UnknownName } => CliError::BadUsage(why),
        ClientError::Refused { why, kind: RefusalKind::BadConfiguration } => CliError::BadConfig(why),
        ClientError::Refused { why, kind: RefusalKind::Other } => CliError::Failed(why),
        other => CliError::Failed(format!("cannot {other}")),
    }
}

/// Runs one future on this thread.
pub(super) fn block_on<F: Future>(future: F) -> Result<F::Output, CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    Ok(runtime.map_err(|error| CliError::failed("start the runtime", &error))?.block_on(future))
}

/// The service answered another question.
pub(super) fn unexpected(answer: &Answer) -> CliError {
    let kind = match answer {
        Answer::Status { .. } => "a status",
        Answer::Plan { .. } => "a plan",
        Answer::Job { .. } => "a job",
        Answer::Costs { .. } => "costs",
        Answer::History { .. } => "a past",
        Answer::Events { .. } => "events",
        Answer::Done { .. } => "\"done\"",
        Answer::Refused { .. } => "a refusal",
    };
    CliError::Failed(format!(
        "cannot understand the service: it answered with {kind}; is it another version than this program?"
    ))
}

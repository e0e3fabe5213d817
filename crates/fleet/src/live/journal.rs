//! What was decided, told to the log: one sentence per decision, with its ids as fields.

use tracing::{debug, info};

use crate::control::Action;
use runner_fleet_engine::Command;

/// Tells what is about to be done. What changes the fleet is INFO; what only looks is DEBUG.
pub fn tell(command: &Command) {
    match command {
        Command::ListInstances { .. } | Command::Connect { .. } | Command::Disconnect { .. } => {
            for action in Action::of(command) {
                debug!("{}", action.what);
            }
        }
        Command::Launch(launch) => {
            let (runner, token) = (launch.runner.as_str(), launch.token.as_str());
            info!(runner.name = runner, launch.token = token, "{}", sentence(command));
        }
        Command::Fence { worker, .. } | Command::Unfence { worker, .. } | Command::Stop { worker, .. } => {
            info!(worker.id = worker.as_str(), "{}", sentence(command));
        }
        Command::Terminate(terminations) => {
            for (action, termination) in Action::of(command).iter().zip(terminations) {
                info!(worker.id = termination.worker.as_str(), "{}", with_reason(action));
            }
        }
        Command::Forget { worker, runner, .. } => {
            debug!(worker.id = worker.as_str(), runner.name = runner.as_str(), "{}", sentence(command));
        }
        Command::Retry { runner, job, .. } => {
            info!(runner.name = runner.as_str(), job.id = job.0, "{}", sentence(command));
        }
    }
}

fn sentence(command: &Command) -> String {
    Action::of(command).iter().map(with_reason).collect::<Vec<_>>().join("; ")
}

fn with_reason(action: &Action) -> String {
    match &action.why {
        Some(why) => format!("{}: {why}", action.what),
        None => action.what.clone(),
    }
}

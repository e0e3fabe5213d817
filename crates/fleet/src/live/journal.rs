//! What was decided, told to the log: one sentence per decision, with its ids as fields.

use tracing::{debug, info};

use crate::control::Action;
use runner_fleet_engine::{Command, Reason, Termination};

/// Tells what is about to be done. What changes the fleet is INFO; what only looks is DEBUG.
pub fn tell(command: &Command) {
    match command {
        Command::ListInstances { .. } | Command::Connect { .. } | Command::Disconnect { .. } => {
            for action in Action::of(command) {
                debug!("{}", action.what);
            }
        }
        Command::Launch(launch) => {
            let (runner, token, reason) = (&launch.runner, &launch.token, <&str>::from(&launch.reason));
            info!(runner.name = %runner, launch.token = %token, reason.kind = reason, "{}", sentence(command));
        }
        Command::Want { worker, want } => {
            let reason = want.reason();
            info!(worker.id = %worker, reason.kind = reason.as_ref().map(Reason::kind), "{}", sentence(command));
        }
        Command::Terminate(terminations) => {
            for (action, Termination { worker, reason }) in Action::of(command).iter().zip(terminations) {
                let reason = Reason::from(reason.clone());
                info!(worker.id = %worker, reason.kind = reason.kind(), "{}", with_reason(action));
            }
        }
        Command::Forget { worker, runner, .. } | Command::LookForJobs { worker, runner, .. } => {
            debug!(worker.id = %worker, runner.name = %runner, "{}", sentence(command));
        }
        Command::Retry { runner, job, .. } => {
            info!(runner.name = %runner, job.id = %job, "{}", sentence(command));
        }
    }
}

fn sentence(command: &Command) -> String {
    Action::of(command).iter().map(with_reason).collect::<Vec<_>>().join("; ")
}

fn with_reason(action: &Action) -> String {
    match &action.reason {
        Some(reason) => format!("{}: {reason}", action.what),
        None => action.what.clone(),
    }
}

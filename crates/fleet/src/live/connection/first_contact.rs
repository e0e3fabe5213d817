//! A worker that still shows the host key of its launch template is given its own, and nothing else: whoever has read that
//! key in some worker's user-data might answer in its place.

use secrecy::{ExposeSecret, SecretString};
use tokio::time::Instant;
use tracing::info;

use super::answer::{ANSWER_BYTES_MAX, failure, is_missing, sentence, without_secrets};
use super::worker::WorkerConnection;
use crate::ssh::error::plain;
use crate::ssh::{Output, RunLimits, Session};
use runner_fleet_engine::{ConnectionFailure, WorkerEvent};
use runner_fleet_worker::agent::{AgentCommand, AgentExit};

/// Ends well once the agent has taken the key; it may not be there yet when sshd already is.
pub(super) async fn hand_over(
    connection: &WorkerConnection,
    session: &Session,
    user: &str,
    handover: &SecretString,
) -> Result<(), ConnectionFailure> {
    let (up_since, timeouts) = (Instant::now(), &connection.shared.timeouts);
    let limits = RunLimits { time: timeouts.command, stdout_bytes_max: ANSWER_BYTES_MAX };
    let (line, stdin) = (AgentCommand::HostKey.line(user), handover.expose_secret());
    loop {
        let output = session.run(&line, stdin.as_bytes(), limits).await.map_err(failure)?;
        if !is_missing(output.status, &output.stderr) {
            judge(&output, stdin).map_err(ConnectionFailure::Refused)?;
            let (worker, runner) = (&connection.worker, &connection.runner);
            info!(worker.id = %worker, runner.name = %runner, "{worker} was given a host key of its own");
            return Ok(());
        }
        if up_since.elapsed() > timeouts.silence {
            let waited = timeouts.silence;
            return Err(ConnectionFailure::Refused(format!("there is still no agent {waited:?} after the connection")));
        }
        connection.outbox.post(WorkerEvent::NoAgent);
        connection.shared.clock.sleep(timeouts.agent_missing).await;
    }
}

fn judge(output: &Output, stdin: &str) -> Result<(), String> {
    let what = format!("agent {}", AgentCommand::HostKey.name());
    let Some(status) = output.status else { return Err(format!("{what} was ended by a signal")) };
    match AgentExit::of(status) {
        AgentExit::Done => Ok(()),
        _ => Err(sentence(&what, status, &without_secrets(&plain(&String::from_utf8_lossy(&output.stderr)), stdin))),
    }
}

//! One report of a worker, without a connection: nothing on it changes, and no heart beats for it.

use std::net::IpAddr;
use std::net::SocketAddr;
use std::time::Duration;

use super::answer::{failure, is_missing};
use super::provision::Provision;
use crate::ssh::error::plain;
use crate::ssh::{Limits, ManagerKey, RunLimits, Session, Target};
use runner_fleet_engine::{ConnectionFailure, WorkerEvent, WorkerId};
use runner_fleet_worker::agent::{self, AgentCommand};

/// A report takes a fraction of a second; a worker under load deserves some patience.
const REPORT: RunLimits = RunLimits { time: Duration::from_secs(15), stdout_bytes_max: agent::LINE_MAX };

/// Asks the agent for one report; what a connection would tell the engine about this worker.
pub async fn probe(worker: &WorkerId, address: IpAddr, provision: &Provision, key: &ManagerKey) -> WorkerEvent {
    match report(worker, address, provision, key).await {
        Ok(event) => event,
        Err(failure) => WorkerEvent::Disconnected(failure),
    }
}

async fn report(
    worker: &WorkerId,
    address: IpAddr,
    provision: &Provision,
    key: &ManagerKey,
) -> Result<WorkerEvent, ConnectionFailure> {
    let Provision { user, port, host_keys, bundle: _ } = provision;
    let host_keys = host_keys.pinned().map_err(|why| ConnectionFailure::Refused(why.to_owned()))?;
    let target = Target { address: SocketAddr::new(address, *port), user: user.clone(), host_keys };
    let session = Session::connect(&target, key, &Limits::default()).await.map_err(failure)?;
    let output = session.run(&AgentCommand::Report.line(user), &[], REPORT).await.map_err(failure)?;
    if is_missing(output.status, &output.stderr) {
        return Ok(WorkerEvent::NoAgent);
    }
    let line = output.stdout.split(|byte| *byte == b'\n').next().unwrap_or_default();
    if line.is_empty() {
        let words = plain(&String::from_utf8_lossy(&output.stderr));
        return Err(ConnectionFailure::Refused(format!("the agent reports nothing: {words}")));
    }
    let report = agent::parse_line(line, worker).map_err(|error| ConnectionFailure::Refused(error.to_string()))?;
    Ok(WorkerEvent::Report(Box::new(report)))
}

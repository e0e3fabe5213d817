//! A worker's task: connect, session, and after every ending connect again, until told to let go.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::retry::{Ended, Retry};
use super::session;
use super::worker::WorkerConnection;
use runner_fleet_engine::{ConnectionFailure, WorkerEvent};

/// How often in a row a worker may take its own host key, and go on showing its launch template's: its sshd may be a moment
/// behind, or have been started before the key was there.
const HANDOVERS_MAX: u32 = 3;

/// Not a matter of time any more.
const STALE: &str = "it was given a host key of its own, and its sshd still shows the launch template's";

/// Ends when cancelled, or when nobody listens to the events any more.
pub(super) async fn run(connection: Arc<WorkerConnection>, cancel: CancellationToken) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = connection.outbox.deliver() => {}
        () = live(&connection) => {}
    }
}

/// Never ends by itself.
async fn live(connection: &WorkerConnection) {
    let timeouts = &connection.shared.timeouts;
    let mut retry = Retry::new(Instant::now());
    let mut handovers = 0;
    loop {
        // Boxed: the largest of all futures, and between two connections it shall take no room.
        let end = Box::pin(session::run(connection, retry.is_eager(timeouts, Instant::now()))).await;
        connection.commands().lost();
        let ended = match end {
            session::End::Handover if handovers < HANDOVERS_MAX => {
                handovers += 1;
                connection.shared.clock.sleep(timeouts.agent_missing).await;
                continue;
            }
            session::End::Handover => {
                Ended { failure: ConnectionFailure::Refused(STALE.into()), was_up: true, heard: false }
            }
            session::End::Failure(ended) => ended,
        };
        handovers = 0;
        let verdict = retry.after(&ended, timeouts, Instant::now(), rand::random());
        connection.ended(&ended.failure, Instant::now());
        if verdict.tell {
            connection.outbox.post(WorkerEvent::Disconnected(ended.failure));
        }
        connection.shared.clock.sleep(verdict.pause).await;
    }
}

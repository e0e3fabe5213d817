//! A worker's task: connect, session, and after every ending connect again, until told to let go.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::retry::Retry;
use super::session;
use super::worker::WorkerConnection;
use runner_fleet_engine::WorkerEvent;

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
    loop {
        // Boxed: the largest of all futures, and between two connections it shall take no room.
        let ended = Box::pin(session::run(connection, retry.is_eager(timeouts, Instant::now()))).await;
        connection.commands().lost();
        let verdict = retry.after(&ended, timeouts, Instant::now(), rand::random());
        connection.ended(&ended.failure, Instant::now());
        if verdict.tell {
            connection.outbox.post(WorkerEvent::Disconnected(ended.failure));
        }
        connection.shared.clock.sleep(verdict.pause).await;
    }
}

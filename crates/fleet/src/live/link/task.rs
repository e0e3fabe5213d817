//! A worker's task: connect, talk, and after every ending connect again, until told to let go.

use std::sync::Arc;

use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::house::Link;
use super::retry::Retry;
use super::talk;
use runner_fleet_engine::LinkNews;

/// Ends when cancelled, or when nobody listens to the events any more.
pub(super) async fn keep(link: Arc<Link>, cancel: CancellationToken) {
    tokio::select! {
        () = cancel.cancelled() => {}
        () = link.outbox.deliver() => {}
        () = live(&link) => {}
    }
}

/// Never ends by itself.
async fn live(link: &Link) {
    let pace = &link.house.pace;
    let mut retry = Retry::new(Instant::now());
    loop {
        // Boxed: the largest of all futures, and between two connections it shall take no room.
        let ended = Box::pin(talk::once(link, retry.is_eager(pace, Instant::now()))).await;
        link.agenda().lost();
        let verdict = retry.after(&ended, pace, Instant::now(), rand::random());
        debug!(worker.id = %link.worker, runner.name = %link.runner, failure = ?ended.failure, "disconnected");
        if verdict.tell {
            link.outbox.post(LinkNews::Down(ended.failure));
        }
        link.house.clock.sleep(verdict.pause).await;
    }
}

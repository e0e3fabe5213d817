//! A worker's task: connect, talk, and after every ending connect again, until told to let go.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::agenda::Agenda;
use super::dial::Dial;
use super::outbox::Outbox;
use super::pace::Pace;
use super::provision::Provisioner;
use super::retry::Retry;
use super::talk;
use crate::live::clock::Clock;
use crate::ssh::ManagerKey;
use runner_fleet_engine::{LinkNews, RunnerName, WorkerId};

/// What all links share.
pub(super) struct House {
    pub(super) clock: Clock,
    pub(super) key: Arc<ManagerKey>,
    pub(super) provisioner: Arc<dyn Provisioner>,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) pace: Pace,
    /// A key exchange needs memory and computing time; after a restart a thousand want one at once.
    pub(super) handshakes: Semaphore,
}

/// One worker's link.
pub(super) struct Link {
    pub(super) worker: WorkerId,
    pub(super) runner: RunnerName,
    pub(super) address: IpAddr,
    pub(super) house: Arc<House>,
    pub(super) outbox: Outbox,
    /// The agenda has changed.
    pub(super) changed: Notify,
    agenda: Mutex<Agenda>,
}

impl Link {
    pub(super) fn new(
        worker: WorkerId,
        runner: RunnerName,
        address: IpAddr,
        house: Arc<House>,
        outbox: Outbox,
    ) -> Self {
        Self { worker, runner, address, house, outbox, changed: Notify::new(), agenda: Mutex::new(Agenda::new()) }
    }

    pub(super) fn agenda(&self) -> MutexGuard<'_, Agenda> {
        self.agenda.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

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
        debug!(worker.id = %link.worker, runner.name = %link.runner, failure = ?ended.failure, "Link ended");
        if verdict.tell {
            link.outbox.post(LinkNews::Down(ended.failure));
        }
        link.house.clock.sleep(verdict.pause).await;
    }
}

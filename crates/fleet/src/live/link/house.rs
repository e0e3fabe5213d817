//! One worker's link, and what it shares with all others.

use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};

use super::agenda::Agenda;
use super::dial::Dial;
use super::outbox::Outbox;
use super::pace::Pace;
use super::provision::Provisioner;
use crate::live::clock::Clock;
use crate::ssh::ManagerKey;
use runner_fleet_engine::{RunnerName, WorkerId};

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

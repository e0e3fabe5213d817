//! One worker's connection, and what it shares with all others.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, Semaphore};
use tokio::time::Instant;
use tracing::{debug, info, warn};

use super::command_queue::CommandQueue;
use super::dial::Dial;
use super::loss::Loss;
use super::outbox::Outbox;
use super::provision::Provisioner;
use super::timeouts::Timeouts;
use crate::live::clock::Clock;
use crate::live::complaint::Told;
use crate::ssh::ManagerKey;
use runner_fleet_engine::{ConnectionFailure, RunnerName, WorkerId};

/// What all connections share.
pub(super) struct Shared {
    pub(super) clock: Clock,
    pub(super) key: Arc<ManagerKey>,
    pub(super) provisioner: Arc<dyn Provisioner>,
    pub(super) dialer: Arc<dyn Dial>,
    pub(super) timeouts: Timeouts,
    /// A key exchange needs memory and computing time; after a restart a thousand want one at once.
    pub(super) handshakes: Semaphore,
}

/// One worker's connection.
pub(super) struct WorkerConnection {
    pub(super) worker: WorkerId,
    pub(super) runner: RunnerName,
    pub(super) address: IpAddr,
    pub(super) shared: Arc<Shared>,
    pub(super) outbox: Outbox,
    /// The commands has changed.
    pub(super) changed: Notify,
    has_own_key: AtomicBool,
    commands: Mutex<CommandQueue>,
    loss: Mutex<Loss>,
}

impl WorkerConnection {
    pub(super) fn new(
        worker: WorkerId,
        runner: RunnerName,
        address: IpAddr,
        shared: Arc<Shared>,
        outbox: Outbox,
    ) -> Self {
        Self {
            worker,
            runner,
            address,
            shared,
            outbox,
            changed: Notify::new(),
            has_own_key: AtomicBool::new(false),
            commands: Mutex::new(CommandQueue::new()),
            loss: Mutex::default(),
        }
    }

    pub(super) fn commands(&self) -> MutexGuard<'_, CommandQueue> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether it has shown its own host key once: then its first contact is over for good.
    pub(super) fn has_own_key(&self) -> bool {
        self.has_own_key.load(Ordering::Relaxed)
    }

    /// It has shown its own host key.
    pub(super) fn shows_own_key(&self) {
        self.has_own_key.store(true, Ordering::Relaxed);
    }

    /// Its agent made sense.
    pub(super) fn heard(&self) {
        let (id, runner) = (&self.worker, &self.runner);
        if self.loss().heard() == Told::Recovery {
            info!(worker.id = %id, runner.name = %runner, "{id} is heard again");
        }
    }

    /// A connection to it, or an attempt to make one, ended so.
    pub(super) fn ended(&self, failure: &ConnectionFailure, now: Instant) {
        let (id, runner) = (&self.worker, &self.runner);
        let (class, said) = (failure.class(), failure.said());
        if self.loss().ended(failure, &self.shared.timeouts, now) == Told::Failure {
            warn!(worker.id = %id, runner.name = %runner, failure.class = %class, "{id} is not heard any more: {said}");
        } else {
            debug!(worker.id = %id, runner.name = %runner, failure.class = %class, "no connection to {id}: {said}");
        }
    }

    fn loss(&self) -> MutexGuard<'_, Loss> {
        self.loss.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

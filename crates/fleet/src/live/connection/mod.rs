//! The connections to the workers: one task per worker, one SSH connection, one streaming command.
//!
//! A connection carries out what is wanted and reports what it sees; it decides nothing that an administrator would care
//! about. It may be told the same thing any number of times.
//!
//! Reading order: [`Connections`], one worker's connection (`worker`), its task (`task`), one session (`session`), a
//! worker's `first_contact`, what to run next (`command_queue`)
//! and what came of it (`answer`), when to try again (`retry`), what the log is told (`loss`), how events travel (`outbox`). A
//! `probe` is for those who only look.

mod answer;
mod command_queue;
mod dial;
mod first_contact;
mod loss;
mod outbox;
mod probe;
mod provision;
mod retry;
mod session;
mod task;
mod timeouts;
mod worker;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::outbox::Outbox;
use self::task::run;
use self::worker::{Shared, WorkerConnection};
use super::clock::Clock;
use crate::ssh::ManagerKey;
use runner_fleet_engine::{Event, Goal, RunnerName, Want, WorkerId};

pub use self::dial::{Dial, Tcp, Wire};
pub use self::probe::probe;
pub use self::provision::{FirstContact, HostKeys, Provision, Provisioner};
pub use self::timeouts::Timeouts;

/// Key exchanges at one time. Each takes about a millisecond of computing on both sides; the rest is waiting.
const HANDSHAKES_MAX: usize = 64;

/// All connections. Dropping it cuts them; [`Connections::shutdown`] also waits until they are gone.
pub struct Connections {
    shared: Arc<Shared>,
    events: mpsc::Sender<Event>,
    connections: BTreeMap<WorkerId, Entry>,
    tasks: TaskTracker,
}

struct Entry {
    connection: Arc<WorkerConnection>,
    cancel: CancellationToken,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl std::fmt::Debug for Connections {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connections").field("connections", &self.connections.len()).finish_non_exhaustive()
    }
}

impl Connections {
    /// No connection yet. What they bring goes to `events` as [`Event::Worker`]; when it is full, each connection keeps its
    /// latest state and report, and hands them over later.
    pub fn new(
        events: mpsc::Sender<Event>,
        clock: Clock,
        key: Arc<ManagerKey>,
        provisioner: Arc<dyn Provisioner>,
    ) -> Self {
        Self::with(events, clock, key, provisioner, Arc::new(Tcp), Timeouts::default())
    }

    /// The same with another network and other time-outs.
    pub fn with(
        events: mpsc::Sender<Event>,
        clock: Clock,
        key: Arc<ManagerKey>,
        provisioner: Arc<dyn Provisioner>,
        dialer: Arc<dyn Dial>,
        timeouts: Timeouts,
    ) -> Self {
        let handshakes = Semaphore::new(HANDSHAKES_MAX);
        let shared = Arc::new(Shared { clock, key, provisioner, dialer, timeouts, handshakes });
        Self { shared, events, connections: BTreeMap::new(), tasks: TaskTracker::new() }
    }

    /// Opens and keeps a connection. Needs a tokio runtime. A worker that has one already keeps it, unless its runner or
    /// address is another one now.
    pub fn connect(&mut self, worker: WorkerId, runner: RunnerName, address: IpAddr, want: Option<&Want>) {
        if self
            .connections
            .get(&worker)
            .is_some_and(|Entry { connection, .. }| connection.runner == runner && connection.address == address)
        {
            return;
        }
        let outbox = Outbox::new(worker.clone(), self.events.clone());
        let connection =
            Arc::new(WorkerConnection::new(worker.clone(), runner, address, Arc::clone(&self.shared), outbox));
        let former = self.connections.get(&worker).map(|former| &former.connection);
        if former.is_some_and(|former| former.has_own_key()) {
            connection.shows_own_key();
        }
        let former_goal = || former.and_then(|former| former.commands().latest_goal());
        if let Some(goal) = want.map(Goal::from).or_else(former_goal) {
            connection.commands().want(goal);
        }
        let cancel = CancellationToken::new();
        self.tasks.spawn(run(Arc::clone(&connection), cancel.clone()));
        self.connections.insert(worker, Entry { connection, cancel });
    }

    /// Lets a connection go, at once and without a further event.
    pub fn disconnect(&mut self, worker: &WorkerId) {
        self.connections.remove(worker);
    }

    /// Says what is wanted of a worker. It is carried out as soon as the agent can be reached, again after a lost connection
    /// or without an effect, and until something else is wanted; of a worker without a connection nothing is.
    pub fn want(&self, worker: &WorkerId, want: &Want) {
        if let Some(Entry { connection, .. }) = self.connections.get(worker) {
            connection.commands().want(want.into());
            connection.changed.notify_one();
        }
    }

    /// Pushes the current configuration to the runner's workers: at once to those that serve, to a fenced one after its
    /// unfence; a worker that is yet to come gets the current one anyway.
    pub fn reconfigure(&self, runner: &RunnerName) {
        for Entry { connection, .. } in self.connections.values().filter(|entry| entry.connection.runner == *runner) {
            connection.commands().reconfigure();
            connection.changed.notify_one();
        }
    }

    /// Cuts all connections and waits until their tasks have ended, which takes no network. Workers and jobs go on.
    pub async fn shutdown(mut self) {
        self.connections.clear();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

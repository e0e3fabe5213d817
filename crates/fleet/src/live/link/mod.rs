//! The links to the workers: one task per worker, one SSH connection, one streaming command.
//!
//! A link carries out wishes and reports what it sees; it decides nothing that an administrator would care about. It
//! may be told the same thing any number of times.
//!
//! Reading order: [`Links`], one link (`house`), its task (`task`), one connection (`talk`), what to run next
//! (`agenda`), when to try again (`retry`), how news travel (`outbox`). A `glance` is for those who only look.

mod agenda;
mod dial;
mod glance;
mod house;
mod outbox;
mod pace;
mod provision;
mod retry;
mod talk;
mod task;

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use tokio::sync::{Semaphore, mpsc};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::agenda::Wish;
use self::house::{House, Link};
use self::outbox::Outbox;
use self::task::keep;
use super::clock::Clock;
use crate::ssh::ManagerKey;
use runner_fleet_engine::{Event, RunnerName, WorkerId};

pub use self::dial::{Dial, Tcp, Wire};
pub use self::glance::glance;
pub use self::pace::Pace;
pub use self::provision::{Provision, Provisioner};

/// Key exchanges at one time. Each takes about a millisecond of computing on both sides; the rest is waiting.
const HANDSHAKES_MAX: usize = 64;

/// All links. Dropping it cuts them; [`Links::shutdown`] also waits until they are gone.
pub struct Links {
    house: Arc<House>,
    events: mpsc::Sender<Event>,
    links: BTreeMap<WorkerId, Entry>,
    tasks: TaskTracker,
}

struct Entry {
    link: Arc<Link>,
    cancel: CancellationToken,
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl std::fmt::Debug for Links {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Links").field("links", &self.links.len()).finish_non_exhaustive()
    }
}

impl Links {
    /// No link yet. News go to `events` as [`Event::Link`]; when it is full, each link keeps its latest news and hands
    /// them over later.
    pub fn new(
        events: mpsc::Sender<Event>,
        clock: Clock,
        key: Arc<ManagerKey>,
        provisioner: Arc<dyn Provisioner>,
    ) -> Self {
        Self::with(events, clock, key, provisioner, Arc::new(Tcp), Pace::default())
    }

    /// The same with another network and another pace.
    pub fn with(
        events: mpsc::Sender<Event>,
        clock: Clock,
        key: Arc<ManagerKey>,
        provisioner: Arc<dyn Provisioner>,
        dialer: Arc<dyn Dial>,
        pace: Pace,
    ) -> Self {
        let handshakes = Semaphore::new(HANDSHAKES_MAX);
        let house = Arc::new(House { clock, key, provisioner, dialer, pace, handshakes });
        Self { house, events, links: BTreeMap::new(), tasks: TaskTracker::new() }
    }

    /// Opens and keeps a link. Needs a tokio runtime. A worker that has one already keeps it, unless its runner or
    /// address is another one now.
    pub fn connect(&mut self, worker: WorkerId, runner: RunnerName, address: IpAddr) {
        if self.links.get(&worker).is_some_and(|Entry { link, .. }| link.runner == runner && link.address == address) {
            return;
        }
        let outbox = Outbox::new(worker.clone(), self.events.clone());
        let link = Arc::new(Link::new(worker.clone(), runner, address, Arc::clone(&self.house), outbox));
        if let Some(wish) = self.links.get(&worker).and_then(|former| former.link.agenda().latest_wish()) {
            link.agenda().wish(wish);
        }
        let cancel = CancellationToken::new();
        self.tasks.spawn(keep(Arc::clone(&link), cancel.clone()));
        self.links.insert(worker, Entry { link, cancel });
    }

    /// Lets a link go, at once and without further news.
    pub fn disconnect(&mut self, worker: &WorkerId) {
        self.links.remove(worker);
    }

    /// Lets the worker's runner take no more jobs. This and the other wishes are carried out as soon as the agent can
    /// be reached, again after a lost connection, and until another wish replaces it; a worker without a link has none.
    pub fn fence(&self, worker: &WorkerId) {
        self.wish(worker, Wish::Fence);
    }

    /// Takes the fence down again.
    pub fn unfence(&self, worker: &WorkerId) {
        self.wish(worker, Wish::Unfence);
    }

    /// Ends the runner process, once it is fenced and empty.
    pub fn stop(&self, worker: &WorkerId) {
        self.wish(worker, Wish::Stop);
    }

    /// Pushes the current configuration to the runner's workers: at once to those that serve, to a fenced one after its
    /// unfence; a worker that is yet to come gets the current one anyway.
    pub fn reconfigure(&self, runner: &RunnerName) {
        for Entry { link, .. } in self.links.values().filter(|entry| entry.link.runner == *runner) {
            link.agenda().reconfigure();
            link.changed.notify_one();
        }
    }

    /// Cuts all links and waits until their tasks have ended, which takes no network. Workers and jobs go on.
    pub async fn shutdown(mut self) {
        self.links.clear();
        self.tasks.close();
        self.tasks.wait().await;
    }

    fn wish(&self, worker: &WorkerId, wish: Wish) {
        if let Some(Entry { link, .. }) = self.links.get(worker) {
            link.agenda().wish(wish);
            link.changed.notify_one();
        }
    }
}

//! Who is told of troubles, beside the log: each once when it begins, once more if it becomes critical, and once when it is
//! over.
//!
//! What was told is compared with what is, again and again, so that there is no queue: one message is on its way at a time,
//! and what began and ended while the one before it took long is not told at all. What was told is kept over restarts.
//!
//! Reading order: [`message`] (what is said), [`receivers`] (to whom), `webhook` and `program` (how), `told` (what was told
//! already), `kept` (the same on disk).

mod kept;
pub mod message;
mod program;
pub mod receivers;
mod told;
mod webhook;

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use runner_fleet_config::{Config, OnTrouble};
use runner_fleet_engine::backoff::Doubling;
use runner_fleet_engine::{Failure, FailureClass, FleetSnapshot};

use super::clock::Clock;
use super::complaint::Complaint;
use super::regions::Regions;
use message::Message;
use receivers::{Receiver, Receivers};
use told::Told;

/// How often a receiver is tried for one message. With the pauses below and the receivers' own time-outs the last try is made
/// at the latest three minutes after the first; then the message is given up, and the log is told.
const ATTEMPTS: u32 = 5;
/// Between two tries.
const PACE: Doubling =
    Doubling { first: std::time::Duration::from_secs(2), longest: std::time::Duration::from_secs(30) };

/// Who is to be told, as the configuration says now.
#[derive(Clone, Debug, PartialEq)]
pub struct Wish {
    /// `[fleet.on_trouble]`.
    pub on_trouble: Option<OnTrouble>,
    /// Where a parameter with the address lies; `None`: in the manager's own region.
    pub region: Option<String>,
}

impl Wish {
    /// What this configuration wants.
    pub fn of(config: &Config) -> Self {
        let region = config.runners.first().and_then(|runner| runner.fleet.region.clone());
        Self { on_trouble: config.fleet.on_trouble.clone(), region }
    }
}

/// What the telling rests on.
#[derive(Debug)]
pub struct Teller {
    /// The owner name, for whoever hears of several managers.
    pub manager: String,
    /// Where what was told is kept.
    pub state_dir: PathBuf,
    /// Who is to be told.
    pub wish: watch::Receiver<Wish>,
    /// What is wrong.
    pub snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    /// For an address that lies in a parameter.
    pub regions: Regions,
    /// Paces the tries.
    pub clock: Clock,
}

/// Tells until it is stopped; what is on its way then is told by the next start, if it is still so.
pub async fn run(teller: Teller, stop: CancellationToken) {
    stop.run_until_cancelled(teller.tell()).await;
}

impl Teller {
    async fn tell(mut self) {
        let mut told = kept::load(&self.state_dir);
        let (mut receivers, mut complaints) = (None::<(Wish, Receivers)>, Complaints::default());
        loop {
            let (wish, snapshot) =
                (self.wish.borrow_and_update().clone(), Arc::clone(&self.snapshot.borrow_and_update()));
            match &wish.on_trouble {
                None => {
                    if told.forget() {
                        self.keep(&told, &mut complaints).await;
                    }
                }
                Some(on_trouble) => {
                    let is_ready = receivers.as_ref().is_some_and(|(of, ready)| *of == wish && ready.is_complete());
                    if !is_ready {
                        let ready = Receivers::prepare(on_trouble, wish.region.as_deref(), &self.regions).await;
                        complaints.about_address(&ready);
                        receivers = Some((wish.clone(), ready));
                    }
                    if let (Some(news), Some((_, receivers))) = (told.news(&snapshot, on_trouble), &receivers) {
                        let message = Message::of(&self.manager, snapshot.at, &news);
                        self.deliver(receivers, &message, &mut complaints).await;
                        debug!("{} was told", message.text);
                        told.was_told(news);
                        self.keep(&told, &mut complaints).await;
                        continue;
                    }
                }
            }
            let awaited = tokio::select! {
                changed = self.snapshot.changed() => changed,
                changed = self.wish.changed() => changed,
            };
            if awaited.is_err() {
                return;
            }
        }
    }

    /// Both at once: one that hangs keeps the other waiting for no longer than the next message.
    async fn deliver(&self, receivers: &Receivers, message: &Message<'_>, complaints: &mut Complaints) {
        let body = message.json();
        let each = receivers.each().map(|receiver| {
            let body = &body;
            async move { (receiver.key(), self.until_told(receiver, body).await) }
        });
        for (key, outcome) in futures::future::join_all(each).await {
            complaints.about_receiver(key, &outcome);
        }
    }

    async fn until_told(&self, receiver: Receiver<'_>, body: &str) -> Result<(), Failure> {
        let mut tries = 0;
        loop {
            tries += 1;
            match receiver.tell(body).await {
                Err(failure) if failure.class.may_heal() && tries < ATTEMPTS => {
                    debug!("{} could not be told: {failure}", receiver.key());
                    self.clock.sleep(PACE.wait(tries)).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn keep(&self, told: &Told, complaints: &mut Complaints) {
        let (dir, troubles) = (self.state_dir.clone(), told.troubles());
        let written = tokio::task::spawn_blocking(move || kept::write(&dir, troubles)).await;
        let outcome = written.unwrap_or_else(|error| Err(std::io::Error::other(error)));
        let outcome = outcome.map_err(|error| Failure::new(FailureClass::Other, error.to_string()));
        complaints.keeping.about("keeping which troubles were told for the next start", &outcome);
    }
}

/// What the log was told of failures, each once.
#[derive(Default)]
struct Complaints {
    address: Complaint,
    url: Complaint,
    command: Complaint,
    keeping: Complaint,
}

impl Complaints {
    fn about_address(&mut self, receivers: &Receivers) {
        let outcome = receivers.missing().map_or(Ok(()), |failure| Err(failure.clone()));
        self.address.about("reading the address of fleet.on_trouble.url", &outcome);
    }

    fn about_receiver(&mut self, key: &'static str, outcome: &Result<(), Failure>) {
        let complaint = if key == receivers::URL { &mut self.url } else { &mut self.command };
        complaint.about(&format!("telling {key} of troubles"), outcome);
    }
}

/// Tells everybody once that this is a test; what came of it, by the key of the configuration.
pub async fn test(config: &Config, regions: &Regions, now: Timestamp) -> Vec<(&'static str, Result<(), Failure>)> {
    let Wish { on_trouble: Some(on_trouble), region } = Wish::of(config) else { return Vec::new() };
    let receivers = Receivers::prepare(&on_trouble, region.as_deref(), regions).await;
    let body = Message::test(&config.fleet.manager, now).json();
    let mut outcomes = Vec::new();
    for receiver in receivers.each() {
        outcomes.push((receiver.key(), receiver.tell(&body).await));
    }
    outcomes
}

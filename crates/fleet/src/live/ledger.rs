//! The ledger on disk: `ledger.json` every minute, and a file in `costs/` for each day. Its loss stops nothing; it is told,
//! and what EC2 and GitLab still know is booked anew.
//!
//! The two say the same of a day that is in both, unless a crash came between them: then the day's file is newer, and
//! `ledger.json` is right, because what the workers' meters say belongs to it.

mod days;
mod reader;

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::{info, warn};

use runner_fleet_engine::ledger::Ledger;
use runner_fleet_engine::{Engine, Failure, FailureClass};

use super::complaint::Complaint;
use super::state_file;

use days::Days;
pub use reader::CostsReader;

/// In the state directory.
const NAME: &str = "ledger.json";
/// Of this form.
const VERSION: u32 = 1;
/// What a crash may lose is booked anew as time that nobody has watched: so much of it.
const EVERY: Duration = Duration::from_secs(60);

#[derive(Deserialize)]
struct Kept {
    ledger: Ledger,
}

#[derive(Serialize)]
struct Keeping<'a> {
    version: u32,
    ledger: &'a Ledger,
}

/// The ledger as the service before has left it. One that cannot be read is put aside, and told.
pub fn load(state_dir: &Path) -> Ledger {
    let path = state_dir.join(NAME);
    let bytes = match std::fs::read(&path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return begun_anew(state_dir, None),
        Err(error) => return begun_anew(state_dir, Some(&error.to_string())),
    };
    let why = match state_file::parse(&bytes, VERSION) {
        Ok(Kept { ledger }) => return ledger,
        Err(why) => why,
    };
    // What a newer release has written is of use to it when it comes back.
    let aside = state_dir.join(format!("{NAME}.unreadable"));
    let put = std::fs::rename(&path, &aside).map_or_else(
        |error| format!("and cannot be put aside: {error}"),
        |()| format!("it is now {}", aside.display()),
    );
    begun_anew(state_dir, Some(&format!("{why}; {put}")))
}

fn begun_anew(state_dir: &Path, why: Option<&str>) -> Ledger {
    let kept_until = Days::of(state_dir).newest().map(|day| day.ends());
    let known = "what workers have cost before is told as far as EC2 still shows them";
    match (why, kept_until) {
        (Some(why), _) => {
            warn!(event = "ledger_lost", "the ledger is lost, {} cannot be read: {why}; {known}", NAME);
        }
        (None, Some(until)) => {
            warn!(event = "ledger_lost", "the ledger is lost, there is no {NAME} after {until:.0}; {known}");
        }
        (None, None) => info!("the ledger begins: {known}"),
    }
    Ledger::after_loss(kept_until)
}

/// The driver's end: what it gives to whoever keeps the ledger.
#[derive(Debug)]
pub struct LedgerOut {
    to: watch::Sender<Arc<Ledger>>,
    given_at: Option<Timestamp>,
}

impl LedgerOut {
    /// What is given goes there.
    pub fn new(to: watch::Sender<Arc<Ledger>>) -> Self {
        Self { to, given_at: None }
    }

    /// A step was made: now and then the ledger is given.
    pub(super) fn after_step(&mut self, engine: &Engine, now: Timestamp) {
        let age = self.given_at.and_then(|at| Duration::try_from(now.duration_since(at)).ok());
        if age.is_none_or(|age| age >= EVERY) {
            self.given_at = Some(now);
            self.to.send_replace(Arc::new(engine.ledger().clone()));
        }
    }

    /// The service ends.
    pub(super) fn last(&self, engine: &Engine) {
        self.to.send_replace(Arc::new(engine.ledger().clone()));
    }
}

/// Writes the ledger whenever it is given, until nobody can give it any more and the last one is written.
pub async fn keep(state_dir: PathBuf, mut ledger: watch::Receiver<Arc<Ledger>>) {
    let mut complaint = Complaint::default();
    let mut days = Days::of(&state_dir);
    while ledger.changed().await.is_ok() {
        let (dir, present) = (state_dir.clone(), Arc::clone(&ledger.borrow_and_update()));
        let written = tokio::task::spawn_blocking(move || {
            let outcome = write(&dir, &present, &mut days);
            (days, outcome)
        });
        let outcome = match written.await {
            Ok((kept, outcome)) => {
                days = kept;
                outcome
            }
            Err(error) => {
                days = Days::of(&state_dir);
                Err(io::Error::other(error))
            }
        };
        let outcome = outcome.map_err(|error| Failure::new(FailureClass::Other, error.to_string()));
        complaint.about("keeping the ledger of costs", &outcome);
    }
}

fn write(state_dir: &Path, ledger: &Ledger, days: &mut Days) -> io::Result<()> {
    // Days first: one that is not in `ledger.json` any more has a file.
    days.keep(ledger)?;
    let bytes = serde_json::to_vec(&Keeping { version: VERSION, ledger })?;
    state_file::replace(state_dir, NAME, &bytes)
}

#[cfg(test)]
mod tests;

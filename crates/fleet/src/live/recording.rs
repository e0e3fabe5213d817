//! What the loop does on the way to the past: it hands over what happened, without waiting, and goes on. Whoever takes it
//! remembers it, and now and then writes it down; a disk that is full, slow, read-only or gone is told, and costs nothing but
//! the past of the time before the next start.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;
use tokio::task::spawn_blocking;
use tokio::time::timeout;
use tracing::warn;

use runner_fleet_engine::failure::chain;
use runner_fleet_engine::{Failure, FailureClass, FleetSnapshot, Note};

use crate::history::{FileError, History, HistoryFile};

use super::clock::Clock;
use super::complaint::Complaint;

/// Steps that may wait to be remembered; each is taken in microseconds.
const WAITING_MAX: usize = 1024;
/// Between two writes: what a crash of the machine may cost.
const WRITE_EVERY: Duration = Duration::from_secs(30);
/// A write takes milliseconds. A disk that needs longer is told of.
const PATIENCE: Duration = Duration::from_secs(20);

/// Where the loop puts what happened.
#[derive(Debug)]
pub struct Recorder {
    to: mpsc::Sender<Heard>,
    is_behind: bool,
}

/// Something to be remembered.
#[derive(Debug)]
pub enum Heard {
    /// What a step has told.
    Notes(Timestamp, Vec<Note>),
    /// What the fleet looks like.
    Look(Arc<FleetSnapshot>),
}

/// Both ends of the way.
pub fn recorder() -> (Recorder, mpsc::Receiver<Heard>) {
    let (to, heard) = mpsc::channel(WAITING_MAX);
    (Recorder { to, is_behind: false }, heard)
}

impl Recorder {
    /// This has happened.
    pub(super) fn note(&mut self, at: Timestamp, notes: &[Note]) {
        if !notes.is_empty() {
            self.hand_over(Heard::Notes(at, notes.to_vec()));
        }
    }

    /// The fleet looks like this.
    pub(super) fn look(&mut self, snapshot: &Arc<FleetSnapshot>) {
        self.hand_over(Heard::Look(Arc::clone(snapshot)));
    }

    fn hand_over(&mut self, heard: Heard) {
        let is_behind = matches!(self.to.try_send(heard), Err(mpsc::error::TrySendError::Full(_)));
        if is_behind && !self.is_behind {
            warn!("the history cannot follow, and will lack what happens now");
        }
        self.is_behind = is_behind;
    }
}

/// Remembers what is heard until nobody says anything any more, and keeps it in the state directory, if there is one.
pub async fn remember(history: History, mut heard: mpsc::Receiver<Heard>, state_dir: Option<PathBuf>, clock: Clock) {
    let listener = history.clone();
    let listening = async move {
        while let Some(heard) = heard.recv().await {
            match heard {
                Heard::Notes(at, notes) => listener.note(at, &notes),
                Heard::Look(snapshot) => listener.look(&snapshot),
            }
        }
    };
    let Some(state_dir) = state_dir else { return listening.await };
    let mut listening = tokio::spawn(listening);
    let mut keeper =
        Keeper { history, file: Some(HistoryFile::in_dir(&state_dir)), state_dir, complaint: Complaint::default() };
    loop {
        keeper.write_down().await;
        tokio::select! {
            _ = &mut listening => break,
            () = clock.sleep(WRITE_EVERY) => {}
        }
    }
    keeper.write_down().await;
}

/// Keeps the past on disk.
struct Keeper {
    history: History,
    state_dir: PathBuf,
    /// Away while it is written.
    file: Option<HistoryFile>,
    complaint: Complaint,
}

impl Keeper {
    /// The file has everything, or people are told why not.
    async fn write_down(&mut self) {
        let mut file = self.file.take().unwrap_or_else(|| HistoryFile::in_dir(&self.state_dir));
        let history = self.history.clone();
        let mut writing = spawn_blocking(move || {
            let outcome = save(&mut file, &history);
            (file, outcome)
        });
        let written = match timeout(PATIENCE, &mut writing).await {
            Ok(written) => written,
            Err(_) => {
                self.tell(&Err(Failure::late(PATIENCE)));
                // Nothing else waits for this.
                writing.await
            }
        };
        let outcome = match written {
            Ok((file, outcome)) => {
                self.file = Some(file);
                outcome.map_err(|error| Failure::new(FailureClass::Other, chain(&error)))
            }
            Err(panicked) => Err(Failure::new(FailureClass::Other, panicked.to_string())),
        };
        self.tell(&outcome);
    }

    fn tell(&mut self, outcome: &Result<(), Failure>) {
        self.complaint.about("keeping the history for the next start", outcome);
        self.history.is_kept(outcome.as_ref().err().map(|failure| failure.text.clone()));
    }
}

/// Opens the file where it is not open, takes what it has, and gives it what it lacks.
fn save(file: &mut HistoryFile, history: &History) -> Result<(), FileError> {
    if !file.is_open() {
        let opened = file.open()?;
        if let Some(error) = opened.set_aside {
            warn!("{error}: the history begins anew, and that file is set aside");
        }
        history.forget_saved();
        history.remember(opened.kept);
    }
    let batch = history.take_unsaved();
    if batch.is_empty() {
        return Ok(());
    }
    file.write(&batch).inspect_err(|_| history.forget_saved())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::history::EventsQuestion;
    use runner_fleet_engine::Engine;

    /// Remembers one look and one event as a service does that lives for a moment, and gives what it knew then.
    async fn live_once(state_dir: PathBuf) -> History {
        let clock = Clock::real();
        let history = History::new(move || clock.now());
        let (mut recorder, heard) = recorder();
        let mut engine = Engine::new("ci", 1, clock.now());
        recorder.look(&Arc::new(engine.snapshot()));
        engine.law_broken("none");
        recorder.note(clock.now(), engine.notes());
        drop(recorder);
        remember(history.clone(), heard, Some(state_dir), clock).await;
        history
    }

    fn known(history: &History) -> (usize, Option<String>) {
        let answer = history.events(&EventsQuestion::default()).unwrap();
        (answer.events.len(), answer.not_kept)
    }

    #[tokio::test]
    async fn the_next_start_knows_what_was() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        assert_eq!(known(&live_once(dir.clone()).await), (1, None));
        assert_eq!(known(&live_once(dir.clone()).await), (2, None));
        std::fs::write(dir.join("history.redb"), "nonsense").unwrap();
        assert_eq!(known(&live_once(dir.clone()).await), (1, None), "what cannot be read is set aside");
        assert_eq!(known(&live_once(dir).await), (2, None));
    }

    #[tokio::test]
    async fn a_place_that_cannot_be_used_costs_the_copy_alone() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("file"), "").unwrap();
        let (events, not_kept) = known(&live_once(folder.path().join("file/state")).await);
        assert_eq!(events, 1);
        assert!(not_kept.unwrap().contains("file/state"));
    }

    #[tokio::test]
    async fn the_loop_never_waits_for_the_past() {
        let (mut recorder, _nobody_listens) = recorder();
        let look = Arc::new(Engine::new("ci", 1, Clock::real().now()).snapshot());
        (0..WAITING_MAX * 2).for_each(|_| recorder.look(&look));
        assert!(recorder.is_behind);
    }
}

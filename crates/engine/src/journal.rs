//! What was decided and what happened, and how often.

use std::collections::VecDeque;

use jiff::Timestamp;

use super::command::{Command, Termination, Want};
use super::fleet::Fleet;
use super::ids::{RunnerName, WorkerId};
use super::measure::Measure;
use super::note::{Note, NoteKind, NoteLevel};
use super::reason::{Disobedience, EndReason, Reason};
use super::snapshot::{Decision, DecisionKind, FleetSnapshot, Totals};

/// The newest entries and the counters.
#[derive(Clone, Debug, Default)]
pub(crate) struct Journal {
    decisions: VecDeque<Decision>,
    /// What the present step is to tell the log.
    notes: Vec<Note>,
    /// What the present step has measured.
    measures: Vec<Measure>,
    /// Counters since the start.
    pub(crate) totals: Totals,
}

impl Journal {
    /// A step begins: what the last one had to tell was told.
    pub(crate) fn begin(&mut self) {
        self.notes.clear();
        self.measures.clear();
    }

    /// What the present step has to tell.
    pub(crate) fn notes(&self) -> &[Note] {
        &self.notes
    }

    /// What the present step has measured.
    pub(crate) fn measures(&self) -> &[Measure] {
        &self.measures
    }

    /// Something was measured.
    pub(crate) fn measured(&mut self, measure: Measure) {
        self.measures.push(measure);
    }

    /// Tells the log alone.
    pub(crate) fn tell(&mut self, note: Note) {
        self.notes.push(note);
    }

    /// Notes what was decided or happened, for people and for the log; of the former the oldest is forgotten for it.
    pub(crate) fn note(&mut self, at: Timestamp, entry: Entry) {
        let note = Note {
            runner: entry.runner.clone(),
            worker: entry.worker.clone(),
            reason: entry.reason.clone(),
            ..Note::new(entry.kind.into(), entry.text.clone())
        };
        self.keep(at, entry);
        self.tell(note);
    }

    /// The same, where the log is told more, or otherwise, than people.
    pub(crate) fn note_as(&mut self, at: Timestamp, entry: Entry, note: Note) {
        self.keep(at, entry);
        self.tell(note);
    }

    fn keep(&mut self, at: Timestamp, entry: Entry) {
        if self.decisions.len() >= FleetSnapshot::DECISIONS_MAX {
            self.decisions.pop_front();
        }
        let Entry { kind, runner, worker, reason, text } = entry;
        self.decisions.push_back(Decision { at, kind, runner, worker, reason, text });
    }

    /// Notes a command, if people want to hear of it, and counts it.
    pub(crate) fn command(&mut self, at: Timestamp, command: &Command, fleet: &Fleet) {
        let on = |worker: &WorkerId, kind: DecisionKind, text: String| {
            let note = Note { worker: Some(worker.clone()), ..Note::new(kind.into(), text) };
            match fleet.workers.get(worker) {
                Some(known) => note.on(&known.instance),
                None => note,
            }
        };
        match command {
            Command::Launch(launch) => {
                self.totals.launches += 1;
                let text =
                    format!("launch {} {} for {}: {}", launch.count, launch.market, launch.runner, launch.reason);
                let entry = Entry::new(DecisionKind::Launch, text).of(&launch.runner).because(launch.reason.clone());
                let text =
                    format!("launching {} ({}) for {}: {}", launch.count, launch.market, launch.runner, launch.reason);
                let note = Note::new(NoteKind::Launching, text).of(&launch.runner).because(launch.reason.clone());
                self.note_as(at, entry, Note { market: Some(launch.market), ..note });
            }
            Command::Terminate(terminations) => {
                for Termination { worker, reason, .. } in terminations {
                    self.totals.workers_terminated += 1;
                    let text = format!("terminate {worker}: {reason}");
                    let entry = Entry::new(DecisionKind::Terminate, text).on(worker).because(reason.clone());
                    let note = on(worker, DecisionKind::Terminate, format!("terminating {worker}: {reason}"));
                    self.note_as(at, entry, note.because(reason.clone()));
                }
            }
            Command::Want { worker, want: Want::Fence { reason } } => {
                let text = format!("fence {worker}: {reason}");
                let entry = Entry::new(DecisionKind::Fence, text).on(worker).because(reason.clone());
                let note = on(worker, DecisionKind::Fence, format!("{worker} takes no more jobs: {reason}"));
                let level = if reason.is_failure() { NoteLevel::Warning } else { note.level };
                self.note_as(at, entry, note.at(level).because(reason.clone()));
            }
            Command::Want { worker, want: Want::Serve } => {
                let text = format!("unfence {worker}: the demand came back");
                let note = on(worker, DecisionKind::Serve, format!("{worker} takes jobs again"));
                self.note_as(at, Entry::new(DecisionKind::Serve, text).on(worker), note);
            }
            Command::Want { worker, want: Want::HardStop { reason } } => {
                let text = format!("stop {worker} hard: {reason}");
                let note = on(worker, DecisionKind::HardStop, format!("stopping {worker} hard: {reason}"));
                let reason = EndReason::Disobeyed(reason.clone());
                let entry = Entry::new(DecisionKind::HardStop, text).on(worker).because(reason.clone());
                self.note_as(at, entry, note.because(reason));
            }
            Command::Want { want: Want::Stop { .. }, .. }
            | Command::ListInstances { .. }
            | Command::Connect { .. }
            | Command::Disconnect { .. }
            | Command::Forget { .. }
            | Command::LookForJobs { .. }
            | Command::Retry { .. } => {}
        }
    }

    /// Counts a worker that did not do as it was told.
    pub(crate) fn disobeyed(&mut self, how: &Disobedience) {
        let Totals { fences_failed, requests_stuck, stops_failed, .. } = &mut self.totals;
        *match how {
            Disobedience::FenceFailed { .. } => fences_failed,
            Disobedience::RequestStuck { .. } => requests_stuck,
            Disobedience::StopFailed { .. } => stops_failed,
        } += 1;
    }

    /// The newest entries, newest last.
    pub(crate) fn newest(&self) -> Vec<Decision> {
        self.decisions.iter().cloned().collect()
    }
}

/// What is noted.
pub(crate) struct Entry {
    kind: DecisionKind,
    runner: Option<RunnerName>,
    worker: Option<WorkerId>,
    reason: Option<Reason>,
    text: String,
}

impl Entry {
    pub(crate) fn new(kind: DecisionKind, text: String) -> Self {
        Self { kind, runner: None, worker: None, reason: None, text }
    }

    pub(crate) fn of(self, runner: &RunnerName) -> Self {
        Self { runner: Some(runner.clone()), ..self }
    }

    pub(crate) fn on(self, worker: &WorkerId) -> Self {
        Self { worker: Some(worker.clone()), ..self }
    }

    pub(crate) fn because(self, reason: impl Into<Reason>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }
}

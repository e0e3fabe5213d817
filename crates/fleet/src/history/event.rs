//! What happened, as it is kept: the engine's notes, with the names that the log has.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use runner_fleet_engine::{InstanceType, JobId, Note, NoteKind, NoteLevel, RunnerName, WorkerId, Zone};

/// Events that are kept: of a fleet that runs a thousand jobs a day, some two days.
pub const EVENTS_MAX: usize = 10_000;

/// A sentence that is longer loses its end: what it says last is what another machine has said.
const TEXT_MAX: usize = 400;

/// Something that was decided, or that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastEvent {
    /// Grows from event to event, over restarts too; for `before` and `after`.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What kind of thing: the log's `event`.
    pub event: String,
    /// How much it concerns people: `debug`, `info`, `warning`.
    pub level: String,
    /// The runner that it concerns.
    pub runner: Option<RunnerName>,
    /// The worker that it concerns.
    pub worker: Option<WorkerId>,
    /// That worker's type.
    #[serde(rename = "type")]
    pub instance_type: Option<InstanceType>,
    /// Where it runs.
    pub zone: Option<Zone>,
    /// As what it was bought.
    pub market: Option<String>,
    /// The job that it concerns.
    pub job: Option<JobId>,
    /// How long something took, lived, ran or lasts, in seconds.
    pub seconds: Option<u64>,
    /// How many jobs.
    pub jobs: Option<u64>,
    /// What a worker has cost, estimated.
    pub usd: Option<f64>,
    /// The kind of reason.
    pub reason: Option<String>,
    /// All of it in a sentence.
    pub text: String,
}

impl PastEvent {
    /// What this note says, with the number that it gets.
    pub(super) fn of(id: u64, at: Timestamp, note: &Note) -> Self {
        Self {
            id,
            at,
            event: note.event.as_str().to_owned(),
            level: level(note.level).to_owned(),
            runner: note.runner.clone(),
            worker: note.worker.clone(),
            instance_type: note.instance_type.clone(),
            zone: note.zone.clone(),
            market: note.market.map(|market| market.to_string()),
            job: note.job,
            seconds: note.lasted.map(|lasted| lasted.as_secs()),
            jobs: note.jobs,
            usd: note.usd.map(|usd| (usd * 10_000.0).round() / 10_000.0),
            reason: note.reason.as_ref().map(|reason| reason.kind().to_owned()),
            text: cut(&note.text),
        }
    }
}

/// Whether people will ask for it some day. What repeats itself is told once; an operator's act and a broken law are told
/// to the log by others, and kept from here.
pub(super) fn is_kept(note: &Note) -> bool {
    note.level != NoteLevel::Debug || matches!(note.event, NoteKind::Operator | NoteKind::LawBroken)
}

fn level(level: NoteLevel) -> &'static str {
    match level {
        NoteLevel::Debug => "debug",
        NoteLevel::Info => "info",
        NoteLevel::Warning => "warning",
    }
}

fn cut(text: &str) -> String {
    if text.len() <= TEXT_MAX {
        return text.to_owned();
    }
    let end = text.floor_char_boundary(TEXT_MAX - '…'.len_utf8());
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_sentence_ends_within_its_bounds() {
        assert_eq!(cut("short"), "short");
        for long in ["x".repeat(1000), "ü".repeat(1000), "€".repeat(1000)] {
            let kept = cut(&long);
            assert!(kept.len() <= TEXT_MAX && kept.len() > TEXT_MAX - 8 && kept.ends_with('…'), "{kept}");
        }
    }
}

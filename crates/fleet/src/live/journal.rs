//! What the log is told of a step: a line for each thing that happened or was decided, with its ids as fields. The names of
//! events and fields are stable (docs/contract.md); the sentences are for people.

use tracing::field::{DisplayValue, display};
use tracing::{Level, debug, enabled, info, warn};

use crate::control::Action;
use runner_fleet_engine::{Command, Note, NoteLevel};

/// One line, with those of the fields that the note has. (Not `line`: tracing itself says `line!`.)
macro_rules! note_line {
    ($level:ident, $note:expr) => {{
        let note: &Note = $note;
        $level!(
            event = note.event.as_str(),
            worker.id = shown(&note.worker),
            runner.name = shown(&note.runner),
            "type" = shown(&note.instance_type),
            zone = shown(&note.zone),
            market = shown(&note.market),
            job.id = note.job.map(|job| job.0),
            seconds = note.lasted.map(|lasted| lasted.as_secs()),
            jobs = note.jobs,
            // Hundredths of a cent are noise.
            usd = note.usd.map(|usd| (usd * 10_000.0).round() / 10_000.0),
            reason.kind = note.reason.as_ref().map(|reason| reason.kind()),
            trouble.kind = note.trouble.map(|(_, kind)| kind),
            trouble.severity = note.trouble.map(|(severity, _)| severity.as_str()),
            "{}",
            note.text
        )
    }};
}

fn shown<T: std::fmt::Display>(value: &Option<T>) -> Option<DisplayValue<&T>> {
    value.as_ref().map(display)
}

/// Tells what the engine has noted.
pub fn tell(note: &Note) {
    match note.level {
        NoteLevel::Debug => note_line!(debug, note),
        NoteLevel::Info => note_line!(info, note),
        NoteLevel::Warning => note_line!(warn, note),
    }
}

/// What is about to be done, for those who look for something: most of it is noted otherwise already.
pub fn carry_out(command: &Command) {
    if !enabled!(Level::DEBUG) {
        return;
    }
    for action in Action::of(command) {
        debug!(command = action.kind, "{}", action.what);
    }
}

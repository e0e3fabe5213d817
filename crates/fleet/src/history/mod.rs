//! The past: what the fleet looked like, minute by minute for a day and by quarters of an hour for a month, and the
//! last [`EVENTS_MAX`] things that happened.
//!
//! It lies in memory, from where every question is answered, and a file in the state directory is its copy for the next
//! start: whatever becomes of that file, the present goes on, and so does the past since the start.
//!
//! Reading order: [`number`] (what a row says), [`row`], [`sample`] and [`tally`] (how a row comes to be), [`ring`] and
//! [`track`] (how many there are), [`event`], [`past`] (all of it), [`question`] and [`answer`] (how it is asked),
//! [`mod@file`] (its copy on disk).

mod answer;
mod event;
mod file;
mod number;
mod past;
mod question;
mod ring;
mod row;
mod sample;
mod tally;
mod track;

pub use answer::{EventsAnswer, HistoryAnswer, HistoryRow};
pub use event::{EVENTS_MAX, PastEvent};
pub use file::{FileError, HistoryFile};
pub use number::Number;
pub use past::{Batch, History, Kept};
pub use question::{BadQuestion, EventsQuestion, HistoryQuestion, ROWS_MAX};

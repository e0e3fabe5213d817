//! Reasons as they leave the engine: the fields for programs, one sentence for people.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// A reason that can be put into words.
pub trait Sentence {
    /// One sentence in lower case without a full stop; times are told as seen from `now`.
    fn sentence(&self, now: Timestamp) -> String;
}

/// A reason and its sentence. In JSON the reason's fields and `text` stand side by side; `kind` is stable, `text` is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained<R> {
    /// The reason.
    #[serde(flatten)]
    pub reason: R,
    /// The same for people.
    pub text: String,
}

impl<R: Sentence> Explained<R> {
    /// Puts a reason into words.
    pub fn at(now: Timestamp, reason: R) -> Self {
        Self { text: reason.sentence(now), reason }
    }
}

impl<R> fmt::Display for Explained<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

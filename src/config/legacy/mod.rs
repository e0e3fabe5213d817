//! Sections of GitLab Runner's own autoscaling executors, in our words.
//!
//! A translation makes the same tree that a user would have written, each value standing where its option stood, so that
//! the ordinary reading and all its checks follow. Nothing is dropped silently: an option is translated, or told about
//! as a note, or refused.

mod translation;

pub use translation::Surroundings;
pub(crate) use translation::Translation;

use super::node::Table;

pub(crate) fn machine(section: &Table, surroundings: &Surroundings) -> Translation {
    let _ = surroundings;
    Translation::start(section)
}

pub(crate) fn autoscaler(section: &Table, surroundings: &Surroundings) -> Translation {
    let _ = surroundings;
    Translation::start(section)
}

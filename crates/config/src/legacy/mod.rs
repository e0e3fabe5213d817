//! Sections of GitLab Runner's own autoscaling executors, in our words.
//!
//! A translation makes the same tree that a user would have written, each value standing where its option stood, so that
//! the ordinary reading and all its checks follow. Nothing is dropped silently: an option is translated, or told about
//! as a note, or refused. What a user writes in `[runners.fleet]` beside the old tables wins over the translation, in
//! tables key by key.
//!
//! Reading order: `sections` (all of a file), `machine` and `autoscaler` (one executor each), `translation` (the pen they
//! write with), `limits` (counts across each other), then one file per subject.
//!
//! Sources: gitlab-runner `common/config.go`, `executors/docker/machine/`, `timeperiod/period.go`; docker/machine
//! `commands/create.go`, `drivers/amazonec2/amazonec2.go`, and GitLab's fork of it.

#[cfg(test)]
mod answered;
mod autoscaler;
mod autoscaling;
mod engine;
mod environment;
mod flags;
mod go;
mod launch;
mod limits;
mod machine;
mod options;
mod periods;
mod policies;
mod sections;
mod translation;

pub(crate) use environment::notes as environment_notes;
pub(crate) use sections::{is_old, sections, with_defaults};
pub use translation::Surroundings;
pub(crate) use translation::{Missing, Outside, Section};

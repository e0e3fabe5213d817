//! Sections of GitLab Runner's own autoscaling executors, in our words.
//!
//! A translation makes the same tree that a user would have written, each value standing where its option stood, so that
//! the ordinary reading and all its checks follow. Nothing is dropped silently: an option is translated, or told about
//! as a note, or refused. What a user writes in `[runners.fleet]` beside the old tables wins over the translation.
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
mod machine;
pub(crate) mod migrate;
mod options;
mod periods;
mod translation;

pub(crate) use autoscaler::translate as autoscaler;
pub(crate) use machine::translate as machine;
pub use migrate::migrate;
pub use translation::Surroundings;
pub(crate) use translation::Translation;

//! runner-fleet: EC2 spot workers for GitLab Runner, as many as the queue needs.
//!
//! One loop: GitLab says which jobs wait, EC2 says which workers exist (their tags are the database), every worker says
//! what it runs. The [`engine`] turns these observations and the time into commands; a driver carries them out and
//! brings back the answers. Nothing is saved: the next start lists EC2 and adopts what it finds.
//!
//! The rooms, from the ground up; each may use those above it in this list, never those below:
//!
//! - [`engine`]: the heart, pure: observations in, commands out.
//! - [`config`]: file to typed configuration; all problems at once; docker+machine translation; secrets.
//! - [`worker`]: all that lives on a worker, rendered purely.
//! - [`ssh`], [`aws`], [`gitlab`]: adapters, each behind our own words.
//! - [`control`], [`http`]: what people and their tools ask the running service.
//! - [`live`]: the service: ticks, wake-ups, signals; commands to calls, answers to events.
//! - [`sim`]: one simulated world of GitLab, EC2 and workers, in virtual time.
//! - [`doctor`]: one look at the live environment, step by step.
//! - [`cli`]: one file per subcommand.
//!
//! Beside them stands [`version`], which build this is; it uses nothing.

pub mod aws;
pub mod cli;
pub mod control;
pub mod doctor;
pub mod http;
pub mod live;
pub mod ssh;
pub mod version;

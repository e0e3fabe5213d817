//! runner-fleet: EC2 spot workers for GitLab Runner, as many as the queue needs.
//!
//! One loop: GitLab says which jobs wait, EC2 says which workers exist (their tags are the database), every worker says
//! what it runs. The [engine](runner_fleet_engine) turns these observations and the time into commands; a driver
//! carries them out and brings back the answers. No decision rests on what is saved: the next start lists EC2 and adopts
//! what it finds.
//!
//! ```text
//!   GitLab:  queues, facts ---+             live::driver           +--> launch, list, terminate:  EC2
//!   EC2:     listings --------+--> Event --> Engine --> Command ---+--> connect, want:            workers, by SSH
//!   workers: reports ---------+                |                   +--> forget, retry:            GitLab
//!                                              v
//!                                            FleetSnapshot --> status, dashboard, metrics, systemd
//! ```
//!
//! What it stands on are crates of their own: [`runner_fleet_engine`] (the heart, pure), [`runner_fleet_config`] (the
//! file), [`runner_fleet_worker`] (all that lives on a worker), [`runner_fleet_gitlab`] (GitLab's API),
//! [`runner_fleet_sim`] (the simulated world behind `demo` and `simulate`).
//!
//! The rooms of this crate, from the ground up; each may use those above it in this list, never those below, and
//! neighbours in one line do not know each other:
//!
//! - [`version`]: which build this is. [`metrics`]: every family of `/metrics`, by name and meaning.
//! - [`ssh`], [`aws`], [`otlp`]: adapters, each behind our own words.
//! - [`history`]: the past, in numbers and events, and its copy on disk.
//! - [`control`], [`http`]: what people and their tools ask the running service.
//! - [`live`]: the service: ticks, wake-ups, signals; commands to calls, answers to events.
//! - [`doctor`], [`shadow`]: one look at the live environment, step by step; a watch beside another manager.
//! - [`cli`]: one file per subcommand.
//!
//! Reading order: [`live::driver`] (the loop), [`live::world`] (what its commands become), then the room that you came
//! for.
//!
//! Deliberately absent: a database that any decision rests on, leader election, taking jobs, and any choice of a market
//! or a zone outside the engine.

pub mod aws;
pub mod cli;
pub mod control;
pub mod core_files;
pub mod doctor;
pub mod history;
pub mod http;
mod in_time;
pub mod live;
pub mod metrics;
pub mod otlp;
pub mod shadow;
pub mod ssh;
pub mod version;

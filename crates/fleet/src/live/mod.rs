//! The live driver: ticks, wake-ups and signals; commands become calls, answers become events.
//!
//! Reading order: the loop ([`driver`]) between the engine and an [`edge`], with its [`clock`], what it tells systemd
//! ([`systemd`]), operators ([`operator`]), the log ([`journal`]) and the past ([`recording`]). Then the real [`world`]:
//! what a configuration needs to be acted on ([`ssh_key`], [`orders`], [`ledger`], [`setup`], [`regions`],
//! [`worker_spec`]), what is watched (queues, facts
//! about runners, launch plans, prices), calls to EC2, by which [`host_keys`] workers are known and until when ([`births`]), and the
//! [`connection`]s to them. At last the [`service`] that puts all of it
//! together, the signals it minds, what it waits for before it begins ([`starting`]), its [`reload`], and who is told when
//! something goes wrong ([`on_trouble`]); and one
//! [`preview`] without all that, for a plan while the service does not run.

pub mod births;
pub mod clock;
mod complaint;
pub mod connection;
pub mod driver;
mod ec2;
pub mod edge;
mod facts;
pub mod host_keys;
pub mod journal;
mod launch_plans;
pub mod ledger;
pub mod measures;
pub mod metrics;
pub mod on_trouble;
pub mod operator;
pub mod orders;
mod outcome;
pub mod past;
pub mod preview;
mod prices;
mod queues;
pub mod recording;
pub mod regions;
pub mod reload;
pub mod service;
pub mod setup;
mod signals;
pub mod ssh_key;
pub mod starting;
pub(crate) mod state_file;
pub mod systemd;
pub mod telemetry;
pub mod worker_spec;
pub mod world;

pub use driver::{Channels, drive};

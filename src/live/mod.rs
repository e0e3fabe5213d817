//! The live driver: ticks, wake-ups and signals; commands become calls, answers become events.
//!
//! Reading order: the loop ([`driver`]) between the engine and an [`edge`], with its [`clock`], what it tells systemd
//! ([`standing`]), operators ([`operator`]) and the log ([`journal`]). The [`link`]s to the workers: one task each.

pub mod clock;
pub mod driver;
pub mod edge;
pub mod journal;
pub mod link;
pub mod metrics;
pub mod operator;
pub mod standing;

pub use driver::{Doors, drive};

//! The pure rooms of runner-fleet, included from where they live. See `Cargo.toml` for why.
#![allow(
    dead_code,
    missing_docs,
    unused_imports,
    reason = "what is unused here is used by the rooms that are left out"
)]

// The integration tests of the engine name the crate as a stranger does.
#[cfg(test)]
extern crate self as runner_fleet;

#[path = "../../../src/config/mod.rs"]
pub mod config;
#[path = "../../../src/engine/mod.rs"]
pub mod engine;
#[path = "../../../src/sim/mod.rs"]
pub mod sim;

pub mod live;

#[cfg(test)]
#[path = "../../it/engine/mod.rs"]
mod it;

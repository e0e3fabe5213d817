//! What the fuzz targets reach: the rooms that read what comes from outside, included from where they live.
#![allow(
    dead_code,
    missing_docs,
    unused_imports,
    reason = "what is unused here is used by the rooms that are left out"
)]

#[path = "../src/engine/mod.rs"]
pub mod engine;

#[path = "../src/config/mod.rs"]
pub mod config;

#[path = "rooms/worker.rs"]
pub mod worker;

#[path = "rooms/gitlab.rs"]
pub mod gitlab;

pub mod targets;

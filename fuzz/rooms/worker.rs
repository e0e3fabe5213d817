//! The worker's room, as far as lines of its agent are read.

#[path = "../../src/worker/agent.rs"]
pub mod agent;

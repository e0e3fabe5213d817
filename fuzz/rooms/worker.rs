//! The worker's room, as far as lines of its agent are read.

#[path = "../../src/worker/agent.rs"]
pub mod agent;

#[path = "../../src/worker/helper_log.rs"]
pub mod helper_log;

//! All that lives on a worker, rendered purely: user-data, config.toml, Docker config, agent.
//!
//! - [`agent`]: what the manager says to a worker's agent, and what it reads from it.

pub mod agent;

pub use agent::{AGENT_PATH, AgentCommand, AgentExit, AgentLineError, BEAT, LINE_MAX, bundle, parse_line};

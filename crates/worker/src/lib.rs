//! All that lives on a worker, rendered purely: user-data, config.toml, Docker config, agent.
//!
//! ```text
//!                  +--> user_data() ----------> in the launch template; holds no token
//!   WorkerSpec ----+
//!                  +--> bundle() -------------> stdin of `agent configure`, over SSH
//!                         ^
//!            the runner's token
//!
//!   a line of `agent watch` --> parse_line() --> Report: what the engine is told
//! ```
//!
//! Reading order:
//!
//! - [`spec`]: what a worker is made from; the one input.
//! - [`user_data()`]: the cloud-config that turns a stock image into a worker; holds no token.
//! - [`runner_config()`]: the worker's config.toml in its three forms, with the `wiring` of ECR into jobs.
//! - [`bundle()`]: these forms as they are pushed over SSH.
//! - [`docker_config()`]: what Docker reads on the worker.
//! - [`agent`]: what the manager says to a worker's agent, and what it reads from it.
//! - [`helper_log`]: why the ECR helper had no credentials, read from its log.
//! - [`render()`]: all of it for people, masked.
//!
//! The shell scripts and units themselves are in `files/`.
//!
//! Deliberately absent: I/O (SSH carries what is rendered here, and is the service's), the configuration file (a
//! [`WorkerSpec`] is filled by whoever has read it), and any trust in what a worker says: a line that is too long or
//! malformed is an error, and none can make the parser panic.

pub mod agent;
mod bundle;
pub mod docker_config;
mod environment;
mod files;
pub mod helper_log;
mod masked;
mod proxy;
pub mod render;
pub mod runner_config;
pub mod shell;
pub mod spec;
pub mod user_data;
mod wiring;

pub use agent::{AGENT_PATH, AgentCommand, AgentExit, AgentLineError, BEAT, LINE_MAX, parse_line};
pub use bundle::{bundle, host_key_bundle};
pub use docker_config::{docker_config, docker_config_for};
pub use files::HELPER_PATH;
pub use render::{Rendered, render};
pub use runner_config::{config_without_ecr, fenced_config, runner_config, worker_name};
pub use spec::{Checksum, Download, EcrSpec, HostKey, Proxy, WorkerSpec};
pub use user_data::{USER_DATA_MAX, UserData, UserDataTooLarge, user_data};

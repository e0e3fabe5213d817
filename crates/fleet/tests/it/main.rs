//! One binary for all integration tests: it links once.
#![cfg(test)]

mod alive;
mod architecture;
mod aws;
mod cli;
mod config;
mod config_file;
mod contract;
mod doctor;
mod iam_policy;
mod log;
mod metrics;
mod names;
mod plan;
mod record;
mod service;
mod shadow;
mod simulate;
mod ssh;
mod ssh_key;
mod telemetry;
mod watch;
mod whole;

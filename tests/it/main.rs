//! One binary for all integration tests: it links once.

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod aws;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod doctor;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod gitlab;
#[cfg(test)]
mod iam_policy;
#[cfg(test)]
mod plan;
#[cfg(test)]
mod record;
#[cfg(test)]
mod service;
#[cfg(test)]
mod simulate;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod ssh_key;
#[cfg(test)]
mod tools;
#[cfg(test)]
mod worker;

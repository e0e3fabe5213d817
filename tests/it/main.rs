//! One binary for all integration tests: it links once.
#![expect(missing_docs, reason = "tests are read, not documented")]

#[cfg(test)]
mod architecture;
#[cfg(test)]
mod aws;
#[cfg(test)]
mod cli;
#[cfg(test)]
mod config;
#[cfg(test)]
mod engine;
#[cfg(test)]
mod gitlab;
#[cfg(test)]
mod service;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod worker;

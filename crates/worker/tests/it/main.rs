//! What lives on a worker: that it is rendered as promised (`rendered`), that the agent tells the truth and never loses a
//! job (`agent`, `alone`), that the bootstrap ends in `ready` or in a clear reason (`bootstrap`), that it is
//! never left without a host key (`host_key`), and that a job gets its Docker login (`seed`). The scripts really run, under every POSIX shell at hand, in a directory of their own.
#![cfg(test)]

mod agent;
mod alone;
mod bootstrap;
mod ecr_boot;
mod fit;
mod host_key;
mod job;
mod login;
mod machine;
mod obedience;
mod rendered;
mod seed;
mod specs;

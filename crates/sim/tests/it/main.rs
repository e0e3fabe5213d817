//! The engine, step by step: what it does with what it is told. The laws are checked after every step.
#![cfg(test)]

mod bench;
mod claims;
mod clocks;
mod costs;
mod drains;
mod fitness;
mod fixed_point;
mod forecasts;
mod ladder;
mod launches;
mod measures;
mod notes;
mod oracles;
mod orders;
mod prices;
mod quarantine;
mod retries;
mod rivals;
mod scenarios;
mod shares;
mod sightings;
mod snapshots;
mod unknowns;
mod verdict;
mod why;
mod worlds;

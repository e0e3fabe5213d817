//! The simulated world: GitLab, EC2, workers and prices as one model in virtual time.
//!
//! Reading order: what a world is given ([`scenario`], [`faults`], [`workload`]), the [`world`] itself (it speaks the
//! engine's events and commands, nothing else), what truly happened in it ([`ledger`], [`prices`]), what must never
//! happen ([`check`]), the loop in virtual time ([`mod@run`]), very many of them ([`mod@soak`]), the sums ([`summary`]), and the door for the live driver
//! ([`edge`]).
//!
//! The world knows the truth; an engine sees only what a listing, an answer or a report shows it, late and with faults.

mod agenda;
pub mod assumptions;
pub mod check;
mod clock;
pub mod configured;
pub mod contest;
mod dice;
#[cfg(test)]
mod doubles;
pub mod faults;
pub mod figures;
pub mod ledger;
pub mod prices;
pub mod replay;
pub mod report;
pub mod rivals;
pub mod run;
pub mod scenario;
pub mod soak;
pub mod summary;
pub mod tape;
pub mod tuning;
pub mod workload;
pub mod workloads;
pub mod world;

pub use check::Violation;
pub use faults::Faults;
pub use run::{Broken, Outcome, run};
pub use scenario::{JobSpec, Scenario, Shortage};
pub use summary::Summary;
pub use world::{JobState, World};

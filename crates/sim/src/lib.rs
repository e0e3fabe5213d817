//! The simulated world: GitLab, EC2, workers and prices as one model in virtual time.
//!
//! ```text
//!   Scenario, Faults, seed --> World  <--- Command ---  Engine, with the laws beside it
//!                                |     ---- Event ---->
//!                                v
//!                              EventLog --> Check (what must never happen), Summary, transcript
//!
//!   Workload, Config --> Setting --> replay, baselines --> Recording --> Figures --> Report: table, JSON, HTML
//! ```
//!
//! The world knows the truth; an engine sees only what a listing, an answer or a report shows it, late and with faults.
//!
//! Reading order: what a world is given ([`scenario`], [`faults`], [`workload`]), the [`world`] itself (it speaks the
//! engine's events and commands, nothing else), what truly happened in it ([`event_log`], [`prices`]), what must never
//! happen ([`check`]), the loop in virtual time ([`mod@run`]), very many of them ([`mod@soak`]), the sums
//! ([`summary`]). Then what `simulate` is made of: the jobs ([`workloads`]), a configuration as a scenario
//! ([`configured`], with its [`assumptions`]), the production engine over it ([`mod@replay`]) and models of other
//! autoscalers ([`baselines`]), what each leaves behind ([`recording`], [`mod@figures`]), equal waits ([`tuning`],
//! [`comparison`]), what a clairvoyant would pay ([`mod@bound`]), the cheapest
//! setting for a wait ([`recommend`]), and the [`report`].
//!
//! Deliberately absent, but in the programs of `bin/`: real time and threads. In all of it: the network; HTTP, SSH and
//! shell scripts, which are the lab's; and a way of scaling of its own: what decides for runner-fleet here is the
//! engine that ships.

mod agenda;
pub mod assumptions;
pub mod baselines;
mod books;
pub mod bound;
pub mod check;
mod clock;
pub mod comparison;
pub mod configured;
#[cfg(test)]
mod doubles;
pub mod event_log;
pub mod faults;
pub mod figures;
pub mod prices;
pub mod recommend;
pub mod recording;
pub mod replay;
pub mod report;
mod rng;
pub mod run;
pub mod scenario;
pub mod soak;
pub mod summary;
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

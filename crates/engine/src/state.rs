//! The engine itself: what it keeps from one step to the next.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::backoff::{Backoff, Jitter};
use super::cooldown::Cooldowns;
use super::demand::Assessment;
use super::fleet::Fleet;
use super::forecast::Forecasts;
use super::held_back::HeldBack;
use super::ids::{RunnerName, Server};
use super::journal::Journal;
use super::ledger::{JobNames, Ledger};
use super::listing::Listing;
use super::notices::Notices;
use super::orders::Orders;
use super::prices::Prices;
use super::promise::Kept;
use super::quarantine::Quarantine;
use super::queue::Queue;
use super::retries::Retries;
use super::rival::Rivals;
use super::runner::Runner;
use super::settings::Settings;
use super::token::TokenMint;
use super::troubles::Troubles;

/// The state machine. What it holds cannot be read again from the world (launches in flight, cool-downs, drains that
/// were begun), and all of it is safe to lose.
#[derive(Clone, Debug)]
pub struct Engine {
    pub(super) settings: Option<Settings>,
    pub(super) runners: BTreeMap<RunnerName, Runner>,
    pub(super) queues: BTreeMap<Server, Queue>,
    pub(super) fleet: Fleet,
    pub(super) listing: Listing,
    pub(super) cooldowns: Cooldowns,
    pub(super) notices: Notices,
    pub(super) prices: Prices,
    pub(super) forecasts: Forecasts,
    pub(super) quarantine: Quarantine,
    pub(super) retries: Retries,
    pub(super) rivals: Rivals,
    pub(super) orders: Orders,
    pub(super) ledger: Ledger,
    pub(super) job_names: JobNames,
    pub(super) promises: BTreeMap<RunnerName, Kept>,
    /// EC2 asks for patience with launches.
    pub(super) slow: Backoff,
    pub(super) jitter: Jitter,
    pub(super) journal: Journal,
    pub(super) held_back: BTreeMap<RunnerName, HeldBack>,
    pub(super) assessment: Assessment,
    /// What is wrong, for people.
    pub(super) troubles: Troubles,
    pub(super) now: Timestamp,
    pub(super) mint: TokenMint,
}

impl Engine {
    /// An engine that knows nothing yet. `manager` is the owner name in the tags; `seed` feeds the jitter of back-offs and,
    /// with the start's time, makes the launch tokens of different starts differ.
    pub fn new(manager: &str, seed: u64, started_at: Timestamp) -> Self {
        Self {
            settings: None,
            runners: BTreeMap::new(),
            queues: BTreeMap::new(),
            fleet: Fleet::default(),
            listing: Listing::default(),
            cooldowns: Cooldowns::default(),
            notices: Notices::default(),
            prices: Prices::default(),
            forecasts: Forecasts::default(),
            quarantine: Quarantine::default(),
            retries: Retries::default(),
            rivals: Rivals::default(),
            orders: Orders::default(),
            ledger: Ledger::default(),
            job_names: JobNames::default(),
            promises: BTreeMap::new(),
            slow: Backoff::default(),
            jitter: Jitter::seeded(seed),
            journal: Journal::default(),
            held_back: BTreeMap::new(),
            assessment: Assessment::default(),
            troubles: Troubles::default(),
            now: started_at,
            mint: TokenMint::new(manager, seed, started_at),
        }
    }
}

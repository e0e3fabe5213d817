//! Why a runner gets no worker although it wants one.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::failure::Failure;
use super::ledger::Spending;
use super::prices::OverPriceCap;

/// What holds a runner's launches back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum HeldBack {
    /// Its own ceiling.
    MaxWorkers {
        /// `max_workers` as it holds now.
        max_workers: u32,
    },
    /// The ceiling over all runners.
    Concurrent {
        /// `concurrent`.
        concurrent: u32,
    },
    /// Another manager of this name was there before.
    AnotherManager {
        /// When that one was started.
        started_at: Timestamp,
        /// Until when launching is left to it, unless it launches again.
        until: Timestamp,
    },
    /// Enough are booting.
    MaxBooting {
        /// `max_booting`.
        max_booting: u32,
    },
    /// A launch is on its way.
    InFlight,
    /// Nothing is known of the runner.
    NoFacts {
        /// What GitLab answered last.
        failure: Failure,
    },
    /// Its launches could not be prepared.
    NoLaunchPlan {
        /// What EC2 answered last.
        failure: Failure,
    },
    /// EC2's instances are not known.
    NoListing {
        /// What EC2 answered last.
        failure: Failure,
    },
    /// EC2 asks for patience.
    Slow {
        /// Nothing is launched before.
        until: Timestamp,
    },
    /// The last launches were refused.
    Refused {
        /// The next try.
        until: Timestamp,
        /// What EC2 said.
        last: String,
    },
    /// Boots keep failing.
    Breaker {
        /// The next try.
        until: Timestamp,
        /// Boots that failed in a row.
        boots: u32,
        /// How the last one failed.
        last: String,
    },
    /// One boot at a time, after the breaker.
    Probation {
        /// Boots that failed in a row.
        boots: u32,
    },
    /// Nothing that it may use is on offer.
    NoOffering {
        /// When the first of its offerings is asked for again; absent when it has none.
        until: Option<Timestamp>,
        /// What EC2 said when it gave none the last time.
        said: Option<String>,
    },
    /// Every spot offer costs more than it may.
    OverPriceCap {
        /// The cheapest of them.
        cheapest: OverPriceCap,
    },
    /// What it may cost in this day or month is used up.
    Budget {
        /// USD so far; time of unknown price counts with the most that it can cost.
        spent: f64,
        /// `budget`, in USD.
        limit: f64,
        /// What the budget is for.
        per: Spending,
        /// When the next day or month begins.
        until: Timestamp,
    },
    /// An operator has paused it.
    Paused,
    /// GitLab has paused it.
    PausedInGitlab,
    /// Its section is gone from the configuration; its workers are being retired.
    Removed,
}

impl HeldBack {
    /// The stable name of its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        self.into()
    }
}

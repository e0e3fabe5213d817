//! When to ask EC2 for the instances: often while something is expected of it, rarely otherwise.

use std::time::Duration;

use jiff::Timestamp;

use super::failure::Failure;
use super::fleet::Fleet;
use super::job::Knowledge;
use super::time::since;
use super::workers::{Connection, WorkerStatus};

/// Between two listings while an address, an end or the outcome of a launch is awaited. One call a fleet, whatever its
/// size: 20 a minute at most, of the hundreds that EC2 allows for Describe calls.
const BUSY: Duration = Duration::from_secs(3);
/// Between two listings while a worker cannot be reached and EC2's health checks are wanted.
const WORRIED: Duration = Duration::from_secs(10);
/// Between two listings otherwise: how late an instance that ended by itself may be noticed, unless its connection breaks.
const CALM: Duration = Duration::from_secs(30);
/// When a listing without an answer is asked for again.
const UNANSWERED: Duration = Duration::from_secs(60);
/// How long a good listing is trusted.
const FRESH: Duration = Duration::from_secs(90);
/// After the start nothing is launched before a listing this long after the first one: the manager before us may have
/// died within a launch that EC2 is still carrying out, or does not show yet.
pub const SETTLING: Duration = Duration::from_secs(5);

/// What is known of EC2's listing.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    asked_at: Option<Timestamp>,
    outstanding: bool,
    /// When the first and the newest good listing were asked for.
    good: Option<(Timestamp, Timestamp)>,
    failure: Option<Failure>,
}

impl Listing {
    /// Takes in whether a listing worked.
    pub(crate) fn answered(&mut self, asked_at: Timestamp, failure: Option<Failure>) {
        self.outstanding = false;
        if failure.is_none() {
            // An answer that was overtaken by a newer one makes nothing older.
            self.good = Some(self.good.map_or((asked_at, asked_at), |(first, last)| (first, last.max(asked_at))));
        }
        self.failure = failure;
    }

    /// Somebody has set the clock back: nobody knows any more how old the last answer is, nor how long ago the last
    /// question was asked.
    pub(crate) fn clock_set_back(&mut self) {
        self.asked_at = None;
        self.outstanding = false;
        self.good = None;
    }

    /// Whether an answer asked for at that time is older than one that is known already.
    pub(crate) fn is_overtaken(&self, asked_at: Timestamp) -> bool {
        self.good.is_some_and(|(_, last)| asked_at < last)
    }

    /// What can be said now.
    pub(crate) fn knowledge(&self, now: Timestamp) -> Knowledge {
        let failure = || self.failure.clone().unwrap_or_else(|| Failure::awaited("the first listing"));
        match self.good {
            Some((first, last)) => {
                let age = since(now, last);
                if age > FRESH {
                    Knowledge::Stale { age, failure: failure() }
                } else if since(last, first) < SETTLING {
                    Knowledge::Unknown { failure: Failure::awaited("a second listing after the start") }
                } else {
                    Knowledge::Known
                }
            }
            None => Knowledge::Unknown { failure: failure() },
        }
    }

    /// Whether to ask now, and whether for the health checks too.
    pub(crate) fn due(&mut self, fleet: &Fleet, now: Timestamp) -> Option<bool> {
        // The shortest pace first: it spares most steps the look at every worker.
        let least = if self.outstanding { UNANSWERED } else { BUSY };
        if self.asked_at.is_some_and(|asked_at| since(now, asked_at) < least) {
            return None;
        }
        let worried = fleet.workers.values().any(|worker| {
            worker.status(now) == WorkerStatus::Unreachable
                || (worker.heard.is_some() && matches!(worker.connection, Connection::Down { .. }))
        });
        let settling = self.knowledge(now) != Knowledge::Known;
        let expecting = !fleet.flights.is_empty()
            || fleet.workers.values().any(|worker| {
                worker.instance.address.is_none() || worker.is_ending() || worker.instance.state.is_ending()
            });
        let pace = if settling || expecting {
            BUSY
        } else if worried {
            WORRIED
        } else {
            CALM
        };
        let pace = if self.outstanding { UNANSWERED } else { pace };
        let due = self.asked_at.is_none_or(|asked_at| since(now, asked_at) >= pace);
        if due {
            self.asked_at = Some(now);
            self.outstanding = true;
        }
        due.then_some(worried)
    }
}

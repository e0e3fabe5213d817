//! One runner: what GitLab and EC2 said about it, and what its launches and boots have taught.

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::{Backoff, Jitter, Pace};
use super::job::RunnerFacts;
use super::offering::Blueprint;

/// After a launch that is refused or malformed: somebody has to change something, but perhaps just did.
const REFUSED: Pace = Pace { first: Duration::from_secs(30), longest: Duration::from_secs(600) };
/// So many boots in a row must fail before the breaker opens: one bad host or two is weather.
pub(crate) const BREAKER_AFTER: u32 = 3;
/// How long the breaker stays open: five minutes of a broken image cost one worker, not a hundred.
const BREAKER: Pace = Pace { first: Duration::from_secs(300), longest: Duration::from_secs(3600) };

/// An answer that may be missing.
#[derive(Clone, Debug)]
pub(crate) enum Answer<T> {
    /// The last good one; a later failure does not erase it, because none of this changes quickly.
    Known(T),
    /// There was never a good one.
    Missing {
        /// The newest failure, or that the first answer is awaited.
        why: String,
    },
}

impl<T> Answer<T> {
    pub(crate) fn awaited(what: &str) -> Self {
        Self::Missing { why: format!("{what} is awaited") }
    }

    pub(crate) fn take(&mut self, answer: Result<T, String>) {
        match (answer, &self) {
            (Ok(value), _) => *self = Self::Known(value),
            (Err(why), Self::Missing { .. }) => *self = Self::Missing { why },
            (Err(_), Self::Known(_)) => {}
        }
    }

    pub(crate) fn known(&self) -> Option<&T> {
        match self {
            Self::Known(value) => Some(value),
            Self::Missing { .. } => None,
        }
    }
}

/// What is known of one configured runner.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) facts: Answer<RunnerFacts>,
    pub(crate) blueprint: Answer<Blueprint>,
    /// An operator has paused it.
    pub(crate) paused: bool,
    /// Since when it has had a whole worker's slots more than wanted.
    pub(crate) spare_since: Option<Timestamp>,
    /// Launches that were refused, and what EC2 said.
    pub(crate) refused: Backoff,
    pub(crate) refusal: String,
    /// Boots that failed in a row.
    boots: u32,
    breaker: Backoff,
    pub(crate) boot_failure: String,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self {
            facts: Answer::awaited("GitLab's answer about the runner"),
            blueprint: Answer::awaited("the launch template"),
            paused: false,
            spare_since: None,
            refused: Backoff::default(),
            refusal: String::new(),
            boots: 0,
            breaker: Backoff::default(),
            boot_failure: String::new(),
        }
    }

    /// A launch was refused.
    pub(crate) fn launch_refused(&mut self, now: Timestamp, why: String, jitter: &mut Jitter) {
        self.refused.fail(now, REFUSED, jitter);
        self.refusal = why;
    }

    /// A boot failed: from the third in a row on the breaker opens, for longer each time.
    pub(crate) fn boot_failed(&mut self, now: Timestamp, why: String, jitter: &mut Jitter) {
        self.boots = self.boots.saturating_add(1);
        self.boot_failure = why;
        // Boots that fail together are one failure of the image or the network.
        if self.boots >= BREAKER_AFTER && self.breaker.closed_until(now).is_none() {
            self.breaker.fail(now, BREAKER, jitter);
        }
    }

    /// A worker came up: the image and the network are good.
    pub(crate) fn boot_succeeded(&mut self) {
        self.boots = 0;
        self.breaker.succeed();
    }

    /// Boots that failed in a row.
    pub(crate) fn failed_boots(&self) -> u32 {
        self.boots
    }

    /// Until when nothing may be launched because boots keep failing.
    pub(crate) fn breaker_open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.breaker.closed_until(now)
    }

    /// Whether the breaker has opened and no boot has succeeded since: then one worker at a time is tried.
    pub(crate) fn on_probation(&self) -> bool {
        self.boots >= BREAKER_AFTER
    }
}

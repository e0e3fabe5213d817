//! One runner: what GitLab and EC2 said about it, and what its launches and boots have taught.

use std::time::Duration;

use jiff::Timestamp;

use super::backoff::{Backoff, Doubling, Jitter};
use super::failure::{Failure, FailureClass};
use super::held_back::HeldBack;
use super::job::{Knowledge, RunnerFacts};
use super::offering::LaunchPlan;

/// After a launch that is refused or malformed: somebody has to change something, but perhaps just did.
const REFUSED: Doubling = Doubling { first: Duration::from_secs(30), longest: Duration::from_secs(600) };
/// How many boots in a row must fail before the breaker opens: one bad host or two is weather.
pub(crate) const BREAKER_AFTER: u32 = 3;
/// How long the breaker stays open: five minutes of a broken image cost one worker, not a hundred.
const BREAKER: Doubling = Doubling { first: Duration::from_secs(300), longest: Duration::from_secs(3600) };

/// What is asked again and again and changes rarely: the last good answer holds until a better one comes, however many
/// questions fail in between.
#[derive(Clone, Debug)]
pub(crate) struct Answer<T> {
    /// The last good one, and when it came.
    good: Option<(Timestamp, T)>,
    /// Why there is none newer; nothing, once one was good.
    failure: Option<Failure>,
}

impl<T> Answer<T> {
    pub(crate) fn awaited(what: &str) -> Self {
        Self { good: None, failure: Some(Failure::awaited(what)) }
    }

    pub(crate) fn take(&mut self, answer: Result<T, Failure>, now: Timestamp) {
        match answer {
            Ok(value) => *self = Self { good: Some((now, value)), failure: None },
            Err(failure) => self.failure = Some(failure),
        }
    }

    pub(crate) fn known(&self) -> Option<&T> {
        self.good.as_ref().map(|(_, value)| value)
    }

    /// Why there has never been a good one.
    pub(crate) fn missing(&self) -> Option<&Failure> {
        self.failure.as_ref().filter(|_| self.good.is_none())
    }

    /// Why there is none newer, if that is of this class.
    pub(crate) fn failed_with(&self, class: FailureClass) -> Option<&Failure> {
        self.failure.as_ref().filter(|failure| failure.class == class)
    }

    /// How it stands, for people.
    pub(crate) fn knowledge(&self, now: Timestamp) -> Knowledge {
        Knowledge::of(self.good.as_ref().map(|(at, _)| *at), self.failure.as_ref(), now)
    }
}

/// What is known of one configured runner.
#[derive(Clone, Debug)]
pub(crate) struct Runner {
    pub(crate) facts: Answer<RunnerFacts>,
    pub(crate) plan: Answer<LaunchPlan>,
    /// An operator has paused it.
    pub(crate) paused: bool,
    /// Its budget is used up: what to tell of that.
    pub(crate) over_budget: Option<HeldBack>,
    /// Since when it has had a whole worker's slots more than wanted.
    pub(crate) spare_since: Option<Timestamp>,
    /// Launches that were refused, and what EC2 said.
    pub(crate) refused: Backoff,
    pub(crate) refusal: String,
    /// Boots that failed in a row.
    boots: u32,
    /// Workers in a row that came up, and were unfit soon.
    unfit: u32,
    breaker: Backoff,
    /// Until when people were told that the breaker is open.
    told_open_until: Option<Timestamp>,
    pub(crate) boot_failure: String,
    /// What EC2 said of the last launch, if that gave fewer workers than asked for.
    pub(crate) short: Option<String>,
}

/// What there is to tell of a breaker.
pub(crate) enum BreakerNews {
    /// It has opened, or opened again.
    Open { until: Timestamp, in_a_row: u32, last: String },
    /// A worker was of use.
    Closed,
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self {
            facts: Answer::awaited("GitLab's answer about the runner"),
            plan: Answer::awaited("the launch template"),
            paused: false,
            over_budget: None,
            spare_since: None,
            refused: Backoff::default(),
            refusal: String::new(),
            boots: 0,
            unfit: 0,
            breaker: Backoff::default(),
            told_open_until: None,
            boot_failure: String::new(),
            short: None,
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
        self.was_of_no_use(now, why, jitter);
    }

    /// A worker that has just come up is unfit to run jobs: the same as a boot that failed, but that a boot disproves nothing.
    pub(crate) fn was_unfit(&mut self, now: Timestamp, why: String, jitter: &mut Jitter) {
        self.unfit = self.unfit.saturating_add(1);
        self.was_of_no_use(now, why, jitter);
    }

    fn was_of_no_use(&mut self, now: Timestamp, why: String, jitter: &mut Jitter) {
        self.boot_failure = why;
        // Those that fail together are one failure of the image or the network.
        if self.on_probation() && self.breaker.closed_until(now).is_none() {
            self.breaker.fail(now, BREAKER, jitter);
        }
    }

    /// A worker was fit to its end, or for long.
    pub(crate) fn was_fit(&mut self) {
        if self.on_probation() && self.boots < BREAKER_AFTER {
            self.breaker.succeed();
        }
        self.unfit = 0;
    }

    /// A worker came up: the image and the network are good.
    pub(crate) fn boot_succeeded(&mut self) {
        self.boots = 0;
        if self.unfit < BREAKER_AFTER {
            self.breaker.succeed();
        }
    }

    /// An operator has mended what was wrong, and wants it tried: as if nothing had failed. `told_open_until` stays, so that the
    /// end of the breaker is told.
    pub(crate) fn try_again(&mut self) {
        self.refused.succeed();
        self.breaker.succeed();
        (self.boots, self.unfit) = (0, 0);
    }

    /// What is new of the breaker since it was asked last.
    pub(crate) fn breaker_news(&mut self, now: Timestamp) -> Option<BreakerNews> {
        let open_until = self.breaker_open_until(now);
        match (self.told_open_until, open_until) {
            (told, Some(until)) if told != Some(until) => {
                self.told_open_until = Some(until);
                Some(BreakerNews::Open { until, in_a_row: self.of_no_use(), last: self.boot_failure.clone() })
            }
            (Some(_), None) if !self.on_probation() => {
                self.told_open_until = None;
                Some(BreakerNews::Closed)
            }
            (_, _) => None,
        }
    }

    /// Workers in a row that did not come up, or were unfit soon.
    pub(crate) fn of_no_use(&self) -> u32 {
        self.boots.max(self.unfit)
    }

    /// Whether it was for being unfit, and not for failed boots, that the last of them were of no use.
    pub(crate) fn is_unfit_rather(&self) -> bool {
        self.unfit > self.boots
    }

    /// Until when nothing may be launched because boots keep failing.
    pub(crate) fn breaker_open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.breaker.closed_until(now)
    }

    /// Whether the breaker has opened and no worker has been of use since: then one at a time is tried.
    pub(crate) fn on_probation(&self) -> bool {
        self.of_no_use() >= BREAKER_AFTER
    }
}

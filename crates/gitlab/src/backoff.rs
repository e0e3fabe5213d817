//! When to ask again after a failure. Pure: the time comes in, and jitter comes from a seed.

use std::time::Duration;

use jiff::Timestamp;

use super::error::{ErrorKind, GitLabError};
use runner_fleet_engine::backoff::{Doubling, Jitter};

/// The waits after failures that say nothing about when to come back. The first is shorter than the default check
/// interval: a single lost answer costs no poll. The longest: a server that is back must not be left alone for more than a
/// minute.
const PACE: Doubling = Doubling { first: Duration::from_secs(2), longest: Duration::from_secs(60) };

/// Added to every wait that GitLab asks for, at random up to this: all clients of a server are told the same moment.
const SPREAD: Duration = Duration::from_secs(5);

/// A wait that grows with every failure and ends with the first success.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    failures: u32,
    pause: Option<(Timestamp, GitLabError)>,
    jitter: Jitter,
}

impl Backoff {
    pub(crate) fn new(seed: u64) -> Self {
        Self { failures: 0, pause: None, jitter: Jitter::seeded(seed) }
    }

    /// Whether we may ask now; if not, the error says until when and why.
    pub(crate) fn check(&self, now: Timestamp) -> Result<(), GitLabError> {
        match &self.pause {
            Some((until, why)) if now < *until => {
                let backing_off = ErrorKind::BackingOff { until: *until, why: Box::new(why.clone()) };
                Err(GitLabError::new("", "", backing_off))
            }
            _ => Ok(()),
        }
    }

    /// Whether the last thing heard was a failure: be careful with the next question.
    pub(crate) fn is_recovering(&self) -> bool {
        self.failures > 0
    }

    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
        self.pause = None;
    }

    /// GitLab's own wish plus jitter; a minute when a person must act; otherwise exponential from 2 s to 60 s, of which
    /// up to half is taken off by jitter.
    pub(crate) fn failed(&mut self, now: Timestamp, error: &GitLabError) {
        self.failures = self.failures.saturating_add(1);
        let wait = match error.retry_after(now) {
            Some(asked) => asked + SPREAD.mul_f64(self.jitter.share()),
            None if error.is_transient() => {
                let grown = PACE.wait(self.failures);
                grown - grown.mul_f64(self.jitter.share() / 2.0)
            }
            None => PACE.longest,
        };
        let until = now.checked_add(wait).unwrap_or(Timestamp::MAX);
        self.pause = Some((until, error.clone()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::error::{Says, Throttle};
    use super::*;
    use proptest::prelude::*;

    const NOW: &str = "2026-08-22T10:00:47Z";

    fn error(kind: ErrorKind) -> GitLabError {
        GitLabError::new("s", "d", kind)
    }

    /// How long it rests after each of `count` equal failures at the same time.
    fn waits(seed: u64, kind: &ErrorKind, count: usize) -> Vec<f64> {
        let now: Timestamp = NOW.parse().unwrap();
        let mut backoff = Backoff::new(seed);
        (0..count)
            .map(|_| {
                backoff.failed(now, &error(kind.clone()));
                backoff.check(now).unwrap_err().retry_after(now).unwrap().as_secs_f64()
            })
            .collect()
    }

    proptest! {
        #[test]
        fn waits_grow_to_a_minute(seed in any::<u64>()) {
            let waits = waits(seed, &ErrorKind::ServerError { status: 502, says: Says(None) }, 40);
            for (n, wait) in waits.iter().enumerate() {
                let top = (2.0 * 2_f64.powi(i32::try_from(n).unwrap())).min(60.0);
                prop_assert!((top / 2.0 - 0.001..=top + 0.001).contains(wait), "{n}: {wait} not up to {top}");
            }
        }

        #[test]
        fn the_endpoint_limit_waits_for_the_next_minute(seed in any::<u64>()) {
            let wait = waits(seed, &ErrorKind::Throttled(Throttle::Endpoint), 1)[0];
            prop_assert!((13.0..=18.0).contains(&wait), "{wait}");
        }
    }

    #[test]
    fn what_a_person_must_mend_is_asked_once_a_minute() {
        assert_eq!(waits(1, &ErrorKind::Unauthenticated(Says(None)), 2), [60.0, 60.0]);
    }

    #[test]
    fn a_success_ends_it() {
        let now: Timestamp = NOW.parse().unwrap();
        let mut backoff = Backoff::new(1);
        backoff.failed(now, &error(ErrorKind::Throttled(Throttle::Endpoint)));
        assert!(backoff.check(now).is_err());
        backoff.succeeded();
        assert!(backoff.check(now).is_ok());
    }
}

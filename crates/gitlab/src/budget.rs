//! How many requests we allow ourselves: a token bucket, shared by all who use one server with one token.
//!
//! GitLab counts `GET /projects/:id/jobs` per user in fixed minutes, 600 by default, all projects together. A bucket
//! that refills `rate` tokens a minute and holds at most `burst` never lets more than `rate + burst` pass in any minute.
//! With the default rate of 500 and a burst of a tenth of it that is 550: fifty remain for people and scripts that act
//! as the same user. Every three seconds 25 tokens come back: so many projects can be looked at in every poll.
//!
//! Two tokens of the same user share GitLab's limit but not this bucket: give each manager a user of its own.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::NoOpMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// Requests a minute unless told otherwise; GitLab's own default limit is 600.
pub const REQUESTS_PER_MINUTE: NonZeroU32 = NonZeroU32::new(500).unwrap();

/// The burst is the rate divided by this.
const BURST_DIVISOR: u32 = 10;

/// A token bucket.
pub struct Budget<C: Clock = DefaultClock> {
    limiter: RateLimiter<NotKeyed, InMemoryState, C, NoOpMiddleware<C::Instant>>,
    clock: C,
    rate: NonZeroU32,
}

impl<C: Clock> fmt::Debug for Budget<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Budget({} per minute)", self.rate)
    }
}

impl Budget {
    /// A full bucket of `rate` requests a minute.
    pub fn per_minute(rate: NonZeroU32) -> Self {
        Self::with_clock(rate, DefaultClock::default())
    }
}

impl<C: Clock + Clone> Budget<C> {
    fn with_clock(rate: NonZeroU32, clock: C) -> Self {
        let burst = NonZeroU32::new(rate.get() / BURST_DIVISOR).unwrap_or(NonZeroU32::MIN);
        let quota = Quota::per_minute(rate).allow_burst(burst);
        Self { limiter: RateLimiter::direct_with_clock(quota, clock.clone()), clock, rate }
    }

    /// Takes up to `wanted` tokens, as many as there are now.
    pub fn take_up_to(&self, wanted: usize) -> usize {
        (0..wanted).take_while(|_| self.limiter.check().is_ok()).count()
    }

    /// Waits for one token: at most 60 s / rate for each who waits before.
    pub async fn take(&self) {
        while let Err(wait) = self.limiter.check() {
            let wait = wait.wait_time_from(self.clock.now()).max(Duration::from_millis(1));
            tokio::time::sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use governor::clock::FakeRelativeClock;

    #[test]
    fn no_minute_sees_more_than_rate_and_burst() {
        let clock = FakeRelativeClock::default();
        let budget = Budget::with_clock(REQUESTS_PER_MINUTE, clock.clone());
        let taken: Vec<usize> = (0..180)
            .map(|_| {
                clock.advance(Duration::from_secs(1));
                budget.take_up_to(1000)
            })
            .collect();
        assert_eq!(taken[0], 50, "a full bucket is the burst");
        let busiest = taken.windows(60).map(|minute| minute.iter().sum::<usize>()).max().unwrap();
        assert!((500..=550).contains(&busiest), "{busiest} requests in one minute");
    }

    #[test]
    fn three_seconds_bring_25_back() {
        let clock = FakeRelativeClock::default();
        let budget = Budget::with_clock(REQUESTS_PER_MINUTE, clock.clone());
        budget.take_up_to(1000);
        clock.advance(Duration::from_secs(3));
        assert_eq!(budget.take_up_to(1000), 25);
        assert_eq!(budget.take_up_to(1), 0);
    }

    #[test]
    fn the_smallest_budget_still_lets_one_pass() {
        assert_eq!(Budget::per_minute(NonZeroU32::MIN).take_up_to(5), 1);
    }
}

//! How long to wait after a failure: doubling, capped, jittered, and the same for the same seed. Whoever waits in
//! runner-fleet, in the engine or at its edge, waits by these.

use std::time::Duration;

use jiff::Timestamp;

use super::time::after;

/// First wait and longest wait of a series of failures.
#[derive(Clone, Copy, Debug)]
pub struct Doubling {
    /// After the first failure.
    pub first: Duration,
    /// However many failures there were.
    pub longest: Duration,
}

impl Doubling {
    /// The wait after `failures` failures in a row (at least 1), before jitter.
    pub fn wait(self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(20);
        self.first.saturating_mul(1 << doublings).min(self.longest)
    }
}

/// A series of failures of one thing.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Backoff {
    failures: u32,
    until: Option<Timestamp>,
}

impl Backoff {
    /// One more failure: nothing may be tried before the returned time.
    pub(crate) fn fail(&mut self, now: Timestamp, pace: Doubling, jitter: &mut Jitter) -> Timestamp {
        self.failures = self.failures.saturating_add(1);
        let until = after(now, jitter.stretch(pace.wait(self.failures)));
        self.until = Some(until);
        until
    }

    /// It worked: the series ends.
    pub(crate) fn succeed(&mut self) {
        *self = Self::default();
    }

    /// Something like it worked. A wait that is still on stays on: what worked was sent before the failure.
    pub(crate) fn relent(&mut self, now: Timestamp) {
        if self.closed_until(now).is_none() {
            self.succeed();
        }
    }

    /// Until when to wait, if that time has not come yet.
    pub(crate) fn closed_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.until.filter(|until| *until > now)
    }
}

/// Chance from a seed (SplitMix64), so that a run can be replayed; the engine's only source of it.
#[derive(Clone, Debug)]
pub struct Jitter(u64);

impl Jitter {
    /// The sequence of this seed.
    pub fn seeded(seed: u64) -> Self {
        Self(seed)
    }

    /// Lengthens a wait by up to a quarter, so that several managers do not come back in step.
    fn stretch(&mut self, wait: Duration) -> Duration {
        wait + (wait / 4).mul_f64(self.share())
    }

    /// A number from 0 up to 1.
    pub fn share(&mut self) -> f64 {
        f64::from((self.next() >> 40) as u32) / f64::from(1_u32 << 24)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACE: Doubling = Doubling { first: Duration::from_secs(5), longest: Duration::from_secs(60) };

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits: Vec<u64> = (1..=6).map(|failures| PACE.wait(failures).as_secs()).collect();
        assert_eq!(waits, [5, 10, 20, 40, 60, 60]);
    }

    #[test]
    fn jitter_adds_a_quarter_at_most_and_repeats_by_seed() {
        let mut one = Jitter::seeded(7);
        let mut two = Jitter::seeded(7);
        for _ in 0..1000 {
            let wait = one.stretch(Duration::from_secs(8));
            assert!(wait >= Duration::from_secs(8) && wait <= Duration::from_secs(10), "{wait:?}");
            assert_eq!(wait, two.stretch(Duration::from_secs(8)));
        }
    }

    #[test]
    fn a_success_ends_the_series() {
        let mut jitter = Jitter::seeded(1);
        let mut backoff = Backoff::default();
        let now = Timestamp::UNIX_EPOCH;
        backoff.fail(now, PACE, &mut jitter);
        assert!(backoff.closed_until(now).is_some());
        backoff.succeed();
        assert_eq!((backoff.closed_until(now), backoff.failures), (None, 0));
    }
}

//! Our own token bucket for calls that change something.
//!
//! EC2 counts calls per account and region, so that a busy manager takes them away from other tools; and a loop gone
//! wrong must not become a stampede. Source: EC2 Developer Guide, "Request throttling for the Amazon EC2 API".

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::{DefaultDirectRateLimiter, Quota, RateLimiter};

/// Refill. CreateFleet's limit is not published; others report throttling at low single-digit calls per second.
const CALLS_PER_SECOND: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// At once, from rest: a start with a handful of runners creates templates and launches without waiting.
const BURST: NonZeroU32 = NonZeroU32::new(20).unwrap();
/// A wait longer than this is a bug of the caller's, not a burst: 60 calls are then queued.
const WAIT_MAX: Duration = Duration::from_secs(30);

/// The bucket; clones share it.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    bucket: Arc<DefaultDirectRateLimiter>,
}

impl RateLimit {
    /// A full bucket.
    pub(crate) fn new() -> Self {
        Self { bucket: Arc::new(RateLimiter::direct(Quota::per_second(CALLS_PER_SECOND).allow_burst(BURST))) }
    }

    /// Waits for a turn; `Err` with the time waited when none came.
    pub(crate) async fn turn(&self) -> Result<(), Duration> {
        tokio::time::timeout(WAIT_MAX, self.bucket.until_ready()).await.map_err(|_| WAIT_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_burst_passes_and_the_next_call_waits() {
        let rate_limit = RateLimit::new();
        for _ in 0..BURST.get() {
            rate_limit.turn().await.unwrap();
        }
        assert!(rate_limit.bucket.check().is_err(), "the bucket is empty after its burst");
    }
}

//! The only place that reads a clock.

use std::time::{Duration, Instant};

use jiff::Timestamp;

/// Wall-clock time, which the demo may let run faster.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Timestamp,
    began: Instant,
    speed: f64,
}

impl Clock {
    /// Time as it is.
    pub fn real() -> Self {
        Self::faster(1.0)
    }

    /// Time that begins now and passes `speed` times as fast.
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    pub fn faster(speed: f64) -> Self {
        Self { start: Timestamp::now(), began: Instant::now(), speed }
    }

    /// The present.
    #[expect(clippy::disallowed_methods, reason = "this is the edge where time comes in")]
    pub fn now(&self) -> Timestamp {
        if self.speed == 1.0 {
            return Timestamp::now();
        }
        self.start.saturating_add(self.began.elapsed().mul_f64(self.speed)).unwrap_or(Timestamp::MAX)
    }

    /// Waits for `duration` of this clock's time.
    pub async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration.div_f64(self.speed)).await;
    }
}

//! Time as the engine reckons it: instants come in as arguments, differences are never negative.

use std::time::Duration;

use jiff::Timestamp;

/// How long ago `then` was; zero if the clock went backwards.
pub(crate) fn since(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO)
}

/// `wait` after `start`; the end of time if that lies beyond it.
pub(crate) fn after(start: Timestamp, wait: Duration) -> Timestamp {
    start.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// `ago` before `now`; the beginning of time if that lies beyond it.
pub(crate) fn before(now: Timestamp, ago: Duration) -> Timestamp {
    now.saturating_sub(ago).unwrap_or(Timestamp::MIN)
}

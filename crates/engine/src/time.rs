//! Time as the engine reckons it: instants come in as arguments, differences are never negative.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

const NANOS_PER_SECOND: i64 = 1_000_000_000;

/// How long ago `then` was; zero if the clock went backwards.
pub(crate) fn since(now: Timestamp, then: Timestamp) -> Duration {
    // By hand, because it is asked hundreds of times a step: seconds and nanoseconds apart, with one carry.
    let mut seconds = now.as_second().saturating_sub(then.as_second());
    let mut nanos = i64::from(now.subsec_nanosecond()) - i64::from(then.subsec_nanosecond());
    if nanos < 0 {
        seconds -= 1;
        nanos += NANOS_PER_SECOND;
    }
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos)) => Duration::new(seconds, nanos),
        (Err(_), _) | (_, Err(_)) => Duration::ZERO,
    }
}

/// `wait` after `start`; the end of time if that lies beyond it.
pub(crate) fn after(start: Timestamp, wait: Duration) -> Timestamp {
    start.saturating_add(wait).unwrap_or(Timestamp::MAX)
}

/// `ago` before `now`; the beginning of time if that lies beyond it.
pub(crate) fn before(now: Timestamp, ago: Duration) -> Timestamp {
    now.saturating_sub(ago).unwrap_or(Timestamp::MIN)
}

/// Moves an instant along with a clock that has moved by `gap`; where that is not possible, it stays.
pub(crate) fn moved(at: &mut Timestamp, gap: SignedDuration) {
    *at = at.saturating_add(gap).unwrap_or(*at);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn differences_are_jiffs_and_never_negative() {
        let times = [
            "1969-12-31T23:59:58.75Z",
            "1969-12-31T23:59:59.5Z",
            "1970-01-01T00:00:00Z",
            "1970-01-01T00:00:00.25Z",
            "2026-03-02T08:00:00.999999999Z",
            "2026-03-02T08:00:01Z",
        ];
        let times = times.map(|text| text.parse::<Timestamp>().unwrap());
        for now in times {
            for then in times {
                let expected = Duration::try_from(now.duration_since(then)).unwrap_or(Duration::ZERO);
                assert_eq!(since(now, then), expected, "{now} since {then}");
            }
        }
        assert_eq!(since(Timestamp::MIN, Timestamp::MAX), Duration::ZERO);
    }
}

//! Points in time as people write them: a time, a date, `yesterday`, `7d` ago.

use jiff::civil::{Date, DateTime};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::live::clock::Clock;

/// Reads a point in time; days are those of this host's time zone.
///
/// # Errors
/// A sentence that says what can be written.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    read(text, Clock::real().now(), &TimeZone::system())
}

fn read(text: &str, now: Timestamp, zone: &TimeZone) -> Result<Timestamp, String> {
    let wrong = |_| {
        "write a time (2026-03-01T08:00:00Z), a date (2026-03-01), now, today, yesterday, or how long ago (7d, 12h)"
            .to_owned()
    };
    if let Ok(time) = text.parse::<Timestamp>() {
        return Ok(time);
    }
    let here = now.to_zoned(zone.clone());
    let midnight = |date: Date| date.to_zoned(zone.clone()).map(|day| day.timestamp()).map_err(wrong);
    match text {
        "now" => Ok(now),
        "today" => midnight(here.date()),
        "yesterday" => midnight(here.date().yesterday().map_err(wrong)?),
        _ => match (text.parse::<Date>(), text.parse::<DateTime>()) {
            (Ok(date), Err(_)) => midnight(date),
            (_, Ok(local)) => local.to_zoned(zone.clone()).map(|time| time.timestamp()).map_err(wrong),
            (Err(_), Err(_)) => {
                let ago = text.parse::<Span>().map_err(wrong)?;
                here.checked_sub(ago.abs()).map(|time| time.timestamp()).map_err(wrong)
            }
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_write_them() {
        let zone = TimeZone::fixed(jiff::tz::offset(2));
        let now: Timestamp = "2026-03-08T10:30:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-03-01T00:00:00Z", "2026-03-01T00:00:00Z"),
            ("2026-03-01", "2026-02-28T22:00:00Z"),
            ("2026-03-01 08:30", "2026-03-01T06:30:00Z"),
            ("now", "2026-03-08T10:30:00Z"),
            ("today", "2026-03-07T22:00:00Z"),
            ("yesterday", "2026-03-06T22:00:00Z"),
            ("7d", "2026-03-01T10:30:00Z"),
            ("12h", "2026-03-07T22:30:00Z"),
        ] {
            assert_eq!(read(text, now, &zone), Ok(time.parse().unwrap()), "{text}");
        }
        for bad in ["", "soon", "2026-13-01", "7", "last week"] {
            assert!(read(bad, now, &zone).unwrap_err().contains("yesterday"), "{bad}");
        }
    }
}

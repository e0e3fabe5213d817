//! Times: "90s", "5m", "2h", "1h30m", or whole seconds.

use std::time::Duration;

use super::node::{Item, Node, shown_text};

/// Far above any sensible time; keeps every sum with a date in range.
const DAYS_MAX: u64 = 365;
const SECONDS_MAX: u64 = DAYS_MAX * 24 * 60 * 60;

/// A time of at least `min`.
pub(crate) fn at_least(node: &Node, min: Duration) -> Result<Duration, String> {
    let time = any(node)?;
    if time < min {
        return Err(format!("{} is too short; write {} or more", node.shown(), text(min)));
    }
    Ok(time)
}

/// A time, 0 allowed.
pub(crate) fn any(node: &Node) -> Result<Duration, String> {
    let seconds = match &node.item {
        Item::Integer(seconds) => {
            u64::try_from(*seconds).map_err(|_| format!("{seconds} is below 0; write 0 or more seconds"))?
        }
        Item::String(text) => parse(text)?,
        Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            return Err(format!("{} is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds", node.shown()));
        }
    };
    if seconds > SECONDS_MAX {
        return Err(format!("{} is more than {DAYS_MAX} days; write less", node.shown()));
    }
    Ok(Duration::from_secs(seconds))
}

/// Seconds of "90s", "5m", "2h" or a row of them.
fn parse(text: &str) -> Result<u64, String> {
    let shown = shown_text(text);
    if !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(format!("{shown} has no unit; write {text} (seconds) or \"90s\", \"5m\", \"2h\""));
    }
    let bad = || format!("{shown} is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds");
    if text.is_empty() {
        return Err(bad());
    }
    let mut total = 0_u64;
    let mut rest = text;
    let mut last_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(bad)?;
        let number: u64 = rest.get(..digits).and_then(|digits| digits.parse().ok()).ok_or_else(bad)?;
        let mut chars = rest.get(digits..).unwrap_or_default().chars();
        let unit = match chars.next() {
            Some('h') => 3600,
            Some('m') => 60,
            Some('s') => 1,
            Some('d') => {
                return Err(format!("{shown}: days are not a unit here; write {}h", number.saturating_mul(24)));
            }
            _ => return Err(bad()),
        };
        if unit >= last_unit {
            return Err(bad());
        }
        last_unit = unit;
        total = total.saturating_add(number.saturating_mul(unit));
        rest = chars.as_str();
    }
    Ok(total)
}

/// As we would write it: the largest unit that keeps it whole.
pub(crate) fn text(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => "0s".to_owned(),
        s if s % 3600 == 0 => format!("{}h", s / 3600),
        s if s % 60 == 0 => format!("{}m", s / 60),
        s => format!("{s}s"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::node::At;
    use super::*;

    fn read(text: &str) -> Result<u64, String> {
        any(&Node::text(&At::root(), text)).map(|time| time.as_secs())
    }

    #[test]
    fn times_with_a_unit_are_read() {
        let cases = [("90s", 90), ("5m", 300), ("2h", 7200), ("1h30m", 5400), ("0h20m0s", 1200), ("0s", 0)];
        for (text, seconds) in cases {
            assert_eq!(read(text), Ok(seconds), "{text}");
        }
    }

    #[test]
    fn every_other_text_says_what_to_write() {
        let cases = [
            ("90", "\"90\" has no unit; write 90 (seconds) or \"90s\", \"5m\", \"2h\""),
            ("2d", "\"2d\": days are not a unit here; write 48h"),
            ("", "\"\" is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds"),
            ("5 m", "\"5 m\" is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds"),
            ("5m5m", "\"5m5m\" is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds"),
            ("-5m", "\"-5m\" is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds"),
            (
                "99999999999999999999s",
                "\"99999999999999999999s\" is not a time; write \"90s\", \"5m\", \"2h\", or whole seconds",
            ),
            ("99999999999h", "\"99999999999h\" is more than 365 days; write less"),
        ];
        for (text, message) in cases {
            assert_eq!(read(text), Err(message.to_owned()), "{text}");
        }
    }

    #[test]
    fn a_time_is_written_in_its_largest_whole_unit() {
        for (seconds, expected) in [(0, "0s"), (90, "90s"), (600, "10m"), (7200, "2h"), (5400, "90m")] {
            assert_eq!(text(Duration::from_secs(seconds)), expected);
        }
    }
}

//! Durations as Go writes them: `"20m0s"`, `"1.5h"`, `"300ms"`.

use super::super::node::{Item, Node};

/// Seconds, rounded up. Source of the syntax: Go, `time.ParseDuration`.
///
/// # Errors
/// For an integer, which Go takes as nanoseconds, and for what is no duration.
pub(crate) fn seconds(node: &Node) -> Result<i64, String> {
    match &node.item {
        Item::String(text) => {
            parse(text).ok_or_else(|| format!("{} is no duration; write one like \"20m0s\"", node.shown()))
        }
        Item::Integer(0) => Ok(0),
        Item::Integer(number) => {
            Err(format!("{number} without a unit is nanoseconds here; write \"{number}s\" if seconds are meant"))
        }
        Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            Err(format!("{} is no duration; write one like \"20m0s\"", node.shown()))
        }
    }
}

fn parse(text: &str) -> Option<i64> {
    if text == "0" {
        return Some(0);
    }
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest.is_empty() {
        return None;
    }
    let mut total = 0.0_f64;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let number: f64 = rest.get(..end)?.parse().ok()?;
        rest = rest.get(end..)?;
        let end = rest.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(rest.len());
        let unit = match rest.get(..end)? {
            "h" => 3600.0,
            "m" => 60.0,
            "s" => 1.0,
            "ms" => 1e-3,
            "us" | "µs" | "μs" => 1e-6,
            "ns" => 1e-9,
            _ => return None,
        };
        total += number * unit;
        rest = rest.get(end..)?;
    }
    // A longer time is refused by the ordinary reading; a cast of a float saturates.
    #[expect(clippy::cast_possible_truncation, reason = "saturates, and what is too long is refused later")]
    (total.is_finite()).then_some(total.ceil() as i64)
}

#[cfg(test)]
mod tests {
    use super::super::super::node::At;
    use super::*;

    #[test]
    fn go_durations_are_read() {
        let cases = [
            ("20m0s", Some(1200)),
            ("1.5h", Some(5400)),
            ("300ms", Some(1)),
            ("1h2m3s", Some(3723)),
            ("0", Some(0)),
            ("", None),
            ("10", None),
            ("-1m", None),
            ("1d", None),
            (".", None),
        ];
        for (text, expected) in cases {
            assert_eq!(seconds(&Node::text(&At::root(), text)).ok(), expected, "{text}");
        }
        assert!(seconds(&Node::new(&At::root(), Item::Integer(1200))).unwrap_err().contains("nanoseconds"));
    }
}

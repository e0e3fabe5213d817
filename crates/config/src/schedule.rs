//! `[[runners.fleet.schedule]]`: other idle values at certain times.
//!
//! A period is a 5-field cron expression, read as the set of minutes that it matches: `* 8-18 * * mon-fri` is 08:00 to
//! 18:59. When both day fields are restricted, either may match, as in crontab(5).

use cronexpr::Crontab;

use super::key::{Key, Kind};
use super::node::{Node, Table, shown_text};
use super::problems::Report;
use super::reader::Reader;
use super::values;
use runner_fleet_engine::ScheduleEntry;

/// The keys of the table.
pub(crate) const KEYS: &[Key] = &[
    Key::required("periods", Kind::SomeOf(&Kind::Text)),
    Key::optional("timezone", Kind::Text),
    Key::optional("idle_count", Kind::IdleCount),
    Key::optional("idle_count_min", values::COUNT),
    Key::optional("idle_scale_factor", values::FACTOR),
    Key::optional("idle_time", Kind::IdleTime),
    Key::optional("max_workers", values::POSITIVE),
];

/// A cron expression is a few dozen characters.
const PERIOD_CHARS_MAX: usize = 200;

/// Reads one entry.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<ScheduleEntry> {
    let before = report.problem_count();
    let reader = Reader::new(table, KEYS);
    let zone = reader.or("timezone", "UTC".to_owned(), report, timezone);
    let example = "periods = [\"* 8-18 * * mon-fri\"]";
    // With a bad zone the periods are still checked, in UTC.
    let in_zone = zone.clone().unwrap_or_else(|| "UTC".to_owned());
    let periods = reader.required_list("periods", example, report, |node| period(node, &in_zone));
    let entry = ScheduleEntry {
        periods: Vec::new(),
        written: Vec::new(),
        idle_count: reader.optional("idle_count", report, values::idle_count),
        idle_count_min: reader.optional("idle_count_min", report, values::count),
        idle_scale_factor: reader.optional("idle_scale_factor", report, values::factor),
        idle_time: reader.optional("idle_time", report, values::idle_time),
        max_workers: reader.optional("max_workers", report, values::positive),
    };
    if !KEYS.iter().skip(2).any(|key| reader.has(key.name)) {
        report.warn(&table.at, "this entry changes nothing; write idle_count, idle_time or max_workers, or remove it");
    }
    reader.finish(report);
    if report.problem_count() > before {
        return None;
    }
    let (periods, written) = periods?.into_iter().unzip();
    Some(ScheduleEntry { periods, written, ..entry })
}

/// An IANA zone.
pub(crate) fn timezone(node: &Node) -> Result<String, String> {
    let text = values::text(node)?;
    match jiff::tz::TimeZone::get(&text) {
        Ok(zone) => Ok(zone.iana_name().unwrap_or(&text).to_owned()),
        Err(_) => Err(format!("{} is no IANA time zone; write one like \"Europe/Berlin\"", shown_text(&text))),
    }
}

/// One period and how it is written, zone included.
fn period(node: &Node, zone: &str) -> Result<(Crontab, String), String> {
    let text = values::text(node)?;
    parse(&text, zone)
        .map(|crontab| (crontab, format!("{} {zone}", text.split_whitespace().collect::<Vec<_>>().join(" "))))
}

/// Parses five fields in a zone.
pub(crate) fn parse(text: &str, zone: &str) -> Result<Crontab, String> {
    let shown = shown_text(text);
    let fields: Vec<&str> = text.split_whitespace().collect();
    let example = "write minute hour day-of-month month day-of-week, like \"* 8-18 * * mon-fri\"";
    if text.len() > PERIOD_CHARS_MAX {
        return Err(format!("{shown} is too long; {example}"));
    }
    match fields.len() {
        5 => {}
        7 => {
            let five = fields.get(1..6).unwrap_or_default().join(" ");
            return Err(format!(
                "{shown} has 7 fields, as docker+machine's Periods; without second and year write {five:?}"
            ));
        }
        count => return Err(format!("{shown} has {count} field{}; {example}", if count == 1 { "" } else { "s" })),
    }
    let parsed = cronexpr::parse_crontab(&format!("{} {zone}", fields.join(" ")));
    parsed.map_err(|_| format!("{shown} is not a cron expression; {example}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_the_set_of_minutes_it_matches() {
        let period = parse("* 8-18 * * mon-fri", "Europe/Berlin").unwrap();
        let cases = [
            ("2026-11-20T08:00:00+01:00", true),
            ("2026-11-20T18:59:00+01:00", true),
            ("2026-11-20T19:00:00+01:00", false),
            ("2026-11-20T07:59:00+01:00", false),
            ("2026-11-21T12:00:00+01:00", false),
        ];
        for (time, expected) in cases {
            assert_eq!(period.matches(time).unwrap(), expected, "{time}");
        }
    }

    #[test]
    fn other_expressions_say_what_to_write() {
        let cases = [
            ("* * 9-17 * * mon-fri *", "write \"* 9-17 * * mon-fri\""),
            ("* * 9-17 * * *", "has 6 fields"),
            ("@daily", "has 1 field;"),
            ("* 25 * * *", "is not a cron expression"),
            ("H 8 * * *", "is not a cron expression"),
            ("", "has 0 fields"),
        ];
        for (text, expected) in cases {
            let message = parse(text, "UTC").unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}

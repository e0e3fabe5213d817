//! `Periods` of docker+machine: seven cron fields, told again in five.
//!
//! The old parser (gorhill/cronexpr, as used by gitlab-runner's `timeperiod`) differs from ours in small things, so every
//! field is rewritten into ranges that both read alike. Day of month and day of week both restricted mean either, in both.

use super::super::schedule;

/// What a period becomes.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Period {
    /// The same minutes, as five fields.
    Five(String),
    /// It never was active for longer than about a second; the reason.
    Never(String),
}

struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    words: &'static [&'static str],
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const DAYS: [&str; 7] = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"];

/// Minute to day of week.
const FIELDS: [Field; 5] = [
    Field { name: "minute", min: 0, max: 59, words: &[] },
    Field { name: "hour", min: 0, max: 23, words: &[] },
    Field { name: "day-of-month", min: 1, max: 31, words: &[] },
    Field { name: "month", min: 1, max: 12, words: &MONTHS },
    Field { name: "day-of-week", min: 0, max: 6, words: &DAYS },
];

/// Translates one expression.
///
/// # Errors
/// A sentence that says what to write, for an expression that does not load in GitLab Runner, means something else than
/// it seems to, or cannot be told in five fields.
pub(crate) fn translate(text: &str) -> Result<Period, String> {
    if text.trim_start().starts_with('@') {
        return Ok(Period::Never(format!(
            "{text:?} stands for a single second, so it was never active in practice; left out"
        )));
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let five = match fields.as_slice() {
        [second, five @ .., year] if fields.len() == 7 => {
            whole(second, "second", text)?;
            whole(year, "year", text)?;
            five
        }
        five if five.len() == 5 => {
            let seven = five.join(" ");
            return Err(format!(
                "{text:?} has 5 fields: docker+machine reads them as second 0 of each minute, so it was never active in practice; write the 7 fields \"* {seven} *\""
            ));
        }
        six if six.len() == 6 => {
            return Err(format!(
                "{text:?} has 6 fields: docker+machine takes the last for the year, and all others shift by one; write the 7 fields \"{} *\"",
                six.join(" ")
            ));
        }
        [second, rest @ ..] if fields.len() > 7 => {
            let seven = [&[*second], rest.get(..6).unwrap_or_default()].concat();
            return Err(format!(
                "{text:?} has {} fields, of which docker+machine ignores those behind the 7th; write {:?}",
                fields.len(),
                seven.join(" ")
            ));
        }
        _ => {
            return Err(format!(
                "{text:?} has too few fields; write 7: second minute hour day-of-month month day-of-week year"
            ));
        }
    };
    let rewritten = FIELDS.iter().zip(five).map(|(field, text)| field.rewrite(text)).collect::<Result<Vec<_>, _>>()?;
    let period = rewritten.join(" ");
    schedule::parse(&period, "UTC")
        .map_err(|_| format!("{text:?} cannot be told in 5 fields; write the period in [[runners.fleet.schedule]]"))?;
    Ok(Period::Five(period))
}

/// Seconds and years must not restrict anything.
fn whole(text: &str, name: &str, period: &str) -> Result<(), String> {
    if matches!(text, "*" | "?" | "*/1") || (name == "second" && text == "0-59") {
        return Ok(());
    }
    Err(format!("{period:?} restricts the {name}, which a schedule of minutes cannot; write * as its {name}"))
}

impl Field {
    fn rewrite(&self, text: &str) -> Result<String, String> {
        let items: Vec<&str> = text.split(',').filter(|item| !item.is_empty()).collect();
        // One `*` among them is all of them, and unrestricted.
        if items.iter().any(|item| matches!(*item, "*" | "?")) {
            return Ok("*".to_owned());
        }
        if items.is_empty() {
            return Err(format!("the {} is empty; write *", self.name));
        }
        Ok(items.into_iter().map(|item| self.item(item)).collect::<Result<Vec<_>, _>>()?.join(","))
    }

    fn item(&self, item: &str) -> Result<String, String> {
        let bad = || format!("{item:?} is no {}", self.name);
        let (range, step) = match item.split_once('/') {
            Some((range, step)) => {
                let step: u8 = step.parse().map_err(|_| bad())?;
                if step == 0 || step > self.max {
                    return Err(bad());
                }
                (range, Some(step))
            }
            None => (item, None),
        };
        let (first, last) = match (range, range.split_once('-'), step) {
            ("*", _, _) => (self.min, self.max),
            (_, Some((first, last)), _) => (self.value(first).ok_or_else(bad)?, self.value(last).ok_or_else(bad)?),
            (single, None, Some(_)) => (self.value(single).ok_or_else(bad)?, self.max),
            (single, None, None) => {
                return match self.value(single) {
                    Some(value) => Ok(self.word(value)),
                    None if self.is_special(single) => Ok(single.to_ascii_uppercase()),
                    None => Err(bad()),
                };
            }
        };
        if first > last {
            return Err(self.backwards(item, first, last));
        }
        let range = format!("{}-{}", self.word(first), self.word(last));
        Ok(step.map_or(range.clone(), |step| format!("{range}/{step}")))
    }

    /// A range that runs over the end (`22-6`, `fri-sun`) is empty for docker+machine, without a word.
    fn backwards(&self, item: &str, first: u8, last: u8) -> String {
        let (name, end, start) = (self.name, self.word(self.max), self.word(self.min));
        format!(
            "{item:?} runs backwards, so its {name} never came; write \"{}-{end},{start}-{}\"",
            self.word(first),
            self.word(last)
        )
    }

    /// `L`, `15W`, `5L`, `5#3`: read alike by both parsers, or refused by ours.
    fn is_special(&self, text: &str) -> bool {
        let special = |c: char| matches!(c, 'L' | 'l' | 'W' | 'w' | '#');
        matches!(self.name, "day-of-month" | "day-of-week") && text.contains(special)
    }

    fn value(&self, text: &str) -> Option<u8> {
        let lower = text.to_ascii_lowercase();
        if let Some(at) = self.words.iter().position(|word| lower.starts_with(word)) {
            let full = LONG_NAMES.contains(&lower.as_str()) || lower.len() == 3;
            return u8::try_from(at).ok().filter(|_| full).map(|at| at + self.min);
        }
        if text.len() > 2 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let value: u8 = text.parse().ok()?;
        // 7 is Sunday, as 0.
        let value = if self.name == "day-of-week" && value == 7 { 0 } else { value };
        (self.min..=self.max).contains(&value).then_some(value)
    }

    /// Days by name, so that no parser's idea of Sunday matters; the rest by number.
    fn word(&self, value: u8) -> String {
        let word = self.words.get(usize::from(value.saturating_sub(self.min)));
        word.map_or_else(|| value.to_string(), |word| (*word).to_owned())
    }
}

const LONG_NAMES: [&str; 18] = [
    "january",
    "february",
    "march",
    "april",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
    "sunday",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn five(text: &str) -> String {
        match translate(text) {
            Ok(Period::Five(five)) => five,
            other => panic!("{text}: {other:?}"),
        }
    }

    #[test]
    fn seven_fields_become_five() {
        let cases = [
            ("* * 9-17 * * mon-fri *", "* 9-17 * * mon-fri"),
            ("* * 0-9,18-23 * * mon-fri *", "* 0-9,18-23 * * mon-fri"),
            ("* * * * * sat,sun *", "* * * * sat,sun"),
            ("? ? ? ? ? ? ?", "* * * * *"),
            ("* * 9 1 1 * *", "* 9 1 jan *"),
            ("* */15 * * * * *", "0-59/15 * * * *"),
            ("* 30/10 * * * * *", "30-59/10 * * * *"),
            ("* * * */2 * 1-5 *", "* * 1-31/2 * mon-fri"),
            ("* * * * January-March Monday *", "* * * jan-mar mon"),
            ("* * * * * 7 *", "* * * * sun"),
            ("* * * L * * *", "* * L * *"),
            ("* * * 15w * * *", "* * 15W * *"),
            ("* * * * * 5#3 *", "* * * * 5#3"),
            ("* * 1,*,3 * * * *", "* * * * *"),
        ];
        for (seven, expected) in cases {
            assert_eq!(five(seven), expected, "{seven}");
        }
    }

    #[test]
    fn both_days_restricted_mean_either() {
        let period = schedule::parse(&five("* * * */10 * mon *"), "UTC").unwrap();
        for (day, expected) in [("2026-11-23", true), ("2026-11-21", true), ("2026-11-22", false)] {
            assert_eq!(period.matches(format!("{day}T12:00:00Z").as_str()).unwrap(), expected, "{day}");
        }
    }

    #[test]
    fn traps_are_told() {
        let cases = [
            ("* 9-17 * * mon-fri", "write the 7 fields \"* * 9-17 * * mon-fri *\""),
            ("* * 9-17 * * *", "takes the last for the year"),
            ("0 * 9-17 * * * *", "restricts the second"),
            ("* * 9-17 * * * 2026", "restricts the year"),
            ("* * 22-6 * * * *", "write \"22-23,0-6\""),
            ("* * * * * fri-sun *", "never came"),
            ("* * * * * 1-7 *", "never came"),
            ("* * * LW * * *", "cannot be told in 5 fields"),
            ("* * 25 * * * *", "\"25\" is no hour"),
            ("* * x * * * *", "\"x\" is no hour"),
            ("* * */0 * * * *", "is no hour"),
            ("* * * * * mondays *", "is no day-of-week"),
            ("* * *", "has too few fields"),
            ("* * * * * * * *", "ignores those behind the 7th; write \"* * * * * * *\""),
            ("", "has too few fields"),
        ];
        for (text, expected) in cases {
            let message = translate(text).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
        assert!(matches!(translate("@daily"), Ok(Period::Never(_))));
    }
}

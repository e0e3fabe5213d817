//! Why so many slots are kept ready, as a sentence for an administrator.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Weekday;
use jiff::tz::TimeZone;

use crate::reason::Brief;

/// Watched hours of a time of the week from which on that time counts as known.
const KNOWN_HOURS: f64 = 0.2;
/// A deviation from the pattern that is worth a word.
const NOTABLE: f64 = 1.5;

/// What an answer rests on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Grounds {
    pub(crate) at: Timestamp,
    pub(crate) slots: u32,
    /// How long before a job its worker must be launched.
    pub(crate) lead: Duration,
    pub(crate) boot: Duration,
    pub(crate) boot_is_guess: bool,
    pub(crate) target: Duration,
    /// Jobs an hour that a slot must serve to be kept.
    pub(crate) price: f64,
    pub(crate) jobs_per_hour: f64,
    /// Jobs an hour that one more slot would serve.
    pub(crate) next_worth: f64,
    /// How the last hour compares with the pattern.
    pub(crate) trend: f64,
    /// Hours of this time of the week that were watched.
    pub(crate) hours_of_week: f64,
    pub(crate) watched_hours: f64,
}

impl fmt::Display for Grounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (boot, target) = (Brief(self.boot), Brief(self.target));
        let measured = if self.boot_is_guess { "probably boots" } else { "boots" };
        if self.lead.is_zero() {
            return write!(f, "auto: keeps none ready: a worker {measured} within {boot}, and jobs may wait {target}");
        }
        match self.slots {
            0 => f.write_str("auto: keeps none ready: ")?,
            1 => f.write_str("auto: keeps 1 slot ready: ")?,
            more => write!(f, "auto: keeps {more} slots ready: ")?,
        }
        self.pattern(f)?;
        match self.slots {
            0 => write!(f, ", and those may be among the 5 % that wait longer than {target}")?,
            slots => write!(
                f,
                ", in bursts of {slots} or more within the {} that a worker comes too late ({measured} within {boot}, target {target} for 95 %)",
                Brief(self.lead)
            )?,
        }
        if self.slots > 0 && self.next_worth > 0.0 {
            write!(
                f,
                "; one more would serve {} an hour, and {} make it worth while",
                jobs(self.next_worth),
                short(self.price)
            )?;
        }
        Ok(())
    }
}

impl Grounds {
    /// What comes, and how that is known.
    fn pattern(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.at.to_zoned(TimeZone::UTC);
        let day = match time.weekday() {
            Weekday::Monday => "Mondays",
            Weekday::Tuesday => "Tuesdays",
            Weekday::Wednesday => "Wednesdays",
            Weekday::Thursday => "Thursdays",
            Weekday::Friday => "Fridays",
            Weekday::Saturday => "Saturdays",
            Weekday::Sunday => "Sundays",
        };
        let hour = time.hour();
        if self.hours_of_week >= KNOWN_HOURS {
            write!(f, "{day} {hour}-{} UTC bring {}", hour + 1, hourly(self.jobs_per_hour))?;
        } else {
            let seen = Brief(Duration::from_secs_f64(self.watched_hours.clamp(0.0, 1e6) * 3600.0));
            write!(f, "still learning ({seen} watched), now {}", hourly(self.jobs_per_hour))?;
        }
        if self.trend >= NOTABLE {
            f.write_str(", busier than usual")?;
        } else if self.trend * NOTABLE <= 1.0 {
            f.write_str(", quieter than usual")?;
        }
        Ok(())
    }
}

fn hourly(jobs_per_hour: f64) -> String {
    if jobs_per_hour < 0.05 { "next to no jobs".into() } else { format!("{} an hour", jobs(jobs_per_hour)) }
}

fn jobs(number: f64) -> String {
    let text = short(number);
    format!("{text} job{}", if text == "1" { "" } else { "s" })
}

/// A number as one says it: `42`, `1.5`, `0.2`.
fn short(number: f64) -> String {
    if number >= 9.95 {
        format!("{number:.0}")
    } else {
        let text = format!("{number:.1}");
        text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
    }
}

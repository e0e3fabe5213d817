//! Days and months of UTC, and which of the two a budget is for.

use std::fmt;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

/// A day of UTC. In JSON `2026-12-01`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Day(Date);

/// A month of UTC: its first day, in JSON too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Month(Date);

/// What a budget is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString, VariantArray)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Spending {
    /// A day of UTC.
    Day,
    /// A month of UTC.
    Month,
}

impl Spending {
    /// As it is written in the configuration.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// When the one of now is over.
    pub fn ends(self, now: Timestamp) -> Timestamp {
        match self {
            Self::Day => Day::at(now).ends(),
            Self::Month => Month::at(now).ends(),
        }
    }
}

impl Day {
    /// The day of that moment, in ms since 1970.
    pub(super) fn of(ms: i64) -> Self {
        Self(date(ms))
    }

    /// The day of that moment.
    pub fn at(moment: Timestamp) -> Self {
        Self::of(moment.as_millisecond())
    }

    /// This date.
    pub fn on(date: Date) -> Self {
        Self(date)
    }

    /// Its date.
    pub fn date(self) -> Date {
        self.0
    }

    /// When it begins; at the end of all time, then.
    pub fn begins(self) -> Timestamp {
        start(self.0)
    }

    /// When it ends.
    pub fn ends(self) -> Timestamp {
        start(self.after(1).0)
    }

    /// So many days before.
    #[must_use]
    pub fn before(self, days: i64) -> Self {
        Self(self.0.saturating_sub(days.days()))
    }

    /// So many days after.
    #[must_use]
    pub fn after(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.days()))
    }
}

impl Month {
    pub(super) fn of(ms: i64) -> Self {
        Self(date(ms).first_of_month())
    }

    /// The month of that moment.
    pub fn at(moment: Timestamp) -> Self {
        Self::of(moment.as_millisecond())
    }

    /// When it ends.
    pub fn ends(self) -> Timestamp {
        start(self.0.saturating_add(1.month()))
    }

    #[must_use]
    pub(super) fn before(self) -> Self {
        Self(self.0.saturating_sub(1.month()))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

fn date(ms: i64) -> Date {
    let moment = Timestamp::from_millisecond(ms).unwrap_or(if ms < 0 { Timestamp::MIN } else { Timestamp::MAX });
    moment.to_zoned(TimeZone::UTC).date()
}

fn start(date: Date) -> Timestamp {
    date.to_zoned(TimeZone::UTC).map_or(Timestamp::MAX, |zoned| zoned.timestamp())
}

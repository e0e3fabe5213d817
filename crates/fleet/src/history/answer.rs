//! What is answered: bounded in rows and in bytes.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::VariantArray as _;

use runner_fleet_engine::RunnerName;

use super::event::PastEvent;
use super::number::Number;
use super::question::Meant;
use super::row::Row;

/// The past in numbers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryAnswer {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The beginning of the first row that there could be.
    pub from: Timestamp,
    /// The end of the last.
    pub to: Timestamp,
    /// The time of one row.
    pub step_seconds: i64,
    /// The runner; absent: all together.
    pub runner: Option<RunnerName>,
    /// Since when there are rows at all; absent without any.
    pub since: Option<Timestamp>,
    /// Why the next start will not know what is here; absent when it will.
    pub not_kept: Option<String>,
    /// Oldest first. A span of which nothing is known has none.
    pub rows: Vec<HistoryRow>,
}

/// The numbers of one span of time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// When it begins.
    pub at: Timestamp,
    /// How much of it was watched.
    pub seconds: f64,
    /// Each [`Number`] by its name; absent: not known.
    #[serde(flatten)]
    pub numbers: BTreeMap<String, Option<f64>>,
}

impl HistoryRow {
    /// The number, where it is known.
    pub fn get(&self, number: Number) -> Option<f64> {
        self.numbers.get(number.as_str()).copied().flatten()
    }

    fn of(at: i64, row: &Row) -> Self {
        let value = |&number: &Number| (number.as_str().to_owned(), row.get(number).map(rounded));
        Self { at: time(at), seconds: rounded(row.seconds), numbers: Number::VARIANTS.iter().map(value).collect() }
    }
}

/// A hundredth of a cent, a ten-thousandth of a worker: more is noise, and bytes.
fn rounded(value: f32) -> f64 {
    (f64::from(value) * 10_000.0).round() / 10_000.0
}

fn time(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap_or(Timestamp::UNIX_EPOCH)
}

impl HistoryAnswer {
    /// These rows, oldest first, in the steps that are meant.
    pub(super) fn of(
        meant: &Meant,
        rows: impl Iterator<Item = (i64, Row)>,
        since: Option<i64>,
        not_kept: Option<String>,
    ) -> Self {
        let Meant { from, to, step, runner } = meant;
        let mut steps: BTreeMap<i64, Row> = BTreeMap::new();
        for (at, row) in rows {
            let begin = at - at.rem_euclid(*step);
            steps.entry(begin).and_modify(|before| *before = before.and(&row)).or_insert(row);
        }
        Self {
            version: 1,
            from: time(*from),
            to: time(*to),
            step_seconds: *step,
            runner: runner.clone(),
            since: since.map(time),
            not_kept,
            rows: steps.iter().map(|(at, row)| HistoryRow::of(*at, row)).collect(),
        }
    }
}

/// What has happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventsAnswer {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The time of the oldest event that is kept; absent without any.
    pub since: Option<Timestamp>,
    /// Why the next start will not know what is here; absent when it will.
    pub not_kept: Option<String>,
    /// Oldest first.
    pub events: Vec<PastEvent>,
}

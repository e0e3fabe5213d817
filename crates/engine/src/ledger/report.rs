//! What is asked of the books, and the answer.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use super::Ledger;
use super::account::{Account, Amount, Label, Line};
use super::period::Day;
use super::sums::Sums;
use super::tariff::usd;
use crate::ids::RunnerName;
use crate::offering::Market;

/// Days that are kept, and that one question may be about: a year to compare with, and a month more.
pub const DAYS_MAX: i64 = 400;
/// Rows of one answer; at 200 bytes each, a document that is still sent in a moment.
const ROWS_MAX: usize = 20_000;

/// What the rows of an answer are told apart by.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr, EnumString, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum By {
    /// Project; what no project's jobs have caused, by account.
    #[default]
    Project,
    /// Runner.
    Runner,
    /// Project and job name; what no job has caused, by account.
    Job,
    /// Account.
    Account,
    /// Day of UTC.
    Day,
    /// All of these, and the market: every line of the books.
    Line,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CostQuery {
    /// The first day.
    pub from: Day,
    /// The last day.
    pub to: Day,
    /// How the rows are told apart.
    pub by: By,
    /// This runner alone.
    pub runner: Option<RunnerName>,
}

/// A question that makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NoQuery {
    /// It ends before it begins.
    Backwards,
    /// It is about too many days.
    TooLong,
}

impl fmt::Display for NoQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Backwards => f.write_str("the last day lies before the first"),
            Self::TooLong => write!(f, "more than {DAYS_MAX} days; no more are kept"),
        }
    }
}

impl std::error::Error for NoQuery {}

/// An answer: `/api/v1/costs`, `runner-fleet costs --json`. Stable, and versioned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostReport {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The question.
    #[serde(flatten)]
    pub query: CostQuery,
    /// Always `USD`: what AWS's prices are in.
    pub currency: String,
    /// Since when the books are kept without a loss; absent when nothing was ever booked.
    pub since: Option<Timestamp>,
    /// As of when the answer is.
    pub as_of: Option<Timestamp>,
    /// Days whose file cannot be read, so that they are missing here.
    pub days_unreadable: Vec<Day>,
    /// The dearest first; days in order.
    pub rows: Vec<CostRow>,
    /// Rows that were left out because there are too many; the total has them.
    pub rows_left_out: u64,
    /// All of it.
    pub total: Cost,
}

/// A row; what it is not told apart by is absent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostRow {
    /// Of what.
    #[serde(flatten)]
    pub key: RowKey,
    /// How much.
    #[serde(flatten)]
    pub cost: Cost,
}

/// What a row is of.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RowKey {
    /// Of this day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub day: Option<Day>,
    /// Of this runner.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runner: Option<RunnerName>,
    /// On this market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub market: Option<Market>,
    /// On this account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Whose jobs caused it, as far as that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payer: Option<Label>,
}

/// How much.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Cost {
    /// USD, as far as the price is known.
    pub usd: f64,
    /// USD, where time of unknown price costs the most that it can; absent where that is not known either.
    pub usd_at_most: Option<f64>,
    /// What the same would have cost on demand, in USD, as far as that is known.
    pub on_demand_usd: f64,
    /// How much less than on demand it was, as a share of that; absent where nothing can be compared.
    pub below_on_demand: Option<f64>,
    /// Hours of workers.
    pub hours: f64,
    /// Those of them whose price is not known.
    pub unpriced_hours: f64,
}

impl Cost {
    /// For people: in USD, to a millionth.
    pub fn of(amount: &Amount) -> Self {
        let Amount { ms, pico, on_demand, uncompared, unpriced_ms, unbounded_ms, .. } = *amount;
        let compared = usd(pico - uncompared);
        let on_demand = usd(on_demand);
        Self {
            usd: rounded(usd(pico)),
            usd_at_most: (unbounded_ms == 0).then(|| rounded(usd(amount.at_most()))),
            on_demand_usd: rounded(on_demand),
            below_on_demand: (on_demand > 0.0).then(|| rounded(1.0 - compared / on_demand)),
            hours: rounded(ms as f64 / 3_600_000.0),
            unpriced_hours: rounded(unpriced_ms as f64 / 3_600_000.0),
        }
    }
}

impl CostQuery {
    /// Whether it can be answered.
    ///
    /// # Errors
    /// The days are in the wrong order, or too many.
    pub fn check(&self) -> Result<(), NoQuery> {
        if self.to < self.from {
            Err(NoQuery::Backwards)
        } else if self.to >= self.from.after(DAYS_MAX) {
            Err(NoQuery::TooLong)
        } else {
            Ok(())
        }
    }

    /// The answer from the sums of these days; those that it does not ask for are passed over.
    pub fn answer<'a>(
        self,
        days: impl IntoIterator<Item = (Day, &'a Sums)>,
        ledger: &Ledger,
        days_unreadable: Vec<Day>,
    ) -> CostReport {
        let mut rows: BTreeMap<RowKey, Amount> = BTreeMap::new();
        let mut total = Amount::default();
        for (day, sums) in days {
            if self.from <= day && day <= self.to {
                self.add(day, sums, &mut rows, &mut total);
            }
        }
        let mut rows: Vec<(RowKey, Amount)> = rows.into_iter().collect();
        // By day they are in order already, and equal costs stay in order of their keys.
        if !matches!(self.by, By::Day | By::Line) {
            rows.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.at_most()));
        }
        let rows_left_out = rows.len().saturating_sub(ROWS_MAX) as u64;
        rows.truncate(ROWS_MAX);
        let row = |(key, amount): (RowKey, Amount)| CostRow { key, cost: Cost::of(&amount) };
        CostReport {
            version: 1,
            query: self,
            currency: "USD".to_owned(),
            since: ledger.since(),
            as_of: ledger.kept_at(),
            days_unreadable,
            rows: rows.into_iter().map(row).collect(),
            rows_left_out,
            total: Cost::of(&total),
        }
    }

    fn add(&self, day: Day, sums: &Sums, rows: &mut BTreeMap<RowKey, Amount>, total: &mut Amount) {
        let is_wanted = |line: &Line| self.runner.as_ref().is_none_or(|runner| line.runner == *runner);
        let mut left: BTreeMap<&Line, Amount> =
            sums.lines().filter(|(line, _)| is_wanted(line)).map(|(line, amount)| (line, *amount)).collect();
        for (line, amount) in &left {
            *total += in_sum(line.account, *amount);
        }
        let mut enter = |line: &Line, payer: Option<&Label>, amount: Amount| {
            let key = self.key(day, line, payer);
            let amount = if key.account.is_some() { amount } else { in_sum(line.account, amount) };
            *rows.entry(key).or_default() += amount;
        };
        for (line, payer, amount) in sums.payers().filter(|(line, _, _)| is_wanted(line)) {
            enter(line, Some(payer), *amount);
            if let Some(left) = left.get_mut(line) {
                *left += amount.negative();
            }
        }
        left.into_iter().filter(|(_, amount)| *amount != Amount::default()).for_each(|(line, amount)| {
            enter(line, None, amount);
        });
    }

    fn key(&self, day: Day, line: &Line, payer: Option<&Label>) -> RowKey {
        let none = RowKey::default();
        let account = payer.is_none().then_some(line.account);
        match self.by {
            By::Project => RowKey { account, payer: payer.map(Label::without_name), ..none },
            By::Runner => RowKey { runner: Some(line.runner.clone()), ..none },
            By::Job => RowKey { account, payer: payer.cloned(), ..none },
            By::Account => RowKey { account: Some(line.account), ..none },
            By::Day => RowKey { day: Some(day), ..none },
            By::Line => RowKey {
                day: Some(day),
                runner: Some(line.runner.clone()),
                market: Some(line.market),
                account: Some(line.account),
                payer: payer.cloned(),
            },
        }
    }
}

/// As it enters a sum of several accounts: disks and addresses are paid for beside the instance, and their time is its.
pub(super) fn in_sum(account: Account, amount: Amount) -> Amount {
    if account.is_instance_time() { amount } else { Amount { ms: 0, unpriced_ms: 0, ..amount } }
}

fn rounded(value: f64) -> f64 {
    (value * 1e6).round() / 1e6
}

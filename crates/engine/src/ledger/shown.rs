//! What the page, `status` and the metrics show of the books.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Ledger;
use super::account::{Account, Amount, Label, Line};
use super::period::{Day, Month};
use super::report::{Cost, in_sum};
use super::sums::Sums;
use super::tariff::usd;
use crate::ids::RunnerName;
use crate::offering::Market;

/// Projects that are shown one by one: a screenful, and as many series.
const PROJECTS_MAX: usize = 20;

/// What the books say of today, of this month, and of this manager's life.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LedgerSnapshot {
    /// Since when the books are kept without a loss; absent before the first start has come so far.
    pub since: Option<Timestamp>,
    /// All of today (UTC); absent while nothing is known.
    pub today_total: Option<Cost>,
    /// All of this month (UTC) so far; absent while nothing is known.
    pub month_total: Option<Cost>,
    /// Today (UTC), by runner.
    pub today: Vec<RunnerCosts>,
    /// This month (UTC) so far, by runner.
    pub month: Vec<RunnerCosts>,
    /// This month so far, by project: the dearest, then the rest.
    pub projects: Vec<ProjectCosts>,
    /// Since this manager's start: they only grow.
    pub totals: Vec<CostCounter>,
}

/// What a runner has cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunnerCosts {
    /// The section's name.
    pub runner: RunnerName,
    /// In all.
    #[serde(flatten)]
    pub cost: Cost,
    /// In USD, by market; with disks and addresses.
    pub markets: BTreeMap<Market, f64>,
    /// In USD, by account.
    pub accounts: BTreeMap<Account, f64>,
}

/// What a project's jobs, and the boots for them, have cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ProjectCosts {
    /// Which project, by its id; a job of which nothing is known, or the rest.
    pub payer: Label,
    /// How much.
    #[serde(flatten)]
    pub cost: Cost,
}

/// What was booked on a line since this manager's start.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostCounter {
    /// Which line.
    #[serde(flatten)]
    pub line: Line,
    /// USD, as far as the price is known.
    pub usd: f64,
    /// What the same would have cost on demand, in USD.
    pub on_demand_usd: f64,
    /// Seconds of workers.
    pub seconds: f64,
    /// Those of unknown price.
    pub unpriced_seconds: f64,
}

/// What was booked since the manager's start. A correction takes back; what is shown waits until the sum has caught up,
/// because a counter that falls is taken for one that began anew.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Counted {
    lines: BTreeMap<Line, (Amount, Amount)>,
}

impl Counted {
    pub(super) fn add(&mut self, line: &Line, amount: Amount) {
        let (sum, highest) = match self.lines.get_mut(line) {
            Some(known) => known,
            None => self.lines.entry(line.clone()).or_default(),
        };
        *sum += amount;
        highest.ms = highest.ms.max(sum.ms);
        highest.pico = highest.pico.max(sum.pico);
        highest.on_demand = highest.on_demand.max(sum.on_demand);
        highest.unpriced_ms = highest.unpriced_ms.max(sum.unpriced_ms);
    }
}

impl Ledger {
    /// What there is to show.
    pub(crate) fn snapshot(&self, now: Timestamp) -> LedgerSnapshot {
        let (today, month) = (self.days.get(&Day::at(now)), self.months.get(&Month::at(now)));
        // A day of which nothing is booked has cost nothing, once there are books.
        let total = |sums: Option<&Sums>| self.since.map(|_| Cost::of(&sums.map(whole).unwrap_or_default()));
        let counter = |(line, (_, highest)): (&Line, &(Amount, Amount))| CostCounter {
            line: line.clone(),
            usd: usd(highest.pico),
            on_demand_usd: usd(highest.on_demand),
            seconds: highest.ms as f64 / 1_000.0,
            unpriced_seconds: highest.unpriced_ms as f64 / 1_000.0,
        };
        LedgerSnapshot {
            since: self.since(),
            today_total: total(today),
            month_total: total(month),
            today: today.map(runners).unwrap_or_default(),
            month: month.map(runners).unwrap_or_default(),
            projects: month.map(projects).unwrap_or_default(),
            totals: self.counted.lines.iter().map(counter).collect(),
        }
    }
}

impl LedgerSnapshot {
    /// What the books say of this runner alone; projects are not told by runner, and are left out.
    #[must_use]
    pub fn of_runner(mut self, name: &RunnerName) -> Self {
        let known = self.since.is_some();
        let only = |costs: &mut Vec<RunnerCosts>| {
            costs.retain(|costs| costs.runner == *name);
            known.then(|| costs.first().map_or_else(|| Cost::of(&Amount::default()), |costs| costs.cost))
        };
        self.today_total = only(&mut self.today);
        self.month_total = only(&mut self.month);
        self.projects.clear();
        self.totals.retain(|counter| counter.line.runner == *name);
        self
    }
}

fn whole(sums: &Sums) -> Amount {
    sums.lines().map(|(line, amount)| in_sum(line.account, *amount)).sum()
}

fn runners(sums: &Sums) -> Vec<RunnerCosts> {
    type Parts = (Amount, BTreeMap<Market, i64>, BTreeMap<Account, i64>);
    let mut runners: BTreeMap<&RunnerName, Parts> = BTreeMap::new();
    for (line, amount) in sums.lines() {
        let (whole, markets, accounts) = runners.entry(&line.runner).or_default();
        *whole += in_sum(line.account, *amount);
        *markets.entry(line.market).or_default() += amount.pico;
        *accounts.entry(line.account).or_default() += amount.pico;
    }
    fn in_usd<K: Ord>(parts: BTreeMap<K, i64>) -> BTreeMap<K, f64> {
        parts.into_iter().map(|(key, pico)| (key, usd(pico))).collect()
    }
    let costs = |(runner, (whole, markets, accounts)): (&RunnerName, Parts)| RunnerCosts {
        runner: runner.clone(),
        cost: Cost::of(&whole),
        markets: in_usd(markets),
        accounts: in_usd(accounts),
    };
    runners.into_iter().map(costs).collect()
}

fn projects(sums: &Sums) -> Vec<ProjectCosts> {
    let mut projects: BTreeMap<Label, Amount> = BTreeMap::new();
    for (_, payer, amount) in sums.payers() {
        *projects.entry(payer.without_name()).or_default() += *amount;
    }
    let mut rest = projects.remove(&Label::Rest).unwrap_or_default();
    let mut dearest: Vec<(Label, Amount)> = projects.into_iter().collect();
    dearest.sort_by_key(|(_, amount)| std::cmp::Reverse(amount.at_most()));
    rest += dearest.drain(PROJECTS_MAX.min(dearest.len())..).map(|(_, amount)| amount).sum();
    dearest.extend((rest != Amount::default()).then_some((Label::Rest, rest)));
    dearest.into_iter().map(|(payer, amount)| ProjectCosts { payer, cost: Cost::of(&amount) }).collect()
}

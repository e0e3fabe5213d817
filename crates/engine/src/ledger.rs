//! What the workers cost, and whose cost it is: each worker's time at its price, booked to an account.
//!
//! ```text
//!   what a worker does -> Span, Span, ...      Meter: one worker        booked, once EC2 has shown that it lived so long
//!   what it costs      ---------^              ------------------> Sums of a day, Sums of a month: Line -> Amount
//! ```
//!
//! The law: the accounts add up to all instance time at its price. Nothing is booked twice, nothing is left out, whatever
//! crashes: a worker's time begins at EC2's launch time and ends where EC2 says that it ended, and what nobody watched is
//! booked as that ([`Account::Unknown`], [`Account::Before`]). Money is counted in whole pico-USD; what a division leaves over
//! is carried on with the worker, so that no fraction is lost however often it is booked.
//!
//! Time is booked when a listing shows that the worker was still there: until then it waits in its spans, because an end is
//! heard of late. An end that lies before what is booked all the same (a clock was set) is put right with the last account.
//!
//! Whoever drives the engine keeps the ledger over restarts (it is its own kept form). Days and months are those of UTC, as
//! EC2 bills.

mod account;
mod bound;
mod meter;
mod names;
mod pairs;
mod period;
mod report;
mod shown;
mod sums;
mod tariff;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{JobId, LaunchToken, RunnerName, WorkerId};
use super::offering::Market;

pub use account::{Account, Amount, Label, Line};
pub use meter::Use;
use meter::{Booking, Meter, Opening};
pub(crate) use names::JobNames;
pub use period::{Day, Month, Spending};
pub use report::{By, Cost, CostQuery, CostReport, CostRow, DAYS_MAX, NoQuery, RowKey};
pub use shown::{CostCounter, LedgerSnapshot, ProjectCosts, RunnerCosts};
pub use sums::Sums;
pub use tariff::{PICO, Rates, address_rates, disk_rates, pico, usd};

/// An ended worker is remembered so long after EC2 has shown it for the last time: EC2 shows it for about an hour, and may
/// leave it out once.
const CLOSED_KEPT: i64 = 2 * 3_600_000;
/// Ended workers that are remembered at most; a thousand workers that live ten minutes each are 12,000.
const CLOSED_MAX: usize = 20_000;
/// The sums of a day are held so long after they have changed for the last time: the keeper has them by then, even where
/// the disk was full for a day.
const DAY_HELD: i64 = 26 * 3_600_000;
/// How far behind a listing the state of an instance may be that it shows. EC2 promises nothing; seconds are usual.
const LISTING_LAG: i64 = 30_000;
/// A worker that no listing has shown for so long is not taken to live in a balance.
const MISSING: i64 = 10 * 60_000;
/// Between two times of letting go what is over.
const TIDY_EVERY: u64 = 10_000;
/// So long after its beginning a ledger waits for the first prices before it books time as of unknown price.
const FIRST_PRICES: i64 = 120_000;

/// The books: see the module.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Ledger {
    /// Since when it is kept without a loss, in ms since 1970; none before anything was booked.
    since: Option<i64>,
    /// What lies before was booked by a ledger that was lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lost_before: Option<i64>,
    /// When it was last brought up to date, by the manager's clock.
    kept_at: i64,
    /// The first day that may still be booked in; those before are the keeper's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    first_day: Option<Day>,
    #[serde(with = "pairs")]
    days: BTreeMap<Day, Sums>,
    #[serde(with = "pairs")]
    months: BTreeMap<Month, Sums>,
    meters: BTreeMap<WorkerId, Meter>,
    /// Ended workers, and when EC2 has last shown each.
    closed: BTreeMap<WorkerId, i64>,
    /// The jobs that launches on their way are for, one for each worker.
    #[serde(skip)]
    causes: BTreeMap<LaunchToken, VecDeque<Label>>,
    #[serde(skip)]
    counted: shown::Counted,
    /// When this manager began to book.
    #[serde(skip)]
    begun: Option<i64>,
    /// When what is over was let go last.
    #[serde(skip)]
    tidied_at: i64,
    /// The worker that was brought up to date last, and when.
    #[serde(skip)]
    swept: (Option<WorkerId>, i64),
}

/// What is known of an instance that is to be booked.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'a> {
    pub(crate) id: &'a WorkerId,
    pub(crate) runner: &'a RunnerName,
    pub(crate) market: Market,
    pub(crate) launch: Option<&'a LaunchToken>,
    pub(crate) launched_at: Timestamp,
}

/// How one worker is paid for beside its instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Extras {
    /// Its disks.
    pub(crate) disks: Rates,
    /// Its public address.
    pub(crate) address: Rates,
}

impl Ledger {
    /// A ledger in place of one that was lost: what lies before `booked`, the end of the last day that is kept apart from it,
    /// was booked by that one.
    pub fn after_loss(booked: Option<Timestamp>) -> Self {
        Self { lost_before: booked.map(Timestamp::as_millisecond), first_day: booked.map(Day::at), ..Self::default() }
    }

    /// The engine begins to book. What happened since the ledger was kept, nobody watched.
    pub(crate) fn begin(&mut self, now: Timestamp) {
        if self.begun.is_none() {
            let now = now.as_millisecond();
            self.begun = Some(now);
            self.since.get_or_insert(now);
            let kept_at = self.kept_at;
            self.meters.values_mut().for_each(|meter| meter.was_left(kept_at));
            self.swept.1 = now;
        }
    }

    /// The jobs that a launch is for, one for each worker that it asks for; the others are the policy's.
    pub(crate) fn launching(&mut self, token: &LaunchToken, jobs: impl Iterator<Item = Label>) {
        self.causes.insert(token.clone(), jobs.collect());
    }

    /// Launches that are not on their way any more have no workers to come.
    pub(crate) fn in_flight(&mut self, is_on_its_way: impl Fn(&LaunchToken) -> bool) {
        self.causes.retain(|token, _| is_on_its_way(token));
    }

    /// A worker exists: it is paid for from its launch on. `boots`: nobody but this manager can have used it so far.
    pub(crate) fn open(&mut self, seen: Seen<'_>, extras: impl FnOnce() -> Extras, boots: bool, now: Timestamp) {
        if self.meters.contains_key(seen.id) || self.closed.contains_key(seen.id) {
            return;
        }
        let launched = seen.launched_at.as_millisecond();
        let cause = seen.launch.and_then(|token| self.causes.get_mut(token)).and_then(VecDeque::pop_front);
        let opening = Opening {
            runner: seen.runner.clone(),
            market: seen.market,
            launched,
            from: self.lost_before.map_or(launched, |booked| booked.max(launched)),
            kept_since: self.since.unwrap_or(launched),
            now: now.as_millisecond(),
            boots,
            cause,
        };
        self.meters.insert(seen.id.clone(), Meter::opened(opening, extras()));
    }

    /// A listing shows when it was launched; and that it lives, if the listing was asked for at that time.
    pub(crate) fn is_listed(&mut self, id: &WorkerId, launched_at: Timestamp, lives_at: Option<Timestamp>) {
        if let Some(meter) = self.meters.get_mut(id) {
            meter.is_listed(launched_at.as_millisecond(), lives_at.map(Timestamp::as_millisecond));
        }
    }

    /// What a worker does from now on, and what it costs; `None`: as before.
    pub(crate) fn note(&mut self, id: &WorkerId, does: Use, rates: Option<Rates>, now: Timestamp) {
        if let Some(meter) = self.meters.get_mut(id)
            && meter.note(does, rates, now.as_millisecond())
        {
            let early = meter.overflow();
            let booked = meter.book(early);
            self.enter(booked, now);
        }
    }

    /// A worker's jobs by name: those of these ids as `look` finds them, and so many more of which nothing is known.
    pub(crate) fn labels(
        &mut self,
        id: &WorkerId,
        ids: &BTreeSet<JobId>,
        unnamed: usize,
        look: impl Fn(JobId) -> Option<Label>,
    ) -> Vec<Label> {
        self.meters.get_mut(id).map(|meter| meter.jobs(ids, unnamed, look)).unwrap_or_default()
    }

    /// It has ended: then, as EC2 says, or at the latest `seen_at`, when it was seen to have ended.
    pub(crate) fn close(&mut self, id: &WorkerId, ended_at: Option<Timestamp>, seen_at: Timestamp) {
        if let Some(mut meter) = self.meters.remove(id) {
            let end = ended_at.unwrap_or(seen_at).as_millisecond();
            let booked = meter.close(end);
            self.enter(booked, seen_at);
            self.closed.insert(id.clone(), seen_at.as_millisecond());
        } else if let Some(seen) = self.closed.get_mut(id) {
            *seen = seen_at.as_millisecond();
        }
    }

    /// No listing shows it any more. That may be an oversight of EC2's, or its end was not seen: it is booked until it was
    /// seen for the last time.
    pub(crate) fn is_missing(&mut self, id: &WorkerId, now: Timestamp) {
        let Some(meter) = self.meters.get(id) else { return };
        let last = meter.last_seen();
        if now.as_millisecond().saturating_sub(last) > CLOSED_KEPT
            && let Ok(last) = Timestamp::from_millisecond(last)
        {
            self.close(id, Some(last), now);
        }
    }

    /// Whether the end of this worker was booked.
    pub(crate) fn is_closed(&self, id: &WorkerId) -> bool {
        self.closed.contains_key(id)
    }

    /// The workers to look at in this step: each comes once in `round`, however often steps are made.
    pub(crate) fn due(&mut self, round: Duration, now: Timestamp) -> Vec<WorkerId> {
        let (last, now) = (self.swept.1, now.as_millisecond());
        self.swept.1 = now;
        let round = i64::try_from(round.as_millis()).unwrap_or(i64::MAX).max(1);
        let passed = now.saturating_sub(last).clamp(0, round);
        let (passed, round) = (passed.unsigned_abs(), round.unsigned_abs());
        let count = u64::try_from(self.meters.len()).unwrap_or(u64::MAX);
        let turn = usize::try_from(count.saturating_mul(passed).div_ceil(round)).unwrap_or(usize::MAX);
        let after = self.swept.0.clone().map_or(std::ops::Bound::Unbounded, std::ops::Bound::Excluded);
        let mut due: Vec<WorkerId> =
            self.meters.range((after, std::ops::Bound::Unbounded)).take(turn).map(|(id, _)| id.clone()).collect();
        let more = turn - due.len();
        let again: Vec<WorkerId> = self.meters.keys().take(more).filter(|id| !due.contains(id)).cloned().collect();
        due.extend(again);
        if let Some(last) = due.last() {
            self.swept.0 = Some(last.clone());
        }
        due
    }

    /// Books what is certain of a worker's time: what a listing has confirmed. Nothing before the first prices are there, if
    /// they come soon.
    pub(crate) fn settle(&mut self, id: &WorkerId, prices_heard: bool, now: Timestamp) {
        let ms = now.as_millisecond();
        let patient = !prices_heard && self.begun.is_some_and(|begun| ms.saturating_sub(begun) < FIRST_PRICES);
        if let Some(meter) = self.meters.get_mut(id).filter(|_| !patient) {
            let confirmed = meter.last_seen().saturating_sub(LISTING_LAG);
            let booked = meter.book(confirmed.min(ms));
            self.enter(booked, now);
        }
    }

    /// Books everything until `now` as it is known, as if every worker were seen to live: for a balance.
    pub fn balanced(&self, now: Timestamp) -> Self {
        let mut balanced = self.clone();
        let meters = balanced.meters.values_mut();
        let now_ms = now.as_millisecond();
        let until = |meter: &Meter| {
            let last = meter.last_seen();
            if now_ms.saturating_sub(last) > MISSING { last } else { now_ms }
        };
        let booked = meters.flat_map(|meter| meter.book(until(meter))).collect();
        balanced.enter(booked, now);
        balanced
    }

    /// It is up to date. Now and then what is over is let go: closed workers that EC2 shows no more, days that the keeper has,
    /// months before the last.
    pub(crate) fn tidy(&mut self, now: Timestamp) {
        let now = now.as_millisecond();
        self.kept_at = now;
        if now.abs_diff(self.tidied_at) < TIDY_EVERY {
            return;
        }
        self.tidied_at = now;
        self.closed.retain(|_, seen| now.saturating_sub(*seen) <= CLOSED_KEPT);
        bound::newest(&mut self.closed, CLOSED_MAX);
        let open = self.meters.values().map(Meter::booked_until).min().unwrap_or(now).min(now);
        let month = Month::of(open).before();
        self.months.retain(|kept, _| *kept >= month);
        let is_over = |(day, sums): &(&Day, &Sums)| **day < Day::of(open).before(1) && sums.is_older(DAY_HELD, now);
        if let Some((over, _)) = self.days.first_key_value().filter(is_over) {
            self.first_day = Some(over.after(1));
            self.days.pop_first();
        }
    }

    /// The sums of the days that are held: at least today and yesterday, as far as anything was booked.
    pub fn days(&self) -> &BTreeMap<Day, Sums> {
        &self.days
    }

    /// When it was last brought up to date.
    pub fn kept_at(&self) -> Option<Timestamp> {
        self.since.and_then(|_| Timestamp::from_millisecond(self.kept_at).ok())
    }

    /// Since when it is kept, and nothing was lost.
    pub fn since(&self) -> Option<Timestamp> {
        self.since.and_then(|ms| Timestamp::from_millisecond(ms).ok())
    }

    /// What a runner has cost in this day or month, in pico-USD; time of unknown price counts with what it costs at most.
    pub(crate) fn spent(&self, runner: &RunnerName, period: Spending, now: Timestamp) -> i64 {
        let now = now.as_millisecond();
        let sums = match period {
            Spending::Day => self.days.get(&Day::of(now)),
            Spending::Month => self.months.get(&Month::of(now)),
        };
        sums.map_or(0, |sums| sums.of_runner(runner).at_most())
    }

    /// What was booked, on the lines of its day and month. A day that the keeper has is not opened again.
    fn enter(&mut self, booked: Vec<Booking>, now: Timestamp) {
        let now = now.as_millisecond();
        for Booking { at, line, amount, payers } in booked {
            self.counted.add(&line, amount);
            let day = self.first_day.map_or(Day::of(at), |first| first.max(Day::of(at)));
            self.days.entry(day).or_default().add(&line, amount, &payers, Label::clone, now);
            self.months.entry(Month::of(at)).or_default().add(&line, amount, &payers, Label::without_name, now);
        }
    }
}

#[cfg(test)]
mod tests;

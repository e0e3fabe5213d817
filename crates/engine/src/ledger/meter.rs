//! One worker's time: what it did and what it cost, in spans; and how far that is booked.

use std::collections::{BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};

use super::account::{Account, Amount, Label, Line};
use super::tariff::{Carry, Rates, charge};
use crate::ids::{JobId, RunnerName};
use crate::offering::Market;

const DAY_MS: i64 = 86_400_000;
/// EC2 bills Linux by the second, at least a minute (EC2 pricing, "per-second billing").
const LEAST_MS: i64 = 60_000;
/// Spans that wait to be confirmed; a worker that changes what it does every second fills them in a minute.
const SPANS_MAX: usize = 64;

/// What a worker does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// It is not ready yet.
    Boot,
    /// These jobs run; at least one.
    Jobs(Vec<Label>),
    /// It waits for a job.
    Idle,
    /// It is on its way out, without a job.
    Drain,
    /// Nobody knows.
    Unknown,
    /// It did that before there was a ledger.
    Before,
}

impl Use {
    fn account(&self) -> Account {
        match self {
            Self::Boot => Account::Boot,
            Self::Jobs(_) => Account::Jobs,
            Self::Idle => Account::Idle,
            Self::Drain => Account::Drain,
            Self::Unknown => Account::Unknown,
            Self::Before => Account::Before,
        }
    }
}

/// From then on it does this, at these rates, until the next span.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Span {
    from: i64,
    does: Use,
    rates: Rates,
}

/// What a meter begins with. All times in ms since 1970.
#[derive(Clone, Debug)]
pub(super) struct Opening {
    pub(super) runner: RunnerName,
    pub(super) market: Market,
    /// Its launch, as EC2 tells it, or the answer to its launch as long as no listing has told.
    pub(super) launched: i64,
    /// It is booked here from then on: its launch, or later.
    pub(super) from: i64,
    /// Since when there is a ledger.
    pub(super) kept_since: i64,
    pub(super) now: i64,
    /// Whether nobody but this manager can have used it so far.
    pub(super) boots: bool,
    /// The job that it was launched for.
    pub(super) cause: Option<Label>,
}

/// An amount for a line, of time that began then.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Booking {
    pub(super) at: i64,
    pub(super) line: Line,
    pub(super) amount: Amount,
    pub(super) payers: Vec<Label>,
}

/// See the module.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Meter {
    runner: RunnerName,
    market: Market,
    /// It is paid for from then on.
    from: i64,
    /// Whether that is its launch, so that the least that EC2 bills holds for what is booked here.
    whole: bool,
    booked_until: i64,
    /// Time that is booked.
    booked_ms: i64,
    /// When the newest listing that shows it was asked for.
    seen: i64,
    /// What was booked last.
    last: Option<(Use, Rates)>,
    /// Never empty; the first one contains `booked_until`.
    spans: VecDeque<Span>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cause: Option<Label>,
    disks: Rates,
    address: Rates,
    carry: [Carry; 3],
    /// Its jobs, by their ids.
    labels: Vec<(JobId, Label)>,
}

impl Meter {
    pub(super) fn opened(opening: Opening, extras: super::Extras) -> Self {
        let Opening { runner, market, launched, from, kept_since, now, boots, cause } = opening;
        let span = |from, does| Span { from, does, rates: Rates::default() };
        let watched = if boots { Use::Boot } else { Use::Unknown };
        let spans = match kept_since.min(now) {
            since if boots || from >= since => VecDeque::from([span(from, watched)]),
            since => VecDeque::from([span(from, Use::Before), span(since, watched)]),
        };
        Self {
            runner,
            market,
            from,
            whole: from == launched,
            booked_until: from,
            booked_ms: 0,
            seen: from,
            last: None,
            spans,
            cause,
            disks: extras.disks,
            address: extras.address,
            carry: <[Carry; 3]>::default(),
            labels: Vec::new(),
        }
    }

    /// Until when its time is booked.
    pub(super) fn booked_until(&self) -> i64 {
        self.booked_until
    }

    /// When the newest listing that shows it was asked for; its launch where none does.
    pub(super) fn last_seen(&self) -> i64 {
        self.seen
    }

    /// A listing shows it, perhaps alive. The launch time of the first one replaces that of the launch's answer.
    pub(super) fn is_listed(&mut self, launched: i64, lives_at: Option<i64>) {
        if self.whole && self.booked_ms == 0 && launched != self.from {
            self.from = launched;
            self.booked_until = launched;
            if let Some(first) = self.spans.front_mut() {
                first.from = launched;
            }
        }
        self.seen = lives_at.map_or(self.seen, |at| self.seen.max(at));
    }

    /// What it does and costs from now on; whether that is news.
    pub(super) fn note(&mut self, does: Use, rates: Option<Rates>, now: i64) -> bool {
        let Some(last) = self.spans.back() else { return false };
        let (from, rates) = (now.max(last.from).max(self.booked_until), rates.unwrap_or(last.rates));
        let unpriced = |span: &&mut Span| span.rates.paid.is_none();
        if rates.paid.is_some() {
            self.spans.iter_mut().filter(unpriced).for_each(|span| span.rates = rates);
        }
        let Some(last) = self.spans.back_mut() else { return false };
        if last.does == does && last.rates == rates {
            return false;
        }
        if last.from >= from {
            (last.does, last.rates) = (does, rates);
        } else {
            self.spans.push_back(Span { from, does, rates });
        }
        true
    }

    /// Until when to book, confirmed or not, because too many spans wait.
    pub(super) fn overflow(&self) -> i64 {
        let next = self.spans.get(1).filter(|_| self.spans.len() > SPANS_MAX);
        next.map_or(self.booked_until, |next| next.from)
    }

    /// The manager was down since then.
    pub(super) fn was_left(&mut self, kept_at: i64) {
        self.note(Use::Unknown, None, kept_at);
    }

    /// Its jobs by name: those of these ids as `look` finds them, and so many more of which nothing is known.
    pub(super) fn jobs(
        &mut self,
        ids: &BTreeSet<JobId>,
        unnamed: usize,
        look: impl Fn(JobId) -> Option<Label>,
    ) -> Vec<Label> {
        self.labels.retain(|(id, _)| ids.contains(id));
        for id in ids {
            match self.labels.iter_mut().find(|(known, _)| known == id) {
                Some((_, Label::Job { name: Some(_), .. } | Label::Rest)) => {}
                Some((_, label)) => *label = look(*id).unwrap_or_else(|| label.clone()),
                None => self.labels.push((*id, look(*id).unwrap_or(Label::UNKNOWN))),
            }
        }
        let named = self.labels.iter().map(|(_, label)| label.clone());
        named.chain(std::iter::repeat_n(Label::UNKNOWN, unnamed)).collect()
    }

    /// Books its time until then.
    pub(super) fn book(&mut self, until: i64) -> Vec<Booking> {
        let mut booked = Vec::new();
        while self.booked_until < until {
            let next = self.spans.get(1).map_or(i64::MAX, |next| next.from);
            if next <= self.booked_until {
                self.spans.pop_front();
                continue;
            }
            let midnight = (self.booked_until.div_euclid(DAY_MS) + 1) * DAY_MS;
            let end = until.min(next).min(midnight);
            let (at, ms) = (self.booked_until, end - self.booked_until);
            self.booked_until = end;
            if let Some(first) = self.spans.front_mut() {
                first.from = first.from.max(end.min(next));
            }
            if let Some(first) = self.spans.front() {
                self.last = Some((first.does.clone(), first.rates));
            }
            booked.extend(self.entries(at, ms));
        }
        booked
    }

    /// It ended then. What was booked beyond that is taken back, and the least that EC2 bills is made up.
    pub(super) fn close(&mut self, end: i64) -> Vec<Booking> {
        let mut booked = self.book(end);
        let lived = end.saturating_sub(self.from).max(0);
        let due = if self.whole { lived.max(LEAST_MS) } else { lived };
        let missing = due - self.booked_ms;
        if missing != 0 {
            booked.extend(self.entries(end.saturating_sub(1), missing));
        }
        booked
    }

    /// So much time as what was booked last, on the lines that it belongs to.
    fn entries(&mut self, at: i64, ms: i64) -> Vec<Booking> {
        self.booked_ms += ms;
        let first = || self.spans.front().map(|span| (span.does.clone(), span.rates));
        let Some((does, rates)) = self.last.clone().or_else(first) else { return Vec::new() };
        let account = does.account();
        let payers = match does {
            Use::Jobs(jobs) => jobs,
            Use::Boot => self.cause.iter().cloned().collect(),
            Use::Idle | Use::Drain | Use::Unknown | Use::Before => Vec::new(),
        };
        let parts = [
            (account, rates, payers),
            (Account::Disks, self.disks, Vec::new()),
            (Account::Addresses, self.address, Vec::new()),
        ];
        let costs = parts.into_iter().zip(&mut self.carry).filter(|((_, rates, _), _)| *rates != Rates::FREE);
        let line = |account| Line { runner: self.runner.clone(), market: self.market, account };
        costs
            .map(|((account, rates, payers), carry)| Booking {
                at,
                line: line(account),
                amount: charge(rates, ms, carry),
                payers,
            })
            .collect()
    }
}

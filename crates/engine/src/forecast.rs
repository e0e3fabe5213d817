//! `idle_count = "auto"`: how many free slots to keep ready, learned from the jobs that come.
//!
//! The promise: 95 of 100 jobs wait no longer than `target_wait` for a slot, at the boot time that is measured, with as few
//! slots kept ready as that takes. The way there, in the order of the files: who came ([`arrivals`]); how deep in
//! its burst, given how long before a job a worker must be launched ([`bursts`], [`lead`]); what each time of the week
//! brings ([`pattern`], [`quarter`], [`bucket`]); what of that was known when it could still help ([`foresight`]); what a
//! slot must be worth to be kept, so that those jobs wait that are dear to serve ([`worth`]); and the reason in words
//! ([`words`]).
//!
//! Only limits, shortages and failures are left out of the promise: nobody can keep ready what may not or cannot be
//! launched. Nothing here is stored; after a restart the last hours are all there is, until the week has been seen again.
//! Only runners with `"auto"` cost anything.

mod arrivals;
mod bucket;
mod bursts;
mod foresight;
mod lead;
mod pattern;
mod quarter;
mod words;
mod worth;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::{RunnerName, Server};
use super::job::{PendingJob, QueueSnapshot};
use super::schedule::policy_at;
use super::settings::{IdleCount, RunnerSettings, Settings};
use super::time::{after, since};

use arrivals::Arrivals;
use bursts::Bursts;
use foresight::Foresight;
use lead::Boots;
use pattern::{Depths, Pattern};
use words::Grounds;
use worth::Worth;

/// The share of jobs that may wait longer than the target.
const MAY_WAIT: f64 = 0.05;
/// Expectations fade with this time constant: those of the first days, when little was known, are gone within two weeks.
const WORTH_HOURS: f64 = 84.0;
/// How long an answer holds when nothing comes.
const ANSWER_KEPT: Duration = Duration::from_secs(5);

/// The forecasts of all runners that have one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Forecasts {
    arrivals: Arrivals,
    /// Of every runner, also of those that have no forecast.
    boots: BTreeMap<RunnerName, Boots>,
    by_runner: BTreeMap<RunnerName, Forecast>,
}

/// One runner's forecast.
#[derive(Clone, Debug)]
pub(crate) struct Forecast {
    /// What was configured, as far as it matters here.
    terms: Terms,
    bursts: Bursts,
    pattern: Pattern,
    foresight: Foresight,
    worth: Worth,
    faded_at: Timestamp,
    answer: Option<Answer>,
}

/// What a forecast is made for.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Terms {
    target: Duration,
    /// Until a waiting job is seen and its worker asked for.
    notice: Duration,
    /// 95 of 100 workers boot in so long.
    boot: Duration,
    boot_is_guess: bool,
    /// How long a slot that was left behind stays; zero where a worker takes one job and ends.
    idle_time: Duration,
    sees_queue: bool,
}

/// How many slots, and why.
#[derive(Clone, Debug)]
struct Answer {
    at: Timestamp,
    slots: u32,
    grounds: Grounds,
}

impl Forecasts {
    /// Forecasts are kept for the runners that have `"auto"` at some time, and for no others.
    pub(crate) fn configured(&mut self, settings: &Settings, now: Timestamp) {
        let wants = |runner: &RunnerSettings| {
            let entries = runner.schedule.iter().filter_map(|entry| entry.idle_count);
            entries.chain([runner.idle.count]).any(|count| count == IdleCount::Auto)
        };
        let wanting: Vec<&RunnerSettings> = settings.runners.iter().filter(|runner| wants(runner)).collect();
        self.by_runner.retain(|name, _| wanting.iter().any(|runner| runner.name == *name));
        for runner in wanting {
            let boots = Boots::or_none(self.boots.get(&runner.name));
            let terms = Terms::of(runner, settings, boots, now);
            let forecast = self.by_runner.entry(runner.name.clone()).or_insert_with(|| Forecast::new(terms, now));
            forecast.terms = terms;
            forecast.answer = None;
        }
        let Self { arrivals, boots, by_runner } = self;
        boots.retain(|name, _| settings.section(name).is_some());
        let serves = |server: &Server| settings.runners.iter().any(|runner| runner.server == *server);
        arrivals.keep(&|name| by_runner.contains_key(name), &serves);
    }

    /// Whether there is nothing to learn for.
    pub(crate) fn is_empty(&self) -> bool {
        self.by_runner.is_empty()
    }

    /// A server's queue was looked at; `whose` says which runner a job counts for.
    pub(crate) fn polled<'a>(
        &mut self,
        server: &Server,
        snapshot: &'a QueueSnapshot,
        now: Timestamp,
        servers_runners: &[RunnerName],
        mut whose: impl FnMut(&'a PendingJob) -> Option<RunnerName>,
    ) {
        let Self { arrivals, boots: _, by_runner } = self;
        let has_forecast = |name: &RunnerName| by_runner.contains_key(name);
        let came = arrivals.polled(server, snapshot, now, |job| whose(job).filter(has_forecast));
        for name in servers_runners {
            if let Some(forecast) = by_runner.get_mut(name).filter(|forecast| forecast.terms.sees_queue) {
                forecast.watched(now);
            }
        }
        for arrival in came {
            if let Some(forecast) = by_runner.get_mut(&arrival.runner) {
                forecast.came(arrival.at);
            }
        }
    }

    /// A worker of this runner has reported: `before` jobs ran at its last report, since when it `started` some, and now
    /// there run `jobs`.
    pub(crate) fn reported(&mut self, runner: &RunnerName, before: u32, started: u32, jobs: u32, now: Timestamp) {
        let Self { arrivals, boots: _, by_runner } = self;
        let Some(forecast) = by_runner.get_mut(runner) else { return };
        let ended = before.saturating_add(started).saturating_sub(jobs);
        if !forecast.terms.sees_queue {
            forecast.watched(now);
        }
        for _ in 0..started {
            if arrivals.started(runner, now) {
                forecast.came(now);
            }
        }
        if !forecast.terms.idle_time.is_zero() {
            (0..ended).for_each(|_| forecast.bursts.ended(now));
        }
    }

    /// A worker of this runner was ready this long after its launch.
    pub(crate) fn booted(&mut self, runner: &RunnerName, boot: Duration) {
        self.boots.entry(runner.clone()).or_default().took(boot);
        if let Some(forecast) = self.by_runner.get_mut(runner) {
            forecast.answer = None;
        }
    }

    /// Half of this runner's last workers booted in so long; a guess while there was none.
    pub(crate) fn boot(&self, runner: &RunnerName) -> Duration {
        Boots::or_none(self.boots.get(runner)).median()
    }

    /// Works out the answers that are due. Policies change with the time of day.
    pub(crate) fn tick(&mut self, settings: &Settings, now: Timestamp) {
        for runner in &settings.runners {
            let Some(forecast) = self.by_runner.get_mut(&runner.name) else { continue };
            let is_due = |answer: &Answer| since(now, answer.at) >= ANSWER_KEPT || answer.at > now;
            if forecast.answer.as_ref().is_none_or(is_due) {
                let boots = Boots::or_none(self.boots.get(&runner.name));
                forecast.terms = Terms::of(runner, settings, boots, now);
                forecast.answer = Some(forecast.answer_at(now));
            }
        }
    }

    /// Free slots to keep ready; none without a forecast.
    pub(crate) fn slots(&self, runner: &RunnerName) -> u32 {
        self.answer(runner).map_or(0, |answer| answer.slots)
    }

    /// Why so many, in a sentence.
    pub(crate) fn why(&self, runner: &RunnerName) -> Option<String> {
        self.answer(runner).map(|answer| answer.grounds.to_string())
    }

    fn answer(&self, runner: &RunnerName) -> Option<&Answer> {
        self.by_runner.get(runner)?.answer.as_ref()
    }
}

impl Forecast {
    fn new(terms: Terms, now: Timestamp) -> Self {
        Self {
            terms,
            bursts: Bursts::default(),
            pattern: Pattern::default(),
            foresight: Foresight::default(),
            worth: Worth::default(),
            faded_at: now,
            answer: None,
        }
    }

    fn watched(&mut self, now: Timestamp) {
        self.pattern.watched(now);
        let hours = since(now, self.faded_at).as_secs_f64() / 3600.0;
        if hours >= 1.0 {
            self.worth.fade((-hours / WORTH_HOURS).exp() as f32);
            self.faded_at = now;
        }
    }

    /// A job came: first what was expected of it is judged, by what was known when a worker for it had to be launched; then
    /// it is learned from.
    fn came(&mut self, at: Timestamp) {
        let lead = self.lead();
        let depth = if lead.is_zero() { 0 } else { self.bursts.came(at, lead, self.terms.idle_time) };
        let expected = self.foresight.of(at, lead, depth).unwrap_or_else(|| self.pattern.at(at).worth(depth));
        self.worth.came(depth, expected);
        self.pattern.came(depth, at);
        self.answer = None;
    }

    /// How long before a job its worker must be launched.
    fn lead(&self) -> Duration {
        (self.terms.boot + self.terms.notice).saturating_sub(self.terms.target)
    }

    fn answer_at(&mut self, now: Timestamp) -> Answer {
        let lead = self.lead();
        let price = self.worth.price(MAY_WAIT);
        // What is decided now, or until the next answer, is there one boot later: the slots must suit both times.
        let reached = after(now, lead + self.terms.notice + ANSWER_KEPT);
        let (present, coming) = (self.pattern.at(now), self.pattern.at(reached));
        let slots = |depths: &Depths| if lead.is_zero() { 0 } else { depths.slots(price) };
        let (slots, at) = [(slots(&present), now), (slots(&coming), reached)].into_iter().max().unwrap_or((0, now));
        let depths = if at == now { &present } else { &coming };
        let grounds = Grounds {
            at: now,
            slots,
            lead,
            boot: self.terms.boot,
            boot_is_guess: self.terms.boot_is_guess,
            target: self.terms.target,
            price,
            jobs_per_hour: self.pattern.jobs_per_hour(at),
            next_worth: depths.worth(slots as usize + 1),
            trend: self.pattern.trend(),
            hours_of_week: self.pattern.hours_of_week(now),
            watched_hours: self.pattern.watched_hours(),
        };
        self.foresight.saw(now, lead, coming);
        Answer { at: now, slots, grounds }
    }
}

impl Terms {
    fn of(runner: &RunnerSettings, settings: &Settings, boots: &Boots, now: Timestamp) -> Self {
        let policy = policy_at(runner, now);
        let idle_time = policy.idle.time.for_boots_of(boots.median());
        Self {
            target: policy.idle.target_wait,
            notice: settings.check_interval,
            idle_time: if runner.max_jobs == 1 { Duration::ZERO } else { idle_time },
            boot: boots.p95(),
            boot_is_guess: boots.is_guess(),
            sees_queue: runner.sees_queue,
        }
    }
}

#[cfg(test)]
mod tests;

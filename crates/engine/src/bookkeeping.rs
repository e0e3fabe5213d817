//! The engine keeps the books: what it knows of each worker goes into the [`Ledger`].
//!
//! A listing opens, confirms and closes; a report tells what is done; and a round through all workers, a few in each step,
//! sees what only time changes (silence, prices), and books.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Launch;
use super::event::LaunchAnswer;
use super::held_back::HeldBack;
use super::ids::{RunnerName, WorkerId};
use super::ledger::{Extras, Label, Ledger, Rates, Seen, Use, address_rates, disk_rates, pico};
use super::matching::may_take;
use super::offering::Market;
use super::reason::LaunchReason;
use super::settings::{RunnerSettings, Settings};
use super::state::Engine;
use super::worker::{EndedBy, Instance};
use super::workers::{Worker, WorkerStatus};

/// Each worker is looked at once in this time: finer than anybody reads a bill.
const ROUND: Duration = Duration::from_secs(10);

impl Engine {
    /// The books as they were kept by the last manager of this name; to be told before the first step.
    pub fn resume_ledger(&mut self, ledger: Ledger) {
        self.ledger = ledger;
    }

    /// The books, for whoever keeps them.
    pub fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// A listing is there: what it shows for the first time, still, or as ended. Before the fleet hears of it.
    pub(super) fn book_listing(&mut self, instances: &[Instance], asked_at: Timestamp) {
        for instance in instances {
            let is_paid_for = instance.state.is_paid_for();
            if !self.ledger.is_closed(&instance.id) {
                let boots = instance.launch.as_ref().is_some_and(|token| self.fleet.flights.contains_key(token));
                self.open_meter(instance, boots);
                self.ledger.is_listed(&instance.id, instance.launched_at, is_paid_for.then_some(asked_at));
            }
            if !is_paid_for {
                let ended_at = instance.ended_at.or_else(|| self.taken_back_at(instance, asked_at));
                self.ledger.close(&instance.id, ended_at, asked_at);
            }
        }
    }

    /// A launch has given workers.
    pub(super) fn book_launched(&mut self, answer: &LaunchAnswer) {
        for launched in &answer.launched {
            if let Some(worker) = self.fleet.workers.get(&launched.id) {
                let instance = worker.instance.clone();
                self.open_meter(&instance, true);
            }
        }
    }

    /// What a worker does has just been heard.
    pub(super) fn book_report(&mut self, id: &WorkerId) {
        self.note_use(id, None);
    }

    /// Looks at the workers whose turn it is, and books.
    pub(super) fn keep_books(&mut self) {
        let now = self.now;
        let heard = self.prices.is_heard();
        for id in self.ledger.due(ROUND, now) {
            let rates = self.fleet.workers.get(&id).map(|worker| self.rates(&worker.instance));
            self.note_use(&id, rates);
            self.ledger.settle(&id, heard, now);
            if !self.fleet.workers.contains_key(&id) {
                self.ledger.is_missing(&id, now);
            }
        }
        let flights = &self.fleet.flights;
        self.ledger.in_flight(|token| flights.contains_key(token));
        self.ledger.tidy(now);
        self.mind_budgets();
    }

    fn mind_budgets(&mut self) {
        let Some(settings) = &self.settings else { return };
        for section in settings.runners.iter().filter(|section| section.budget.is_some()) {
            let over = self.over_budget(section);
            if let Some(runner) = self.runners.get_mut(&section.name) {
                runner.over_budget = over;
            }
        }
    }

    /// Notes for which jobs the workers of a launch will be.
    pub(super) fn note_causes(&mut self, settings: &Settings, launch: &Launch) {
        if launch.reason != LaunchReason::LaunchUnanswered {
            let causes = self.causes(settings, &launch.runner);
            self.ledger.launching(&launch.token, causes.into_iter());
        }
    }

    /// The jobs that have no slot, one for each worker that they need: the last in the queue. A job of which the queue does
    /// not tell is one all the same.
    fn causes(&self, settings: &Settings, runner: &RunnerName) -> Vec<Label> {
        let (Some(demand), Some(section)) = (self.assessment.demands.get(runner), settings.section(runner)) else {
            return Vec::new();
        };
        let facts = self.runners.get(runner).and_then(|known| known.facts.known());
        let count = |number: u32| usize::try_from(number).unwrap_or(usize::MAX);
        let free = count(demand.supply.slots.saturating_sub(demand.supply.running));
        let (missing, capacity) = (count(demand.missing_for_jobs()), count(section.capacity.max(1)));
        let jobs = self.queues.get(&section.server).into_iter();
        let jobs = jobs.flat_map(|queue| queue.fresh_jobs(self.now, settings.check_interval));
        let jobs = jobs.filter(|job| facts.is_some_and(|facts| may_take(runner, facts, job)));
        let named = jobs.skip(free).map(|job| Label::of(job.project, &job.name));
        named.chain(std::iter::repeat(Label::UNKNOWN)).take(missing).step_by(capacity).collect()
    }

    fn open_meter(&mut self, instance: &Instance, boots: bool) {
        let Self { ledger, settings, now, .. } = self;
        let Instance { id, runner, market, launch, launched_at, zone, .. } = instance;
        let seen = Seen { id, runner, market: *market, launch: launch.as_ref(), launched_at: *launched_at };
        let section = settings.as_ref().and_then(|settings| settings.section(runner));
        let extras = || Extras {
            disks: disk_rates(section.and_then(|section| section.disk_gib), zone.as_str()),
            address: address_rates(section.map(|section| section.public_address)),
        };
        ledger.open(seen, extras, boots, *now);
    }

    fn note_use(&mut self, id: &WorkerId, rates: Option<Rates>) {
        let Self { fleet, ledger, settings, queues, job_names, now, .. } = self;
        let Some(worker) = fleet.workers.get(id) else { return };
        let does = match plain_use(worker, *now) {
            Some(does) => does,
            None => {
                let report = worker.report();
                let server = settings.as_ref().and_then(|settings| settings.section(&worker.instance.runner));
                let server = server.map(|section| &section.server);
                let label = |job| {
                    let left = || job_names.find(server?, job).cloned();
                    let waits = || queues.get(server?)?.job(job).map(|job| Label::of(job.project, &job.name));
                    let project = || report.and_then(|report| report.projects.get(&job)).copied();
                    let nameless = || project().map(|project| Label::Job { project: Some(project), name: None });
                    left().or_else(waits).or_else(nameless)
                };
                let ids = report.map(|report| report.job_ids.clone()).unwrap_or_default();
                let unnamed = usize::try_from(worker.jobs()).unwrap_or(usize::MAX).saturating_sub(ids.len());
                Use::Jobs(ledger.labels(id, &ids, unnamed, label))
            }
        };
        ledger.note(id, does, rates, *now);
    }

    fn rates(&self, instance: &Instance) -> Rates {
        let price = |market| {
            let hourly = self.prices.hourly(market, &instance.instance_type, &instance.zone, self.now);
            hourly.map(pico)
        };
        Rates { paid: price(instance.market), on_demand: price(Market::OnDemand) }
    }

    /// EC2 does not say when it took an instance back; its notice said when it would.
    fn taken_back_at(&self, instance: &Instance, seen_at: Timestamp) -> Option<Timestamp> {
        let by_ec2 = instance.state_reason.as_ref().is_some_and(|reason| reason.by == EndedBy::Ec2);
        let noticed = self.fleet.workers.get(&instance.id).filter(|_| by_ec2)?.interruption()?;
        Some(noticed.min(seen_at).max(instance.launched_at))
    }

    /// What holds a runner back whose budget is used up.
    fn over_budget(&self, section: &RunnerSettings) -> Option<HeldBack> {
        let budget = section.budget.as_ref()?;
        let spent = self.ledger.spent(&section.name, budget.per, self.now);
        let until = budget.per.ends(self.now);
        (spent >= pico(budget.usd)).then(|| HeldBack::Budget {
            spent: super::ledger::usd(spent),
            limit: budget.usd,
            per: budget.per,
            until,
        })
    }
}

/// What a worker does, unless it runs jobs.
fn plain_use(worker: &Worker, now: Timestamp) -> Option<Use> {
    let status = worker.status(now);
    if status != WorkerStatus::Unreachable && worker.jobs() > 0 {
        return None;
    }
    Some(match status {
        WorkerStatus::Unreachable => Use::Unknown,
        // It may have served for long: nobody has heard of it yet.
        WorkerStatus::Booting if !worker.boot_was_watched() => Use::Unknown,
        WorkerStatus::Booting => Use::Boot,
        WorkerStatus::Serving => Use::Idle,
        WorkerStatus::Draining | WorkerStatus::Ending => Use::Drain,
    })
}

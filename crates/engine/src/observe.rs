//! Taking in events: each changes what is known, none decides. Commands come of it only where an end must be followed up.

use std::time::Duration;

use jiff::Timestamp;

use super::attempt::Attempt;
use super::claims::Budget;
use super::command::{Command, Launch};
use super::event::{Event, LaunchAnswer, LaunchErrorClass, Leftover, WorkerEvent};
use super::failure::Failure;
use super::ids::{LaunchToken, RunnerName, Server, WorkerId};
use super::job::{Knowledge, QueueSnapshot};
use super::journal::Entry;
use super::launching::{LAUNCH_AGAIN, SLOW};
use super::matching::may_take;
use super::measure::Measure;
use super::measuring::ended;
use super::note::{Note, NoteKind, NoteLevel};
use super::offering::{LaunchPlan, Market, Offering};
use super::runner::Runner;
use super::settings::{RunnerSettings, Settings};
use super::snapshot::DecisionKind;
use super::state::Engine;
use super::step::FORGET_AGAIN;
use super::time::{after, since};
use super::transition::{Terminated, WorkerTransition};
use super::worker::{EndedBy, Instance, StateReason};
use super::workers::Worker;

/// A worker that turns out unfit in this time after its launch says something of all that are launched like it.
const YOUNG: Duration = Duration::from_secs(30 * 60);

impl Engine {
    /// Takes in one event.
    pub(super) fn observe(&mut self, event: Event) -> Vec<Command> {
        let now = self.now;
        match event {
            Event::Configured(settings) => self.configured(settings),
            Event::Runner { runner, facts } => {
                if let Some(known) = self.runners.get_mut(&runner) {
                    known.facts.take(facts, now);
                }
            }
            Event::Queue { server, snapshot } => {
                self.learn_from(&server, &snapshot);
                let queue = self.queues.entry(server.clone()).or_default();
                if let Ok(snapshot) = &snapshot {
                    self.job_names.followed(&server, queue.jobs(), &snapshot.jobs);
                }
                queue.answered(snapshot, now);
            }
            Event::LaunchPlan { runner, plan } => self.plan(&runner, plan),
            Event::Instances { asked_at, listing } => return self.listed(asked_at, listing),
            Event::Launched { token, answer } => self.launched(&token, &answer),
            Event::TerminateFailed { workers, failure } => self.terminate_failed(&workers, &failure),
            Event::Worker { worker, event } => return self.worker_event(&worker, event),
            Event::Forgotten { worker, outcome } => {
                if let Some(ended) = self.fleet.ended.get_mut(&worker) {
                    ended.forget =
                        if outcome.is_ok() { Attempt::Done } else { Attempt::Wait(after(now, FORGET_AGAIN)) };
                }
            }
            Event::JobsSeen { worker, asked_at, jobs } => self.jobs_seen(&worker, asked_at, jobs),
            Event::Retried { server, job, outcome } => {
                let runner = self.retries.runner(&server, job).cloned();
                let (text, again) = self.retries.answered(&server, job, outcome, now);
                self.journal.totals.jobs_retried += u64::from(again);
                let retried = runner.filter(|_| again).map(|runner| Measure::JobRetried { runner });
                retried.into_iter().for_each(|measure| self.journal.measured(measure));
                text.into_iter().for_each(|text| self.journal.note(now, Entry::new(DecisionKind::JobRetry, text)));
            }
            Event::Prices(snapshot) => self.prices.answered(snapshot),
            Event::Operator(request) => return self.operator_request(request),
        }
        Vec::new()
    }

    fn configured(&mut self, settings: Settings) {
        for runner in self.settings.iter().flat_map(|settings| &settings.runners) {
            let most = self.fleet.former_capacities.entry(runner.name.clone()).or_default();
            *most = runner.capacity.max(*most);
        }
        let workers = &self.fleet.workers;
        let has_workers = |name: &RunnerName| workers.values().any(|worker| worker.instance.runner == *name);
        if self.listing.knowledge(self.now) == Knowledge::Known {
            self.fleet.former_capacities.retain(|name, _| has_workers(name));
        }
        self.runners.retain(|name, _| settings.section(name).is_some());
        self.promises.retain(|name, _| settings.section(name).is_some());
        for runner in &settings.runners {
            self.runners.entry(runner.name.clone()).or_insert_with(Runner::new);
        }
        self.orders_for(&settings);
        self.queues.retain(|server, _| settings.runners.iter().any(|runner| runner.server == *server));
        self.forecasts.configured(&settings, self.now);
        self.settings = Some(settings);
    }

    /// The forecasts learn of the jobs that a poll shows for the first time. Each counts for the runner that it is in demand
    /// for: the first in file order that may take it and has room, else the first that may take it.
    fn learn_from(&mut self, server: &Server, snapshot: &Result<QueueSnapshot, Failure>) {
        let (Ok(snapshot), Some(settings), false) = (snapshot, &self.settings, self.forecasts.is_empty()) else {
            return;
        };
        let Self { runners, assessment, forecasts, .. } = self;
        let here: Vec<_> = settings.runners.iter().filter(|r| r.server == *server && r.sees_queue).collect();
        let names: Vec<RunnerName> = here.iter().map(|runner| runner.name.clone()).collect();
        forecasts.polled(server, snapshot, self.now, &names, |job| {
            let able = || {
                here.iter().filter(|runner| {
                    let facts = runners.get(&runner.name).and_then(|known| known.facts.known());
                    facts.is_some_and(|facts| may_take(&runner.name, facts, job))
                })
            };
            let has_room = |runner: &&&RunnerSettings| {
                let demand = assessment.demands.get(&runner.name);
                demand.is_none_or(|demand| {
                    demand.supply.running + demand.wanted.waiting
                        < demand.policy.max_workers.saturating_mul(runner.capacity)
                })
            };
            able().find(has_room).or_else(|| able().next()).map(|runner| runner.name.clone())
        });
    }

    fn jobs_seen(&mut self, id: &WorkerId, asked_at: Timestamp, jobs: Result<u32, Failure>) {
        let Some(worker) = self.fleet.workers.get_mut(id) else { return };
        let sees_all = self.settings.as_ref().is_some_and(|settings| {
            let section = settings.section(&worker.instance.runner);
            let queue = section.and_then(|section| self.queues.get(&section.server));
            queue.is_some_and(|queue| queue.hides_nothing(self.now, settings.check_interval))
        });
        worker.sighting.answered(asked_at, jobs, sees_all, self.now);
    }

    fn plan(&mut self, runner: &RunnerName, plan: Result<LaunchPlan, Failure>) {
        let Some(known) = self.runners.get_mut(runner) else { return };
        let before = known.plan.known().cloned();
        known.plan.take(plan, self.now);
        // What was refused may have been the old image or group: a new template deserves a try of its own.
        if known.plan.known() != before.as_ref() {
            known.refused.succeed();
        }
    }

    fn listed(&mut self, asked_at: Timestamp, listing: Result<Vec<Instance>, Failure>) -> Vec<Command> {
        let now = self.now;
        match listing {
            Err(failure) => {
                self.listing.answered(asked_at, Some(failure));
                Vec::new()
            }
            // A question from the future was asked before the clock was set back: nobody knows how old its answer is, and it
            // was asked again since.
            Ok(_) if asked_at > now || self.listing.is_overtaken(asked_at) => Vec::new(),
            Ok(instances) => {
                self.listing.answered(asked_at, None);
                self.look_for_rivals(&instances);
                let newcomers = self.newcomers(&instances);
                self.tell_newcomers(&newcomers);
                self.book_listing(&instances, asked_at);
                let transitions = self.fleet.listed(now, asked_at, instances);
                self.orders_after_listing(&newcomers);
                transitions.into_iter().filter_map(|transition| self.follow_up(transition)).collect()
            }
        }
    }

    /// Another manager of our name would launch what we launch, and end what we need.
    fn look_for_rivals(&mut self, instances: &[Instance]) {
        for instance in instances.iter().filter(|instance| !self.fleet.workers.contains_key(&instance.id)) {
            let Some(rival) = self.rivals.see(instance, &self.mint, self.now) else { continue };
            let what = if self.rivals.elder(&self.mint, self.now).is_some() {
                "it was there before, so this one launches nothing"
            } else {
                "it came later, and launches nothing where it is of this release or newer"
            };
            let text = format!(
                "another manager of this name was started at {:.0} and has launched {}: {what}; stop one of the two",
                rival.started_at, instance.id
            );
            self.journal.note(self.now, Entry::new(DecisionKind::AnotherManager, text).on(&instance.id));
        }
    }

    fn worker_event(&mut self, worker: &WorkerId, event: WorkerEvent) -> Vec<Command> {
        let Some(known) = self.fleet.workers.get(worker) else { return Vec::new() };
        let budget = self.budget(&known.instance.runner);
        let event = match event {
            WorkerEvent::Report(report) => WorkerEvent::Report(Box::new(budget.believed(*report))),
            WorkerEvent::Connected | WorkerEvent::NoAgent | WorkerEvent::Disconnected(_) => event,
        };
        let mut taken = 0;
        if let (WorkerEvent::Report(report), Some(last)) = (&event, &known.heard) {
            taken = budget.taken(&last.report, report, since(self.now, last.at));
            let runner = &known.instance.runner;
            self.forecasts.reported(runner, last.report.jobs(), taken, report.jobs(), self.now);
        }
        if let WorkerEvent::Report(report) = &event {
            let before = known.heard.as_ref().map(|heard| heard.report.clone());
            self.tell_jobs(worker, before.as_ref(), report);
            self.measure_jobs(worker, before.as_ref(), report, taken);
        }
        let transitions = self.fleet.worker_event(self.now, worker, event, taken);
        self.book_report(worker);
        self.note_fitness(worker);
        self.note_endangered_jobs(worker);
        transitions.into_iter().filter_map(|transition| self.follow_up(transition)).collect()
    }

    /// A worker that has been fit for long shows that others of its kind will be.
    fn note_fitness(&mut self, id: &WorkerId) {
        let Some(worker) = self.fleet.workers.get(id) else { return };
        if worker.has_served()
            && worker.unfit.is_none()
            && worker.age(self.now) >= YOUNG
            && let Some(runner) = self.runners.get_mut(&worker.instance.runner)
        {
            runner.was_fit();
        }
    }

    /// How far the workers of this runner are believed.
    fn budget(&self, runner: &RunnerName) -> Budget {
        let slots = self.settings.as_ref().map_or(1, |settings| self.fleet.slots_at_most(settings, runner));
        Budget { slots: slots.max(1), queue: self.settings.as_ref().map_or(0, |settings| settings.concurrent) }
    }

    /// Jobs that a worker runs under an interruption notice may have to be retried.
    fn note_endangered_jobs(&mut self, id: &WorkerId) {
        let Some((settings, worker)) = self.settings.as_ref().zip(self.fleet.workers.get(id)) else { return };
        let Some(report) = worker.report().filter(|report| report.interruption.is_some()) else { return };
        self.retries.note(settings, &worker.instance.runner, id, &report.projects, self.now);
    }

    /// Follows up what is new about a worker.
    fn follow_up(&mut self, transition: WorkerTransition) -> Option<Command> {
        let now = self.now;
        match transition {
            WorkerTransition::Ready(id) => {
                self.tell_ready(&id);
                let worker = self.fleet.workers.get(&id)?;
                if let Some(runner) = self.runners.get_mut(&worker.instance.runner)
                    && worker.boot_was_watched()
                {
                    runner.boot_succeeded();
                    self.forecasts.booted(&worker.instance.runner, worker.age(now));
                }
                None
            }
            WorkerTransition::Interrupted(id) => {
                self.journal.totals.interruptions += 1;
                let text = format!("{id} gets an interruption notice{}", self.noticed(&id));
                let jobs = self.fleet.workers.get(&id).map_or(0, Worker::jobs);
                let with_jobs = if jobs > 0 { format!("; it runs {jobs} jobs") } else { String::new() };
                let note = Note::new(NoteKind::Interrupted, format!("{text}{with_jobs}")).with_jobs(jobs.into());
                let note = match self.fleet.workers.get(&id) {
                    Some(worker) => {
                        let runner = worker.instance.runner.clone();
                        self.journal.measured(Measure::Interrupted { runner });
                        note.on(&worker.instance)
                    }
                    None => note,
                };
                self.journal.note_as(now, Entry::new(DecisionKind::Interruption, text).on(&id), note);
                None
            }
            WorkerTransition::Endangered(id) => {
                let text = format!("EC2 may take {id} back soon{}", self.noticed(&id));
                self.journal.note(now, Entry::new(DecisionKind::Rebalance, text).on(&id));
                None
            }
            WorkerTransition::Unfit(id, why) => {
                let worker = self.fleet.workers.get(&id)?;
                self.journal.totals.unfit += 1;
                let text = format!("{id} is unfit to run jobs: {why}");
                self.journal.tell(Note::new(NoteKind::Unfit, text).on(&worker.instance));
                // What makes a worker unfit so early makes the next one, too.
                if worker.is_launched_here()
                    && worker.age(now) < YOUNG
                    && let Some(runner) = self.runners.get_mut(&worker.instance.runner)
                {
                    runner.was_unfit(now, format!("{id} was unfit to run jobs: {why}"), &mut self.jitter);
                }
                None
            }
            WorkerTransition::Returned(id) => {
                let worker = self.fleet.workers.get(&id)?;
                let Instance { address, runner, .. } = &worker.instance;
                let want = worker.wanted();
                Some(Command::Connect { worker: id, runner: runner.clone(), address: (*address)?, want })
            }
            WorkerTransition::Ended(passing) => {
                self.ended(&passing);
                Some(Command::Disconnect { worker: passing.instance.id })
            }
        }
    }

    /// A worker says that EC2 takes it back, or may. Its successor must not come from where that is so; the answer says it.
    fn noticed(&mut self, id: &WorkerId) -> String {
        let Some(Worker { instance, .. }) = self.fleet.workers.get(id) else { return String::new() };
        if !self.notices.is_confirmed(instance, self.now) {
            return String::new();
        }
        self.cooldowns.close_where(instance, "its workers were told that EC2 takes them back", self.now);
        format!(", as others there; {} is left alone for a while", instance.place())
    }

    fn ended(&mut self, passing: &Terminated) {
        let note = self.ended_note(passing);
        let Terminated { instance, asked, jobs, projects, booting, proven, .. } = passing;
        self.journal.measured(ended(passing));
        if *proven && let Some(runner) = self.runners.get_mut(&instance.runner) {
            runner.was_fit();
        }
        if *asked {
            self.journal.tell(note);
            return;
        }
        let now = self.now;
        let why = instance.state_reason.as_ref().map_or("EC2 gives no reason".into(), StateReason::told);
        let taken_back = instance.state_reason.as_ref().is_some_and(|reason| reason.by == EndedBy::Ec2);
        let lost = if *jobs > 0 { format!(", with {jobs} running jobs") } else { String::new() };
        let entry = Entry::new(DecisionKind::Ended, format!("{} has ended by itself{lost}: {why}", instance.id));
        self.journal.note_as(now, entry.of(&instance.runner).on(&instance.id), note);
        if instance.market == Market::Spot && taken_back {
            self.cooldowns.close_where(instance, &why, now);
            if let Some(settings) = &self.settings {
                self.retries.note(settings, &instance.runner, &instance.id, projects, now);
            }
        } else if *booting && let Some(runner) = self.runners.get_mut(&instance.runner) {
            runner.boot_failed(now, format!("{} ended while booting: {why}", instance.id), &mut self.jitter);
            self.journal.totals.boots_failed += 1;
            let runner = instance.runner.clone();
            self.journal.measured(Measure::BootFailed { runner, step: passing.stood_at });
        }
    }

    fn cool(&mut self, offering: &Offering, class: LaunchErrorClass, said: &str) {
        self.cooldowns.close(offering, class, said, self.now);
    }

    fn launched(&mut self, token: &LaunchToken, answer: &LaunchAnswer) {
        let now = self.now;
        let named_first = self.named_first(answer);
        let Some(launch) = self.fleet.answered(now, token, answer) else { return };
        self.tell_launched(&named_first);
        self.book_launched(answer);
        let given = u32::try_from(answer.launched.len()).unwrap_or(u32::MAX);
        self.journal.totals.workers_launched += u64::from(given);
        for launched in &answer.launched {
            let from = launch
                .offerings
                .iter()
                .find(|offering| offering.instance_type == launched.instance_type && offering.zone == launched.zone);
            if let Some(offering) = from {
                self.cooldowns.reopen(offering, token, now);
            }
        }
        if given > 0 {
            self.slow.relent(now);
            if let Some(runner) = self.runners.get_mut(&launch.runner) {
                runner.refused.succeed();
            }
        }
        if given >= launch.count
            && let Some(runner) = self.runners.get_mut(&launch.runner)
            && runner.short.take().is_some()
        {
            let text = format!("EC2 gives all that is asked for {} again", launch.runner);
            self.journal.tell(Note::new(NoteKind::LaunchFull, text).of(&launch.runner));
        }
        if given < launch.count {
            self.journal.totals.launches_short += 1;
            self.fell_short(&launch, answer, given);
        }
        self.cooldowns.end_probes(token);
        // Still there: its outcome is open. It is asked for again, at the pace of one who was turned away.
        if let Some(flight) = self.fleet.flights.get_mut(token) {
            let patience = after(now, LAUNCH_AGAIN);
            let again_at = self.slow.closed_until(now).map_or(patience, |until| until.max(patience));
            flight.sending = Attempt::Wait(again_at);
        }
    }

    /// Draws the conclusions from a launch that gave fewer workers than it asked for.
    fn fell_short(&mut self, launch: &Launch, answer: &LaunchAnswer, given: u32) {
        let now = self.now;
        let mut codes: Vec<&str> = answer.errors.iter().map(|error| error.code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        let said = if codes.is_empty() { "no reason given".to_owned() } else { codes.join(", ") };
        let text = format!("EC2 gave {given} of {} for {}: {said}", launch.count, launch.runner);
        let entry = Entry::new(DecisionKind::LaunchShort, text).of(&launch.runner);
        // The same answer again is no news, and comes every half minute while a shortage lasts.
        let known = self.runners.get_mut(&launch.runner).and_then(|runner| runner.short.replace(said.clone()));
        let level = if known.as_ref() == Some(&said) { NoteLevel::Debug } else { NoteLevel::Warning };
        let note = Note::new(NoteKind::LaunchShort, short(launch, answer, given)).of(&launch.runner).at(level);
        self.journal.note_as(now, entry, Note { market: Some(launch.market), ..note });

        if answer.errors.is_empty() {
            launch.offerings.iter().for_each(|offering| self.cool(offering, LaunchErrorClass::Capacity, &said));
        }
        let (mut slow, mut refusal) = (answer.leftover == Leftover::Possible, None);
        for error in &answer.errors {
            match (error.class, &error.offering) {
                (LaunchErrorClass::Slow, _) => slow = true,
                (LaunchErrorClass::Denied, _) | (LaunchErrorClass::Invalid, None) => {
                    refusal = Some(format!("{}: {}", error.code, error.message));
                }
                // Wrong for this type and zone alone (`InvalidFleetConfiguration`): it will not become right soon.
                (LaunchErrorClass::Invalid, Some(offering)) => {
                    self.cool(offering, LaunchErrorClass::Unsupported, &error.code)
                }
                (class, Some(offering)) => self.cool(offering, class, &error.code),
                (class, None) => {
                    launch.offerings.iter().for_each(|offering| self.cool(offering, class, &error.code));
                }
            }
        }
        if slow {
            self.slow.fail(now, SLOW, &mut self.jitter);
        }
        if let (Some(why), Some(runner)) = (refusal, self.runners.get_mut(&launch.runner)) {
            runner.launch_refused(now, why, &mut self.jitter);
        }
    }

    fn terminate_failed(&mut self, workers: &[WorkerId], failure: &Failure) {
        let names: Vec<&str> = workers.iter().map(WorkerId::as_str).collect();
        // The command is repeated until a listing shows the end; see `retirement`.
        let text = format!("EC2 did not terminate {}: {failure}", names.join(", "));
        self.journal.note(self.now, Entry::new(DecisionKind::TerminateFailed, text));
    }
}

/// What EC2 gave of a launch, and what it said of each kind of failure, once, with where that was.
fn short(launch: &Launch, answer: &LaunchAnswer, given: u32) -> String {
    let at = |offering: &Offering| format!("{} in {}", offering.instance_type, offering.zone);
    let sentence = |((code, message), offerings): (_, Vec<&Offering>)| match offerings.as_slice() {
        [] => format!("{code}: {message}"),
        all => format!("{code} ({}): {message}", all.iter().copied().map(at).collect::<Vec<_>>().join(", ")),
    };
    let reasons: Vec<String> = answer.reasons().into_iter().map(sentence).collect();
    let why = if reasons.is_empty() { "it gives no reason".to_owned() } else { reasons.join("; ") };
    format!("EC2 gave {given} of {} {} workers for {}: {why}", launch.count, launch.market, launch.runner)
}

//! One synchronous discrete-event model of GitLab, EC2 and the workers, in virtual time.
//!
//! The world speaks exactly the engine's vocabulary: [`World::apply`] takes a command and schedules what follows from
//! it, [`World::advance_to`] lets time pass and returns what the manager hears until then, in order. It is deterministic:
//! one scenario, one seed and the same commands at the same times give the same log.
//!
//! The rules are those of the real ones, simplified where the manager cannot tell the difference: GitLab hands a
//! pending job to the first waiting request that may take it, by id (`app/services/ci/register_job_service.rb`); EC2's
//! listings lag behind (EC2 Developer Guide, "Eventual consistency"), tokens never launch twice ("Ensuring
//! idempotency"), spot notices come two minutes before the end; gitlab-runner with an empty `[[runners]]` list asks no
//! more and finishes what it has.

mod agenda;
mod cloud;
mod connection;
mod failures;
mod gitlab;
mod host;
mod host_faults;
mod operator_faults;
mod orders;
mod prices;
mod resources;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::{Command, Event, JobId, Settings, SystemId, WorkerId};

use super::agenda::Agenda;
use super::event_log::{EventLog, Fact};
use super::faults::Faults;
use super::rng::{Rng, Stream};
use super::scenario::Scenario;

use agenda::Happening;
use cloud::Cloud;
pub use cloud::Machine;
use gitlab::GitLab;
pub(crate) use gitlab::may_take;
pub use gitlab::{Job, JobState};
pub use host::{Host, Lie};
use operator_faults::Wishes;
use resources::Stock;

/// The world.
#[derive(Clone, Debug)]
pub struct World {
    scenario: Scenario,
    now: Timestamp,
    /// Counts the manager's starts; what was meant for an earlier one is lost.
    incarnation: u32,
    manager_up: bool,
    agenda: Agenda<Happening>,
    rng: Rng,
    pub(super) heard: Vec<Event>,
    gitlab: GitLab,
    cloud: Cloud,
    stock: Stock,
    hosts: BTreeMap<WorkerId, Host>,
    wishes: Wishes,
    pub(super) log: EventLog,
    /// Whether something was heard that is more than a beat.
    event: bool,
}

impl World {
    /// A world at the scenario's start, before the manager's first start.
    pub fn new(scenario: Scenario, seed: u64) -> Self {
        let start = scenario.start;
        let mut world = Self {
            now: start,
            incarnation: 0,
            manager_up: false,
            agenda: Agenda::default(),
            rng: Rng::new(seed),
            heard: Vec::new(),
            gitlab: GitLab::default(),
            cloud: Cloud::default(),
            stock: Stock::inherited(&scenario),
            hosts: BTreeMap::new(),
            wishes: Wishes::default(),
            log: EventLog { counts_only: scenario.lean, ..EventLog::default() },
            event: false,
            scenario,
        };
        if world.scenario.lean {
            world.scenario.jobs.sort_by_key(|job| job.after);
            world.plan_arrival(0);
        } else {
            for (index, job) in world.scenario.jobs.iter().enumerate() {
                world.agenda.put(later(start, job.after), Happening::JobArrives(index));
            }
        }
        for after in &world.scenario.interruptions {
            world.agenda.put(later(start, *after), Happening::SomeInterruption);
        }
        world.plan_people();
        world.plan_administrators();
        world.plan_deletion_by_hand();
        world
    }

    /// The manager starts: its own watching (queues, runners, preparations) begins.
    pub fn manager_starts(&mut self, now: Timestamp) {
        self.roll_to(now);
        self.incarnation += 1;
        self.manager_up = true;
        self.wishes.manager_starts(&self.scenario.settings);
        self.log.note(self.now, Fact::ManagerUp);
        let incarnation = self.incarnation;
        let runners: Vec<_> = self.scenario.settings.runners.iter().map(|runner| runner.name.clone()).collect();
        let servers: std::collections::BTreeSet<_> =
            self.scenario.settings.runners.iter().filter(|r| r.sees_queue).map(|r| r.server.clone()).collect();
        self.agenda.put(self.now, Happening::LookAtPrices { incarnation });
        for runner in runners {
            self.agenda.put(self.now, Happening::ReadRunner { incarnation, runner: runner.clone() });
            self.begin_preparing(Duration::ZERO, runner);
        }
        for server in servers {
            self.agenda
                .put(later(self.now, Duration::from_millis(300)), Happening::LookAtQueue { incarnation, server });
        }
    }

    /// The manager dies: connections break, answers on their way are lost, and workers and jobs go on.
    pub fn manager_dies(&mut self, now: Timestamp) {
        self.roll_to(now);
        self.manager_up = false;
        self.heard.clear();
        self.log.note(self.now, Fact::ManagerDown);
        self.cloud.forget_what_was_shown();
        self.stock.manager_dies();
        let workers: Vec<_> = self.hosts.keys().cloned().collect();
        for worker in workers {
            self.let_link_go(&worker);
        }
    }

    /// Lets time pass until `now`; what the manager heard until then, in order.
    pub fn advance_to(&mut self, now: Timestamp) -> Vec<Event> {
        self.roll_to(now);
        std::mem::take(&mut self.heard)
    }

    /// Lets time pass until something is heard that is more than a beat (a report in which nothing has changed), or until
    /// `until`; what the manager heard until then is taken with [`Self::advance_to`].
    pub fn wait_for_news(&mut self, until: Timestamp) -> Timestamp {
        self.event = false;
        while !self.event
            && let Some((at, happening)) = self.agenda.take_until(until)
        {
            self.now = self.now.max(at);
            self.happen(happening);
        }
        if !self.event {
            self.now = self.now.max(until);
        }
        self.now
    }

    /// When something happens next.
    pub fn next_at(&self) -> Option<Timestamp> {
        if self.heard.is_empty() { self.agenda.next_at() } else { Some(self.now) }
    }

    /// Begins to carry out a command; what comes of it is heard later.
    pub fn apply(&mut self, now: Timestamp, command: &Command) {
        self.roll_to(now);
        if !self.scenario.lean {
            self.log.note(self.now, Fact::Commanded(Box::new(command.clone())));
        }
        match command {
            Command::ListInstances { with_health } => self.list(*with_health),
            Command::Launch(launch) => self.send_launch(launch.clone()),
            Command::Connect { worker, runner: _, address: _, want } => self.connect(worker, want.as_ref()),
            Command::Disconnect { worker } => self.let_link_go(worker),
            Command::Want { worker, want } => self.want(worker, want),
            Command::Terminate(all) => self.send_terminate(all.clone()),
            Command::Forget { worker, runner: _, system_id } => self.forget(worker, system_id.clone()),
            Command::LookForJobs { worker, runner: _, runner_id: _, system_id } => {
                self.look_for_jobs(worker, system_id.clone());
            }
            Command::Retry { worker, runner: _, runner_id: _, server, project: _, job } => {
                self.send_retry(worker, server, *job);
            }
        }
    }

    /// The administrator changes the configuration; the engine must be told separately.
    pub fn reconfigure(&mut self, settings: Settings) {
        self.wishes.replaced(self.now, std::mem::replace(&mut self.scenario.settings, settings));
    }

    /// What the world was made from.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The time that it is.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What truly happened.
    pub fn log(&self) -> &EventLog {
        &self.log
    }

    /// All jobs that were queued so far.
    pub fn jobs(&self) -> impl Iterator<Item = (JobId, &Job)> {
        self.gitlab.jobs.iter().map(|(id, job)| (*id, job))
    }

    /// One job.
    pub fn job(&self, id: JobId) -> Option<&Job> {
        self.gitlab.jobs.get(&id)
    }

    /// All instances that were ever launched.
    pub fn machines(&self) -> impl Iterator<Item = (&WorkerId, &Machine)> {
        let past = self.cloud.past.iter().map(|(id, machine)| (id, machine));
        past.chain(&self.cloud.machines)
    }

    /// The insides of all instances that were ever launched.
    pub fn hosts(&self) -> impl Iterator<Item = (&WorkerId, &Host)> {
        self.hosts.iter()
    }

    /// The runner-manager rows in GitLab.
    pub fn rows(&self) -> impl Iterator<Item = (&SystemId, &WorkerId)> {
        self.gitlab.rows.iter()
    }

    /// Whether a configured runner may take this job at all.
    pub fn is_runnable(&self, job: &Job) -> bool {
        self.scenario.settings.runners.iter().any(|runner| {
            self.scenario.facts.get(&runner.name).is_some_and(|facts| gitlab::hands_out(facts, &job.spec))
        })
    }

    /// Whether every job of the scenario has been queued and has come to an end, as far as a runner may take it.
    pub fn is_done(&self) -> bool {
        self.gitlab.arrived == self.scenario.jobs.len()
            && self.jobs().all(|(_, job)| (job.state.is_over() && !job.comes_again()) || !self.is_runnable(job))
    }

    /// Jobs that wait or run, or are still to come.
    pub fn open_jobs(&self) -> usize {
        self.gitlab.open + self.scenario.jobs.len().saturating_sub(self.gitlab.arrived)
    }

    /// Instances that have not begun to end.
    pub fn live(&self) -> impl Iterator<Item = (&WorkerId, &Machine)> {
        self.cloud.machines.iter().filter(|(_, machine)| machine.ending.is_none())
    }

    fn roll_to(&mut self, now: Timestamp) {
        while let Some((at, happening)) = self.agenda.take_until(now) {
            self.now = self.now.max(at);
            self.happen(happening);
        }
        self.now = self.now.max(now);
    }

    fn happen(&mut self, happening: Happening) {
        match happening {
            Happening::Hear { incarnation, event } => {
                self.event = true;
                self.hear(incarnation, *event);
            }
            Happening::HearBeat { incarnation, event } => self.hear(incarnation, *event),
            Happening::JobArrives(index) => self.job_arrives(index),
            Happening::LookAtQueue { incarnation, server } => self.look_at_queue(incarnation, server),
            Happening::ReadRunner { incarnation, runner } => self.read_runner(incarnation, runner),
            Happening::Prepare { round, runner } => self.prepare(round, runner),
            Happening::Make { round, runner, seen } => self.make(round, runner, &seen),
            Happening::CollectGarbage { round, runner, template } => self.collect_garbage(round, runner, &template),
            Happening::SomeDeletion => self.some_deletion(),
            Happening::ReadConfiguration { incarnation } => self.read_configuration(incarnation),
            Happening::LookAtPrices { incarnation } => self.look_at_prices(incarnation),
            Happening::HandOut => self.hand_out(),
            Happening::JobShows { worker, job, by_docker } => self.job_shows(&worker, job, by_docker),
            Happening::JobEnds { worker, job } => self.job_ends(&worker, job),
            Happening::Asks(worker) => self.runner_asks(&worker),
            Happening::RequestEnds { worker, request } => self.request_ends(&worker, request),
            Happening::ReadLaunch { incarnation, launch } => self.read_launch(incarnation, *launch),
            Happening::ReadListing { incarnation, asked_at, with_health } => {
                self.read_listing(incarnation, asked_at, with_health);
            }
            Happening::ReadTerminate { incarnation, all } => self.read_terminate(incarnation, all),
            Happening::ReadForget { incarnation, worker, row } => self.read_forget(incarnation, worker, row),
            Happening::ReadRetry { incarnation, worker, server, job } => {
                self.read_retry(incarnation, &worker, server, job)
            }
            Happening::ReadJobs { incarnation, asked_at, worker, row } => {
                self.read_jobs(incarnation, asked_at, worker, &row);
            }
            Happening::RetriesItself(job) => self.retries_itself(job),
            Happening::Gone(worker) => self.instance_gone(&worker),
            Happening::PutAway(worker) => self.put_away(&worker),
            Happening::Boots { worker, stage } => self.boots(&worker, stage),
            Happening::Serves { worker, incarnation } => self.serves(&worker, incarnation),
            Happening::Told { worker, connection, goal } => self.told(&worker, connection, goal),
            Happening::Stopped(worker) => self.runner_stopped(&worker),
            Happening::LinkAttempt { worker, connection } => self.link_attempt(&worker, connection),
            Happening::Reports { worker, connection } => self.reports_again(&worker, connection),
            Happening::LinkBreaks(worker) => self.link_breaks(&worker),
            Happening::OrphanCheck(worker) => self.orphan_check(&worker),
            Happening::SomeInterruption => self.some_interruption(),
            Happening::Interrupts(worker) => self.interrupts(&worker),
            Happening::Reclaims(worker) => self.reclaims(&worker),
            Happening::HostDies(worker) => self.host_dies(&worker),
            Happening::FallsSick(worker) => self.falls_sick(&worker),
            Happening::FindsItselfUnfit(worker) => self.finds_itself_unfit(&worker),
            Happening::FallsSilent(worker) => self.falls_silent(&worker),
            Happening::SpeaksAgain(worker) => self.speaks_again(&worker),
            Happening::RunnerCrashes(worker) => self.runner_crashes(&worker),
            Happening::SomeHold => self.some_hold(),
            Happening::HoldEnds(worker) => self.hold_ends(&worker),
            Happening::SomeCancel => self.some_cancel(),
            Happening::SomeDrain => self.some_drain(),
            Happening::SomePause => self.some_pause(),
            Happening::PauseEnds(runner) => self.pause_ends(runner),
            Happening::SomeReconfiguration => self.some_reconfiguration(),
            Happening::SomeDrift => self.some_drift(),
        }
    }

    /// The faults that can still begin.
    fn faults(&self) -> &Faults {
        &self.scenario.faults
    }

    fn is_calm(&self) -> bool {
        self.since_start() >= self.faults().until
    }

    fn since_start(&self) -> Duration {
        Duration::try_from(self.now.duration_since(self.scenario.start)).unwrap_or_default()
    }

    /// Whether a fault of this rate happens now.
    fn strikes(&mut self, stream: Stream, rate: impl Fn(&Faults) -> f64) -> bool {
        !self.is_calm() && self.rng.chance(stream, rate(&self.scenario.faults))
    }

    /// Something happens after a while.
    fn soon(&mut self, after: Duration, happening: Happening) {
        self.agenda.put(later(self.now, after), happening);
    }

    /// The answer to a call is on its way to the manager, and may meet with the usual accidents.
    fn answer(&mut self, incarnation: u32, after: Duration, event: Event) {
        if self.strikes(Stream::Answers, |faults| faults.answer_lost) {
            self.log.note(self.now, Fact::Fault("an answer is lost", None));
            return;
        }
        let mut after = after;
        if self.strikes(Stream::Answers, |faults| faults.answer_late) {
            after += self.rng.millis(Stream::Answers, 1_000, 30_000);
            self.log.note(self.now, Fact::Fault("an answer is late", None));
        }
        if self.strikes(Stream::Answers, |faults| faults.answer_doubled) {
            let again = after + self.rng.millis(Stream::Answers, 0, 5_000);
            self.soon(again, Happening::Hear { incarnation, event: Box::new(event.clone()) });
            self.log.note(self.now, Fact::Fault("an answer comes twice", None));
        }
        self.soon(after, Happening::Hear { incarnation, event: Box::new(event) });
    }

    /// Somebody sets the clock of the manager's host.
    pub(super) fn clock_is_set(&mut self, now: Timestamp) {
        self.cloud.nothing_is_shown_before(now);
    }

    fn hear(&mut self, incarnation: u32, event: Event) {
        if self.manager_up && incarnation == self.incarnation {
            // In a lean world nobody holds an instance.
            if let Event::Instances { asked_at, listing: Ok(instances) } = &event
                && !self.scenario.lean
            {
                self.cloud.was_shown(*asked_at, instances);
            }
            self.heard.push(event);
        }
    }
}

/// `at` plus `after`; the end of time where that is not representable.
pub(crate) fn later(at: Timestamp, after: Duration) -> Timestamp {
    at.saturating_add(after).unwrap_or(Timestamp::MAX)
}

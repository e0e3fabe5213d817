//! What every autoscaler stands on: GitLab's queue, EC2's boots and interruptions, and the recording.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::agenda::Agenda;
use crate::assumptions::Assumptions;
use crate::configured::Setting;
use crate::prices;
use crate::recording::{JobOutcome, JobRun, MachineRun, Recording};
use crate::rng::{Rng, Stream};
use crate::scenario::boot_time;
use crate::world::later;
use runner_fleet_engine::{Market, Offering, policy_at};

/// Between EC2's notice and the end.
const NOTICE: Duration = Duration::from_secs(120);
/// GitLab hears of a lost job, and queues it again, about then: as in our world.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// How long GitLab holds a job request.
const LONG_POLL: Duration = Duration::from_secs(50);

/// The place of a machine in [`Recording::machines`].
pub(super) type MachineIndex = usize;
/// The place of a job's run in [`Recording::jobs`].
pub(super) type RunIndex = usize;

/// An open job request.
struct Poll {
    number: u64,
    opened_at: Timestamp,
    /// Whether GitLab is about to answer it.
    answered: bool,
}

/// What GitLab answers to a job request.
pub(super) enum Answer {
    /// A job.
    Job(RunIndex),
    /// Nothing: the runner asks again on its next round.
    Empty,
    /// Nothing yet, or the request is over already.
    None,
}

/// One runner section's world, without a policy.
pub(super) struct BaseModel<'a, T> {
    pub(super) now: Timestamp,
    pub(super) agenda: Agenda<T>,
    pub(super) rng: Rng,
    pub(super) recording: Recording,
    /// In the order in which GitLab hands them out.
    pub(super) queue: VecDeque<RunIndex>,
    setting: &'a Setting,
    /// Jobs of the workload that have been queued.
    arrived: usize,
    /// Runs that are not over.
    open: usize,
    /// The run is given up then.
    limit: Timestamp,
    offerings: Vec<Offering>,
    pub(super) market: Market,
    open_polls: Vec<Poll>,
    /// Requests that may be open at one time.
    polls_max: usize,
    polls: u64,
    /// When the last job was queued.
    queued_at: Timestamp,
    held_end_empty: bool,
}

impl<'a, T> BaseModel<'a, T> {
    pub(super) fn new(setting: &'a Setting, assumed: &Assumptions, seed: u64) -> Self {
        let scenario = &setting.scenario;
        let market = scenario.settings.runners.first().map_or(Market::Spot, |runner| runner.market);
        let first = scenario.settings.runners.first().and_then(|runner| scenario.plans.get(&runner.name));
        Self {
            now: scenario.start,
            agenda: Agenda::default(),
            rng: Rng::new(seed),
            recording: Recording::default(),
            queue: VecDeque::new(),
            setting,
            arrived: 0,
            open: 0,
            limit: later(scenario.start, scenario.limit()),
            offerings: first.iter().flat_map(|plan| &plan.places).map(|place| place.on(market)).collect(),
            market,
            open_polls: Vec::new(),
            polls_max: assumed.request_concurrency.max(1) as usize,
            polls: 0,
            queued_at: scenario.start,
            held_end_empty: scenario.held_end_empty,
        }
    }

    /// Machines or slots that are to be idle while `in_use` are not, and how long one above that stays. The others know
    /// periods and factors too, but no forecast: they keep nothing ready where a section says `"auto"`, and are
    /// given the shortest time of those that ours may follow.
    pub(super) fn idle(&self, in_use: u32) -> (u32, Duration) {
        let runner = self.setting.scenario.settings.runners.first();
        let policy = runner.map(|runner| policy_at(runner, self.now).idle);
        policy.map_or((0, Duration::ZERO), |idle| (idle.wanted(in_use, 0), idle.time.for_boots_of(Duration::ZERO)))
    }

    pub(super) fn soon(&mut self, after: Duration, what: T) {
        self.agenda.put(later(self.now, after), what);
    }

    /// The next thing that happens; none once every job is over.
    pub(super) fn next(&mut self) -> Option<T> {
        let all = self.arrived == self.setting.scenario.jobs.len();
        if all && self.open == 0 {
            return None;
        }
        let (at, what) = self.agenda.take_until(self.limit)?;
        self.now = self.now.max(at);
        Some(what)
    }

    /// When the next job of the workload is queued.
    pub(super) fn next_arrival(&self) -> Option<Timestamp> {
        let job = self.setting.scenario.jobs.get(self.arrived)?;
        Some(later(self.setting.scenario.start, job.after))
    }

    /// The next job of the workload is queued.
    pub(super) fn arrive(&mut self) {
        self.enqueue(self.arrived, 0);
        self.arrived += 1;
    }

    fn enqueue(&mut self, index: usize, attempt: u32) {
        self.queue.push_back(self.recording.jobs.len());
        self.queued_at = self.now;
        self.open += 1;
        self.recording.jobs.push(JobRun {
            index,
            attempt,
            queued_at: self.now,
            started_at: None,
            ended_at: None,
            outcome: JobOutcome::Open,
            machine: None,
        });
    }

    /// A job begins on a machine after `overhead`; returns when it will be done.
    pub(super) fn begin(&mut self, run: RunIndex, machine: MachineIndex, overhead: Duration) -> Duration {
        let own = self.rng.millis(Stream::Jobs, 600, 5_000);
        let Some(job) = self.recording.jobs.get_mut(run) else { return own };
        job.started_at = Some(later(self.now, overhead));
        job.machine = Some(machine);
        let takes = self.setting.scenario.jobs.get(job.index).map(|job| job.takes).unwrap_or_default();
        overhead + own + takes
    }

    /// A job is over; one that was lost is queued again where its YAML says so. True where it will be.
    pub(super) fn finish(&mut self, run: RunIndex, outcome: JobOutcome) -> bool {
        let Some(job) = self.recording.jobs.get_mut(run).filter(|job| job.outcome == JobOutcome::Open) else {
            return false;
        };
        job.outcome = outcome;
        job.ended_at = Some(self.now);
        let retries = self.setting.scenario.jobs.get(job.index).map_or(0, |job| job.retries);
        let again = outcome != JobOutcome::Done && job.attempt < retries;
        if !again {
            self.open = self.open.saturating_sub(1);
        }
        again
    }

    /// How long after its end a lost job is queued again.
    pub(super) fn retry_after() -> Duration {
        RETRY_AFTER
    }

    /// A lost job is queued again.
    pub(super) fn requeue(&mut self, run: RunIndex) {
        if let Some((index, attempt)) = self.recording.jobs.get(run).map(|job| (job.index, job.attempt)) {
            self.open = self.open.saturating_sub(1);
            self.enqueue(index, attempt + 1);
        }
    }

    /// Any of the configuration's offerings: some chance among the cheapest, as our own launches.
    pub(super) fn any_offering(&mut self) -> Option<Offering> {
        let mut ranked = match self.market {
            Market::Spot => prices::cheapest_first(self.setting.scenario.price_seed, &self.offerings, self.now),
            Market::OnDemand => self.offerings.clone(),
        };
        ranked.truncate(if self.market == Market::Spot { 3 } else { 1 });
        let index = self.rng.pick(Stream::Market, ranked.len());
        ranked.get(index).cloned()
    }

    /// The configuration's first type in its first zone.
    pub(super) fn first_offering(&self) -> Option<Offering> {
        self.offerings.first().cloned()
    }

    /// Whether an offering has no capacity just now.
    pub(super) fn is_refused(&mut self) -> bool {
        let rate = if self.market == Market::Spot { self.setting.scenario.faults.no_capacity } else { 0.0 };
        self.rng.chance(Stream::Market, rate)
    }

    /// EC2 creates a machine; returns its place on the recording and how long its boot takes.
    pub(super) fn create(&mut self, offering: Offering, slots: u32) -> (MachineIndex, Duration) {
        let boot = boot_time(self.setting.scenario.boot, self.rng.unit(Stream::Boot));
        self.recording.machines.push(MachineRun {
            offering,
            slots,
            launched_at: self.now,
            ready_at: None,
            ended_at: None,
            interrupted: false,
        });
        (self.recording.machines.len() - 1, boot)
    }

    /// How long after its launch EC2 takes a machine back, if it is spot and EC2 wants it at all.
    pub(super) fn interruption(&mut self) -> Option<Duration> {
        let rate = self.setting.scenario.faults.interruptions_per_hour;
        let after = self.rng.until_next(Stream::Fate, rate).filter(|_| self.market == Market::Spot)?;
        Some(after + NOTICE)
    }

    pub(super) fn ready(&mut self, machine: MachineIndex) {
        let now = self.now;
        if let Some(machine) = self.recording.machines.get_mut(machine) {
            machine.ready_at.get_or_insert(now);
        }
    }

    pub(super) fn ended(&mut self, machine: MachineIndex, interrupted: bool) {
        let now = self.now;
        if let Some(machine) = self.recording.machines.get_mut(machine).filter(|machine| machine.ended_at.is_none()) {
            machine.ended_at = Some(now);
            machine.interrupted = interrupted;
        }
    }

    /// Job requests that are open.
    pub(super) fn open_polls(&self) -> u32 {
        self.open_polls.len() as u32
    }

    /// Whether `request_concurrency` allows no more.
    pub(super) fn asks_enough(&self) -> bool {
        self.open_polls.len() >= self.polls_max
    }

    /// The runner asks GitLab for a job; where there is none, the request `ends` after a while. Returns its number.
    pub(super) fn ask(&mut self, ends: impl FnOnce(u64) -> T) -> u64 {
        self.polls += 1;
        self.call("gitlab request", 1);
        self.open_polls.push(Poll { number: self.polls, opened_at: self.now, answered: false });
        self.soon(LONG_POLL, ends(self.polls));
        self.polls
    }

    /// Where a job waits, GitLab `answers` every open request in a moment.
    pub(super) fn plan_answers(&mut self, answers: impl Fn(u64) -> T) {
        if self.queue.is_empty() {
            return;
        }
        let mut planned = Vec::new();
        for poll in self.open_polls.iter_mut().filter(|poll| !poll.answered) {
            poll.answered = true;
            planned.push((self.rng.millis(Stream::Jobs, 20, 400), poll.number));
        }
        for (after, number) in planned {
            self.soon(after, answers(number));
        }
    }

    /// What this request brings. One that hung when the job was queued brings nothing, where such requests end empty.
    pub(super) fn answer(&mut self, number: u64) -> Answer {
        let Some(at) = self.open_polls.iter().position(|poll| poll.number == number) else { return Answer::None };
        let mut poll = self.open_polls.swap_remove(at);
        let first = self.queue.front().copied();
        let queued_at = first.and_then(|run| self.recording.jobs.get(run)).map(|job| job.queued_at);
        let brings = queued_at.is_some_and(|at| !self.held_end_empty || at <= poll.opened_at);
        match first.filter(|_| brings) {
            Some(run) => {
                self.queue.pop_front();
                Answer::Job(run)
            }
            None if self.held_end_empty && self.queued_at > poll.opened_at => Answer::Empty,
            None => {
                poll.answered = false;
                self.open_polls.push(poll);
                Answer::None
            }
        }
    }

    /// The request's time is over; whether it ends empty now.
    pub(super) fn ends_empty(&mut self, number: u64) -> bool {
        let ends = |poll: &mut Poll| poll.number == number && !poll.answered;
        self.open_polls.extract_if(.., ends).count() > 0
    }

    pub(super) fn call(&mut self, kind: &'static str, count: u64) {
        *self.recording.calls.entry(kind).or_default() += count;
    }
}

//! The laws: what no step may break, whatever happened before. An observer of its own, which shares no conclusion with
//! the engine: it sees the same events and the commands that came of them, and keeps its own books.
//!
//! Tests run it after every step; the live driver does too and counts what it finds (a metric that must stay 0).
//! The laws about convergence (5 and 6 of docs/architecture.md) need a world and are checked at the end of simulations.

mod floor;
mod limits;
mod obedience;
mod sightings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::command::{Command, Launch, Termination, Want};
use super::event::{Event, LaunchErrorClass, Leftover, OperatorRequest, WorkerEvent};
use super::ids::{LaunchToken, RunnerName, WorkerId};
use super::offering::LaunchPlan;
use super::reason::{DrainReason, EndReason};
use super::settings::{RunnerSettings, Settings};
use super::time::since;
use super::worker::{Health, Instance, InstanceState, Report, RunnerState};
use obedience::Obedience;
use sightings::Sightings;

/// No launch may rest on a listing older than this.
const LISTING_MAX: Duration = Duration::from_secs(120);
/// The least time between a launch that EC2 has refused or throttled and the next.
const REPEAT_MIN: Duration = Duration::from_secs(4);
/// How long an instance that no listing shows any more may be shown again (EC2 Developer Guide, "Eventual consistency").
const FORGOTTEN: Duration = Duration::from_secs(300);
/// A launch without an answer brings nothing any more that a listing has not shown by now.
const LOST: Duration = Duration::from_secs(600);
/// The least silence after which a worker may be ended that EC2 calls healthy.
const UNREACHABLE_MIN: Duration = Duration::from_secs(23 * 3600);
/// The least time for which GitLab must have shown no job of one that is ended for its silence earlier than that.
const ALONE_MIN: Duration = Duration::from_secs(290);
/// The same for one that says that it has a job, since it was told to take no more.
const GIVEN_UP_MIN: Duration = Duration::from_secs(58 * 60);
/// The least time between two listings.
const LISTING_PACE: Duration = Duration::from_secs(2);

/// A law that a step has broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The law's number in docs/architecture.md.
    pub law: u8,
    /// What was done against it.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "law {}: {}", self.law, self.what)
    }
}

/// Workers that a launch may still bring.
#[derive(Clone, Debug)]
struct InFlight {
    runner: RunnerName,
    coming: u32,
    decided_at: Timestamp,
    /// It was sent without a clear answer, or sent again: a refusal at the door settles nothing any more.
    uncertain: bool,
}

/// The observer and its books.
#[derive(Clone, Debug, Default)]
pub struct Laws {
    settings: Option<Settings>,
    /// As last configured, of runners that are gone too.
    capacities: BTreeMap<RunnerName, u32>,
    plans: BTreeMap<RunnerName, LaunchPlan>,
    /// Everything that a listing or a launch's answer has shown and that is not terminated.
    instances: BTreeMap<WorkerId, Option<Instance>>,
    /// Those that a listing has shown as terminated; a late answer to a launch may still name them.
    ended: BTreeSet<WorkerId>,
    /// Whose each instance is, and when it was last seen; kept for a while after EC2 has shown it last.
    owners: BTreeMap<WorkerId, (RunnerName, Timestamp)>,
    reports: BTreeMap<WorkerId, Report>,
    heard_at: BTreeMap<WorkerId, Timestamp>,
    forced: BTreeSet<WorkerId>,
    obedience: Obedience,
    sightings: Sightings,
    /// Workers that were told to take no more jobs (false), or to take some again (true).
    told: BTreeMap<WorkerId, bool>,
    paused_here: BTreeSet<RunnerName>,
    paused_in_gitlab: BTreeSet<RunnerName>,
    in_flight: BTreeMap<LaunchToken, InFlight>,
    refused_at: BTreeMap<RunnerName, Timestamp>,
    slow_at: Option<Timestamp>,
    last_good_listing: Option<Timestamp>,
    last_listing_command: Option<Timestamp>,
    /// The time of the last step.
    last_step: Option<Timestamp>,
}

impl Laws {
    /// An observer that has seen nothing; it must see every event and command from the engine's first step on.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes in what the engine is about to be told. Call it before [`Self::judge`] of the same step.
    pub fn observe(&mut self, now: Timestamp, event: &Event) {
        self.mind_the_clock(now);
        self.observe_pauses(event);
        match event {
            Event::Configured(settings) => {
                self.capacities.extend(settings.runners.iter().map(|runner| (runner.name.clone(), runner.capacity)));
                self.settings = Some(settings.clone());
            }
            Event::LaunchPlan { runner, plan: Ok(plan) } => {
                // What was refused may have been the old one.
                if self.plans.insert(runner.clone(), plan.clone()).as_ref() != Some(plan) {
                    self.refused_at.remove(runner);
                }
            }
            Event::Instances { asked_at, listing: Ok(instances) } if *asked_at <= now => {
                self.listed(*asked_at, instances)
            }
            Event::Launched { token, answer } => {
                let Some(mut launch) = self.in_flight.get(token).cloned() else { return };
                for launched in &answer.launched {
                    if !self.instances.contains_key(&launched.id) && !self.ended.contains(&launched.id) {
                        self.instances.insert(launched.id.clone(), None);
                        launch.coming = launch.coming.saturating_sub(1);
                    }
                    self.owners.insert(launched.id.clone(), (launch.runner.clone(), now));
                }
                launch.uncertain |= answer.leftover == Leftover::Possible;
                // A refusal at the door says nothing of what a first sending may have brought.
                let turned_away = answer.errors.iter().any(|error| {
                    matches!(error.class, LaunchErrorClass::Slow | LaunchErrorClass::Denied | LaunchErrorClass::Invalid)
                });
                let settled = !launch.uncertain || !answer.launched.is_empty() || !turned_away;
                let runner = launch.runner.clone();
                if answer.leftover == Leftover::None && settled {
                    self.in_flight.remove(token);
                } else {
                    self.in_flight.insert(token.clone(), launch);
                }
                for error in &answer.errors {
                    match (error.class, answer.launched.is_empty()) {
                        (LaunchErrorClass::Slow, _) => self.slow_at = Some(now),
                        (LaunchErrorClass::Denied | LaunchErrorClass::Invalid, true) if error.offering.is_none() => {
                            self.refused_at.insert(runner.clone(), now);
                        }
                        _ => {}
                    }
                }
            }
            Event::Worker { worker, event: WorkerEvent::Report(report) } => {
                self.obedience.observe(now, worker, report);
                self.sightings.reported(worker, report);
                self.reports.insert(worker.clone(), (**report).clone());
                self.heard_at.insert(worker.clone(), now);
            }
            Event::JobsSeen { worker, asked_at, jobs } => {
                self.sightings.looked(now, worker, *asked_at, jobs.as_ref().ok())
            }
            Event::Queue { server, snapshot } => self.sightings.polled(now, server, snapshot.as_ref().ok()),
            Event::Operator(request) => self.operator_wants(request),
            Event::Prices(_)
            | Event::Instances { .. }
            | Event::Worker { .. }
            | Event::Runner { .. }
            | Event::LaunchPlan { .. }
            | Event::TerminateFailed { .. }
            | Event::Retried { .. }
            | Event::Forgotten { .. } => {}
        }
    }

    fn operator_wants(&mut self, request: &OperatorRequest) {
        match request {
            OperatorRequest::Drain { workers, force: true } => self.forced.extend(workers.iter().cloned()),
            // It is tried on the heels of a failure because a person wants it.
            OperatorRequest::Retry(runner) | OperatorRequest::Resume(runner) => {
                self.refused_at.remove(runner);
            }
            OperatorRequest::Drain { .. } | OperatorRequest::Undrain(_) | OperatorRequest::Pause(_) => {}
        }
    }

    /// Where somebody has set the clock back, nobody can tell how long ago something was.
    fn mind_the_clock(&mut self, now: Timestamp) {
        if self.last_step.is_some_and(|last| now < last) {
            self.refused_at.clear();
            self.slow_at = None;
            self.last_good_listing = None;
            self.last_listing_command = None;
            self.obedience.forget_times();
            self.sightings.forget_times(now);
        }
        self.last_step = Some(now);
    }

    fn listed(&mut self, asked_at: Timestamp, instances: &[Instance]) {
        if self.last_good_listing.is_some_and(|last| asked_at < last) {
            return;
        }
        self.last_good_listing = Some(asked_at);
        for instance in instances {
            if instance.state == InstanceState::Terminated {
                self.instances.remove(&instance.id);
                self.owners.remove(&instance.id);
                self.ended.insert(instance.id.clone());
            } else {
                self.note_arrival(instance);
                self.owners.insert(instance.id.clone(), (instance.runner.clone(), asked_at));
                let known = self.instances.entry(instance.id.clone()).or_insert(None);
                let health = match (instance.health, known.as_ref()) {
                    (Health::Unknown, Some(known)) => known.health,
                    (health, _) => health,
                };
                *known = Some(Instance { health, ..instance.clone() });
            }
        }
        // What a complete listing does not show, and an earlier one did, has gone.
        let shown: BTreeSet<&WorkerId> = instances.iter().map(|instance| &instance.id).collect();
        self.instances.retain(|id, known| known.is_none() || shown.contains(id));
        self.owners.retain(|id, (_, seen_at)| self.instances.contains_key(id) || since(asked_at, *seen_at) < FORGOTTEN);
        self.ended.retain(|id| shown.contains(id));
        self.reports.retain(|id, _| self.owners.contains_key(id));
        self.heard_at.retain(|id, _| self.owners.contains_key(id));
        self.sightings.retain(|id| self.owners.contains_key(id));
    }

    /// An instance of a launch in flight is counted as an instance from now on, not as a promise.
    fn note_arrival(&mut self, instance: &Instance) {
        if !self.instances.contains_key(&instance.id)
            && let Some(token) = &instance.launch
            && let Some(flight) = self.in_flight.get_mut(token)
        {
            flight.coming = flight.coming.saturating_sub(1);
        }
    }

    /// Judges the commands of a step.
    pub fn judge(&mut self, now: Timestamp, commands: &[Command]) -> Vec<Violation> {
        self.mind_the_clock(now);
        let mut broken = Vec::new();
        self.in_flight.retain(|_, flight| since(now, flight.decided_at) < LOST);
        for command in commands {
            match command {
                Command::Launch(launch) => self.judge_launch(now, launch, &mut broken),
                Command::Terminate(terminations) => {
                    for termination in terminations {
                        self.judge_termination(now, termination, &mut broken);
                        self.obedience.ended(&termination.worker);
                        self.sightings.ended(&termination.worker);
                    }
                }
                Command::Want { worker, want } => {
                    match want {
                        Want::Fence { .. } | Want::Serve => self.judge_touch(worker, "steer", &mut broken),
                        Want::Stop { .. } => self.judge_stop(worker, &mut broken),
                        Want::HardStop { .. } => self.judge_hard_stop(now, worker, &mut broken),
                    }
                    self.obedience.told(now, worker, want);
                }
                Command::ListInstances { .. } => {
                    if self.last_listing_command.is_some_and(|last| since(now, last) < LISTING_PACE) {
                        broken.push(Violation { law: 8, what: "two listings within two seconds".into() });
                    }
                    self.last_listing_command = Some(now);
                }
                Command::Connect { .. }
                | Command::Disconnect { .. }
                | Command::Forget { .. }
                | Command::LookForJobs { .. }
                | Command::Retry { .. } => {}
            }
        }
        self.judge_budget(commands, &mut broken);
        broken.extend(self.judge_floor(now, commands));
        broken.extend(self.judge_obedience(now));
        broken.extend(self.judge_claims(now));
        broken
    }

    fn judge_budget(&self, commands: &[Command], broken: &mut Vec<Violation>) {
        let runners = self.settings.as_ref().map_or(0, |settings| settings.runners.len());
        let launches = commands.iter().filter(|command| matches!(command, Command::Launch(_))).count();
        // A launch per market, and as many repeated ones at most, for each runner; however many workers there are.
        if launches > runners * 4 {
            broken.push(Violation { law: 8, what: format!("{launches} launches in one step for {runners} runners") });
        }
        let terminates = commands.iter().filter(|command| matches!(command, Command::Terminate(_))).count();
        if terminates > 2 {
            broken.push(Violation { law: 8, what: format!("{terminates} terminate calls in one step") });
        }
    }

    fn judge_launch(&mut self, now: Timestamp, launch: &Launch, broken: &mut Vec<Violation>) {
        let mut accuse = |law, what: String| broken.push(Violation { law, what });
        let Some(section) = self.section(&launch.runner).cloned() else {
            accuse(3, format!("a launch for {}, which is not configured", launch.runner));
            return;
        };
        if let Some(flight) = self.in_flight.get_mut(&launch.token) {
            flight.uncertain = true;
            return; // A repetition: its workers are counted already, and its token launches nothing twice.
        }
        if launch.count == 0 || launch.offerings.is_empty() {
            accuse(3, format!("an empty launch for {}", launch.runner));
        }
        if launch.offerings.iter().any(|offering| offering.market != launch.market) {
            accuse(3, format!("a launch for {} that mixes markets", launch.runner));
        }
        if self.last_good_listing.is_none_or(|listed| since(now, listed) > LISTING_MAX) {
            accuse(2, format!("a launch for {} while nobody knows what exists", launch.runner));
        }
        if self.refused_at.get(&launch.runner).is_some_and(|at| since(now, *at) < REPEAT_MIN)
            || self.slow_at.is_some_and(|at| since(now, at) < REPEAT_MIN)
        {
            accuse(7, format!("a launch for {} on the heels of a failed one", launch.runner));
        }
        self.refused_at.remove(&launch.runner);
        let flight =
            InFlight { runner: launch.runner.clone(), coming: launch.count, decided_at: now, uncertain: false };
        self.in_flight.insert(launch.token.clone(), flight);
        let workers = self.workers_of(&launch.runner);
        let max_workers = limits::limits(&section, now).max_workers;
        if workers > max_workers {
            accuse(2, format!("{workers} workers of {}, whose max_workers is {max_workers}", launch.runner));
        }
        let (slots, concurrent) = (self.slots(), self.settings.as_ref().map_or(0, |settings| settings.concurrent));
        if slots > concurrent {
            accuse(2, format!("workers with {slots} slots, where concurrent is {concurrent}"));
        }
    }

    fn judge_termination(&self, now: Timestamp, termination: &Termination, broken: &mut Vec<Violation>) {
        let Termination { worker, reason } = termination;
        self.judge_touch(worker, "terminate", broken);
        let report = self.reports.get(worker);
        let state = report.map(|report| report.runner);
        let allowed = match reason {
            EndReason::Drained(DrainReason::Requested { force: true }) => self.forced.contains(worker),
            EndReason::Lost => {
                let instance = self.instances.get(worker).and_then(Option::as_ref);
                instance.is_some_and(|instance| instance.health == Health::Impaired)
            }
            EndReason::Unreachable { .. } => {
                let silent_for = |least| self.heard_at.get(worker).is_none_or(|at| since(now, *at) >= least);
                let fenced_after = self.owner(worker).and_then(|owner| self.section(owner)).map(|s| s.orphan_timeout);
                silent_for(UNREACHABLE_MIN)
                    || fenced_after.is_some_and(silent_for) && self.sightings.show_none_for(now, worker, ALONE_MIN)
            }
            EndReason::JobUnknown { .. } => {
                let told_at = self.obedience.told_to_go_at(worker);
                let takes_none = told_at.is_some_and(|told_at| since(now, told_at) >= GIVEN_UP_MIN)
                    || state == Some(RunnerState::Fenced);
                takes_none && self.sightings.show_none_for(now, worker, GIVEN_UP_MIN)
            }
            EndReason::FoundStopped => true,
            // Its runner has never been given a configuration, so it cannot run a job.
            EndReason::BootTimeout { .. } | EndReason::BootFailed { .. } | EndReason::WrongHostKey => {
                matches!(state, None | Some(RunnerState::Absent)) || report.is_some_and(|report| report.jobs() == 0)
            }
            EndReason::Disobeyed(_) => self.obedience.may_be_cut_off(now, worker, report),
            // The process that ran its jobs is dead, and the jobs with it.
            EndReason::RunnerDied => state == Some(RunnerState::Failed),
            EndReason::Drained(_) => {
                // Stopped, or never configured and fenced before it could be.
                matches!(state, Some(RunnerState::Stopped | RunnerState::Absent))
                    && report.is_some_and(|report| report.jobs() == 0)
            }
        };
        if !allowed {
            let law = if report.is_some_and(|report| report.jobs() > 0) { 1 } else { 4 };
            let shown = report
                .map_or("nothing".to_owned(), |report| format!("{:?} with {} jobs", report.runner, report.jobs()));
            broken.push(Violation { law, what: format!("{worker} terminated ({reason}) while it showed {shown}") });
        }
    }

    fn judge_stop(&self, worker: &WorkerId, broken: &mut Vec<Violation>) {
        self.judge_touch(worker, "stop", broken);
        let fenced_and_empty =
            self.reports.get(worker).is_some_and(|report| report.runner == RunnerState::Fenced && report.is_empty());
        if !fenced_and_empty {
            broken.push(Violation { law: 4, what: format!("{worker} stopped before it was fenced and seen empty") });
        }
    }

    fn judge_hard_stop(&self, now: Timestamp, worker: &WorkerId, broken: &mut Vec<Violation>) {
        self.judge_touch(worker, "stop", broken);
        if !self.obedience.may_be_stopped_hard(now, worker, self.reports.get(worker)) {
            broken.push(Violation { law: 4, what: format!("{worker} stopped hard before its time was over") });
        }
    }

    fn judge_touch(&self, worker: &WorkerId, verb: &str, broken: &mut Vec<Violation>) {
        match self.instances.get(worker) {
            // One listing showed it, and the next, eventually consistent, did not.
            None if self.owners.contains_key(worker) => {}
            None => broken.push(Violation { law: 3, what: format!("{verb} {worker}, which is not known to be ours") }),
            Some(Some(instance)) if instance.hold => {
                broken.push(Violation { law: 3, what: format!("{verb} {worker}, which a person holds") });
            }
            Some(_) => {}
        }
    }

    fn section(&self, runner: &RunnerName) -> Option<&RunnerSettings> {
        self.settings.as_ref()?.section(runner)
    }

    fn owner(&self, worker: &WorkerId) -> Option<&RunnerName> {
        self.owners.get(worker).map(|(runner, _)| runner)
    }

    fn workers_of(&self, runner: &RunnerName) -> u32 {
        let there = self.instances.keys().filter(|id| self.owner(id) == Some(runner)).count();
        let coming: u32 =
            self.in_flight.values().filter(|flight| flight.runner == *runner).map(|flight| flight.coming).sum();
        u32::try_from(there).unwrap_or(u32::MAX).saturating_add(coming)
    }

    fn slots(&self) -> u32 {
        let capacity =
            |runner: Option<&RunnerName>| runner.and_then(|runner| self.capacities.get(runner)).copied().unwrap_or(1);
        let there: u32 = self.instances.keys().map(|id| capacity(self.owner(id))).sum();
        let coming: u32 = self.in_flight.values().map(|flight| flight.coming * capacity(Some(&flight.runner))).sum();
        there.saturating_add(coming)
    }
}

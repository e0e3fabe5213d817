//! Who goes, and who comes back. Which workers are drained is decided here and in `yielding`; how far a drain is, is read
//! from the worker's reports at every step (`draining`). A drain for want of work is taken back when the work returns
//! before the runner was stopped.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::command::{Command, Termination, Want};
use super::demand::{Assessment, Demand};
use super::drain::Drain;
use super::draining::{self, Next, has_failed};
use super::fleet::Fleet;
use super::held_back::HeldBack;
use super::ids::RunnerName;
use super::job::Knowledge;
use super::journal::{Entry, Journal};
use super::outdated::outdated;
use super::reason::{Brief, DrainReason, EndReason};
use super::rolling::roll;
use super::runner::Runner;
use super::settings::{RunnerSettings, Settings};
use super::snapshot::DecisionKind;
use super::time::{after, since};
use super::worker::{Instance, Phase, RunnerState};
use super::workers::{Worker, WorkerStatus};
use super::yielding::Yielding;

/// A queue that was not read for so long, or for so many `idle_time`s if that is longer, keeps no worker any more that has
/// asked GitLab itself for as long: a token that ends on Friday must not keep the peak until Monday.
const BLIND_MIN: Duration = Duration::from_secs(3600);
const BLIND_IDLE_TIMES: u32 = 6;

/// A worker is fenced so long before its idle time is over: a job request that is open then is answered within 50 s, and
/// a runner that had to wait for that afterwards would be paid for nothing.
const FENCED_AHEAD: Duration = Duration::from_secs(50);
/// But not sooner than so long after a job, or each pause between two would cost a fence, and its end.
const FENCED_FROM: Duration = Duration::from_secs(10);

/// For how long GitLab must have shown no job of a worker that says it has one, until it is trusted with no more of them.
const JOB_UNKNOWN: Duration = Duration::from_secs(10 * 60);

/// Begins drains, carries on those that were begun, ends what is empty.
pub(crate) struct Retirement<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Settings,
    pub(crate) runners: &'a BTreeMap<RunnerName, Runner>,
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) journal: &'a mut Journal,
    pub(crate) ec2: &'a Knowledge,
    /// What held the last step's launches back.
    pub(crate) held_back: &'a BTreeMap<RunnerName, HeldBack>,
}

impl Retirement<'_> {
    /// All fences, stops and terminations of this step. [`Self::drain_those_that_must_go`] comes before the assessment.
    pub(crate) fn decide(&mut self, assessment: &Assessment) -> Vec<Command> {
        let mut surpluses: BTreeMap<RunnerName, Surplus> = BTreeMap::new();
        for runner in &self.settings.runners {
            if let Some(demand) = assessment.demands.get(&runner.name) {
                surpluses.insert(runner.name.clone(), Surplus::of(demand));
            }
        }
        let mut commands = self.take_back(&mut surpluses);
        for runner in &self.settings.runners {
            let (Some(demand), Some(surplus)) = (assessment.demands.get(&runner.name), surpluses.get_mut(&runner.name))
            else {
                continue;
            };
            let slots = surplus.slots;
            self.drain_idle(runner, demand, surplus);
            self.drain_emptiest(runner, demand, surplus);
            // Whoever is rolled may be needed now that an idle one was let go: that shows in the next step's demand.
            if surplus.slots == slots && self.may_retire(demand) {
                let plan = self.runners.get(&runner.name).and_then(|known| known.plan.known());
                roll(self.fleet, runner, demand, plan.map(|plan| &plan.config), self.now);
            }
        }
        Yielding { now: self.now, settings: self.settings, fleet: self.fleet, held_back: self.held_back }
            .make_room(assessment);
        commands.extend(self.carry_on());
        commands
    }

    /// Workers that go whatever the demand is; their slots do not count any more.
    pub(crate) fn drain_those_that_must_go(&mut self) {
        for worker in self.fleet.workers.values_mut() {
            if worker.instance.hold || worker.drain().is_some() {
                continue;
            }
            let section = self.settings.section(&worker.instance.runner);
            let is_paused = || self.runners.get(&worker.instance.runner).is_some_and(|known| known.paused);
            let must = must_go(worker, section, self.now);
            let Some(reason) = must.or_else(|| is_paused().then_some(DrainReason::Paused)) else { continue };
            match worker.status(self.now) {
                WorkerStatus::Ending => {}
                // One that boots has no job to lose and takes none: it is looked at again when it is ready, so that a
                // pause which is short costs no worker.
                WorkerStatus::Booting if reason == DrainReason::Paused => {}
                WorkerStatus::Booting | WorkerStatus::Serving | WorkerStatus::Draining | WorkerStatus::Unreachable => {
                    worker.begin_drain(reason, self.now);
                }
            }
        }
    }

    /// Drains for want of work are taken back where slots are missing.
    fn take_back(&mut self, surpluses: &mut BTreeMap<RunnerName, Surplus>) -> Vec<Command> {
        let mut commands = Vec::new();
        for (id, worker) in &mut self.fleet.workers {
            let prospect = prospect(worker, self.held_back, self.now);
            if matches!(prospect, Prospect::StaysAsItIs) {
                continue;
            }
            let Some(section) = self.settings.section(&worker.instance.runner) else { continue };
            let Some(surplus) = surpluses.get_mut(&section.name) else { continue };
            let is_paused = self.runners.get(&section.name).is_some_and(|known| known.paused);
            // Its open request has brought it a job while it might still be needed: it was.
            let was_needed = worker.jobs() > 0 && worker.drain().is_some_and(|drain| drain.is_early(self.now));
            if (surplus.missing == 0 && !was_needed) || is_paused {
                // Fenced by a manager before us, or by itself while no manager was there.
                if matches!(prospect, Prospect::FencedByAnother) {
                    let reason = DrainReason::Idle { idle: worker.idle(self.now).unwrap_or_default(), surplus: 0 };
                    worker.begin_drain(reason, self.now);
                }
                continue;
            }
            surplus.missing = surplus.missing.saturating_sub(section.capacity.saturating_sub(worker.jobs()));
            worker.want(&Want::Serve, self.now);
            commands.push(Command::Want { worker: id.clone(), want: Want::Serve });
        }
        commands
    }

    /// Idle workers beyond what is wanted: first those that are to be replaced anyway, which need not have been idle for
    /// long; then the dearest, then those that have been idle for longest.
    fn drain_idle(&mut self, runner: &RunnerSettings, demand: &Demand, surplus: &mut Surplus) {
        let Some(evidence) = self.evidence(demand).filter(|_| surplus.slots >= runner.capacity) else { return };
        let now = self.now;
        let wants = self.runners.get(&runner.name).and_then(|known| known.plan.known()).map(|known| &known.config);
        let mut idle: Vec<Idle<'_>> = self
            .fleet
            .workers
            .values_mut()
            .filter(|worker| worker.instance.runner == runner.name && !worker.instance.hold)
            .filter(|worker| worker.status(now) == WorkerStatus::Serving)
            .filter_map(|worker| {
                let (since, outdated) = (worker.idle(now)?, outdated(worker, runner, wants, now));
                Some(Idle { since, outdated, worker })
            })
            .filter(|idle| idle.is_enough(evidence, demand.idle_time))
            .collect();
        idle.sort_by(|one, other| one.rank().cmp(&other.rank()));
        for Idle { since, outdated, worker } in idle {
            if surplus.slots < runner.capacity {
                break;
            }
            let reason = outdated.unwrap_or(DrainReason::Idle { idle: since, surplus: surplus.slots });
            surplus.slots = surplus.slots.saturating_sub(runner.capacity);
            let ahead = demand.idle_time.saturating_sub(since);
            if evidence == Evidence::Queue && matches!(reason, DrainReason::Idle { .. }) {
                worker.begin_drain_ahead(reason, now, after(now, ahead));
            } else {
                worker.begin_drain(reason, now);
            }
        }
    }

    /// Workers that take several jobs: when a whole worker's slots have been too many for `idle_time`, and no worker is idle,
    /// the emptiest takes no more jobs, so that the free slots of the fuller ones are filled instead, and it ends when its
    /// own jobs have. gitlab-runner asks for jobs itself, so that this is the only way to steer them.
    fn drain_emptiest(&mut self, runner: &RunnerSettings, demand: &Demand, surplus: &mut Surplus) {
        let since_spare = self.runners.get(&runner.name).and_then(|known| known.spare_since);
        let lasted = since_spare.is_some_and(|spare_since| since(self.now, spare_since) >= demand.idle_time);
        if runner.capacity < 2 || surplus.slots < runner.capacity || !lasted || !self.may_retire(demand) {
            return;
        }
        let now = self.now;
        let mut serving: Vec<&mut Worker> = self
            .fleet
            .workers
            .values_mut()
            .filter(|worker| worker.instance.runner == runner.name && !worker.instance.hold)
            .filter(|worker| worker.status(now) == WorkerStatus::Serving)
            .collect();
        serving.sort_by_key(|worker| (worker.jobs(), worker.instance.launched_at, worker.instance.id.clone()));
        for worker in serving {
            let jobs = worker.jobs();
            // An idle one goes first, when its time has come.
            if jobs == 0 || surplus.slots < runner.capacity {
                return;
            }
            worker.begin_drain(DrainReason::Emptiest { jobs, surplus: surplus.slots }, now);
            surplus.slots = surplus.slots.saturating_sub(runner.capacity.saturating_sub(jobs));
        }
    }

    /// Nothing is retired for want of work on the strength of an answer that did not come.
    fn may_retire(&self, demand: &Demand) -> bool {
        matches!(self.evidence(demand), Some(Evidence::Queue))
    }

    /// What there is to show that workers are not needed: the queue; or, when that has not been read for long, that they ask
    /// GitLab themselves and are given nothing.
    fn evidence(&self, demand: &Demand) -> Option<Evidence> {
        if !self.ec2.is_known() {
            return None;
        }
        let patience = BLIND_MIN.max(demand.idle_time.saturating_mul(BLIND_IDLE_TIMES));
        match demand.doubted_for {
            None => Some(Evidence::Queue),
            Some(doubted_for) => (doubted_for >= patience).then_some(Evidence::Workers { patience }),
        }
    }

    /// What is wanted next of every draining worker, and the end of those that are to end.
    fn carry_on(&mut self) -> Vec<Command> {
        let now = self.now;
        let mut commands = Vec::new();
        let mut endings = Vec::new();
        for (id, worker) in &mut self.fleet.workers {
            if worker.instance.hold || worker.instance.state.is_ending() {
                continue;
            }
            if !worker.is_ending() {
                let section = self.settings.section(&worker.instance.runner);
                match draining::next(worker, section.is_some_and(RunnerSettings::is_single_use), now) {
                    Some(Next::Want(want)) => {
                        if let Want::HardStop { reason } = &want {
                            self.journal.disobeyed(reason);
                        }
                        worker.want(&want, now);
                        commands.push(Command::Want { worker: id.clone(), want });
                    }
                    Some(Next::End(reason)) => {
                        // One that was stopped hard is counted already.
                        if let EndReason::Disobeyed(how) = &reason
                            && !matches!(worker.wanted(), Some(Want::HardStop { .. }))
                        {
                            self.journal.disobeyed(how);
                        }
                        worker.end(reason, now);
                    }
                    None => {}
                }
            }
            if let Some(after) = worker.is_overdue(now) {
                let text = format!("EC2 still shows {id}, {} after it was to be terminated", Brief(after));
                self.journal.note(now, Entry::new(DecisionKind::TerminateFailed, text).on(id));
            }
            if let Some(reason) = worker.ask_for_end(now) {
                endings.push(Termination { worker: id.clone(), reason });
            }
        }
        if !endings.is_empty() {
            commands.push(Command::Terminate(endings));
        }
        commands
    }
}

/// A worker without a job.
struct Idle<'a> {
    since: Duration,
    /// Why it should be replaced, if it should.
    outdated: Option<DrainReason>,
    worker: &'a mut Worker,
}

/// What shows that a worker is not needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Evidence {
    /// The queue, all of which is seen.
    Queue,
    /// Its own word: it has asked GitLab for so long, and was given nothing.
    Workers { patience: Duration },
}

impl Idle<'_> {
    /// Whether it has been idle for long enough, by this evidence.
    fn is_enough(&self, evidence: Evidence, idle_time: Duration) -> bool {
        match evidence {
            Evidence::Queue => self.outdated.is_some() || self.since >= fenced_from(idle_time),
            Evidence::Workers { patience } => {
                let asks = self.worker.report().is_some_and(|report| report.open_requests > 0);
                asks && self.since >= patience
            }
        }
    }

    /// Who goes first.
    fn rank(&self) -> impl Ord {
        let Instance { market, id, .. } = &self.worker.instance;
        (self.outdated.is_none(), Reverse(*market), Reverse(self.since), id)
    }
}

/// How long a worker is idle when it is fenced.
fn fenced_from(idle_time: Duration) -> Duration {
    idle_time.saturating_sub(FENCED_AHEAD).max(FENCED_FROM).min(idle_time)
}

/// Slots missing and slots too many, counted down while drains are begun and taken back.
struct Surplus {
    missing: u32,
    slots: u32,
}

impl Surplus {
    fn of(demand: &Demand) -> Self {
        Self { missing: demand.missing(), slots: demand.surplus() }
    }
}

/// Whether a worker that takes no jobs could be asked to take some again.
enum Prospect {
    /// It was drained for want of work.
    MayReturn,
    /// It is fenced, and not by us.
    FencedByAnother,
    /// It serves, ends, cannot be reached, or goes for another reason.
    StaysAsItIs,
}

fn prospect(worker: &Worker, held_back: &BTreeMap<RunnerName, HeldBack>, now: Timestamp) -> Prospect {
    if worker.unfit.is_some() || worker.silent_since(now).is_some() || worker.is_ending() || worker.instance.hold {
        return Prospect::StaysAsItIs;
    }
    let state = worker.report().map(|report| report.runner);
    // A runner that was stopped, or has failed, hears no word any more: its worker ends, whatever is wanted.
    if matches!(state, Some(RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed)) {
        return Prospect::StaysAsItIs;
    }
    let is_fenced = state == Some(RunnerState::Fenced);
    match worker.drain() {
        None if is_fenced && !worker.returns(now) => Prospect::FencedByAnother,
        None => Prospect::StaysAsItIs,
        Some(Drain { step, .. }) if !step.can_be_taken_back() => Prospect::StaysAsItIs,
        Some(Drain {
            reason:
                DrainReason::Idle { .. } | DrainReason::Emptiest { .. } | DrainReason::Age { .. } | DrainReason::Paused,
            ..
        }) => Prospect::MayReturn,
        // Only once no other runner is waiting for the capacity.
        Some(Drain { reason: DrainReason::Yields { .. }, .. }) if !others_wait(&worker.instance.runner, held_back) => {
            Prospect::MayReturn
        }
        Some(_) => Prospect::StaysAsItIs,
    }
}

/// Whether another runner's launches found no room under `concurrent`.
fn others_wait(runner: &RunnerName, held_back: &BTreeMap<RunnerName, HeldBack>) -> bool {
    held_back.iter().any(|(name, why)| name != runner && matches!(why, HeldBack::Concurrent { .. }))
}

/// Why a worker must go whatever the demand is, if it must.
fn must_go(worker: &Worker, section: Option<&RunnerSettings>, now: Timestamp) -> Option<DrainReason> {
    let Some(section) = section else { return Some(DrainReason::RunnerRemoved) };
    if let Some(at) = worker.interruption() {
        return Some(DrainReason::Interruption { at });
    }
    if let Some(why) = worker.unfit {
        return Some(DrainReason::Unfit { why });
    }
    let report = worker.report()?;
    let is_late = now >= worker.boot_deadline(section.boot_timeout);
    if worker.never_ready() && !matches!(report.phase, Phase::Failed { .. }) && is_late {
        // Its configuration may be on the way in this very moment, so that it is fenced, and not just ended.
        return Some(DrainReason::LateBoot { after: worker.age(now), step: worker.boot_step() });
    }
    if section.max_jobs > 0 && report.jobs_started >= u64::from(section.max_jobs) {
        return Some(DrainReason::JobsDone { jobs: report.jobs_started });
    }
    if let Some(after) = worker.job_unknown_for(worker.first_seen, now)
        && after >= JOB_UNKNOWN
    {
        return Some(DrainReason::JobUnknown { after });
    }
    let failed = has_failed(worker, now);
    // It was stopped by a manager before us, which did not live to terminate it.
    let stopped = matches!(report.runner, RunnerState::Stopped | RunnerState::Stopping);
    if failed {
        return Some(DrainReason::RunnerFailed);
    }
    stopped.then(|| DrainReason::Idle { idle: worker.idle(now).unwrap_or_default(), surplus: 0 })
}

//! Who goes, and how: fence, see empty, stop, terminate. A job that a worker took while it was being fenced ends there.
//!
//! Which workers are drained is decided here; how far a drain is, is read from the worker's reports at every step. A
//! drain for want of work is taken back when the work returns before the runner was stopped.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::command::{Command, Termination};
use super::demand::{Assessment, Demand};
use super::fleet::Fleet;
use super::ids::{RunnerName, WorkerId};
use super::job::Knowledge;
use super::offering::Market;
use super::reason::Reason;
use super::runner::Runner;
use super::settings::{RunnerSettings, Settings};
use super::time::since;
use super::worker::{Phase, RunnerState};
use super::workers::{Drain, Ending, Standing, Worker};

/// A worker whose reports do not show what it was told is told again after so long.
const TELL_AGAIN: Duration = Duration::from_secs(15);
/// A configuration that is being pushed when the fence is told has arrived, and is reported, after so long.
const CONFIGURED_BY: Duration = Duration::from_secs(30);
/// An unconfirmed termination is asked for again after so long.
const TERMINATE_AGAIN: Duration = Duration::from_secs(60);
/// A runner process that has failed for so long does not come back by itself.
const RUNNER_FAILED: Duration = Duration::from_secs(60);

/// Begins drains, carries on those that were begun, ends what is empty.
pub(crate) struct Retirement<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Settings,
    pub(crate) runners: &'a BTreeMap<RunnerName, Runner>,
    pub(crate) fleet: &'a mut Fleet,
    pub(crate) ec2: &'a Knowledge,
    /// Runners whose waiting jobs found no room under `concurrent` in the last step.
    pub(crate) crowded_out: &'a [RunnerName],
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
            self.drain_idle(runner, demand, surplus);
            self.drain_drifted(runner, demand);
        }
        self.make_room(assessment);
        commands.extend(self.carry_on());
        commands
    }

    /// Idle slots yield to jobs: where `concurrent` keeps a runner's jobs waiting, idle workers of the others go, whatever
    /// their policy wants, until what is on its way out makes enough room.
    fn make_room(&mut self, assessment: &Assessment) {
        let sizes: BTreeMap<RunnerName, u32> = self
            .fleet
            .workers
            .values()
            .map(|worker| &worker.instance.runner)
            .chain(self.crowded_out)
            .map(|name| (name.clone(), self.fleet.capacity_of(self.settings, name)))
            .collect();
        let capacity = |name: &RunnerName| sizes.get(name).copied().unwrap_or(1);
        let mut room = self.settings.concurrent.saturating_sub(self.fleet.slots(self.settings));
        let now = self.now;
        let leaving = |fleet: &Fleet| -> u32 {
            let leaves = |worker: &&Worker| matches!(worker.standing(now), Standing::Ending | Standing::Draining);
            fleet.workers.values().filter(leaves).map(|worker| capacity(&worker.instance.runner)).sum()
        };
        let mut spare: BTreeMap<&RunnerName, u32> = assessment
            .demands
            .iter()
            .map(|(name, demand)| (name, demand.slots.saturating_sub(demand.running + demand.waiting)))
            .collect();
        for to in self.crowded_out {
            let waits = assessment.demands.get(to).is_some_and(|demand| demand.missing_for_jobs() > 0);
            // Room for one worker at a time: it goes to whoever comes first in the file. What has just become free, or
            // soon will, is enough.
            if !waits || leaving(self.fleet) + room >= capacity(to) {
                room = room.saturating_sub(capacity(to));
                continue;
            }
            for worker in self.fleet.workers.values_mut() {
                let size = capacity(&worker.instance.runner);
                let Some(spare) = spare.get_mut(&worker.instance.runner) else { continue };
                let idle = worker.standing(now) == Standing::Serving && worker.idle(now).is_some();
                if worker.instance.runner != *to && idle && *spare >= size && !worker.instance.hold {
                    *spare -= size;
                    let reason = Reason::Yields { to: to.clone() };
                    worker.drain = Some(Drain::begun(reason));
                    if size >= capacity(to) {
                        break;
                    }
                }
            }
        }
    }

    /// Workers that go whatever the demand is; their slots do not count any more.
    pub(crate) fn drain_those_that_must_go(&mut self) {
        for worker in self.fleet.workers.values_mut() {
            if worker.instance.hold || worker.drain.is_some() || worker.standing(self.now) == Standing::Ending {
                continue;
            }
            let section = self.settings.runners.iter().find(|runner| runner.name == worker.instance.runner);
            if let Some(reason) = must_go(worker, section, self.now) {
                worker.drain = Some(Drain::begun(reason));
            }
        }
    }

    /// Drains for want of work are taken back where slots are missing.
    fn take_back(&mut self, surpluses: &mut BTreeMap<RunnerName, Surplus>) -> Vec<Command> {
        let mut commands = Vec::new();
        for (id, worker) in &mut self.fleet.workers {
            let state = worker.report().map(|report| report.runner);
            if worker.drain.is_none() && state != Some(RunnerState::Fenced) {
                continue;
            }
            let Some(surplus) = surpluses.get_mut(&worker.instance.runner) else { continue };
            let Some(section) = self.settings.runners.iter().find(|runner| runner.name == worker.instance.runner)
            else {
                continue;
            };
            // A runner that was stopped, or has failed, hears no word any more: its worker ends, whatever is wanted.
            let deaf = matches!(state, Some(RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed));
            let heard =
                !deaf && worker.silent_since(self.now).is_none() && worker.ending.is_none() && !worker.instance.hold;
            match &worker.drain {
                Some(Drain {
                    reason: Reason::Idle { .. } | Reason::Age { .. } | Reason::Paused,
                    stopping: false,
                    ..
                }) if heard && surplus.missing > 0 => {}
                // Fenced by a manager before us, or by itself while no manager was there.
                None if heard && state == Some(RunnerState::Fenced) && !worker.returns(self.now) => {
                    if surplus.missing == 0 {
                        let reason = Reason::Idle { idle: worker.idle(self.now).unwrap_or_default(), surplus: 0 };
                        worker.drain = Some(Drain::begun(reason));
                        continue;
                    }
                }
                Some(_) | None => continue,
            }
            if self.runners.get(&section.name).is_some_and(|known| known.paused) {
                continue;
            }
            surplus.missing = surplus.missing.saturating_sub(section.capacity);
            worker.drain = None;
            worker.returned_at = Some(self.now);
            commands.push(Command::Unfence { worker: id.clone(), reason: Reason::DemandReturned });
        }
        commands
    }

    /// Idle workers beyond what is wanted, the dearest first, then those that have been idle for longest.
    fn drain_idle(&mut self, runner: &RunnerSettings, demand: &Demand, surplus: &mut Surplus) {
        if !self.may_retire(demand) {
            return;
        }
        let paused = self.runners.get(&runner.name).is_some_and(|known| known.paused);
        let now = self.now;
        let mut idle: Vec<(Market, std::cmp::Reverse<Duration>, &mut Worker)> = self
            .fleet
            .workers
            .values_mut()
            .filter(|worker| worker.instance.runner == runner.name && !worker.instance.hold)
            .filter(|worker| worker.standing(now) == Standing::Serving)
            .filter_map(|worker| worker.idle(now).map(|idle| (worker.instance.market, std::cmp::Reverse(idle), worker)))
            .filter(|(_, idle, worker)| {
                paused || worker.age(now) >= runner.max_age || idle.0 >= demand.policy.idle.time
            })
            .collect();
        idle.sort_by(|one, other| (other.0, one.1, &one.2.instance.id).cmp(&(one.0, other.1, &other.2.instance.id)));
        for (_, idle, worker) in idle {
            let age = worker.age(now);
            let reason = if paused {
                Reason::Paused
            } else if age >= runner.max_age {
                Reason::Age { age }
            } else if idle.0 >= demand.policy.idle.time && surplus.slots >= runner.capacity {
                Reason::Idle { idle: idle.0, surplus: surplus.slots }
            } else {
                continue;
            };
            surplus.slots = surplus.slots.saturating_sub(runner.capacity);
            worker.drain = Some(Drain::begun(reason));
        }
    }

    /// Workers made from an older configuration, idle ones first, a tenth of the fleet at a time.
    fn drain_drifted(&mut self, runner: &RunnerSettings, demand: &Demand) {
        let Some(blueprint) = self.runners.get(&runner.name).and_then(|known| known.blueprint.known()) else { return };
        if !self.may_retire(demand) {
            return;
        }
        let now = self.now;
        let wants = blueprint.config.clone();
        let (mut rolling, mut drifted) = (0, Vec::new());
        for worker in self.fleet.workers.values_mut().filter(|worker| worker.instance.runner == runner.name) {
            if matches!(worker.drain, Some(Drain { reason: Reason::Drift { .. }, .. })) {
                rolling += 1;
            } else if worker.instance.config != wants
                && !worker.instance.hold
                && worker.standing(now) == Standing::Serving
            {
                drifted.push(worker);
            }
        }
        let at_once = (demand.workers / 10).max(1);
        drifted.sort_by_key(|worker| (worker.jobs() > 0, worker.instance.launched_at, worker.instance.id.clone()));
        for worker in drifted.into_iter().take((at_once as usize).saturating_sub(rolling)) {
            let reason = Reason::Drift { has: worker.instance.config.clone(), wants: wants.clone() };
            worker.drain = Some(Drain::begun(reason));
        }
    }

    /// Nothing is retired for want of work on the strength of an answer that did not come.
    fn may_retire(&self, demand: &Demand) -> bool {
        self.ec2.is_known() && demand.queue.is_known() && demand.complete
    }

    /// The next word to every draining worker, and the end of those that are empty.
    fn carry_on(&mut self) -> Vec<Command> {
        let now = self.now;
        let mut commands = Vec::new();
        let mut endings = Vec::new();
        for (id, worker) in &mut self.fleet.workers {
            if worker.instance.hold || worker.instance.state.is_ending() {
                continue;
            }
            match next_word(id, worker, now) {
                Some(Word::Say(command)) => commands.push(command),
                Some(Word::End(reason)) => {
                    worker.ending = Some(Ending { reason: reason.clone(), asked_at: now });
                    endings.push(Termination { worker: id.clone(), reason });
                }
                None => {}
            }
        }
        if !endings.is_empty() {
            commands.push(Command::Terminate(endings));
        }
        commands
    }
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

enum Word {
    Say(Command),
    End(Reason),
}

/// Why a worker must go whatever the demand is, if it must.
fn must_go(worker: &Worker, section: Option<&RunnerSettings>, now: Timestamp) -> Option<Reason> {
    let Some(section) = section else { return Some(Reason::RunnerRemoved) };
    if let Some(at) = worker.interruption() {
        return Some(Reason::Interruption { at });
    }
    let report = worker.report()?;
    let is_late = now >= worker.boot_deadline(section.boot_timeout);
    if worker.boot_watched && !worker.served && report.phase == Phase::Ready && is_late {
        // Its configuration may be on the way in this very moment, so that it is fenced, and not just ended.
        return Some(Reason::BootTimeout { after: worker.age(now), step: worker.boot_step() });
    }
    if section.max_jobs > 0 && report.jobs_started >= u64::from(section.max_jobs) {
        return Some(Reason::JobsDone { jobs: report.jobs_started });
    }
    let failed = has_failed(worker, now);
    // It was stopped by a manager before us, which did not live to terminate it.
    let stopped = matches!(report.runner, RunnerState::Stopped | RunnerState::Stopping);
    if failed {
        return Some(Reason::RunnerFailed);
    }
    stopped.then(|| Reason::Idle { idle: worker.idle(now).unwrap_or_default(), surplus: 0 })
}

/// Whether its runner process has failed for so long that it stays so.
fn has_failed(worker: &Worker, now: Timestamp) -> bool {
    worker.failed_since.is_some_and(|failed_since| since(now, failed_since) >= RUNNER_FAILED)
}

/// What a draining worker is told next, read from its last report.
fn next_word(id: &WorkerId, worker: &mut Worker, now: Timestamp) -> Option<Word> {
    if let Some(ending) = &worker.ending {
        let again = since(now, ending.asked_at) >= TERMINATE_AGAIN;
        return again.then(|| Word::End(ending.reason.clone()));
    }
    worker.drain.as_ref()?;
    let silent = worker.silent_since(now).is_some();
    let runner_failed = has_failed(worker, now);
    let heard_at = worker.heard.as_ref().map(|heard| heard.at);
    let report = worker.heard.as_ref().map(|heard| &heard.report);
    let drain = worker.drain.as_mut()?;
    if drain.reason == (Reason::Drained { force: true }) {
        return Some(Word::End(drain.reason.clone()));
    }
    let report = report.filter(|_| !silent)?;
    let due = drain.told_at.is_none_or(|told_at| since(now, told_at) >= TELL_AGAIN);
    // A fenced link pushes no configuration, and one that was on its way has long arrived.
    let never_configured =
        drain.told_at.zip(heard_at).is_some_and(|(told_at, heard_at)| since(heard_at, told_at) >= CONFIGURED_BY);
    let worker_id = id.clone();
    let reason = drain.reason.clone();
    match report.runner {
        RunnerState::Stopped => return Some(Word::End(reason)),
        // Whatever the drain was begun for: the process that ran the jobs is dead, and does not come back.
        RunnerState::Failed if runner_failed => return Some(Word::End(Reason::RunnerFailed)),
        RunnerState::Fenced if report.is_empty() && (due || !drain.stopping) => {
            drain.told_at = Some(now);
            drain.stopping = true;
            return Some(Word::Say(Command::Stop { worker: worker_id, reason }));
        }
        RunnerState::Absent if never_configured => return Some(Word::End(reason)),
        RunnerState::Serving | RunnerState::Absent
            if due && drain.told_at.is_none_or(|_| report.runner == RunnerState::Serving) =>
        {
            drain.told_at = Some(now);
            return Some(Word::Say(Command::Fence { worker: worker_id, reason }));
        }
        RunnerState::Fenced
        | RunnerState::Serving
        | RunnerState::Absent
        | RunnerState::Stopping
        | RunnerState::Failed => {}
    }
    None
}

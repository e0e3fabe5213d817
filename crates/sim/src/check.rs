//! What must never happen, judged by the truth of the world and not by anything that an engine says.
//!
//! After each step [`Check::newly_broken`] reads what was newly noted; at the end [`Check::end`] asks whether the fleet found
//! its rest: every runnable job has ended, nothing is left beyond the idle policy's floor.

use std::collections::VecDeque;
use std::fmt;

use cronexpr::{Crontab, MakeTimestamp};
use jiff::{SignedDuration, Timestamp};

use runner_fleet_engine::{
    Command, DrainReason, EndReason, IdleCount, JobId, KeyPairName, Reason, ResourceAction, RunnerName, RunnerSettings,
    RunnerState, ScheduleEntry, SystemId, TemplateName, WorkerId,
};

use super::event_log::{Bounds, Ending, Fact, Killer, LaunchTruth, TouchTruth};
use super::world::{JobState, World};

/// Calls of one kind in one minute: twice what one every check interval of 3 s makes. More is a stampede.
const CALLS_PER_MINUTE_MAX: usize = 40;
const MINUTE: SignedDuration = SignedDuration::from_mins(1);

/// Something that must never happen has happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Violation {
    /// A job was killed by our own terminate call, and nothing allowed that.
    KilledJob(TouchTruth),
    /// A worker was terminated that could still take a job.
    NotFenced(TouchTruth),
    /// A worker was given up as lost, or as taken back by EC2, that was neither.
    FalseReason(TouchTruth),
    /// A held worker was fenced, stopped or terminated after the manager had seen the tag.
    HeldTouched(&'static str, TouchTruth),
    /// Something that is not ours was touched.
    ForeignTouched(&'static str, TouchTruth),
    /// A launch went beyond `max_workers` or `concurrent`.
    OverCap(LaunchTruth),
    /// A launch made more workers than the jobs of the last minutes and the idle policy can explain.
    OverLaunch(LaunchTruth),
    /// Too many calls of this kind in one minute.
    Stampede(&'static str),
    /// A job was retried that had not failed, or twice.
    WrongRetry(JobId),
    /// At the end: this job could run and did not.
    NeverRan(JobId),
    /// At the end: a worker too many.
    LeftWorker(WorkerId),
    /// At the end: fewer workers than the idle policy's floor.
    BelowFloor(RunnerName),
    /// At the end: a worker made from an outdated launch plan.
    LeftDrifted(WorkerId),
    /// At the end: a runner-manager row without a worker.
    LeftRow(SystemId),
    /// At the end: a launch template that no configured runner launches from.
    LeftTemplate(TemplateName),
    /// At the end: a key pair that is not that of the manager's key.
    LeftKeyPair(KeyPairName),
    /// A launch template or key pair was deleted that launches need.
    NeededDeleted(ResourceAction),
    /// At the end: the books do not say what EC2 has billed.
    WrongBooks(String),
    /// The observer of the engine's laws saw one broken.
    EngineLaw(String),
}

impl Violation {
    /// Whether it breaks a law whatever the circumstances. The others measure how good the decisions are, and mean
    /// something only where the engine's answers are not held up by a busy machine.
    pub fn is_absolute(&self) -> bool {
        match self {
            Self::KilledJob(_)
            | Self::NotFenced(_)
            | Self::FalseReason(_)
            | Self::HeldTouched(..)
            | Self::ForeignTouched(..)
            | Self::OverCap(_)
            | Self::WrongRetry(_)
            | Self::NeverRan(_)
            | Self::LeftWorker(_)
            | Self::LeftDrifted(_)
            | Self::LeftRow(_)
            | Self::LeftTemplate(_)
            | Self::NeededDeleted(_)
            | Self::LeftKeyPair(_)
            | Self::WrongBooks(_)
            | Self::EngineLaw(_) => true,
            Self::OverLaunch(_) | Self::Stampede(_) | Self::BelowFloor(_) => false,
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KilledJob(touch) => write!(f, "terminating killed job {:?} of {touch}", touch.jobs),
            Self::NotFenced(touch) => write!(f, "terminated before it was fenced and empty: {touch}"),
            Self::FalseReason(touch) => write!(f, "terminated for a reason that is not true: {touch}"),
            Self::HeldTouched(what, touch) => write!(f, "{what} of a held worker: {touch}"),
            Self::ForeignTouched(what, touch) => write!(f, "{what} of a worker that is not ours: {touch}"),
            Self::OverCap(t) => {
                write!(f, "{} has {} workers and all have {} slots: over the limit", t.runner, t.live, t.slots)
            }
            Self::OverLaunch(t) => {
                write!(f, "{} has {} useful slots for {} jobs: launched too many", t.runner, t.useful_slots, t.jobs)
            }
            Self::Stampede(kind) => write!(f, "more than {CALLS_PER_MINUTE_MAX} calls in a minute: {kind}"),
            Self::WrongRetry(job) => write!(f, "job {job} was retried though it may not be"),
            Self::NeverRan(job) => write!(f, "at the end job {job} has not run"),
            Self::LeftWorker(worker) => write!(f, "at the end worker {worker} is left"),
            Self::BelowFloor(runner) => write!(f, "at the end {runner} has fewer workers than its idle policy wants"),
            Self::LeftDrifted(worker) => {
                write!(f, "at the end worker {worker} is left, which is made from an old launch plan")
            }
            Self::LeftRow(row) => write!(f, "at the end runner-manager row {row} is left"),
            Self::LeftTemplate(name) => write!(f, "at the end launch template {name} is left, which nothing needs"),
            Self::LeftKeyPair(name) => write!(f, "at the end key pair {name} is left, which nothing needs"),
            Self::NeededDeleted(action) => write!(f, "launches need what is no more: {action}"),
            Self::WrongBooks(what) | Self::EngineLaw(what) => f.write_str(what),
        }
    }
}

/// Reads a world's log as it grows.
#[derive(Debug, Default)]
pub struct Check {
    read: usize,
    launches: VecDeque<Timestamp>,
    listings: VecDeque<Timestamp>,
}

impl Check {
    /// What was broken since the last poll.
    pub fn newly_broken(&mut self, world: &World) -> Vec<(Timestamp, Violation)> {
        let facts = world.log().facts.get(self.read..).unwrap_or_default();
        self.read += facts.len();
        facts.iter().filter_map(|(at, fact)| self.judge(world, *at, fact).map(|violation| (*at, violation))).collect()
    }

    fn judge(&mut self, world: &World, at: Timestamp, fact: &Fact) -> Option<Violation> {
        match fact {
            Fact::TerminateRead(touch) => terminated(world, touch),
            Fact::Touched(what, touch) => touched(what, touch),
            Fact::LaunchRead(truth) => launched(truth),
            Fact::Tidied { action, needed: true } => Some(Violation::NeededDeleted(action.clone())),
            Fact::JobRetried { old, new: None } => Some(Violation::WrongRetry(*old)),
            Fact::JobRetried { old, new: Some(_) } => (!was_lost(world, *old)).then_some(Violation::WrongRetry(*old)),
            Fact::Commanded(command) => match **command {
                Command::Launch(_) => too_many(&mut self.launches, at).then_some(Violation::Stampede("launch")),
                Command::ListInstances { .. } => {
                    too_many(&mut self.listings, at).then_some(Violation::Stampede("list"))
                }
                Command::Connect { .. }
                | Command::Disconnect { .. }
                | Command::Want { .. }
                | Command::Terminate(_)
                | Command::Forget { .. }
                | Command::LookForJobs { .. }
                | Command::Retry { .. } => None,
            },
            Fact::ManagerUp
            | Fact::ManagerDown
            | Fact::JobQueued(_)
            | Fact::JobTaken(..)
            | Fact::JobEnded { .. }
            | Fact::JobKilled { .. }
            | Fact::Launched(..)
            | Fact::Ended(..)
            | Fact::RowMade(_)
            | Fact::RowDeleted(_)
            | Fact::Tidied { needed: false, .. }
            | Fact::Fault(..)
            | Fact::Hold(..)
            | Fact::Administered(_) => None,
        }
    }

    /// Whether the world has come to rest, and what is missing if not.
    pub fn end(world: &World) -> Vec<Violation> {
        let never_ran = world
            .jobs()
            .filter(|(_, job)| !job.state.is_over() && world.is_runnable(job))
            .map(|(id, _)| Violation::NeverRan(id));
        let rows = world
            .rows()
            .filter(|(_, worker)| !world.live().any(|(live, _)| live == *worker) && world.is_row_ours(worker))
            .map(|(row, _)| Violation::LeftRow(row.clone()));
        let fleet = world.scenario().settings.runners.iter().flat_map(|runner| left(world, runner));
        let strays = world
            .live()
            .filter(|(_, machine)| !machine.hold && !world.is_configured(&machine.runner))
            .filter(|(id, _)| !world.hosts().any(|(host, inside)| host == *id && inside.is_left_to_gitlab()))
            .map(|(id, _)| Violation::LeftWorker(id.clone()));
        never_ran.chain(fleet).chain(strays).chain(rows).chain(unneeded(world)).collect()
    }
}

/// Templates and key pairs that no launch needs.
fn unneeded(world: &World) -> Vec<Violation> {
    let there = world.inventory();
    let templates = there.templates.into_keys().filter(|name| !world.is_template_needed(name));
    let key_pairs = there.key_pairs.into_iter().filter(|name| *name != world.key_pair());
    templates.map(Violation::LeftTemplate).chain(key_pairs.map(Violation::LeftKeyPair)).collect()
}

fn terminated(world: &World, touch: &TouchTruth) -> Option<Violation> {
    if touch.ended || !touch.ours {
        return None;
    }
    let died = world.machines().any(|(id, machine)| *id == touch.worker && machine.died_at.is_some());
    let taken_back = world.machines().any(|(id, m)| *id == touch.worker && m.ending == Some(Ending::Interrupted))
        || world.hosts().any(|(id, host)| *id == touch.worker && host.interruption.is_some());
    let Some(Reason::End(reason)) = &touch.reason else { return Some(Violation::FalseReason(touch.clone())) };
    let must_be_fenced = match reason {
        EndReason::Lost => return (!died).then(|| Violation::FalseReason(touch.clone())),
        EndReason::Drained(DrainReason::Interruption { .. }) => {
            return (!taken_back).then(|| Violation::FalseReason(touch.clone()));
        }
        EndReason::Drained(DrainReason::Requested { force: true }) => return None,
        // These say that its runner has never served, or serves no more.
        EndReason::BootTimeout { .. }
        | EndReason::BootFailed { .. }
        | EndReason::WrongHostKey
        | EndReason::RunnerDied
        | EndReason::FoundStopped => false,
        EndReason::Unreachable { .. }
        | EndReason::JobUnknown { .. }
        | EndReason::Disobeyed(_)
        | EndReason::Drained(_) => true,
    };
    // A worker that had died before has nothing to lose.
    if died {
        None
    } else if !touch.jobs.is_empty() {
        Some(Violation::KilledJob(touch.clone()))
    } else if must_be_fenced && (touch.request_open || touch.runner_state == RunnerState::Serving) {
        Some(Violation::NotFenced(touch.clone()))
    } else {
        None
    }
}

fn touched(what: &'static str, touch: &TouchTruth) -> Option<Violation> {
    if !touch.ours {
        Some(Violation::ForeignTouched(what, touch.clone()))
    } else if touch.hold_shown && !touch.ended && what != "unfence" {
        Some(Violation::HeldTouched(what, touch.clone()))
    } else {
        None
    }
}

fn launched(truth: &LaunchTruth) -> Option<Violation> {
    if truth.created == 0 {
        return None;
    }
    let Bounds { max_workers, concurrent, idle, capacity } = truth.bounds;
    let capacity = capacity.max(1);
    let explained = (truth.jobs + idle).div_ceil(capacity) * capacity;
    if truth.live > max_workers || truth.slots > concurrent {
        Some(Violation::OverCap(truth.clone()))
    } else if truth.useful_slots > explained {
        Some(Violation::OverLaunch(truth.clone()))
    } else {
        None
    }
}

/// Whether a job had ended by something that is not its own doing, so that running it again is right.
fn was_lost(world: &World, job: JobId) -> bool {
    world.job(job).is_some_and(|job| matches!(job.state, JobState::Killed(by) if by != Killer::Person))
}

/// Workers beyond the floor, or fewer, or outdated ones; held ones count for nothing.
fn left(world: &World, runner: &RunnerSettings) -> Vec<Violation> {
    let (least, most, max_workers) = floor_policy(runner, world.now());
    let workers = |slots: u32| {
        let slots = if runner.limit > 0 { slots.min(runner.limit) } else { slots };
        slots.div_ceil(runner.capacity.max(1)).min(max_workers) as usize
    };
    let (floor, most) = (workers(least), workers(most));
    let live: Vec<_> = world.live().filter(|(_, machine)| machine.runner == runner.name && !machine.hold).collect();
    let spare = live.iter().skip(most).map(|(id, _)| Violation::LeftWorker((*id).clone()));
    let missing = (live.len() < floor).then(|| Violation::BelowFloor(runner.name.clone()));
    let wants = world.scenario().plans.get(&runner.name).map(|plan| &plan.config);
    let drifted = live
        .iter()
        .filter(|(_, machine)| wants.is_some_and(|wants| *wants != machine.config))
        .map(|(id, _)| Violation::LeftDrifted((*id).clone()));
    spare.chain(missing).chain(drifted).collect()
}

/// The idle slots wanted (at least, at most) and the workers allowed while no job runs: the runner's own, or those of the
/// last entry of its schedule that is active. How many a forecast wants is its own affair.
fn floor_policy(runner: &RunnerSettings, now: Timestamp) -> (u32, u32, u32) {
    let at = MakeTimestamp::from_second(now.as_second()).ok();
    let active = |entry: &&ScheduleEntry| {
        let hits = |period: &Crontab| at.is_some_and(|at| period.matches(at).unwrap_or(false));
        entry.periods.iter().any(hits)
    };
    let entry = runner.schedule.iter().rev().find(active);
    let count = entry.and_then(|entry| entry.idle_count).unwrap_or(runner.idle.count);
    let least = entry.and_then(|entry| entry.idle_count_min).unwrap_or(runner.idle.count_min);
    let factor = entry.and_then(|entry| entry.idle_scale_factor).unwrap_or(runner.idle.scale_factor);
    let max_workers = entry.and_then(|entry| entry.max_workers).unwrap_or(runner.max_workers);
    match count {
        IdleCount::Auto => (least, u32::MAX, max_workers),
        IdleCount::Fixed(count) if factor > 0.0 => (least.min(count), least.min(count), max_workers),
        IdleCount::Fixed(count) => (count, count, max_workers),
    }
}

fn too_many(times: &mut VecDeque<Timestamp>, at: Timestamp) -> bool {
    times.push_back(at);
    while times.front().is_some_and(|first| at.duration_since(*first) > MINUTE) {
        times.pop_front();
    }
    times.len() > CALLS_PER_MINUTE_MAX
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::doubles::{Plain, Vice};
    use crate::faults::Faults;
    use crate::run::{Outcome, simulate};
    use crate::scenario::{JobSpec, Scenario};
    use crate::summary::transcript;

    /// A vice, and whether a violation is the one that it must lead to.
    type Case = (Vice, fn(&Violation) -> bool);

    fn scenario(jobs: u64) -> Scenario {
        let mut scenario = Scenario::new(Timestamp::UNIX_EPOCH);
        scenario.runner_mut().unwrap().max_workers = 4;
        let job = |n| JobSpec::new(Duration::from_secs(60 * n), Duration::from_secs(90));
        scenario.with_jobs((0..jobs).map(job))
    }

    fn run_with(vice: Vice, scenario: &Scenario) -> Result<Outcome, Vec<Violation>> {
        simulate(1, scenario, |_, seed, _| Plain::new(vice, seed))
            .map_err(|broken| broken.violations.into_iter().map(|(_, violation)| violation).collect())
    }

    #[test]
    fn the_plain_double_does_its_work_in_an_honest_world() {
        let outcome = simulate(1, &scenario(5), |_, seed, _| Plain::new(Vice::None, seed)).unwrap();

        assert_eq!((outcome.summary.jobs.succeeded, outcome.summary.jobs.queued), (5, 5));
        assert_eq!(outcome.summary.workers.remaining, 0);
        assert!(outcome.summary.workers.launched >= 1);
        assert!(outcome.summary.cost_usd > 0.0 && outcome.summary.cost_usd < outcome.summary.on_demand_cost_usd);
        assert!(outcome.summary.wait_seconds.max > 20.0, "{}", transcript(&outcome.world, 100));
    }

    #[test]
    fn every_vice_is_caught_by_its_own_check() {
        use Violation as V;
        let cases: [Case; 10] = [
            (Vice::KillsBusy, |v| matches!(v, V::KilledJob(_))),
            (Vice::SkipsFence, |v| matches!(v, V::NotFenced(_))),
            (Vice::Leaks, |v| matches!(v, V::LeftWorker(_))),
            (Vice::LeavesRows, |v| matches!(v, V::LeftRow(_))),
            (Vice::LaunchesTwice, |v| matches!(v, V::OverLaunch(_))),
            (Vice::TouchesForeign, |v| matches!(v, V::ForeignTouched("fence", _))),
            (Vice::Hammers, |v| matches!(v, V::Stampede("list"))),
            (Vice::Sleeps, |v| matches!(v, V::NeverRan(_))),
            (Vice::RetriesAnything, |v| matches!(v, V::WrongRetry(_))),
            (Vice::CriesLost, |v| matches!(v, V::FalseReason(_))),
        ];
        for (vice, expected) in cases {
            let found = run_with(vice, &scenario(2)).expect_err("a vice that nobody sees");
            assert!(found.iter().any(expected), "{vice:?} gave {found:?}");
        }
    }

    #[test]
    fn more_workers_than_the_limit_are_caught() {
        let at_once = |_| JobSpec::new(Duration::ZERO, Duration::from_secs(600));
        let scenario = scenario(0).with_jobs((0..8).map(at_once));
        assert!(run_with(Vice::None, &scenario).is_ok());
        let found = run_with(Vice::IgnoresCaps, &scenario).unwrap_err();
        assert!(matches!(found.as_slice(), [Violation::OverCap(truth)] if truth.live > 4), "{found:?}");
    }

    #[test]
    fn touching_a_held_worker_is_caught() {
        let faults = Faults { until: Duration::from_secs(3600), holds_per_hour: 60.0, ..Faults::default() };
        let scenario = scenario(8).with_faults(faults);
        let found = (1..20)
            .find_map(|seed| simulate(seed, &scenario, |_, seed, _| Plain::new(Vice::IgnoresHold, seed)).err())
            .expect("a hold that nobody minds");
        assert!(matches!(found.violations.as_slice(), [(_, Violation::HeldTouched(..)), ..]), "{found}");
    }
}

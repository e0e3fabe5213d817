//! Stand-ins for the engine: a plain one that does its work well enough to try the world, and ones that are wrong on
//! purpose, to see each of them caught.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::{
    Command, DrainReason, EndReason, Event, Instance, JobId, Launch, LaunchPlan, LaunchReason, LaunchToken, Leftover,
    Market, PendingJob, Report, RunnerName, RunnerState, Settings, SystemId, Termination, Want, WorkerEvent, WorkerId,
};

use super::run::Brain;

/// How a double is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Vice {
    /// Not at all.
    None,
    /// Terminates busy workers.
    KillsBusy,
    /// Terminates idle workers without a fence.
    SkipsFence,
    /// Never terminates anything.
    Leaks,
    /// Leaves runner-manager rows behind.
    LeavesRows,
    /// Launches again at every step, under a new token.
    LaunchesTwice,
    /// Knows no limit.
    IgnoresCaps,
    /// Does not look at hold tags.
    IgnoresHold,
    /// Touches a worker that is not ours.
    TouchesForeign,
    /// Lists at every step.
    Hammers,
    /// Never launches anything.
    Sleeps,
    /// Retries jobs that succeeded.
    RetriesAnything,
    /// Calls every worker lost.
    CriesLost,
}

/// One runner, capacity 1, queue and listings trusted: the least that works in an honest world.
pub(crate) struct Plain {
    vice: Vice,
    settings: Option<Settings>,
    plan: Option<LaunchPlan>,
    pending: Vec<PendingJob>,
    workers: BTreeMap<WorkerId, Worker>,
    in_flight: BTreeMap<LaunchToken, Launch>,
    /// Launches to be sent again: no answer came.
    unanswered: Vec<Launch>,
    seed: u64,
    launches: u64,
    listed_at: Option<Timestamp>,
    seen_at: Option<Timestamp>,
    jobs_seen: BTreeSet<JobId>,
}

#[derive(Default)]
struct Worker {
    address: Option<IpAddr>,
    connected: bool,
    report: Option<Report>,
    idle_since: Option<Timestamp>,
    fenced: bool,
    ending: bool,
    gone: bool,
    forgotten: bool,
    hold: bool,
}

impl Plain {
    pub(crate) fn new(vice: Vice, seed: u64) -> Self {
        Self {
            vice,
            settings: None,
            plan: None,
            pending: Vec::new(),
            workers: BTreeMap::new(),
            in_flight: BTreeMap::new(),
            unanswered: Vec::new(),
            seed,
            launches: 0,
            listed_at: None,
            seen_at: None,
            jobs_seen: BTreeSet::new(),
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Configured(settings) => self.settings = Some(settings),
            Event::Queue { snapshot: Ok(snapshot), .. } => {
                self.jobs_seen.extend(snapshot.jobs.iter().map(|job| job.id));
                self.pending = snapshot.jobs;
                self.seen_at = Some(snapshot.as_of);
            }
            Event::LaunchPlan { plan: Ok(plan), .. } => self.plan = Some(plan),
            Event::Instances { listing: Ok(listing), .. } => listing.into_iter().for_each(|one| self.listed(one)),
            Event::Launched { token, answer } => {
                let launch = self.in_flight.remove(&token);
                if answer.leftover == Leftover::Possible {
                    self.unanswered.extend(launch);
                }
                for launched in answer.launched {
                    self.workers.entry(launched.id).or_default();
                }
            }
            Event::Worker { worker, event: WorkerEvent::Report(report) } => {
                self.workers.entry(worker).or_default().report = Some(*report);
            }
            Event::Forgotten { worker, outcome: Ok(()) } => self.workers.entry(worker).or_default().forgotten = true,
            Event::TerminateFailed { workers, .. } => {
                workers.into_iter().for_each(|id| self.workers.entry(id).or_default().ending = false);
            }
            Event::Runner { .. }
            | Event::Queue { .. }
            | Event::LaunchPlan { .. }
            | Event::Instances { .. }
            | Event::Worker { .. }
            | Event::Forgotten { .. }
            | Event::JobsSeen { .. }
            | Event::Retried { .. }
            | Event::Prices(_)
            | Event::Operator(_) => {}
        }
    }

    fn listed(&mut self, instance: Instance) {
        let worker = self.workers.entry(instance.id).or_default();
        worker.address = worker.address.or(instance.address);
        worker.gone |= instance.state.is_ending();
        worker.hold = instance.hold;
    }

    fn launch(&mut self, commands: &mut Vec<Command>) {
        let (Some(plan), Some(runner)) =
            (self.plan.clone(), self.settings.as_ref().and_then(|settings| settings.runners.first()))
        else {
            return;
        };
        for launch in std::mem::take(&mut self.unanswered) {
            self.in_flight.insert(launch.token.clone(), launch.clone());
            commands.push(Command::Launch(launch));
        }
        let free = self.workers.values().filter(|worker| worker.is_free()).count() as u32;
        let live = self.workers.values().filter(|worker| !worker.gone).count() as u32;
        let coming: u32 = self.in_flight.values().map(|launch| launch.count).sum();
        let waiting = self.pending.iter().filter(|job| job.tags.is_empty() || job.tags.contains("arm")).count() as u32;
        let missing = match self.vice {
            Vice::LaunchesTwice if waiting > 0 => waiting,
            Vice::IgnoresCaps => waiting.saturating_sub(free + coming),
            Vice::Sleeps => 0,
            _ => waiting.saturating_sub(free + coming).min(runner.max_workers.saturating_sub(live + coming)),
        };
        if missing > 0 {
            self.launches += 1;
            let launch = Launch {
                token: LaunchToken::new(format!("{}-{}", self.seed, self.launches)),
                runner: runner.name.clone(),
                count: missing,
                market: Market::Spot,
                offerings: plan.places.iter().map(|place| place.on(Market::Spot)).collect(),
                template: plan.template,
                config: plan.config,
                spot_max_price: None,
                tags: BTreeMap::new(),
                reason: LaunchReason::Demand { running: 0, waiting, idle: 0, slots: free },
            };
            self.in_flight.insert(launch.token.clone(), launch.clone());
            commands.push(Command::Launch(launch));
        }
    }

    fn tend(&mut self, now: Timestamp, commands: &mut Vec<Command>) {
        let Some(runner) = self.settings.as_ref().and_then(|settings| settings.runners.first()) else { return };
        let (name, idle_time, vice) = (runner.name.clone(), runner.idle.time.for_boots_of(Duration::ZERO), self.vice);
        for (id, worker) in &mut self.workers {
            if let Some(address) = worker.address.filter(|_| !worker.connected && !worker.gone) {
                worker.connected = true;
                commands.push(Command::Connect { worker: id.clone(), runner: name.clone(), address, want: None });
            }
            if worker.gone {
                worker.bury(id, &name, vice, commands);
            } else {
                worker.retire(id, now, idle_time, vice, commands);
            }
        }
    }
}

impl Worker {
    fn is_free(&self) -> bool {
        let serves = self.report.as_ref().is_none_or(|report| {
            report.jobs() == 0 && matches!(report.runner, RunnerState::Absent | RunnerState::Serving)
        });
        !self.gone && !self.fenced && !self.hold && serves
    }

    fn bury(&mut self, id: &WorkerId, runner: &RunnerName, vice: Vice, commands: &mut Vec<Command>) {
        if self.connected {
            self.connected = false;
            commands.push(Command::Disconnect { worker: id.clone() });
        }
        if !self.forgotten && vice != Vice::LeavesRows {
            let (worker, system_id) = (id.clone(), SystemId::of(id));
            commands.push(Command::Forget { worker, runner: runner.clone(), system_id });
            self.forgotten = true;
        }
    }

    fn retire(&mut self, id: &WorkerId, now: Timestamp, after: Duration, vice: Vice, commands: &mut Vec<Command>) {
        let Some(report) = self.report.clone() else { return };
        let terminate = |reason| Command::Terminate(vec![Termination { worker: id.clone(), reason }]);
        let idle = DrainReason::Idle { idle: after, surplus: 1 };
        let drained = EndReason::Drained(idle.clone());
        if self.ending || (self.hold && vice != Vice::IgnoresHold) || vice == Vice::Leaks {
            return;
        }
        match vice {
            Vice::KillsBusy if report.jobs() > 0 => {
                self.ending = true;
                return commands.push(terminate(drained));
            }
            Vice::CriesLost if report.jobs() > 0 => {
                self.ending = true;
                return commands.push(terminate(EndReason::Lost));
            }
            _ => {}
        }
        if report.runner != RunnerState::Serving || report.jobs() > 0 {
            self.idle_since = None;
        } else {
            self.idle_since.get_or_insert(now);
        }
        let is_over = self.idle_since.is_some_and(|since| now.duration_since(since).unsigned_abs() >= after);
        if self.fenced && report.runner == RunnerState::Fenced && report.is_empty()
            || report.runner == RunnerState::Failed
        {
            self.ending = true;
            commands.push(terminate(drained));
        } else if is_over && !self.fenced {
            self.fenced = true;
            if vice == Vice::SkipsFence {
                self.ending = true;
                commands.push(terminate(drained));
            } else {
                commands.push(Command::Want { worker: id.clone(), want: Want::Fence { reason: idle } });
            }
        }
    }
}

impl Brain for Plain {
    fn step(&mut self, now: Timestamp, events: Vec<Event>) -> Vec<Command> {
        events.into_iter().for_each(|event| self.hear(event));
        let mut commands = Vec::new();
        let is_due = self.listed_at.is_none_or(|at| now.duration_since(at).as_secs() >= 10);
        if is_due || self.vice == Vice::Hammers {
            self.listed_at = Some(now);
            commands.push(Command::ListInstances { with_health: false });
        }
        self.launch(&mut commands);
        self.tend(now, &mut commands);
        match self.vice {
            Vice::TouchesForeign if self.launches > 0 => {
                let worker = WorkerId::new("i-somebody-elses");
                commands.push(Command::Want { worker, want: Want::Fence { reason: DrainReason::Paused } });
            }
            Vice::RetriesAnything if self.jobs_seen.len() == 1 => {
                let (Some(runner), Some(job)) =
                    (self.settings.as_ref().and_then(|s| s.runners.first()), self.jobs_seen.first())
                else {
                    return commands;
                };
                let (runner, server) = (runner.name.clone(), runner.server.clone());
                let (worker, project, job) = (WorkerId::new("i-0"), runner_fleet_engine::ProjectId(1), *job);
                commands.push(Command::Retry { worker, runner, runner_id: 1, server, project, job });
            }
            _ => {}
        }
        commands
    }
}

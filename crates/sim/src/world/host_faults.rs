//! What happens to workers and jobs without anybody's command: EC2, broken things, people.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::Timestamp;

use crate::event_log::{Ending, Fact, Killer};
use crate::faults::Faults;
use crate::rng::Stream;
use runner_fleet_engine::{JobId, Market, RunnerState, Unfit, WorkerId};

use super::agenda::Happening;
use super::{Host, JobState, Lie, World, later};

/// EC2's notice before it takes a spot instance back.
const NOTICE: Duration = Duration::from_secs(120);
/// The agent asks Docker, and looks at the disk, so often.
const FOUND_OUT: Duration = Duration::from_secs(60);
/// What finds no worker that it could happen to looks again after this time.
const LOOK_AGAIN: Duration = Duration::from_secs(15);

/// How often something happens to a worker, and what.
type Plan = (fn(&Faults) -> f64, fn(WorkerId) -> Happening);

impl World {
    /// Draws a new worker's fate.
    pub(super) fn plan_troubles(&mut self, worker: &WorkerId, market: Market) {
        if self.is_calm() {
            return;
        }
        let plans: [Plan; 5] = [
            (|faults| faults.interruptions_per_hour, Happening::Interrupts),
            (|faults| faults.host_deaths_per_hour, Happening::HostDies),
            (|faults| faults.silences_per_hour, Happening::FallsSilent),
            (|faults| faults.runner_crashes_per_hour, Happening::RunnerCrashes),
            (|faults| faults.sicknesses_per_hour, Happening::FallsSick),
        ];
        for (index, (rate, happening)) in plans.into_iter().enumerate() {
            let after = self.rng.until_next(Stream::Fate, rate(&self.scenario.faults));
            if let Some(after) = after.filter(|_| index > 0 || market == Market::Spot) {
                self.soon(after, happening(worker.clone()));
            }
        }
    }

    /// People's deeds: holds and cancellations.
    pub(super) fn plan_people(&mut self) {
        self.plan_next(|faults| faults.holds_per_hour, Happening::SomeHold);
        self.plan_next(|faults| faults.cancels_per_hour, Happening::SomeCancel);
    }

    pub(super) fn plan_next(&mut self, rate: impl Fn(&Faults) -> f64, happening: Happening) {
        if !self.is_calm()
            && let Some(after) = self.rng.until_next(Stream::Fate, rate(&self.scenario.faults))
        {
            self.soon(after, happening);
        }
    }

    /// The scenario wants an interruption now: of the spot worker whose job has longest to run, if any has one.
    pub(super) fn some_interruption(&mut self) {
        let candidates = self.hosts.iter().filter(|(id, host)| {
            let is_spot = self.cloud.machines.get(*id).is_some_and(|m| m.offering.market == Market::Spot);
            is_spot && host.alive && host.interruption.is_none() && host.runner_state == RunnerState::Serving
        });
        let chosen =
            candidates.max_by_key(|(id, host)| (self.busy_until(host), Reverse(*id))).map(|(id, _)| id.clone());
        match chosen {
            Some(worker) => self.notice(&worker),
            None if !self.is_done() => self.soon(LOOK_AGAIN, Happening::SomeInterruption),
            None => {}
        }
    }

    /// When the last of its jobs ends, if nothing happens.
    fn busy_until(&self, host: &Host) -> Option<Timestamp> {
        let ends = |id: &JobId| {
            let job = self.gitlab.jobs.get(id)?;
            Some(later(job.taken_at?, job.spec.takes))
        };
        host.jobs.keys().filter_map(ends).max()
    }

    pub(super) fn interrupts(&mut self, worker: &WorkerId) {
        if self.is_calm() {
            return;
        }
        if self.strikes(Stream::Fate, |faults| faults.interruption_unannounced) {
            self.reclaims(worker);
        } else if self.hosts.get(worker).is_some_and(|host| host.alive && host.interruption.is_none()) {
            self.notice(worker);
        }
    }

    pub(super) fn notice(&mut self, worker: &WorkerId) {
        let at = later(self.now, NOTICE);
        if let Some(host) = self.hosts.get_mut(worker) {
            host.interruption = Some(at);
        }
        self.log.note(self.now, Fact::Fault("a spot notice", Some(worker.clone())));
        self.agenda.put(at, Happening::Reclaims(worker.clone()));
        // The agent asks the metadata service every few seconds.
        self.tell(worker);
    }

    pub(super) fn reclaims(&mut self, worker: &WorkerId) {
        self.instance_ends(worker, Ending::Interrupted, Killer::Interruption);
    }

    /// The host is gone, but EC2 still says `running`; the status checks find out later.
    pub(super) fn host_dies(&mut self, worker: &WorkerId) {
        let alive = self.hosts.get(worker).is_some_and(|host| host.alive);
        if self.is_calm() || !alive {
            return;
        }
        self.log.note(self.now, Fact::Fault("a host dies", Some(worker.clone())));
        self.link_starves(worker);
        self.host_ends(worker, Killer::HostDeath);
        let now = self.now;
        if let Some(machine) = self.cloud.machines.get_mut(worker) {
            machine.died_at = Some(now);
        }
    }

    /// The worker runs on, but nobody can reach it for a while.
    pub(super) fn falls_silent(&mut self, worker: &WorkerId) {
        if self.is_calm() {
            return;
        }
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive && !host.silent) else { return };
        host.silent = true;
        let for_ever = host.lie == Some(Lie::StaysOn);
        self.log.note(self.now, Fact::Fault("a worker falls silent", Some(worker.clone())));
        self.link_starves(worker);
        let after = self.rng.millis(Stream::Fate, 10_000, 1_200_000);
        if !for_ever {
            self.soon(after, Happening::SpeaksAgain(worker.clone()));
        }
    }

    /// Its disk is full, or its Docker dead: jobs fail on it, and its agent finds out within a minute.
    pub(super) fn falls_sick(&mut self, worker: &WorkerId) {
        if self.is_calm() {
            return;
        }
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive) else { return };
        host.sick = true;
        self.log.note(self.now, Fact::Fault("a worker falls sick", Some(worker.clone())));
        self.soon(FOUND_OUT, Happening::FindsItselfUnfit(worker.clone()));
    }

    /// It takes no more jobs, and says why.
    pub(super) fn finds_itself_unfit(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive && host.unfit.is_none()) else { return };
        host.unfit = Some(Unfit::Docker);
        self.fences(worker);
        self.tell(worker);
    }

    pub(super) fn speaks_again(&mut self, worker: &WorkerId) {
        if let Some(host) = self.hosts.get_mut(worker) {
            host.silent = false;
            if host.lie == Some(Lie::Deaf) {
                host.lie = None;
                self.soon(Duration::from_secs(2), Happening::Asks(worker.clone()));
            }
        }
    }

    /// gitlab-runner ends by itself, and with it all that it ran.
    pub(super) fn runner_crashes(&mut self, worker: &WorkerId) {
        if self.is_calm() {
            return;
        }
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive) else { return };
        match host.runner_state {
            RunnerState::Absent => return self.soon(LOOK_AGAIN, Happening::RunnerCrashes(worker.clone())),
            RunnerState::Serving | RunnerState::Fenced => {}
            RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed => return,
        }
        host.runner_state = RunnerState::Failed;
        host.request = None;
        let jobs: Vec<JobId> = std::mem::take(&mut host.jobs).into_keys().collect();
        self.log.note(self.now, Fact::Fault("a runner crashes", Some(worker.clone())));
        for job in jobs {
            self.job_killed(job, Killer::RunnerCrash);
        }
        self.tell(worker);
    }

    pub(super) fn some_hold(&mut self) {
        self.plan_next(|faults| faults.holds_per_hour, Happening::SomeHold);
        let mut free: Vec<WorkerId> = self.live().filter(|(_, m)| !m.hold).map(|(id, _)| id.clone()).collect();
        if self.is_calm() || free.is_empty() {
            return;
        }
        let worker = free.swap_remove(self.rng.pick(Stream::Fate, free.len()));
        let after = self.rng.millis(Stream::Fate, 30_000, 900_000);
        self.set_hold(&worker, true);
        self.soon(after, Happening::HoldEnds(worker));
    }

    pub(super) fn hold_ends(&mut self, worker: &WorkerId) {
        self.set_hold(worker, false);
    }

    /// A person sets the hold tag, or takes it away.
    pub fn set_hold(&mut self, worker: &WorkerId, hold: bool) {
        if let Some(machine) = self.cloud.machines.get_mut(worker) {
            machine.hold = hold;
            self.log.note(self.now, Fact::Hold(worker.clone(), hold));
        }
    }

    pub(super) fn some_cancel(&mut self) {
        self.plan_next(|faults| faults.cancels_per_hour, Happening::SomeCancel);
        let open: Vec<(JobId, Option<WorkerId>)> = self
            .gitlab
            .jobs
            .iter()
            .filter(|(_, job)| matches!(job.state, JobState::Pending | JobState::Running))
            .map(|(id, job)| (*id, job.worker.clone()))
            .collect();
        if self.is_calm() || open.is_empty() {
            return;
        }
        let index = self.rng.pick(Stream::Fate, open.len());
        if let Some((job, worker)) = open.into_iter().nth(index) {
            self.cancel(job, worker);
        }
    }

    fn cancel(&mut self, job: JobId, worker: Option<WorkerId>) {
        self.job_killed(job, Killer::Person);
        let Some(worker) = worker else { return };
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(&worker) {
            host.jobs.remove(&job);
            host.request = host.request.filter(|request| request.brings != Some(job));
            host.idle_since = now;
            if host.max_jobs == 1 {
                host.runner_state = RunnerState::Stopped;
            }
        }
        self.soon(Duration::from_secs(2), Happening::Asks(worker.clone()));
        self.tell(&worker);
    }
}

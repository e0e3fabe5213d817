//! A worker from the inside: its boot, its gitlab-runner, what its agent reports.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use crate::event_log::{Fact, Killer, TouchTruth};
use crate::rng::Stream;
use runner_fleet_engine::{
    JobId, Phase, ProjectId, Reason, Report, RunnerName, RunnerState, SystemId, Unfit, WorkerId,
};

use super::agenda::{Happening, Stage};
use super::connection::Connection;
use super::{World, later};

/// GitLab holds a job request for up to this time.
pub(super) const LONG_POLL_SECONDS: u64 = 50;

/// The default of `orphan_timeout`, for a worker whose runner is not configured any more.
const ORPHAN_TIMEOUT: Duration = Duration::from_secs(30 * 60);
/// So many jobs in a row that fail for the worker's own reasons make it unfit.
const FAILURES_MAX: u32 = 3;
/// A runner's round, `check_interval`: it asks again within that time.
const ASKS_EVERY: Duration = Duration::from_secs(3);

/// The insides of a worker.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// Whose worker it is.
    pub runner: RunnerName,
    /// How far its boot is.
    pub phase: Phase,
    /// What its runner process does.
    pub runner_state: RunnerState,
    /// The jobs that it runs, and where each shows already.
    pub jobs: BTreeMap<JobId, Shown>,
    /// The open job request.
    pub request: Option<Request>,
    /// Jobs taken.
    pub jobs_started: u64,
    /// When EC2 takes it back, once that is announced.
    pub interruption: Option<Timestamp>,
    /// Whether its host answers at all; not after the host's death or the instance's end.
    pub alive: bool,
    /// Whether it cannot be reached although it runs.
    pub silent: bool,
    /// Whether it answers with a key that is not its own.
    pub wrong_key: bool,
    /// The manager's connection to it.
    pub connection: Connection,
    pub(super) sshd: bool,
    pub(super) max_jobs: u32,
    pub(super) capacity: u32,
    pub(super) pushed: bool,
    pub(super) fence_wanted: bool,
    pub(super) idle_since: Timestamp,
    pub(super) queue_size: Option<u32>,
    pub(super) requests_made: u64,
    /// Whether the manager has sent it a fence or an end: it counts on it no more, whether that arrives or not.
    pub(super) told_to_go: bool,
    pub(super) lie: Option<Lie>,
    /// Whether its disk is full or its Docker dead, so that jobs fail on it.
    pub(super) sick: bool,
    /// Jobs that have failed on it in a row, for want of health.
    pub(super) failures: u32,
    /// What it has found out about that.
    pub(super) unfit: Option<Unfit>,
    pub(super) orphan_timeout: Duration,
}

/// An untruth that an agent tells: a broken counter, a metric that nobody serves, a runner that hangs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lie {
    /// Docker's labels never show a job.
    NoDocker,
    /// The runner's metrics never show a job.
    NoMetrics,
    /// It has been idle for ever.
    IdleForAges,
    /// Its counter of jobs runs a thousand times too fast.
    CountsWildly,
    /// While it runs a job it runs as many as a number can say.
    RunsMillions,
    /// It runs the jobs that are next in the queue, too.
    ClaimsIds,
    /// GitLab told it of as many jobs as a number can say.
    HugeQueue,
    /// EC2 is about to take it back.
    CriesWolf,
    /// Jobs would fail on it.
    Unfit,
    /// Its runner says that it serves, and asks for no job for up to half an hour.
    Deaf,
    /// It is told to take no more jobs, and goes on; only a hard stop ends its runner.
    NeverFences,
    /// A job request of its runner never ends by itself.
    StuckRequest,
    /// It is told to stop, and nothing happens, however hard.
    IgnoresStop,
    /// It is told to stop, says that it does, and does not.
    NeverStops,
    /// It runs a job for ever, it says.
    BusyForEver,
    /// It falls silent for ever; without a manager it takes no more jobs, but does not power itself off.
    StaysOn,
}

impl Lie {
    /// All of them.
    pub(super) const ALL: [Self; 16] = [
        Self::NoDocker,
        Self::NoMetrics,
        Self::IdleForAges,
        Self::CountsWildly,
        Self::RunsMillions,
        Self::ClaimsIds,
        Self::HugeQueue,
        Self::CriesWolf,
        Self::Unfit,
        Self::Deaf,
        Self::NeverFences,
        Self::StuckRequest,
        Self::IgnoresStop,
        Self::NeverStops,
        Self::BusyForEver,
        Self::StaysOn,
    ];

    fn tell(self, report: &mut Report) {
        match self {
            Self::NoDocker => {
                report.jobs_by_docker = 0;
                report.job_ids.clear();
            }
            Self::NoMetrics => report.jobs_by_metrics = 0,
            Self::IdleForAges => report.idle_seconds = u64::MAX,
            Self::CountsWildly => report.jobs_started = report.jobs_started.saturating_mul(1_000),
            Self::RunsMillions if report.jobs() > 0 => report.jobs_by_metrics = u32::MAX,
            Self::ClaimsIds => {
                let known = report.job_ids.last().map_or(0, |JobId(id)| *id);
                report.job_ids.extend((1..50).map(|more| JobId(known + more)));
                report.projects.extend(report.job_ids.iter().map(|job| (*job, ProjectId(1))));
            }
            Self::HugeQueue => report.queue_size = Some(u32::MAX),
            Self::CriesWolf => report.rebalance = true,
            Self::Unfit => report.unfit = Some(Unfit::Disk),
            // Only a runner that lives serves metrics.
            Self::BusyForEver
                if matches!(report.runner, RunnerState::Serving | RunnerState::Fenced | RunnerState::Stopping) =>
            {
                report.jobs_by_metrics = report.jobs_by_metrics.max(1);
            }
            Self::BusyForEver
            | Self::StaysOn
            | Self::RunsMillions
            | Self::Deaf
            | Self::NeverFences
            | Self::StuckRequest
            | Self::IgnoresStop
            | Self::NeverStops => {}
        }
    }
}

/// Where a running job shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shown {
    /// Its project.
    pub project: ProjectId,
    /// In the runner's metrics.
    pub by_metrics: bool,
    /// In the labels of Docker's containers.
    pub by_docker: bool,
}

/// An open job request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// Tells it from the earlier ones.
    pub number: u64,
    /// When GitLab got it.
    pub opened_at: Timestamp,
    /// The job that it has brought, until the runner counts that job as running.
    pub brings: Option<JobId>,
}

impl Host {
    pub(super) fn new(runner: RunnerName, max_jobs: u32, capacity: u32, now: Timestamp) -> Self {
        Self {
            runner,
            phase: Phase::Booting { step: "starting".into() },
            runner_state: RunnerState::Absent,
            jobs: BTreeMap::new(),
            request: None,
            jobs_started: 0,
            interruption: None,
            alive: true,
            silent: false,
            wrong_key: false,
            connection: Connection::new(now),
            sshd: false,
            max_jobs,
            capacity,
            pushed: false,
            fence_wanted: false,
            idle_since: now,
            queue_size: None,
            requests_made: 0,
            told_to_go: false,
            lie: None,
            sick: false,
            failures: 0,
            unfit: None,
            orphan_timeout: ORPHAN_TIMEOUT,
        }
    }

    pub(super) fn waits_for_a_job(&self) -> bool {
        self.alive && self.request.is_some_and(|request| request.brings.is_none())
    }

    pub(super) fn takes_job(&mut self, job: JobId, project: ProjectId, queue_size: u32) {
        self.jobs.insert(job, Shown { project, by_metrics: false, by_docker: false });
        self.jobs_started += 1;
        self.queue_size = Some(queue_size);
        if let Some(request) = &mut self.request {
            request.brings = Some(job);
        }
    }

    /// Whether it takes jobs now or will do so by itself.
    pub fn is_useful(&self) -> bool {
        let may_take = match self.runner_state {
            RunnerState::Absent | RunnerState::Serving => !self.fence_wanted,
            RunnerState::Fenced | RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed => false,
        };
        let boots = !matches!(self.phase, Phase::Failed { .. });
        let unspent = self.max_jobs == 0 || self.jobs_started < u64::from(self.max_jobs);
        self.alive && !self.silent && !self.wrong_key && boots && may_take && unspent && self.interruption.is_none()
    }

    /// Whether the manager has no reason to think that it takes no jobs: it was not told to go, does not ask for it, and does
    /// not seem full.
    pub(super) fn is_counted_on(&self) -> bool {
        !self.told_to_go
            && !matches!(self.lie, Some(Lie::CriesWolf | Lie::Unfit | Lie::RunsMillions | Lie::BusyForEver))
    }

    /// Jobs that its lie may make the manager launch for: a whole queue, where only workers tell of it; or those that it has
    /// taken, while it claims others in their place and a poll shows them as waiting.
    pub(super) fn jobs_made_up(&self, concurrent: u32) -> u32 {
        match self.lie {
            Some(Lie::HugeQueue) => concurrent,
            Some(Lie::ClaimsIds) => self.capacity,
            Some(_) | None => 0,
        }
    }

    /// Whether it claims jobs that it does not run.
    pub(super) fn claims_jobs(&self) -> bool {
        self.lie == Some(Lie::ClaimsIds)
    }

    /// Whether only GitLab can refute that it runs a job: where its section is gone, there is no token with which to ask, and it
    /// is left to people; or given a day, where nobody hears it.
    pub fn is_left_to_gitlab(&self) -> bool {
        self.silent && self.lie == Some(Lie::StaysOn) || self.lie == Some(Lie::BusyForEver)
    }

    /// What its agent says now.
    pub(super) fn report(&self, now: Timestamp) -> Report {
        let count = |shown: fn(&Shown) -> bool| self.jobs.values().filter(|job| shown(job)).count() as u32;
        let idle = Duration::try_from(now.duration_since(self.idle_since)).unwrap_or_default();
        let mut report = Report {
            phase: self.phase.clone(),
            runner: self.runner_state,
            jobs_by_metrics: count(|job| job.by_metrics),
            jobs_by_docker: count(|job| job.by_docker),
            job_ids: self.jobs.iter().filter(|(_, shown)| shown.by_docker).map(|(id, _)| *id).collect(),
            projects: self
                .jobs
                .iter()
                .filter_map(|(id, shown)| shown.by_docker.then_some((*id, shown.project)))
                .collect(),
            open_requests: u32::from(self.request.is_some()),
            jobs_started: self.jobs_started,
            idle_seconds: if self.jobs.is_empty() { idle.as_secs() } else { 0 },
            queue_size: self.queue_size,
            disk_free_mib: Some(20_000),
            unfit: self.unfit,
            interruption: self.interruption,
            rebalance: false,
            ecr_error: None,
        };
        if let Some(lie) = self.lie {
            lie.tell(&mut report);
        }
        report
    }

    fn asks_on(&self) -> bool {
        let spent = self.max_jobs == 1 && self.jobs_started >= 1;
        let free = self.jobs.len() < self.capacity as usize;
        let hears = self.lie != Some(Lie::Deaf);
        self.alive && hears && self.runner_state == RunnerState::Serving && self.request.is_none() && free && !spent
    }
}

impl World {
    pub(super) fn boots(&mut self, worker: &WorkerId, stage: Stage) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive) else { return };
        match stage {
            Stage::Running => self.cloud.state_changes(worker, self.now),
            Stage::Sshd => host.sshd = true,
            Stage::Step(step) => host.phase = Phase::Booting { step: step.to_owned() },
            Stage::Ready => {
                host.phase = Phase::Ready;
                self.push_configuration(worker);
            }
            Stage::Failed => {
                host.phase = Phase::Failed { error: "cannot install docker".into() };
                self.soon(Duration::from_secs(10), Happening::Boots { worker: worker.clone(), stage: Stage::PowerOff });
            }
            Stage::PowerOff => self.powers_off(worker),
        }
        self.tell(worker);
    }

    /// The configuration goes to a worker that is ready and connected; its runner starts.
    pub(super) fn push_configuration(&mut self, worker: &WorkerId) {
        let incarnation = self.incarnation;
        let Some(host) = self.hosts.get_mut(worker) else { return };
        if host.phase == Phase::Ready && host.connection.is_up() && !host.pushed && !host.connection.lets_it_go() {
            host.pushed = true;
            let after = self.rng.millis(Stream::Boot, 1_000, 3_000);
            self.soon(after, Happening::Serves { worker: worker.clone(), incarnation });
        }
    }

    /// The runner has started with the pushed configuration. The push survives neither a crash of the manager nor a
    /// broken connection; the next connection pushes again.
    pub(super) fn serves(&mut self, worker: &WorkerId, incarnation: u32) {
        let pushed_now = incarnation == self.incarnation && self.manager_up;
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive) else { return };
        if !pushed_now || !host.connection.is_up() {
            host.pushed = false;
            return;
        }
        if host.runner_state == RunnerState::Absent {
            host.runner_state = if host.fence_wanted { RunnerState::Fenced } else { RunnerState::Serving };
            host.idle_since = self.now;
            self.cloud.serves(worker, self.now);
            self.runner_asks(worker);
            self.tell(worker);
        }
    }

    /// The runner opens a job request if it may take one more job. Its first one makes its row in GitLab.
    pub(super) fn runner_asks(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.asks_on()) else { return };
        host.requests_made += 1;
        host.request = Some(Request { number: host.requests_made, opened_at: self.now, brings: None });
        let row = SystemId::of(worker);
        if self.gitlab.rows.insert(row.clone(), worker.clone()).is_none() {
            self.log.note(self.now, Fact::RowMade(row));
        }
        self.plan_hand_out();
    }

    /// The long poll of a runner that asks no more comes back empty.
    pub(super) fn request_ends(&mut self, worker: &WorkerId, request: u64) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        let ends = host.runner_state != RunnerState::Serving && host.lie != Some(Lie::StuckRequest);
        let hangs = host.request.is_some_and(|open| open.number == request && open.brings.is_none());
        if ends && hangs {
            host.request = None;
            self.tell(worker);
        }
    }

    /// A request that hung when a job was queued comes back empty; a runner that serves asks again on its next round.
    pub(super) fn held_request_ends(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        host.request = None;
        if host.runner_state == RunnerState::Serving {
            let after = self.rng.between(Stream::Jobs, Duration::ZERO, ASKS_EVERY);
            self.soon(after, Happening::Asks(worker.clone()));
        } else {
            self.tell(worker);
        }
    }

    pub(super) fn job_shows(&mut self, worker: &WorkerId, job: JobId, by_docker: bool) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive) else { return };
        let Some(shown) = host.jobs.get_mut(&job) else { return };
        if by_docker {
            shown.by_docker = true;
            if self.scenario.lean {
                // The runner has counted it already: there is nothing to be done about its name.
                return self.beat(worker);
            }
        } else {
            shown.by_metrics = true;
            host.request = host.request.filter(|request| request.brings != Some(job));
            let after = self.rng.millis(Stream::Jobs, 500, 3_000);
            self.soon(after, Happening::Asks(worker.clone()));
        }
        self.tell(worker);
    }

    pub(super) fn job_ends(&mut self, worker: &WorkerId, job: JobId) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        if host.jobs.remove(&job).is_none() {
            return;
        }
        if host.jobs.is_empty() {
            host.idle_since = self.now;
        }
        let fails = host.sick;
        host.failures = if fails { host.failures + 1 } else { 0 };
        let is_unfit = host.failures >= FAILURES_MAX;
        let asks_on = host.runner_state == RunnerState::Serving && host.max_jobs == 0;
        if host.max_jobs == 1 {
            // A runner for one job exits after it.
            host.runner_state = RunnerState::Stopped;
        }
        if fails {
            self.job_killed(job, Killer::SickWorker);
        } else {
            self.job_over(job);
        }
        if is_unfit {
            self.finds_itself_unfit(worker);
        }
        self.exits_when_empty(worker);
        let after = self.rng.millis(Stream::Jobs, 200, 3_000);
        self.soon(after, Happening::Asks(worker.clone()));
        if self.scenario.lean && asks_on {
            // It takes the next job by itself, and is idle for long before anybody ends it.
            return self.beat(worker);
        }
        self.tell(worker);
    }

    pub(super) fn note_touch(&mut self, what: &'static str, worker: &WorkerId, reason: Option<Reason>) {
        if !self.scenario.lean {
            let truth = self.touch(worker, reason);
            self.log.note(self.now, Fact::Touched(what, truth));
        }
    }

    /// How things stand at a worker that is being touched.
    pub(super) fn touch(&self, worker: &WorkerId, reason: Option<Reason>) -> TouchTruth {
        let host = self.hosts.get(worker);
        TouchTruth {
            worker: worker.clone(),
            reason,
            ours: host.is_some(),
            ended: self.cloud.machines.get(worker).is_some_and(|machine| machine.ending.is_some()),
            jobs: host.map(|host| host.jobs.keys().copied().collect()).unwrap_or_default(),
            request_open: host.is_some_and(|host| host.request.is_some()),
            runner_state: host.map_or(RunnerState::Absent, |host| host.runner_state),
            hold_shown: self.cloud.machines.get(worker).is_some_and(|machine| machine.hold_shown),
        }
    }

    /// Everything on a worker ends.
    pub(super) fn host_ends(&mut self, worker: &WorkerId, by: Killer) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        host.alive = false;
        host.request = None;
        let jobs: Vec<_> = std::mem::take(&mut host.jobs).into_keys().collect();
        for job in jobs {
            self.job_killed(job, by);
        }
        self.link_broken(worker, "connection reset by peer");
    }

    /// The dead man's timer: a worker that has heard no manager for too long takes no more jobs, and ends itself when it has
    /// none.
    pub(super) fn orphan_check(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get(worker).filter(|host| host.alive) else { return };
        let due = later(host.connection.heard_at(self.now), host.orphan_timeout);
        let takes_none = host.runner_state != RunnerState::Serving || host.lie == Some(Lie::NeverFences);
        if due > self.now {
            self.agenda.put(due, Happening::OrphanCheck(worker.clone()));
        } else if host.jobs.is_empty() && takes_none && host.lie != Some(Lie::StaysOn) {
            self.powers_off(worker);
        } else {
            self.fences(worker);
            self.soon(Duration::from_secs(30), Happening::OrphanCheck(worker.clone()));
        }
    }
}

//! GitLab: jobs, who takes them, runner-manager rows, and what the manager reads of it. There is one server.
//!
//! A request takes the first pending job, by id, that its runner may take (`RegisterJobService`; fair order between
//! projects, which only instance runners know, is left out). Which of several waiting requests comes first is chance.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use crate::event_log::{Ending, Fact, Killer};
use crate::rng::Stream;
use crate::scenario::JobSpec;
use runner_fleet_engine::{
    Event, JobId, PendingJob, QueueSnapshot, RetryOutcome, RunnerFacts, RunnerName, Scope, Server, SystemId, WorkerId,
};

use super::agenda::Happening;
use super::{World, failures, later};

/// How often a runner's facts are read again.
const FACTS_EVERY: Duration = Duration::from_secs(300);
/// After how long a failed one is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// A lost job's last word, or the lack of it, reaches GitLab about then.
const RETRY_AFTER: Duration = Duration::from_secs(5);
/// The first job's id.
const FIRST_JOB: u64 = 1001;

/// GitLab's state.
#[derive(Clone, Debug, Default)]
pub(super) struct GitLab {
    pub(super) jobs: BTreeMap<JobId, Job>,
    /// In the order in which they are handed out.
    pub(super) pending: BTreeSet<JobId>,
    /// Runner-manager rows, and the worker whose runner made each.
    pub(super) rows: BTreeMap<SystemId, WorkerId>,
    /// How many of the scenario's jobs have been queued.
    pub(super) arrived: usize,
    hand_out_planned: bool,
    /// Counts changes of what waits.
    changes: u64,
    /// What the last poll showed, by that count, and when.
    shown: Option<(u64, Timestamp)>,
    /// Jobs that are not over.
    pub(super) open: usize,
}

/// A job and its fate.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// What it is.
    pub spec: JobSpec,
    /// Where it is in its life.
    pub state: JobState,
    /// When it became pending.
    pub queued_at: Timestamp,
    /// When a runner took it.
    pub taken_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who took it.
    pub worker: Option<WorkerId>,
    /// The id under which it was queued again.
    pub retried_as: Option<JobId>,
}

/// A job on a worker whose Docker or disk is dead fails so soon.
const FAILS_AFTER: Duration = Duration::from_secs(3);

/// A job that was claimed is not shown with its worker before the runner has acknowledged it.
const ACKNOWLEDGED: Duration = Duration::from_secs(5);

impl Job {
    /// Whether GitLab is about to queue it again by itself.
    fn is_lost_and_retried(&self, by: Killer) -> bool {
        by != Killer::Person && self.spec.retries > 0
    }

    /// Whether it was lost, and will be queued again in a moment.
    pub fn comes_again(&self) -> bool {
        matches!(self.state, JobState::Killed(by) if self.is_lost_and_retried(by)) && self.retried_as.is_none()
    }
}

/// Where a job is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// Waits for a runner.
    Pending,
    /// Runs.
    Running,
    /// Its script succeeded.
    Succeeded,
    /// Its script failed.
    Failed,
    /// Something ended it before its end.
    Killed(Killer),
}

impl JobState {
    /// Whether it neither waits nor runs.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Pending | Self::Running)
    }
}

/// GitLab's rule of matching.
pub(super) fn hands_out(facts: &RunnerFacts, job: &JobSpec) -> bool {
    !facts.paused && may_take(facts, job)
}

/// The same for a runner that is not paused.
pub(crate) fn may_take(facts: &RunnerFacts, job: &JobSpec) -> bool {
    let in_scope = match &facts.scope {
        Scope::Everything => true,
        Scope::Projects(projects) => projects.contains(&job.project),
    };
    in_scope
        && (!facts.protected_only || job.protected)
        && (facts.run_untagged || !job.tags.is_empty())
        && job.tags.is_subset(&facts.tags)
}

impl World {
    pub(super) fn job_arrives(&mut self, index: usize) {
        if let Some(spec) = self.scenario.jobs.get(index).cloned() {
            self.gitlab.arrived += 1;
            self.queue(spec);
        }
        if self.scenario.lean {
            self.plan_arrival(index + 1);
        }
    }

    /// In a lean world one job after the other, so that the agenda stays short.
    pub(super) fn plan_arrival(&mut self, index: usize) {
        if let Some(job) = self.scenario.jobs.get(index) {
            self.agenda.put(later(self.scenario.start, job.after), Happening::JobArrives(index));
        }
    }

    fn queue(&mut self, spec: JobSpec) -> JobId {
        let id = JobId(FIRST_JOB + self.gitlab.jobs.len() as u64);
        let job = Job {
            spec,
            state: JobState::Pending,
            queued_at: self.now,
            taken_at: None,
            ended_at: None,
            worker: None,
            retried_as: None,
        };
        self.gitlab.jobs.insert(id, job);
        self.gitlab.pending.insert(id);
        self.gitlab.changes += 1;
        self.gitlab.open += 1;
        self.log.note(self.now, Fact::JobQueued(id));
        self.plan_hand_out();
        id
    }

    /// The queue has changed, or somebody new asks: GitLab looks within moments.
    pub(super) fn plan_hand_out(&mut self) {
        if !self.gitlab.hand_out_planned && !self.gitlab.pending.is_empty() {
            self.gitlab.hand_out_planned = true;
            let after = self.rng.millis(Stream::Jobs, 20, 400);
            self.soon(after, Happening::HandOut);
        }
    }

    pub(super) fn hand_out(&mut self) {
        self.gitlab.hand_out_planned = false;
        let mut asking: Vec<(WorkerId, RunnerName)> = self
            .hosts
            .iter()
            .filter(|(_, host)| host.waits_for_a_job())
            .map(|(id, host)| (id.clone(), host.runner.clone()))
            .collect();
        while !asking.is_empty() && !self.gitlab.pending.is_empty() {
            let (worker, runner) = asking.swap_remove(self.rng.pick(Stream::Jobs, asking.len()));
            let Some(facts) = self.scenario.facts.get(&runner) else { continue };
            let first = self
                .gitlab
                .pending
                .iter()
                .copied()
                .find(|id| self.gitlab.jobs.get(id).is_some_and(|job| hands_out(facts, &job.spec)));
            match first {
                Some(job) if self.hung_before(&worker, job) => self.held_request_ends(&worker),
                Some(job) => self.take(job, &worker),
                None => {}
            }
        }
    }

    /// Whether the worker's request hung already when the job was queued, in a world where such a request brings nothing.
    fn hung_before(&self, worker: &WorkerId, job: JobId) -> bool {
        let request = self.hosts.get(worker).and_then(|host| host.request);
        let job = self.gitlab.jobs.get(&job);
        let hung = request.zip(job).is_some_and(|(request, job)| request.opened_at < job.queued_at);
        self.scenario.held_end_empty && hung
    }

    fn take(&mut self, id: JobId, worker: &WorkerId) {
        self.gitlab.pending.remove(&id);
        self.gitlab.changes += 1;
        let queue_size = u32::try_from(self.gitlab.pending.len()).unwrap_or(u32::MAX);
        let Some(job) = self.gitlab.jobs.get_mut(&id) else { return };
        job.state = JobState::Running;
        job.taken_at = Some(self.now);
        job.worker = Some(worker.clone());
        let project = job.spec.project;
        let is_sick = self.hosts.get(worker).is_some_and(|host| host.sick);
        let takes = if is_sick { FAILS_AFTER } else { job.spec.takes };
        self.log.note(self.now, Fact::JobTaken(id, worker.clone()));
        if let Some(host) = self.hosts.get_mut(worker) {
            host.takes_job(id, project, queue_size);
        }
        // The acknowledgement first; containers only after the image is there.
        let by_metrics = self.rng.millis(Stream::Jobs, 100, 1_000);
        let by_docker = by_metrics + self.rng.millis(Stream::Jobs, 500, 4_000);
        self.soon(by_metrics, Happening::JobShows { worker: worker.clone(), job: id, by_docker: false });
        self.soon(by_docker, Happening::JobShows { worker: worker.clone(), job: id, by_docker: true });
        self.soon(by_docker + takes, Happening::JobEnds { worker: worker.clone(), job: id });
    }

    /// A job that ran to its end.
    pub(super) fn job_over(&mut self, id: JobId) {
        if let Some(job) = self.gitlab.jobs.get_mut(&id) {
            let succeeded = job.spec.succeeds;
            job.state = if succeeded { JobState::Succeeded } else { JobState::Failed };
            job.ended_at = Some(self.now);
            self.gitlab.open = self.gitlab.open.saturating_sub(1);
            self.log.note(self.now, Fact::JobEnded { job: id, succeeded });
        }
    }

    /// A job that did not run to its end.
    pub(super) fn job_killed(&mut self, id: JobId, by: Killer) {
        if let Some(job) = self.gitlab.jobs.get_mut(&id).filter(|job| !job.state.is_over()) {
            job.state = JobState::Killed(by);
            job.ended_at = Some(self.now);
            self.gitlab.pending.remove(&id);
            self.gitlab.changes += 1;
            self.gitlab.open = self.gitlab.open.saturating_sub(1);
            let again = job.is_lost_and_retried(by);
            self.log.note(self.now, Fact::JobKilled { job: id, worker: job.worker.clone(), by });
            if again {
                self.soon(RETRY_AFTER, Happening::RetriesItself(id));
            }
        }
    }

    pub(super) fn look_at_queue(&mut self, incarnation: u32, server: Server) {
        if !self.is_current(incarnation) {
            return;
        }
        self.log.call("gitlab queue");
        if self.scenario.lean && self.shows_nothing_new() {
            return self.soon(self.scenario.settings.check_interval, Happening::LookAtQueue { incarnation, server });
        }
        let latency = self.rng.millis(Stream::Latency, 80, 500);
        let snapshot = if self.strikes(Stream::Answers, |faults| faults.queue_fails) {
            let failures = [failures::too_many_requests, failures::bad_gateway, failures::not_json];
            let failure = failures.get(self.rng.pick(Stream::Answers, failures.len()));
            Err(failure.map_or_else(failures::bad_gateway, |failure| failure()))
        } else {
            let partial = self.strikes(Stream::Answers, |faults| faults.queue_partial);
            Ok(self.queue_snapshot(partial))
        };
        self.answer(incarnation, latency, Event::Queue { server: server.clone(), snapshot });
        self.soon(self.scenario.settings.check_interval, Happening::LookAtQueue { incarnation, server });
    }

    /// Whether a poll would repeat the last one, and that is young enough to be believed for some polls more.
    fn shows_nothing_new(&mut self) -> bool {
        let now = (self.gitlab.changes, self.now);
        if let Some((changes, at)) = self.gitlab.shown
            && changes == now.0
            && self.now < later(at, self.scenario.settings.check_interval * 3)
        {
            return true;
        }
        self.gitlab.shown = Some(now);
        false
    }

    fn queue_snapshot(&mut self, partial: bool) -> QueueSnapshot {
        let mut jobs: Vec<PendingJob> = self
            .gitlab
            .pending
            .iter()
            .filter_map(|id| self.gitlab.jobs.get(id).map(|job| (*id, job)))
            .map(|(id, job)| PendingJob {
                id,
                project: job.spec.project,
                project_path: None,
                name: job.spec.name.clone(),
                tags: job.spec.tags.clone(),
                protected: Some(job.spec.protected),
                offered_to: None,
                queued_at: job.queued_at,
                seen_at: self.now,
            })
            .collect();
        if partial {
            let kept = self.rng.pick(Stream::Answers, jobs.len() + 1);
            jobs.truncate(kept);
        }
        QueueSnapshot { as_of: self.now, jobs, complete: !partial, blind: 0 }
    }

    pub(super) fn read_runner(&mut self, incarnation: u32, runner: RunnerName) {
        if !self.is_current(incarnation) {
            return;
        }
        self.log.call("gitlab runner");
        let latency = self.rng.millis(Stream::Latency, 100, 600);
        let failed = self.strikes(Stream::Answers, |faults| faults.preparation_fails);
        let known = self.scenario.facts.get(&runner).cloned().ok_or_else(failures::not_found);
        let facts = if failed { Err(failures::unavailable()) } else { known };
        let again = if facts.is_ok() { FACTS_EVERY } else { AGAIN_AFTER };
        self.answer(incarnation, latency, Event::Runner { runner: runner.clone(), facts });
        self.soon(again, Happening::ReadRunner { incarnation, runner });
    }

    /// The manager reads its configuration again: facts and launches are looked up afresh, as at a start.
    pub(super) fn read_configuration(&mut self, incarnation: u32) {
        if !self.is_current(incarnation) {
            return;
        }
        let settings = self.scenario.settings.clone();
        let runners: Vec<RunnerName> = settings.runners.iter().map(|runner| runner.name.clone()).collect();
        self.hear(incarnation, Event::Configured(settings));
        for runner in runners {
            let facts = self.scenario.facts.get(&runner).cloned().ok_or_else(failures::not_found);
            let latency = self.rng.millis(Stream::Admin, 100, 600);
            let event = Box::new(Event::Runner { runner, facts });
            self.soon(latency, Happening::Hear { incarnation, event });
        }
        self.prepare_configured();
    }

    pub(super) fn is_current(&self, incarnation: u32) -> bool {
        self.manager_up && incarnation == self.incarnation
    }

    pub(super) fn forget(&mut self, worker: &WorkerId, row: SystemId) {
        let incarnation = self.incarnation;
        let latency = self.rng.millis(Stream::Latency, 50, 300);
        self.soon(latency, Happening::ReadForget { incarnation, worker: worker.clone(), row });
    }

    pub(super) fn read_forget(&mut self, incarnation: u32, worker: WorkerId, row: SystemId) {
        self.log.call("gitlab forget");
        let latency = self.rng.millis(Stream::Latency, 50, 300);
        let outcome = if self.strikes(Stream::Answers, |faults| faults.forget_fails) {
            Err(failures::bad_gateway())
        } else {
            if self.gitlab.rows.remove(&row).is_some() {
                self.log.note(self.now, Fact::RowDeleted(row));
            }
            Ok(())
        };
        self.answer(incarnation, latency, Event::Forgotten { worker, outcome });
    }

    pub(super) fn look_for_jobs(&mut self, worker: &WorkerId, row: SystemId) {
        let (incarnation, worker, asked_at) = (self.incarnation, worker.clone(), self.now);
        let latency = self.rng.millis(Stream::Latency, 50, 300);
        self.soon(latency, Happening::ReadJobs { incarnation, asked_at, worker, row });
    }

    /// The jobs that run on the worker of this row. One that was claimed a moment ago has none yet.
    pub(super) fn read_jobs(&mut self, incarnation: u32, asked_at: Timestamp, worker: WorkerId, row: &SystemId) {
        self.log.call("gitlab jobs of a worker");
        let latency = self.rng.millis(Stream::Latency, 50, 300);
        let jobs = if self.strikes(Stream::Answers, |faults| faults.retry_fails) {
            Err(failures::bad_gateway())
        } else {
            let owner = self.gitlab.rows.get(row);
            let is_shown = |job: &&Job| {
                let acknowledged_at = job.taken_at.map(|at| later(at, ACKNOWLEDGED));
                job.state == JobState::Running
                    && job.worker.as_ref().is_some_and(|ran_on| owner == Some(ran_on))
                    && acknowledged_at.is_some_and(|at| at <= self.now)
            };
            Ok(u32::try_from(self.gitlab.jobs.values().filter(is_shown).count()).unwrap_or(u32::MAX))
        };
        self.answer(incarnation, latency, Event::JobsSeen { worker, asked_at, jobs });
    }

    pub(super) fn send_retry(&mut self, worker: &WorkerId, server: &Server, job: JobId) {
        let (incarnation, worker, server) = (self.incarnation, worker.clone(), server.clone());
        let latency = self.rng.millis(Stream::Latency, 50, 300);
        self.soon(latency, Happening::ReadRetry { incarnation, worker, server, job });
    }

    /// Looks at the job, and retries it only if it ran on that worker, was lost, and nobody has retried it yet: what the live
    /// adapter does in two requests. Asking about a job that no interruption can have touched is wrong, unless its worker
    /// has claimed it.
    pub(super) fn read_retry(&mut self, incarnation: u32, worker: &WorkerId, server: Server, old: JobId) {
        self.log.call("gitlab retry");
        let latency = self.rng.millis(Stream::Latency, 100, 600);
        let claimed = self.hosts.get(worker).is_some_and(super::Host::claims_jobs);
        if !claimed && !self.was_endangered(old) {
            self.log.note(self.now, Fact::JobRetried { old, new: None });
        }
        let outcome = if self.strikes(Stream::Answers, |faults| faults.retry_fails) {
            RetryOutcome::Failed(failures::bad_gateway())
        } else {
            let ran_here = self.ran_on(old, worker);
            match self.gitlab.jobs.get(&old).map(|job| (job.state, job.retried_as)) {
                None => RetryOutcome::Refused(failures::not_found()),
                Some(_) if !ran_here => RetryOutcome::NotNeeded("it ran elsewhere".into()),
                Some((_, Some(new))) => RetryOutcome::NotNeeded(format!("it was retried as {new}")),
                Some((JobState::Pending | JobState::Running, None)) => RetryOutcome::StillRuns,
                Some((JobState::Succeeded | JobState::Failed | JobState::Killed(Killer::Person), None)) => {
                    RetryOutcome::NotNeeded("it has ended by itself".into())
                }
                Some((JobState::Killed(_), None)) => {
                    self.retry(old);
                    let new = self.gitlab.jobs.get(&old).and_then(|job| job.retried_as);
                    new.map_or_else(|| RetryOutcome::NotNeeded("it is not retryable".into()), RetryOutcome::Queued)
                }
            }
        };
        self.answer(incarnation, latency, Event::Retried { server, job: old, outcome });
    }

    /// Whether GitLab tells that a job ran on this worker: by the row of the worker's runner, while that is there.
    fn ran_on(&self, job: JobId, worker: &WorkerId) -> bool {
        let ran = self.gitlab.jobs.get(&job).is_some_and(|job| job.worker.as_ref() == Some(worker));
        ran && self.gitlab.rows.values().any(|row| row == worker)
    }

    /// Whether it ran on a worker that EC2 took back or has announced to, and its runner retries such jobs.
    fn was_endangered(&self, id: JobId) -> bool {
        let Some(worker) = self.gitlab.jobs.get(&id).and_then(|job| job.worker.as_ref()) else { return false };
        let announced = self.hosts.get(worker).is_some_and(|host| host.interruption.is_some());
        let machine = self.cloud.machines.get(worker);
        let taken_back = machine.is_some_and(|machine| machine.ending == Some(Ending::Interrupted));
        let retries = machine
            .and_then(|machine| self.scenario.settings.section(&machine.runner))
            .is_some_and(|section| section.retry_interrupted);
        (announced || taken_back) && retries
    }

    /// GitLab does what the job's own `retry:` says, unless somebody was faster.
    pub(super) fn retries_itself(&mut self, old: JobId) {
        if self.gitlab.jobs.get(&old).is_some_and(|job| job.retried_as.is_none()) {
            self.retry(old);
        }
    }

    /// Queues a job again under a new id, unless that was done before.
    fn retry(&mut self, old: JobId) {
        let retryable = self.gitlab.jobs.get(&old).filter(|job| job.state.is_over() && job.retried_as.is_none());
        let again = |job: &Job| JobSpec { retries: job.spec.retries.saturating_sub(1), ..job.spec.clone() };
        let new = retryable.map(again).map(|spec| self.queue(spec));
        if let Some(job) = self.gitlab.jobs.get_mut(&old).filter(|_| new.is_some()) {
            job.retried_as = new;
        }
        self.log.note(self.now, Fact::JobRetried { old, new });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::ProjectId;

    #[test]
    fn the_recorded_table_holds() {
        let cases = runner_fleet_testing::matching::cases().unwrap();
        // Here everybody knows whether a ref is protected.
        let decided = cases.iter().filter_map(|case| Some((case, case.protected?)));
        assert!(decided.clone().count() >= 20);
        for (case, protected) in decided {
            let scope = case.projects.clone().map(|ids| Scope::Projects(ids.into_iter().map(ProjectId).collect()));
            let facts = RunnerFacts {
                id: 1,
                tags: case.runner_tags.clone(),
                run_untagged: case.run_untagged,
                protected_only: case.protected_only,
                paused: case.paused,
                scope: scope.unwrap_or(Scope::Everything),
                token_end: None,
            };
            let (tags, project) = (case.job_tags.clone(), ProjectId(case.project));
            let job = JobSpec { tags, project, protected, ..JobSpec::new(Duration::ZERO, Duration::ZERO) };
            assert_eq!(hands_out(&facts, &job), case.taken, "{case:#?}");
        }
    }
}

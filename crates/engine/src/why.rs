//! Why a job waits: a reason for each. Nothing here decides.

mod overdue;

use std::collections::{BTreeMap, VecDeque};

use super::explained::Explained;
use super::ids::{JobId, RunnerName, Server, WorkerId};
use super::job::{Knowledge, PendingJob, RunnerFacts, Scope};
use super::matching::may_take;
use super::queue::Queue;
use super::settings::{RunnerSettings, Settings};
use super::snapshot::{FleetSnapshot, JobSnapshot, JobState, JobStatus, Waiting};
use super::state::Engine;
use super::time::{before, since};
use super::waits::{JobReason, Mismatch, MismatchKind};
use super::workers::{Worker, WorkerStatus};

pub(super) use overdue::{limit as wait_limit, overdue};

/// The jobs that wait, in queue order, at most [`FleetSnapshot::JOBS_MAX`] of them; and what there is to say of all.
pub(super) fn jobs(engine: &Engine) -> (Vec<JobSnapshot>, Waiting) {
    let (mut views, mut waiting) = (Vec::new(), Waiting::default());
    let Some(settings) = &engine.settings else { return (views, waiting) };
    waiting.complete = settings.runners.iter().filter(|runner| runner.sees_queue).all(|runner| {
        let queue = engine.queues.get(&runner.server);
        queue.is_some_and(|queue| queue.knowledge(engine.now, settings.check_interval).is_known())
    });
    for (server, queue) in &engine.queues {
        let mut explainer = Explainer::new(engine, settings, server, queue);
        for job in queue.jobs() {
            let waited = since(engine.now, job.queued_at);
            waiting.total += 1;
            waiting.longest = waiting.longest.max(waited);
            let able = explainer.able(job);
            waiting.unmatched += u32::from(able.is_none());
            if views.len() < FleetSnapshot::JOBS_MAX {
                let reason = Explained::at(engine.now, explainer.reason(job, able));
                let runner = able.map(|runner| runner.name.clone());
                views.push(JobSnapshot {
                    id: job.id,
                    project: job.project,
                    project_path: job.project_path.clone(),
                    url: job.project_path.as_ref().map(|path| path.job_url(server, job.id)),
                    name: job.name.clone(),
                    waited,
                    runner,
                    reason,
                });
            }
        }
    }
    (views, waiting)
}

/// What is known of a job of this id, on every server that has runners here.
pub(super) fn job_statuses(engine: &Engine, id: JobId) -> Vec<JobStatus> {
    let Some(settings) = &engine.settings else { return Vec::new() };
    let mut servers: Vec<&Server> = settings.runners.iter().map(|runner| &runner.server).collect();
    servers.sort();
    servers.dedup();
    servers.into_iter().map(|server| job_status(engine, settings, server, id)).collect()
}

fn job_status(engine: &Engine, settings: &Settings, server: &Server, id: JobId) -> JobStatus {
    let tell = |state, runner: Option<RunnerName>, worker: Option<WorkerId>, reason: JobReason| JobStatus {
        server: server.clone(),
        id,
        state,
        runner,
        worker,
        waited: None,
        reason: Explained::at(engine.now, reason),
    };
    let is_here = |worker: &&Worker| {
        let section = settings.section(&worker.instance.runner);
        section.is_none_or(|section| section.server == *server)
            && worker.report().is_some_and(|report| report.job_ids.contains(&id))
    };
    if let Some(worker) = engine.fleet.workers.values().find(is_here) {
        let (runner, worker) = (worker.instance.runner.clone(), worker.instance.id.clone());
        let reason = JobReason::Running { worker: worker.clone(), runner: runner.clone() };
        return tell(JobState::Running, Some(runner), Some(worker), reason);
    }
    let queue = engine.queues.get(server);
    if let Some((queue, job)) = queue.and_then(|queue| Some((queue, queue.jobs().find(|job| job.id == id)?))) {
        let mut explainer = Explainer::new(engine, settings, server, queue);
        // Those before it get what comes first.
        for before in queue.jobs().take_while(|before| before.id != id) {
            let able = explainer.able(before);
            explainer.reason(before, able);
        }
        let able = explainer.able(job);
        let reason = explainer.reason(job, able);
        let status = tell(JobState::Waiting, able.map(|runner| runner.name.clone()), None, reason);
        return JobStatus { waited: Some(since(engine.now, job.queued_at)), ..status };
    }
    let sees = settings.runners.iter().any(|runner| runner.server == *server && runner.sees_queue);
    let knowledge = match queue {
        Some(queue) => queue.knowledge(engine.now, settings.check_interval),
        None => Queue::awaited(),
    };
    let reason = match knowledge {
        _ if !sees => JobReason::NoApiToken,
        Knowledge::Known => JobReason::NotSeen,
        queue @ (Knowledge::Stale { .. } | Knowledge::Unknown { .. }) => JobReason::QueueUnknown { queue },
    };
    tell(JobState::Unknown, None, None, reason)
}

/// Finds the reasons of the jobs of one server, which it is to be asked for in queue order: whoever comes first gets the
/// slot that comes first. What depends on the runner alone is worked out once.
struct Explainer<'a> {
    engine: &'a Engine,
    server: &'a Server,
    runners: Vec<&'a RunnerSettings>,
    by_runner: BTreeMap<&'a RunnerName, Prospects>,
    queue: Knowledge,
}

impl<'a> Explainer<'a> {
    fn new(engine: &'a Engine, settings: &'a Settings, server: &'a Server, queue: &Queue) -> Self {
        let queue = queue.knowledge(engine.now, settings.check_interval);
        let runners = settings.runners.iter().filter(|runner| runner.server == *server).collect();
        Self { engine, server, runners, by_runner: BTreeMap::new(), queue }
    }

    fn facts(&self, runner: &RunnerSettings) -> Option<&'a RunnerFacts> {
        self.engine.runners.get(&runner.name).and_then(|known| known.facts.known())
    }

    /// The runner that the job is most likely counted for: of those that may take it, the first that has jobs waiting.
    fn able(&self, job: &PendingJob) -> Option<&'a RunnerSettings> {
        let able =
            |runner: &&&'a RunnerSettings| self.facts(runner).is_some_and(|facts| may_take(&runner.name, facts, job));
        let demands = &self.engine.assessment.demands;
        let has_waiting =
            |runner: &&&'a RunnerSettings| demands.get(&runner.name).is_some_and(|demand| demand.wanted.waiting > 0);
        let mut those = self.runners.iter().filter(able);
        those.clone().find(has_waiting).or_else(|| those.next()).copied()
    }

    fn reason(&mut self, job: &PendingJob, able: Option<&'a RunnerSettings>) -> JobReason {
        let Some(runner) = able else {
            return JobReason::NoMatch { mismatches: self.runners.iter().map(|r| self.mismatch(r, job)).collect() };
        };
        if !self.queue.is_known() {
            return JobReason::QueueUnknown { queue: self.queue.clone() };
        }
        if self.engine.quarantine.is_quarantined(self.server, job.id, self.engine.now) {
            return JobReason::Unassignable;
        }
        let engine = self.engine;
        self.by_runner.entry(&runner.name).or_insert_with(|| Prospects::of(engine, runner)).next()
    }

    /// Why this runner may not take it.
    fn mismatch(&self, runner: &RunnerSettings, job: &PendingJob) -> Mismatch {
        let mismatch = |why| Mismatch { runner: runner.name.clone(), why };
        let Some(facts) = self.facts(runner) else {
            let known = self.engine.runners.get(&runner.name);
            let failure = known.and_then(|known| known.facts.missing().cloned());
            return mismatch(MismatchKind::Unknown { failure });
        };
        let tags: Vec<String> = job.tags.difference(&facts.tags).cloned().collect();
        let out_of_scope = matches!(&facts.scope, Scope::Projects(projects) if !projects.contains(&job.project));
        mismatch(if facts.paused {
            MismatchKind::PausedInGitlab
        } else if job.offered_to.is_some() {
            MismatchKind::NotOffered
        } else if !tags.is_empty() {
            MismatchKind::MissingTags { tags }
        } else if job.tags.is_empty() && !facts.run_untagged {
            MismatchKind::Untagged
        } else if out_of_scope {
            MismatchKind::OutOfScope
        } else {
            MismatchKind::ProtectedOnly
        })
    }
}

/// What there is for a runner's waiting jobs, in the order in which it comes: a slot is one job's.
struct Prospects {
    slots: VecDeque<(JobReason, u32)>,
    /// For those that find none.
    rest: JobReason,
}

impl Prospects {
    fn of(engine: &Engine, runner: &RunnerSettings) -> Self {
        let now = engine.now;
        let mut workers: Vec<&Worker> =
            engine.fleet.workers.values().filter(|worker| worker.instance.runner == runner.name).collect();
        workers.sort_by_key(|worker| (worker.instance.launched_at, &worker.instance.id));
        let mut slots = VecDeque::new();
        for worker in workers.iter().filter(|worker| worker.status(now) == WorkerStatus::Serving) {
            let reason = JobReason::FreeSlot { worker: worker.instance.id.clone() };
            slots.push_back((reason, runner.capacity.saturating_sub(worker.jobs())));
        }
        for worker in workers.iter().filter(|worker| worker.status(now) == WorkerStatus::Booting) {
            let reason = JobReason::Booting {
                worker: worker.instance.id.clone(),
                since: before(now, worker.age(now)),
                step: worker.boot_step(),
                failure: worker.failure().cloned(),
            };
            slots.push_back((reason, runner.capacity));
        }
        let mut flights: Vec<_> =
            engine.fleet.flights.values().filter(|flight| flight.launch.runner == runner.name).collect();
        flights.sort_by_key(|flight| flight.decided_at);
        for flight in flights {
            let reason = JobReason::InFlight { since: flight.decided_at };
            slots.push_back((reason, flight.coming().saturating_mul(runner.capacity)));
        }
        let rest = match engine.held_back.get(&runner.name) {
            Some(held_back) => JobReason::HeldBack { held_back: held_back.clone() },
            None => JobReason::NextStep,
        };
        Self { slots, rest }
    }

    /// Why the next of the waiting jobs waits.
    fn next(&mut self) -> JobReason {
        while let Some((reason, left)) = self.slots.front_mut() {
            if let Some(fewer) = left.checked_sub(1) {
                *left = fewer;
                return reason.clone();
            }
            self.slots.pop_front();
        }
        self.rest.clone()
    }
}

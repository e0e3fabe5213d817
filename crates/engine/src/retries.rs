//! Jobs that EC2 took away with their worker, and how often GitLab is asked about them.
//!
//! GitLab retries no job whose machine went away, unless its YAML says so. With `retry_interrupted` the manager does, once
//! for each job, and never a retry of its own again. Who decides what:
//!
//! - The engine names the jobs: those that a worker's reports showed under an interruption notice, and those of its last
//!   report when EC2 took it back without one.
//! - It asks when a job has left the worker's reports, or the worker has ended; not before, for the job may finish in its
//!   two minutes.
//! - Whether a job needs a retry is GitLab's to say, and [`Command::Retry`] looks before it acts. A job that finished, that
//!   a person cancelled, or that GitLab's own `retry:` took care of, is settled by that look.
//! - A job whose runner could say no last word stays `running` in GitLab for an hour; it is asked about, ever more rarely,
//!   until then.
//! - Nothing is remembered over a restart, and nothing needs to be: GitLab queues no job again that was retried, so that an
//!   answer that was lost, or a manager that died in between, retries nothing twice. A manager that is down from the
//!   notice to the end retries nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::attempt::Attempt;
use super::backoff::Doubling;
use super::command::Command;
use super::event::RetryOutcome;
use super::failure::FailureClass;
use super::fleet::Fleet;
use super::ids::{JobId, ProjectId, RunnerName, Server, WorkerId};
use super::runner::Runner;
use super::settings::Settings;
use super::time::{after, since};
use super::worker::RunnerState;

/// Between two questions about a job that GitLab takes for running, or after a failure.
const AGAIN: Doubling = Doubling { first: Duration::from_secs(10), longest: Duration::from_secs(300) };
/// When a question without an answer is asked again; the calls' own time-outs are shorter.
const UNANSWERED: Duration = Duration::from_secs(90);
/// Questions on their way at one time: a zone that EC2 empties is no reason to use up GitLab's patience.
const ASKING_MAX: usize = 5;
/// GitLab fails a running job that it has not heard of for an hour. Then there must have been an answer.
const GIVEN_UP: Duration = Duration::from_secs(90 * 60);
/// How long what was settled is remembered, so that no late report asks again.
const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

#[derive(Clone, Debug)]
struct Lost {
    worker: WorkerId,
    runner: RunnerName,
    project: ProjectId,
    noticed_at: Timestamp,
    times: u32,
    question: Attempt,
}

/// The jobs that were lost, or may be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Retries {
    lost: BTreeMap<(Server, JobId), Lost>,
    /// Jobs that are retries of ours.
    ours: BTreeMap<(Server, JobId), Timestamp>,
    /// What each runner was refused last, so that it is said once.
    refusals: BTreeMap<RunnerName, FailureClass>,
}

impl Retries {
    /// EC2 takes this worker back, or has, with these jobs.
    pub(crate) fn note(
        &mut self,
        settings: &Settings,
        runner: &RunnerName,
        worker: &WorkerId,
        jobs: &BTreeMap<JobId, ProjectId>,
        now: Timestamp,
    ) {
        let Some(section) = settings.section(runner).filter(|section| section.retry_interrupted) else { return };
        for (job, project) in jobs {
            let key = (section.server.clone(), *job);
            if self.ours.contains_key(&key) {
                continue;
            }
            self.lost.entry(key).or_insert_with(|| Lost {
                worker: worker.clone(),
                runner: runner.clone(),
                project: *project,
                noticed_at: now,
                times: 0,
                question: Attempt::Idle,
            });
        }
    }

    /// The questions to ask now.
    pub(crate) fn due(
        &mut self,
        settings: &Settings,
        runners: &BTreeMap<RunnerName, Runner>,
        fleet: &Fleet,
        now: Timestamp,
    ) -> Vec<Command> {
        if self.lost.is_empty() && self.ours.is_empty() {
            return Vec::new();
        }
        self.lost.retain(|_, lost| {
            since(now, lost.noticed_at) < if lost.question.is_done() { REMEMBERED } else { GIVEN_UP }
        });
        self.ours.retain(|_, made_at| since(now, *made_at) < REMEMBERED);
        let on_the_way = self.lost.values().filter(|lost| lost.question.is_on_its_way(now, UNANSWERED)).count();
        let mut commands = Vec::new();
        for ((server, job), lost) in &mut self.lost {
            if on_the_way + commands.len() >= ASKING_MAX {
                break;
            }
            if !lost.question.is_due(now, UNANSWERED) || still_runs(fleet, &lost.worker, *job) {
                continue;
            }
            let is_wanted = settings.section(&lost.runner).is_some_and(|section| section.retry_interrupted);
            let facts = runners.get(&lost.runner).and_then(|known| known.facts.known());
            let (true, Some(facts)) = (is_wanted, facts) else { continue };
            lost.question = Attempt::Asked(now);
            commands.push(Command::Retry {
                worker: lost.worker.clone(),
                runner: lost.runner.clone(),
                runner_id: facts.id,
                server: server.clone(),
                project: lost.project,
                job: *job,
            });
        }
        commands
    }

    /// Whether something is still to be asked about jobs of this worker: GitLab tells by its row there what ran on it.
    pub(crate) fn concern(&self, worker: &WorkerId) -> bool {
        self.lost.values().any(|lost| lost.worker == *worker && !lost.question.is_done())
    }

    /// On whose worker this lost job ran.
    pub(crate) fn runner(&self, server: &Server, job: JobId) -> Option<&RunnerName> {
        self.lost.get(&(server.clone(), job)).map(|lost| &lost.runner)
    }

    /// Takes in an answer; what there is to tell people of it, and whether the job is queued again by us.
    pub(crate) fn answered(
        &mut self,
        server: &Server,
        job: JobId,
        outcome: RetryOutcome,
        now: Timestamp,
    ) -> (Option<String>, bool) {
        let Some(lost) = self.lost.get_mut(&(server.clone(), job)) else { return (None, false) };
        // What is settled stays so: the same answer may come twice, and an older one after it.
        let was_settled = lost.question.is_done();
        lost.times = lost.times.saturating_add(1);
        let is_settled = match &outcome {
            RetryOutcome::Queued(_) | RetryOutcome::NotNeeded(_) | RetryOutcome::Refused(_) => true,
            RetryOutcome::StillRuns | RetryOutcome::Failed(_) => was_settled,
        };
        lost.question = if is_settled { Attempt::Done } else { Attempt::Wait(after(now, AGAIN.wait(lost.times))) };
        let Lost { worker, runner, .. } = lost;
        match outcome {
            RetryOutcome::Queued(new) => {
                let text = format!("job {job} was lost with {worker} and is retried as job {new}");
                self.ours.insert((server.clone(), new), now);
                ((!was_settled).then_some(text), !was_settled)
            }
            RetryOutcome::NotNeeded(_) | RetryOutcome::StillRuns | RetryOutcome::Failed(_) => (None, false),
            RetryOutcome::Refused(failure) => {
                let text = format!("job {job} was lost with {worker} and cannot be retried: {failure}");
                let known = self.refusals.insert(runner.clone(), failure.class);
                ((known != Some(failure.class)).then_some(text), false)
            }
        }
    }
}

/// Whether the worker still shows the job as running.
fn still_runs(fleet: &Fleet, worker: &WorkerId, job: JobId) -> bool {
    let report = fleet.workers.get(worker).and_then(|worker| worker.report());
    report.is_some_and(|report| {
        let is_alive = !matches!(report.runner, RunnerState::Stopped | RunnerState::Failed);
        is_alive && report.job_ids.contains(&job)
    })
}

//! The jobs that wait longer than they should.

use std::collections::BTreeMap;
use std::mem::discriminant;
use std::time::Duration;

use super::Explainer;
use crate::ids::{JobId, RunnerName};
use crate::job::PendingJob;
use crate::queue::Queue;
use crate::settings::{RunnerSettings, Settings};
use crate::state::Engine;
use crate::time::since;
use crate::waits::{JobReason, Mismatch};

/// How long a job may wait that no runner here may take: another's runner, of which we know nothing, may just be busy.
const UNMATCHED: Duration = Duration::from_secs(15 * 60);

/// Jobs that wait too long for the same runner, or for none.
#[derive(Clone, Debug)]
pub(crate) struct Overdue {
    pub(crate) jobs: u32,
    pub(crate) oldest: JobId,
    pub(crate) longest: Duration,
    /// Why they wait, by kind: how many, and the first that was seen.
    reasons: Vec<(u32, JobReason)>,
}

/// How long a job of this runner may wait: for what is promised, and for a boot that takes as long as it may.
pub(crate) fn limit(runner: &RunnerSettings) -> Duration {
    runner.idle.target_wait.saturating_add(runner.boot_timeout)
}

/// The jobs that wait too long, by runner; `None` are those that no runner here may take, with why not the oldest.
pub(crate) fn overdue(engine: &Engine) -> BTreeMap<Option<RunnerName>, Overdue> {
    let mut found = BTreeMap::new();
    let Some(settings) = &engine.settings else { return found };
    let Some(shortest) = settings.runners.iter().map(limit).min() else { return found };
    for (server, queue) in &engine.queues {
        let fresh = || queue.fresh_jobs(engine.now, settings.check_interval);
        // Most of the time none waits for long, and nothing need be explained.
        if fresh().any(|job| since(engine.now, job.queued_at) >= shortest.min(UNMATCHED)) {
            in_queue(&mut found, Explainer::new(engine, settings, server, queue), queue, settings);
        }
    }
    found
}

fn in_queue(
    found: &mut BTreeMap<Option<RunnerName>, Overdue>,
    mut explainer: Explainer<'_>,
    queue: &Queue,
    settings: &Settings,
) {
    let now = explainer.engine.now;
    let mut oldest_unmatched: Option<&PendingJob> = None;
    for job in queue.fresh_jobs(now, settings.check_interval) {
        let waited = since(now, job.queued_at);
        match explainer.able(job) {
            Some(runner) => {
                // Of those in time as well: they get the slots that come first.
                let reason = explainer.reason(job, Some(runner));
                if waited >= limit(runner) {
                    add(found, Some(&runner.name), job.id, waited, reason);
                }
            }
            None if waited >= UNMATCHED => {
                add(found, None, job.id, waited, JobReason::NoMatch { mismatches: Vec::new() });
                oldest_unmatched = oldest_unmatched.filter(|oldest| oldest.queued_at <= job.queued_at).or(Some(job));
            }
            None => {}
        }
    }
    if let (Some(job), Some(group)) = (oldest_unmatched, found.get_mut(&None))
        && group.oldest == job.id
    {
        group.reasons = vec![(group.jobs, explainer.reason(job, None))];
    }
}

fn add(
    found: &mut BTreeMap<Option<RunnerName>, Overdue>,
    runner: Option<&RunnerName>,
    job: JobId,
    waited: Duration,
    reason: JobReason,
) {
    let fresh = Overdue { jobs: 0, oldest: job, longest: waited, reasons: Vec::new() };
    let group = found.entry(runner.cloned()).or_insert(fresh);
    group.jobs = group.jobs.saturating_add(1);
    if waited > group.longest {
        (group.oldest, group.longest) = (job, waited);
    }
    match group.reasons.iter_mut().find(|(_, known)| discriminant(known) == discriminant(&reason)) {
        Some((count, _)) => *count = count.saturating_add(1),
        None => group.reasons.push((1, reason)),
    }
}

impl Overdue {
    /// Why most of them wait, and how many those are.
    pub(crate) fn mostly(self) -> Option<(JobReason, u32)> {
        self.reasons.into_iter().max_by_key(|(count, _)| *count).map(|(count, reason)| (reason, count))
    }

    /// Why no runner may take the oldest.
    pub(crate) fn mismatches(self) -> Vec<Mismatch> {
        match self.mostly() {
            Some((JobReason::NoMatch { mismatches }, _)) => mismatches,
            Some(_) | None => Vec::new(),
        }
    }
}

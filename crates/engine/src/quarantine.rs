//! Jobs that we count but GitLab does not hand to us.
//!
//! What the API shows does not always tell who may take a job (protected merge requests, quotas of compute minutes).
//! Such a job would keep a worker waiting for ever, or launch one after the other. So: a job that an idle, asking worker
//! has left alone for long is quarantined for a while, and `status` says so.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Doubling;
use super::ids::{JobId, Server};
use super::job::PendingJob;
use super::time::{after, since};

/// An asking runner is handed a job within seconds: its long poll is released by the queue's change, and lasts 50 s at
/// most. Two polls without it are an answer.
const LEFT_ALONE: Duration = Duration::from_secs(120);
/// How long a job is quarantined; doubling, because each trial may cost a worker's boot.
const QUARANTINE: Doubling = Doubling { first: Duration::from_secs(900), longest: Duration::from_secs(4 * 3600) };

#[derive(Clone, Debug)]
struct Stay {
    until: Timestamp,
    times: u32,
    seen_at: Timestamp,
}

/// Whether the job has waited for so long beside a worker that asks since `asking_since` that it means something.
pub(crate) fn is_left_alone(job: &PendingJob, asking_since: Timestamp, now: Timestamp) -> bool {
    since(now, asking_since.max(job.queued_at)) >= LEFT_ALONE
}

/// The jobs in quarantine.
#[derive(Clone, Debug, Default)]
pub(crate) struct Quarantine(BTreeMap<(Server, JobId), Stay>);

impl Quarantine {
    /// Whether this job is not counted now.
    pub(crate) fn is_quarantined(&self, server: &Server, job: JobId, now: Timestamp) -> bool {
        // Most of the time nothing is quarantined, and the key need not be made.
        !self.0.is_empty() && self.0.get(&(server.clone(), job)).is_some_and(|stay| stay.until > now)
    }

    /// Judges a job that a worker, idle and asking since `asking_since`, could have taken. Returns whether it
    /// was quarantined just now.
    pub(crate) fn judge(&mut self, server: &Server, job: &PendingJob, asking_since: Timestamp, now: Timestamp) -> bool {
        if !is_left_alone(job, asking_since, now) || self.is_quarantined(server, job.id, now) {
            return false;
        }
        let stay = self.0.entry((server.clone(), job.id)).or_insert(Stay { until: now, times: 0, seen_at: now });
        stay.times = stay.times.saturating_add(1);
        stay.until = after(now, QUARANTINE.wait(stay.times));
        stay.seen_at = now;
        true
    }

    /// Forgets jobs that were judged so long ago that they must have gone.
    pub(crate) fn forget_the_gone(&mut self, now: Timestamp) {
        self.0.retain(|_, stay| since(now, stay.seen_at) < QUARANTINE.longest * 2);
    }
}

//! Jobs that we count but GitLab does not hand to us.
//!
//! What the API shows does not always tell who may take a job (protected merge requests, quotas of compute minutes).
//! Such a job would keep a worker waiting for ever, or launch one after the other. So: a job that two idle, asking workers
//! have left alone for long is quarantined for a while, and `status` says so. Where there is only one, it may be the one at
//! fault, whose runner hangs or whose agent lies: it is replaced first. No worker's word alone keeps a job from others.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::backoff::Doubling;
use super::ids::{JobId, Server, WorkerId};
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
    /// A worker that has left the job alone, and has been replaced for it.
    witness: Option<WorkerId>,
}

/// A worker that is idle and asks for jobs, and since when.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asking<'a> {
    pub(crate) worker: &'a WorkerId,
    pub(crate) since: Timestamp,
}

/// What follows from a job that was left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing, or nothing yet.
    Nothing,
    /// Either GitLab does not hand the job out, or this worker does not truly ask: another one is to try.
    Replace(WorkerId),
    /// Two workers have left it alone: it is quarantined from now on.
    Quarantined,
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

    /// Judges a job that these workers, the first two that ask, could have taken.
    pub(crate) fn judge(
        &mut self,
        server: &Server,
        job: &PendingJob,
        asking: &[Asking<'_>],
        now: Timestamp,
    ) -> Verdict {
        let mut witnesses = asking.iter().filter(|asking| is_left_alone(job, asking.since, now));
        let Some(first) = witnesses.next().filter(|_| !self.is_quarantined(server, job.id, now)) else {
            return Verdict::Nothing;
        };
        let fresh = Stay { until: now, times: 0, seen_at: now, witness: None };
        let stay = self.0.entry((server.clone(), job.id)).or_insert(fresh);
        stay.seen_at = now;
        match (&stay.witness, witnesses.next()) {
            (Some(witness), None) if witness == first.worker => Verdict::Nothing,
            (Some(_), _) | (None, Some(_)) => {
                stay.times = stay.times.saturating_add(1);
                (stay.until, stay.witness) = (after(now, QUARANTINE.wait(stay.times)), None);
                Verdict::Quarantined
            }
            (None, None) => {
                stay.witness = Some(first.worker.clone());
                Verdict::Replace(first.worker.clone())
            }
        }
    }

    /// Forgets jobs that were judged so long ago that they must have gone.
    pub(crate) fn forget_the_gone(&mut self, now: Timestamp) {
        self.0.retain(|_, stay| since(now, stay.seen_at) < QUARANTINE.longest * 2);
    }
}

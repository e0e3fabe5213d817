//! What is known of a GitLab server's waiting jobs, and how much of it still holds.

use std::time::Duration;

use jiff::Timestamp;

use super::departed::Departed;
use super::failure::Failure;
use super::ids::JobId;
use super::job::{Knowledge, PendingJob, QueueSnapshot};
use super::time::since;

/// The last good poll, and the last failure after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    snapshot: Option<QueueSnapshot>,
    failure: Option<Failure>,
    /// The last time when nothing can have been waiting unseen; at first, when it was first asked about.
    certain_at: Option<Timestamp>,
    departed: Departed,
    /// The clock was set after the last look: its times are another clock's.
    is_untimed: bool,
}

/// How long a poll stays good: four missed polls, and no less than 20 s, which one slow page may take.
fn fresh_for(check_interval: Duration) -> Duration {
    (check_interval * 4).max(Duration::from_secs(20))
}

impl Queue {
    /// Takes in an answer. A failed poll changes no job: they wait on, or they do not; nobody knows.
    pub(crate) fn answered(&mut self, snapshot: Result<QueueSnapshot, Failure>, now: Timestamp) {
        self.certain_at = self.certain_at.or(Some(now));
        match snapshot {
            Ok(snapshot) => {
                if snapshot.complete {
                    self.certain_at = Some(snapshot.as_of);
                }
                self.departed.look(self.snapshot.as_ref().filter(|_| !self.is_untimed), &snapshot, now);
                self.snapshot = Some(snapshot);
                self.failure = None;
                self.is_untimed = false;
            }
            Err(failure) => self.failure = Some(failure),
        }
    }

    /// What can be said of a queue before anything is known of it.
    pub(crate) fn awaited() -> Knowledge {
        Knowledge::Unknown { failure: Self::first_poll() }
    }

    fn first_poll() -> Failure {
        Failure::awaited("the first poll of the queue")
    }

    /// What can be said of it now.
    pub(crate) fn knowledge(&self, now: Timestamp, check_interval: Duration) -> Knowledge {
        let failure = || self.failure.clone().unwrap_or_else(Self::first_poll);
        match &self.snapshot {
            None => Knowledge::Unknown { failure: failure() },
            Some(snapshot) => {
                let age = since(now, snapshot.as_of);
                if age <= fresh_for(check_interval) {
                    Knowledge::Known
                } else {
                    Knowledge::Stale { age, failure: failure() }
                }
            }
        }
    }

    /// The jobs that were seen waiting recently enough to act on.
    pub(crate) fn fresh_jobs(&self, now: Timestamp, check_interval: Duration) -> impl Iterator<Item = &PendingJob> {
        let limit = fresh_for(check_interval);
        self.jobs().filter(move |job| since(now, job.seen_at) <= limit)
    }

    /// All jobs of the last good poll.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &PendingJob> {
        self.snapshot.iter().flat_map(|snapshot| &snapshot.jobs)
    }

    /// Since when a job that began `at` that time had been queued: as a look has shown, or else the last complete look before,
    /// if that was recent.
    pub(crate) fn queued_at(&self, job: JobId, at: Timestamp, check_interval: Duration) -> Option<Timestamp> {
        let shown = self.jobs().find(|shown| shown.id == job && !self.is_untimed).map(|shown| shown.queued_at);
        let unseen = || self.departed.look_before(at).filter(|look| since(at, *look) <= fresh_for(check_interval));
        shown.or_else(|| self.departed.queued_at(job)).or_else(unseen)
    }

    /// The clock was set, or nobody listened: what was seen until now tells nothing of how long it has been waiting.
    pub(crate) fn clock_set(&mut self) {
        (self.departed, self.is_untimed) = (Departed::default(), true);
    }

    /// A job of the last good poll, which is in order of ids.
    pub(crate) fn job(&self, id: JobId) -> Option<&PendingJob> {
        let jobs = &self.snapshot.as_ref()?.jobs;
        jobs.binary_search_by_key(&id, |job| job.id).ok().and_then(|at| jobs.get(at))
    }

    /// Projects whose jobs nobody here sees.
    pub(crate) fn blind(&self) -> u32 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.blind)
    }

    /// Whether the jobs of all its projects are seen.
    pub(crate) fn hides_nothing(&self, now: Timestamp, check_interval: Duration) -> bool {
        self.blind() == 0 && self.doubted_for(now, check_interval).is_none()
    }

    /// For how long jobs may have been waiting that nobody here sees; `None`: a job that is not there does not wait.
    pub(crate) fn doubted_for(&self, now: Timestamp, check_interval: Duration) -> Option<Duration> {
        let sees_all = self.snapshot.as_ref().is_some_and(|snapshot| snapshot.complete);
        let trusted = sees_all && self.knowledge(now, check_interval).is_known();
        (!trusted).then(|| self.certain_at.map_or(Duration::ZERO, |at| since(now, at)))
    }
}

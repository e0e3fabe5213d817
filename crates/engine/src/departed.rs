//! Jobs that have left the queue a while ago, and since when they had been in it: a worker names a job when its images are
//! there, which may be minutes after it was taken and the queue has forgotten it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use super::ids::JobId;
use super::job::QueueSnapshot;
use super::time::since;

/// How long that is remembered: images of some GiB come in less.
const KEPT: Duration = Duration::from_secs(15 * 60);

/// What was seen of a queue before its last look.
#[derive(Clone, Debug, Default)]
pub(crate) struct Departed {
    jobs: BTreeMap<JobId, Departure>,
    /// The complete looks, the oldest first: a job that none of them shows came after it.
    looks: VecDeque<Timestamp>,
}

#[derive(Clone, Copy, Debug)]
struct Departure {
    queued_at: Timestamp,
    at: Timestamp,
}

impl Departed {
    /// A look follows on another one.
    pub(crate) fn look(&mut self, before: Option<&QueueSnapshot>, look: &QueueSnapshot, now: Timestamp) {
        let mut shown: Vec<JobId> = look.jobs.iter().map(|job| job.id).collect();
        shown.sort_unstable();
        let left = before.into_iter().flat_map(|before| &before.jobs);
        for job in left.filter(|job| shown.binary_search(&job.id).is_err()) {
            self.jobs.insert(job.id, Departure { queued_at: job.queued_at, at: now });
        }
        self.jobs.retain(|_, departure| since(now, departure.at) < KEPT);
        if look.complete {
            self.looks.push_back(look.as_of);
        }
        while self.looks.front().is_some_and(|look| since(now, *look) >= KEPT) {
            self.looks.pop_front();
        }
    }

    /// Since when this job had been queued.
    pub(crate) fn queued_at(&self, job: JobId) -> Option<Timestamp> {
        self.jobs.get(&job).map(|departure| departure.queued_at)
    }

    /// The last complete look before this time.
    pub(crate) fn look_before(&self, at: Timestamp) -> Option<Timestamp> {
        self.looks.iter().rev().find(|look| **look <= at).copied()
    }
}

//! What is known of a GitLab server's waiting jobs, and how much of it still holds.

use std::time::Duration;

use jiff::Timestamp;

use super::job::{Knowledge, PendingJob, QueueLook};
use super::time::since;
use super::trouble::Trouble;

/// The last good look, and the last failure after it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Queue {
    look: Option<QueueLook>,
    failure: Option<Trouble>,
}

/// How long a look stays good: four missed looks, and no less than 20 s, which one slow page may take.
fn fresh_for(check_interval: Duration) -> Duration {
    (check_interval * 4).max(Duration::from_secs(20))
}

impl Queue {
    /// Takes in an answer. A failed look changes no job: they wait on, or they do not; nobody knows.
    pub(crate) fn answered(&mut self, look: Result<QueueLook, Trouble>) {
        match look {
            Ok(look) => {
                self.look = Some(look);
                self.failure = None;
            }
            Err(trouble) => self.failure = Some(trouble),
        }
    }

    /// What can be said of it now.
    pub(crate) fn knowledge(&self, now: Timestamp, check_interval: Duration) -> Knowledge {
        let trouble = || self.failure.clone().unwrap_or_else(|| Trouble::awaited("the first look at the queue"));
        match &self.look {
            None => Knowledge::Unknown { trouble: trouble() },
            Some(look) => {
                let age = since(now, look.as_of);
                if age <= fresh_for(check_interval) {
                    Knowledge::Known
                } else {
                    Knowledge::Stale { age, trouble: trouble() }
                }
            }
        }
    }

    /// The jobs that were seen waiting recently enough to act on.
    pub(crate) fn fresh_jobs(&self, now: Timestamp, check_interval: Duration) -> impl Iterator<Item = &PendingJob> {
        let limit = fresh_for(check_interval);
        self.jobs().filter(move |job| since(now, job.seen_at) <= limit)
    }

    /// All jobs of the last good look.
    pub(crate) fn jobs(&self) -> impl Iterator<Item = &PendingJob> {
        self.look.iter().flat_map(|look| &look.jobs)
    }

    /// Whether the last look saw everything: only then does the absence of a job say that it does not wait.
    pub(crate) fn is_complete(&self) -> bool {
        self.look.as_ref().is_some_and(|look| look.complete)
    }
}

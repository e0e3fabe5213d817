//! Law 10: no worker without a job outlives its use. What was told to stop, and shows no job, is terminated in time; and only
//! then, if it does not stop by itself.

use std::time::Duration;

use jiff::Timestamp;

use super::{Laws, Violation};
use crate::ids::WorkerId;
use crate::time::since;
use crate::worker::{Report, RunnerState};

/// A runner that is told to stop has at least this long to do so.
const STOP_MIN: Duration = Duration::from_secs(180);
/// A worker that reports, shows no job and was told to stop so long ago must have been terminated, at least once.
const STOP_MAX: Duration = Duration::from_secs(420);
/// Reports with longer pauses between them prove nothing of what was in between.
const PAUSE_MAX: Duration = Duration::from_secs(75);

/// A worker that was told to stop: since when it says, without a pause, that it has not and shows no job.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disobedience {
    pub(super) since: Timestamp,
    pub(super) last: Timestamp,
}

impl Laws {
    /// Takes in what a worker says that may have been told to stop.
    pub(super) fn observe_obedience(&mut self, now: Timestamp, worker: &WorkerId, report: &Report) {
        let disobeys = match report.runner {
            RunnerState::Fenced => report.is_empty(),
            RunnerState::Stopping => report.jobs() == 0,
            RunnerState::Absent | RunnerState::Serving | RunnerState::Stopped | RunnerState::Failed => false,
        };
        if !disobeys || !self.told_to_stop.contains_key(worker) {
            self.disobeying.remove(worker);
            return;
        }
        let disobedience = self.disobeying.entry(worker.clone()).or_insert(Disobedience { since: now, last: now });
        if since(now, disobedience.last) > PAUSE_MAX {
            disobedience.since = now;
        }
        disobedience.last = now;
    }

    /// Whether a worker that does not stop may be terminated as it is.
    pub(super) fn may_be_cut_off(&self, now: Timestamp, worker: &WorkerId, report: Option<&Report>) -> bool {
        let Some(report) = report else { return false };
        let told = self.told_to_stop.get(worker).is_some_and(|told_at| since(now, *told_at) >= STOP_MIN);
        match report.runner {
            RunnerState::Fenced => told && report.is_empty(),
            // A manager before us may have told it.
            RunnerState::Stopping => report.jobs() == 0,
            RunnerState::Absent | RunnerState::Serving | RunnerState::Stopped | RunnerState::Failed => false,
        }
    }

    /// Who should have been terminated by now, and was not asked to be.
    pub(super) fn judge_obedience(&mut self, now: Timestamp) -> Vec<Violation> {
        let Self { told_to_stop, disobeying, instances, owners, .. } = self;
        told_to_stop.retain(|worker, _| owners.contains_key(worker));
        // Nobody may touch what a person holds, and what EC2 does not show, or shows ending, needs no more.
        disobeying.retain(|worker, _| {
            let instance = instances.get(worker).and_then(Option::as_ref);
            instance.is_some_and(|instance| !instance.hold && !instance.state.is_ending())
        });
        let overdue = |(worker, disobedience): (&WorkerId, &Disobedience)| {
            let (long, fresh) = (since(disobedience.last, disobedience.since), since(now, disobedience.last));
            let what = || format!("{worker} was told to stop, shows no job, and is still there");
            (long >= STOP_MAX && fresh <= PAUSE_MAX).then(|| Violation { law: 10, what: what() })
        };
        disobeying.iter().filter_map(overdue).collect()
    }
}

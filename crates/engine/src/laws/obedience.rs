//! Law 10: no worker without a job outlives its use. What was told to go, and shows no job, is terminated in time; and only
//! then, if it does not go by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Laws, Violation};
use crate::command::Want;
use crate::ids::WorkerId;
use crate::time::since;
use crate::worker::{Report, RunnerState};

/// What is told has at least this long to show before more is done about it.
const OBEY_MIN: Duration = Duration::from_secs(115);
/// A job request has at least this long to be answered.
const ANSWER_MIN: Duration = Duration::from_secs(170);
/// Told to take no more jobs, and without one for so long: it must have been terminated, at least once. That is as long as
/// all steps take one after the other, with what a broken connection may cost.
const GONE_MAX: Duration = Duration::from_secs(900);
/// The same for one that was told to stop.
const STOPPED_MAX: Duration = Duration::from_secs(420);
/// Reports with longer pauses between them prove nothing of what was in between.
const PAUSE_MAX: Duration = Duration::from_secs(75);

/// What workers were told, and for how long they have been without a job.
#[derive(Clone, Debug, Default)]
pub(super) struct Obedience {
    told: BTreeMap<WorkerId, Told>,
    jobless: BTreeMap<WorkerId, Jobless>,
}

/// When a worker was first told so, since it was last told to take jobs.
#[derive(Clone, Debug, Default)]
struct Told {
    fence: Option<Timestamp>,
    stop: Option<Timestamp>,
    hard_stop: Option<Timestamp>,
}

/// A worker that says that it has no job.
#[derive(Clone, Copy, Debug)]
struct Jobless {
    /// Since when it has not said otherwise.
    since: Timestamp,
    /// Since when it has said so without a pause.
    unbroken_since: Timestamp,
    last: Timestamp,
    /// Whether its end was asked for in that time.
    ended: bool,
}

impl Obedience {
    /// Takes in what a worker says.
    pub(super) fn observe(&mut self, now: Timestamp, worker: &WorkerId, report: &Report) {
        if report.jobs() > 0 {
            self.jobless.remove(worker);
            return;
        }
        let begun = Jobless { since: now, unbroken_since: now, last: now, ended: false };
        let jobless = self.jobless.entry(worker.clone()).or_insert(begun);
        if since(now, jobless.last) >= PAUSE_MAX {
            (jobless.unbroken_since, jobless.ended) = (now, false);
        }
        jobless.last = now;
    }

    /// Takes in what a worker is told.
    pub(super) fn told(&mut self, now: Timestamp, worker: &WorkerId, want: &Want) {
        let told = self.told.entry(worker.clone()).or_default();
        match want {
            Want::Serve => drop(self.told.remove(worker)),
            Want::Fence { .. } => drop(told.fence.get_or_insert(now)),
            Want::Stop { .. } => drop(told.stop.get_or_insert(now)),
            Want::HardStop { .. } => drop(told.hard_stop.get_or_insert(now)),
        }
    }

    /// When it was first told to take no more jobs.
    pub(super) fn told_to_go_at(&self, worker: &WorkerId) -> Option<Timestamp> {
        self.told.get(worker)?.fence
    }

    /// Its end was asked for.
    pub(super) fn ended(&mut self, worker: &WorkerId) {
        if let Some(jobless) = self.jobless.get_mut(worker) {
            jobless.ended = true;
        }
    }

    /// Somebody has set the clock back.
    pub(super) fn forget_times(&mut self) {
        let reset = |at: &mut Option<Timestamp>| *at = at.map(|_| Timestamp::MIN);
        for told in self.told.values_mut() {
            [&mut told.fence, &mut told.stop, &mut told.hard_stop].into_iter().for_each(reset);
        }
        for jobless in self.jobless.values_mut() {
            (jobless.since, jobless.ended) = (Timestamp::MIN, true);
        }
    }

    /// Whether a worker that does not go may be terminated as it is.
    pub(super) fn may_be_cut_off(&self, now: Timestamp, worker: &WorkerId, report: Option<&Report>) -> bool {
        let Some(report) = report.filter(|report| report.jobs() == 0) else { return false };
        let told = self.told.get(worker).and_then(|told| told.hard_stop);
        // A manager before us may have told it to stop.
        report.runner == RunnerState::Stopping && self.is_jobless_for(worker, OBEY_MIN)
            || told.is_some_and(|told_at| report.runner == RunnerState::Stopped || since(now, told_at) >= OBEY_MIN)
    }

    /// Whether a worker may be stopped hard: nothing runs on it, or it was told to take no more jobs, and goes on.
    pub(super) fn may_be_stopped_hard(&self, now: Timestamp, worker: &WorkerId, report: Option<&Report>) -> bool {
        let Some(report) = report else { return false };
        let was_told = |what: fn(&Told) -> Option<Timestamp>| {
            self.told.get(worker).and_then(what).is_some_and(|told_at| since(now, told_at) >= OBEY_MIN)
        };
        match report.runner {
            RunnerState::Serving => was_told(|told| told.fence),
            RunnerState::Fenced if report.is_empty() => was_told(|told| told.stop),
            RunnerState::Fenced => self.is_jobless_for(worker, ANSWER_MIN),
            RunnerState::Absent | RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed => false,
        }
    }

    /// Whether its reports have shown no job for so long.
    fn is_jobless_for(&self, worker: &WorkerId, least: Duration) -> bool {
        self.jobless.get(worker).is_some_and(|jobless| since(jobless.last, jobless.since) >= least)
    }
}

impl Laws {
    /// Who should have been terminated by now, and was not asked to be.
    pub(super) fn judge_obedience(&mut self, now: Timestamp) -> Vec<Violation> {
        let Self { obedience: Obedience { told, jobless }, instances, owners, .. } = self;
        told.retain(|worker, _| owners.contains_key(worker));
        jobless.retain(|worker, _| owners.contains_key(worker));
        // Nobody may touch what a person holds, and what EC2 does not show, or shows ending, needs no more.
        for (worker, jobless) in jobless.iter_mut() {
            let instance = instances.get(worker).and_then(Option::as_ref);
            if !instance.is_some_and(|instance| !instance.hold && !instance.state.is_ending()) {
                jobless.unbroken_since = now;
            }
        }
        let overdue = |(worker, told): (&WorkerId, &Told)| {
            let Jobless { unbroken_since, last, .. } = *jobless.get(worker).filter(|jobless| !jobless.ended)?;
            let for_as_long = |told_at: Timestamp, most| since(last, unbroken_since.max(told_at)) >= most;
            let lingers = told.fence.is_some_and(|at| for_as_long(at, GONE_MAX))
                || told.stop.is_some_and(|at| for_as_long(at, STOPPED_MAX));
            let what = || format!("{worker} was told to go, shows no job, and is still there");
            (lingers && since(now, last) <= PAUSE_MAX).then(|| Violation { law: 10, what: what() })
        };
        told.iter().filter_map(overdue).collect()
    }
}

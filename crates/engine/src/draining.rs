//! How far a drain is, read from the worker's last report, and what is wanted of the worker next: that it is fenced, and,
//! once it is seen fenced and empty, that it stops; then it is terminated. A job that a worker took while it was being
//! fenced ends there, and if that was before the worker's idle time was over, the worker stays.
//!
//! Obedience has a deadline: a worker that does not do as it is told is stopped hard, and, if that does not help either,
//! terminated as it is, once it has shown no job for long enough. A deadline counts only time in which it was heard.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Want;
use super::drain::{Drain, DrainStep};
use super::reason::{Disobedience, DrainReason, EndReason};
use super::time::since;
use super::worker::RunnerState;
use super::workers::Worker;

/// How long a config push already under way when the fence is sent may take to land and be reported.
const CONFIGURED_BY: Duration = Duration::from_secs(30);
/// How long systemd may take to bring a failed runner process back; after that it stays failed.
const RUNNER_FAILED: Duration = Duration::from_secs(60);

/// How long a fence may take: gitlab-runner reads its file every 3 s, and is told of it again every half minute.
const FENCED_BY: Duration = Duration::from_secs(120);
/// How long a job request of a fenced runner may stay open: GitLab answers a long poll within 50 s.
const ANSWERED_BY: Duration = Duration::from_secs(180);
/// The same for a runner that takes one job and exits: only a container shows that it has one, and its image may take
/// that long to come.
const TAKEN_BY: Duration = Duration::from_secs(300);
/// How long an idle runner may take to exit once that is wanted: it needs 80 s at most (its `stop_timeout` and the agent's
/// own patience).
const STOPPED_BY: Duration = Duration::from_secs(120);
/// How long a hard stop may take: the same 80 s, and a minute for a manager that was not heard at first.
const HARD_STOPPED_BY: Duration = Duration::from_secs(140);

/// For how long GitLab must have shown no job of a fenced worker that says it has one, until it is ended. GitLab itself
/// fails a job that it has not heard of for an hour: what still runs after that can deliver nothing.
const JOB_GIVEN_UP: Duration = Duration::from_secs(3600);

/// What comes next for a draining worker.
pub(crate) enum Next {
    /// Something else is wanted of it than before.
    Want(Want),
    /// It is over: the worker ends.
    End(EndReason),
}

/// Whether its runner process has failed for good.
pub(crate) fn has_failed(worker: &Worker, now: Timestamp) -> bool {
    worker.failed_since.is_some_and(|failed_since| since(now, failed_since) >= RUNNER_FAILED)
}

/// What comes next for this worker, if it drains and its last report is recent enough to tell. One that is `single_use`
/// takes one job, and its runner exits.
pub(crate) fn next(worker: &Worker, single_use: bool, now: Timestamp) -> Option<Next> {
    let drain = worker.drain()?;
    let Drain { reason, step, .. } = drain;
    if *reason == (DrainReason::Requested { force: true }) {
        return Some(Next::End(EndReason::Drained(reason.clone())));
    }
    let heard = worker.heard.as_ref().filter(|_| worker.silent_since(now).is_none())?;
    if let Some(after) = worker.job_unknown_for(super::time::after(drain.begun_at, FENCED_BY), now)
        && after >= JOB_GIVEN_UP
    {
        return Some(Next::End(EndReason::JobUnknown { after }));
    }
    let fence = || Some(Next::Want(Want::Fence { reason: reason.clone() }));
    match (heard.report.runner, step) {
        (RunnerState::Stopped, DrainStep::HardStopping { because, .. }) => Some(disobeyed(because.clone())),
        (RunnerState::Stopped, _) => Some(Next::End(EndReason::Drained(reason.clone()))),
        // Whatever the drain was begun for: the process that ran the jobs is dead, and does not come back.
        (RunnerState::Failed, _) => has_failed(worker, now).then_some(Next::End(EndReason::RunnerDied)),
        (_, DrainStep::HardStopping { since: wanted_since, because }) => {
            (quiet_for(worker, *wanted_since)? >= HARD_STOPPED_BY).then(|| disobeyed(because.clone()))
        }
        (RunnerState::Fenced, DrainStep::Begun | DrainStep::Fencing { .. }) if heard.report.is_empty() => {
            (!drain.is_early(now)).then(|| Next::Want(Want::Stop { reason: as_of(now, worker, reason) }))
        }
        (RunnerState::Fenced, DrainStep::Begun | DrainStep::Fencing { .. }) => request_stuck(worker, drain, single_use),
        (RunnerState::Serving | RunnerState::Absent, DrainStep::Begun) => fence(),
        (RunnerState::Serving, DrainStep::Fencing { since: wanted_since }) => {
            let after = since(heard.at, *wanted_since);
            (after >= FENCED_BY).then_some(hard_stop(Disobedience::FenceFailed { after }))
        }
        // A fenced connection pushes no configuration, and one that was on its way has long arrived.
        (RunnerState::Absent, DrainStep::Fencing { since: wanted_since }) => {
            (since(heard.at, *wanted_since) >= CONFIGURED_BY).then(|| Next::End(EndReason::Drained(reason.clone())))
        }
        // It was fenced, empty, and told to stop; but something on the worker has taken the fence down.
        (RunnerState::Serving, DrainStep::Stopping { .. }) => fence(),
        (RunnerState::Fenced, DrainStep::Stopping { since: wanted_since }) => {
            stop_failed(worker, *wanted_since).filter(|_| heard.report.is_empty()).map(hard_stop)
        }
        // Whoever has told it: a second word changes nothing.
        (RunnerState::Stopping, DrainStep::Stopping { since: told_since }) => {
            stop_failed(worker, *told_since).map(disobeyed)
        }
        (RunnerState::Stopping, DrainStep::Begun | DrainStep::Fencing { .. }) => {
            stop_failed(worker, drain.begun_at).map(disobeyed)
        }
        (RunnerState::Absent, DrainStep::Stopping { .. }) => None,
    }
}

/// The reason of a drain, as long as it has lasted until now.
fn as_of(now: Timestamp, worker: &Worker, reason: &DrainReason) -> DrainReason {
    match (reason, worker.idle(now)) {
        (DrainReason::Idle { surplus, .. }, Some(idle)) => DrainReason::Idle { idle, surplus: *surplus },
        (other, _) => other.clone(),
    }
}

/// A fenced runner without a job, whose request stays open.
fn request_stuck(worker: &Worker, drain: &Drain, single_use: bool) -> Option<Next> {
    let after = unchanged_for(worker, drain.begun_at)?;
    let patience = if single_use { TAKEN_BY } else { ANSWERED_BY };
    (after >= patience).then_some(hard_stop(Disobedience::RequestStuck { after }))
}

/// It shows no job, cannot get one, and does not exit: nothing is lost with it.
fn stop_failed(worker: &Worker, told_since: Timestamp) -> Option<Disobedience> {
    let after = unchanged_for(worker, told_since)?;
    (after >= STOPPED_BY).then_some(Disobedience::StopFailed { after })
}

fn hard_stop(reason: Disobedience) -> Next {
    Next::Want(Want::HardStop { reason })
}

fn disobeyed(because: Disobedience) -> Next {
    Next::End(EndReason::Disobeyed(because))
}

/// For how long, after `begun`, its reports have shown no job.
fn quiet_for(worker: &Worker, begun: Timestamp) -> Option<Duration> {
    heard_for(worker, worker.quiet()?.since.max(begun))
}

/// For how long, after `begun`, they have besides shown the same runner, with a request open or without.
fn unchanged_for(worker: &Worker, begun: Timestamp) -> Option<Duration> {
    heard_for(worker, worker.quiet()?.unchanged_since.max(begun))
}

fn heard_for(worker: &Worker, begun: Timestamp) -> Option<Duration> {
    worker.heard.as_ref().map(|heard| since(heard.at, begun))
}

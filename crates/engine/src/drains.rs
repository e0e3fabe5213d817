//! How far a drain is, read from the worker's last report, and what is wanted of the worker next: that it is fenced, and,
//! once it is seen fenced and empty, that it stops; then it is terminated. A job that a worker took while it was being
//! fenced ends there.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Want;
use super::reason::{DrainReason, EndReason};
use super::time::since;
use super::worker::RunnerState;
use super::workers::{Drain, DrainStep, Heard, Worker};

/// How long a config push already under way when the fence is sent may take to land and be reported.
const CONFIGURED_BY: Duration = Duration::from_secs(30);
/// How long systemd may take to bring a failed runner process back; after that it stays failed.
const RUNNER_FAILED: Duration = Duration::from_secs(60);

/// How long a runner without a job may take to exit once that is wanted: it needs 80 s at most (its `stop_timeout` and the
/// agent's own patience), and as long again for a manager that was not heard at first, and some.
pub(crate) const STOPPED_BY: Duration = Duration::from_secs(240);

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

/// What comes next for this worker, if it drains and its last report is recent enough to tell.
pub(crate) fn next(worker: &Worker, now: Timestamp) -> Option<Next> {
    let drain = worker.drain()?;
    let Drain { reason, step, .. } = drain;
    if *reason == (DrainReason::Requested { force: true }) {
        return Some(Next::End(EndReason::Drained(reason.clone())));
    }
    let heard = worker.heard.as_ref().filter(|_| worker.silent_since(now).is_none())?;
    let fence = || Some(Next::Want(Want::Fence { reason: reason.clone() }));
    match (heard.report.runner, step) {
        (RunnerState::Stopped, _) => Some(Next::End(EndReason::Drained(reason.clone()))),
        // Whatever the drain was begun for: the process that ran the jobs is dead, and does not come back.
        (RunnerState::Failed, _) => has_failed(worker, now).then_some(Next::End(EndReason::RunnerDied)),
        (RunnerState::Fenced, DrainStep::Begun | DrainStep::Fencing { .. }) if heard.report.is_empty() => {
            Some(Next::Want(Want::Stop { reason: reason.clone() }))
        }
        (RunnerState::Serving | RunnerState::Absent, DrainStep::Begun) => fence(),
        // A fenced connection pushes no configuration, and one that was on its way has long arrived.
        (RunnerState::Absent, DrainStep::Fencing { since: wanted_since }) => {
            (since(heard.at, *wanted_since) >= CONFIGURED_BY).then(|| Next::End(EndReason::Drained(reason.clone())))
        }
        // It was fenced, empty, and told to stop; but something on the worker has taken the fence down.
        (RunnerState::Serving, DrainStep::Stopping { .. }) => fence(),
        (RunnerState::Fenced, DrainStep::Stopping { since: wanted_since }) if heard.report.is_empty() => {
            stop_failed(heard, *wanted_since)
        }
        // Whoever has told it.
        (RunnerState::Stopping, DrainStep::Stopping { since: wanted_since }) if heard.report.jobs() == 0 => {
            stop_failed(heard, *wanted_since)
        }
        (RunnerState::Stopping, DrainStep::Begun | DrainStep::Fencing { .. }) if heard.report.jobs() == 0 => {
            stop_failed(heard, drain.begun_at)
        }
        // It finishes its jobs, or has not got the word yet; or another manager, or the worker itself, has fenced it.
        (RunnerState::Serving, DrainStep::Fencing { .. })
        | (RunnerState::Fenced, _)
        | (RunnerState::Absent, DrainStep::Stopping { .. })
        | (RunnerState::Stopping, _) => None,
    }
}

/// It shows no job, cannot get one, and does not exit: nothing is lost with it.
fn stop_failed(heard: &Heard, wanted_since: Timestamp) -> Option<Next> {
    let after = since(heard.at, wanted_since);
    (after >= STOPPED_BY).then_some(Next::End(EndReason::StopFailed { after }))
}

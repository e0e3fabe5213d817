//! How far a drain is, read from the worker's last report, and what the worker is told next: fence, see empty, stop,
//! terminate. A job that a worker took while it was being fenced ends there.

use std::time::Duration;

use jiff::Timestamp;

use super::command::Command;
use super::ids::WorkerId;
use super::reason::Reason;
use super::time::since;
use super::worker::RunnerState;
use super::workers::Worker;

/// How long a worker has to show what it was told, before it is told again.
const TELL_AGAIN: Duration = Duration::from_secs(15);
/// How long a config push already under way when the fence is sent may take to land and be reported.
const CONFIGURED_BY: Duration = Duration::from_secs(30);
/// How long a termination may stay unconfirmed before it is asked for again.
const TERMINATE_AGAIN: Duration = Duration::from_secs(60);
/// How long systemd may take to bring a failed runner process back; after that it stays failed.
const RUNNER_FAILED: Duration = Duration::from_secs(60);

/// What is to be done about a draining worker.
pub(crate) enum Word {
    /// It is told this.
    Say(Command),
    /// It is terminated.
    End(Reason),
}

/// Whether its runner process has failed for good.
pub(crate) fn has_failed(worker: &Worker, now: Timestamp) -> bool {
    worker.failed_since.is_some_and(|failed_since| since(now, failed_since) >= RUNNER_FAILED)
}

/// What a draining worker is told next, read from its last report.
pub(crate) fn next_word(id: &WorkerId, worker: &mut Worker, now: Timestamp) -> Option<Word> {
    if let Some(ending) = &worker.ending {
        let again = since(now, ending.asked_at) >= TERMINATE_AGAIN;
        return again.then(|| Word::End(ending.reason.clone()));
    }
    worker.drain.as_ref()?;
    let silent = worker.silent_since(now).is_some();
    let runner_failed = has_failed(worker, now);
    let heard_at = worker.heard.as_ref().map(|heard| heard.at);
    let report = worker.heard.as_ref().map(|heard| &heard.report);
    let drain = worker.drain.as_mut()?;
    if drain.reason == (Reason::Drained { force: true }) {
        return Some(Word::End(drain.reason.clone()));
    }
    let report = report.filter(|_| !silent)?;
    let due = drain.told_at.is_none_or(|told_at| since(now, told_at) >= TELL_AGAIN);
    // A fenced connection pushes no configuration, and one that was on its way has long arrived.
    let never_configured =
        drain.told_at.zip(heard_at).is_some_and(|(told_at, heard_at)| since(heard_at, told_at) >= CONFIGURED_BY);
    let worker_id = id.clone();
    let reason = drain.reason.clone();
    match report.runner {
        RunnerState::Stopped => return Some(Word::End(reason)),
        // Whatever the drain was begun for: the process that ran the jobs is dead, and does not come back.
        RunnerState::Failed if runner_failed => return Some(Word::End(Reason::RunnerFailed)),
        RunnerState::Fenced if report.is_empty() && (due || !drain.stopping) => {
            drain.told_at = Some(now);
            drain.stopping = true;
            return Some(Word::Say(Command::Stop { worker: worker_id, reason }));
        }
        RunnerState::Absent if never_configured => return Some(Word::End(reason)),
        RunnerState::Serving | RunnerState::Absent
            if due && drain.told_at.is_none_or(|_| report.runner == RunnerState::Serving) =>
        {
            drain.told_at = Some(now);
            return Some(Word::Say(Command::Fence { worker: worker_id, reason }));
        }
        RunnerState::Fenced
        | RunnerState::Serving
        | RunnerState::Absent
        | RunnerState::Stopping
        | RunnerState::Failed => {}
    }
    None
}

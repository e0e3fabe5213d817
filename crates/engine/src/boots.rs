//! Boots that fail, and workers that are lost: the ends that no drain leads to.
//!
//! Only a worker that is known never to have been ready is ended for its boot. One that was adopted and does not answer
//! may be running a job: it is ended when EC2 says that its host is impaired, or by its own dead-man timer; when GitLab shows
//! no job of it although that timer is long over; and after a day in any case.

use std::time::Duration;

use jiff::Timestamp;

use super::event::ConnectionFailure;
use super::reason::EndReason;
use super::settings::{BOOT_TIMEOUT, Settings};
use super::time::{after, since};
use super::worker::{Health, InstanceState, Phase};
use super::workers::{Connection, Worker, WorkerStatus};

/// A stock image may answer with keys of its own for a moment before cloud-init has installed those that it was given.
const HOST_KEY_PATIENCE: Duration = Duration::from_secs(15);

/// A worker that nobody has heard for so long, or for `max_age` if that is longer, is ended although EC2 calls it healthy and
/// GitLab cannot tell: its own dead man should have ended it long ago, and a job of it that runs has outlived every sensible
/// time limit.
const UNREACHABLE: Duration = Duration::from_secs(24 * 3600);

/// How long after its `orphan_timeout` a silent worker is ended of which GitLab shows no job; that must have been so for
/// `SEEN`, longer than a job can be taken without being shown.
const ALONE: Duration = Duration::from_secs(10 * 60);
const SEEN: Duration = Duration::from_secs(5 * 60);

/// Why this worker must be terminated without a drain, if it must.
pub(crate) fn dead_end(worker: &Worker, settings: &Settings, now: Timestamp) -> Option<EndReason> {
    if worker.instance.hold || worker.is_ending() {
        return None;
    }
    match worker.instance.state {
        InstanceState::Stopped => return Some(EndReason::FoundStopped),
        InstanceState::Stopping | InstanceState::ShuttingDown | InstanceState::Terminated => return None,
        InstanceState::Pending | InstanceState::Running => {}
    }
    if worker.never_ready() {
        return failed_boot(worker, settings, now);
    }
    if worker.status(now) != WorkerStatus::Unreachable {
        return None;
    }
    if worker.instance.health == Health::Impaired {
        return Some(EndReason::Lost);
    }
    let section = settings.section(&worker.instance.runner);
    let silent_since = worker.silent_since(now)?;
    let silent_for = since(now, silent_since);
    let is_alone = section.is_some_and(|runner| is_left_alone(worker, silent_since, runner.orphan_timeout, now));
    let max_age = section.map_or(Duration::ZERO, |runner| runner.max_age);
    (is_alone || silent_for >= max_age.max(UNREACHABLE)).then_some(EndReason::Unreachable { after: silent_for })
}

/// Whether a silent worker must have fenced itself, and runs no job that GitLab knows: up to `orphan_timeout` it takes jobs.
fn is_left_alone(worker: &Worker, silent_since: Timestamp, orphan_timeout: Duration, now: Timestamp) -> bool {
    let fenced_at = after(silent_since, orphan_timeout);
    since(now, fenced_at) >= ALONE && worker.sighting.absent_for(fenced_at, now).is_some_and(|absent| absent >= SEEN)
}

fn failed_boot(worker: &Worker, settings: &Settings, now: Timestamp) -> Option<EndReason> {
    match worker.report().map(|report| &report.phase) {
        Some(Phase::Failed { error }) => return Some(EndReason::BootFailed { error: error.clone() }),
        // It has booted, and may be given its configuration at any moment: `retirement` fences it first, if it can hear.
        Some(Phase::Ready) => {
            let lost = worker.silent_since(now).is_some() && worker.instance.health == Health::Impaired;
            return lost.then_some(EndReason::Lost);
        }
        // Its last word may be older than its boot: while it hears, `retirement` fences it first, too.
        Some(Phase::Booting { .. })
            if worker.silent_since(now).is_none() && matches!(worker.connection, Connection::Up) =>
        {
            return None;
        }
        Some(Phase::Booting { .. }) | None => {}
    }
    if let Connection::Down { since: down_since, failure: ConnectionFailure::WrongHostKey(_) } = &worker.connection
        && since(now, *down_since) >= HOST_KEY_PATIENCE
    {
        return Some(EndReason::WrongHostKey);
    }
    let boot_timeout = settings.section(&worker.instance.runner).map_or(BOOT_TIMEOUT, |runner| runner.boot_timeout);
    (now >= worker.boot_deadline(boot_timeout)).then(|| EndReason::BootTimeout {
        after: worker.age(now),
        step: worker.boot_step(),
        failure: worker.failure().cloned(),
    })
}

//! One worker: what EC2 and its agent last said, and what we began with it.

use super::settings::BOOT_TIMEOUT;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::command::Launch;
use super::event::{ConnectionFailure, LaunchedWorker};
use super::reason::Reason;
use super::time::{after, before, since};
use super::transition::{Terminated, WorkerTransition};
use super::worker::{Health, Instance, InstanceState, Phase, Report, RunnerState};

/// How long a silent worker still counts as reachable: two missed half-minute reports and some.
pub(crate) const SILENCE: Duration = Duration::from_secs(75);
/// How long job starts are remembered; longer than any poll of the queue stays in use.
const STARTS_KEPT: Duration = Duration::from_secs(120);

/// No worker runs more jobs than this, whatever it says.
const JOBS_MAX: u32 = 1_000;

/// How long the queue size that comes with a job is trusted: a boot, more or less.
const QUEUE_HINT: Duration = Duration::from_secs(60);

/// How long an unfence may take to show: gitlab-runner re-reads its file every 3 s.
const RETURN: Duration = Duration::from_secs(20);

/// The last report and when it came.
#[derive(Clone, Debug)]
pub(crate) struct Heard {
    pub(crate) at: Timestamp,
    pub(crate) report: Report,
}

/// The connection to a worker.
#[derive(Clone, Debug)]
pub(crate) enum Connection {
    /// Not heard of yet; asked for at that time, if it was.
    None { asked_at: Option<Timestamp> },
    /// Connected.
    Up,
    /// Not connected; since then for this kind of reason.
    Down { since: Timestamp, failure: ConnectionFailure },
}

/// A retirement that was begun.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    pub(crate) reason: Reason,
    /// When it was begun.
    pub(crate) begun_at: Timestamp,
    /// When the worker was last told to fence or stop; it is told again if its reports do not show it.
    pub(crate) told_at: Option<Timestamp>,
    /// Whether SIGQUIT was asked for: from then on there is no way back.
    pub(crate) stopping: bool,
}

impl Drain {
    /// One that nobody has been told of yet.
    pub(crate) fn begun(reason: Reason, now: Timestamp) -> Self {
        Self { reason, begun_at: now, told_at: None, stopping: false }
    }
}

/// A termination that was asked for.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) reason: Reason,
    pub(crate) asked_at: Timestamp,
}

/// Where a worker stands, as far as decisions care.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum WorkerStatus {
    /// Not ready yet; its slots are coming.
    Booting,
    /// Asks for jobs; its slots count.
    Serving,
    /// Takes no more jobs.
    Draining,
    /// Was ready, or may have been; nobody knows what it runs.
    Unreachable,
    /// Terminated by us or by EC2; not yet gone.
    Ending,
}

#[derive(Clone, Debug)]
pub(crate) struct Worker {
    /// As last listed, or as the launch's answer named it.
    pub(crate) instance: Instance,
    /// The newest listing that showed it.
    pub(crate) listed_at: Option<Timestamp>,
    /// The first of the newest listings that did not show it.
    pub(crate) absent_since: Option<Timestamp>,
    pub(crate) first_seen: Timestamp,
    /// Whether a launch of this manager's own life made it.
    pub(crate) ours: bool,
    /// Whether we know that it was never ready before we met it: we launched it, or saw it boot.
    pub(crate) boot_watched: bool,
    /// Whether its runner was ever seen to be configured.
    pub(crate) served: bool,
    pub(crate) connection: Connection,
    pub(crate) heard: Option<Heard>,
    /// When reports showed that jobs were taken; one entry per job.
    pub(crate) starts: Vec<Timestamp>,
    pub(crate) drain: Option<Drain>,
    /// When a drain was taken back; for a short while its slots count although its report still says that it is fenced.
    pub(crate) returned_at: Option<Timestamp>,
    /// Since when its reports say that the runner process has failed.
    pub(crate) failed_since: Option<Timestamp>,
    pub(crate) ending: Option<Ending>,
}

impl Worker {
    /// A worker that a listing shows and that we know nothing of: after a restart, or from an unanswered launch.
    pub(crate) fn adopted(instance: Instance, now: Timestamp) -> Self {
        Self {
            instance,
            listed_at: None,
            absent_since: None,
            first_seen: now,
            ours: false,
            boot_watched: false,
            served: false,
            connection: Connection::None { asked_at: None },
            heard: None,
            starts: Vec::new(),
            drain: None,
            returned_at: None,
            failed_since: None,
            ending: None,
        }
    }

    /// A worker that EC2 has just named in its answer to our launch.
    pub(crate) fn launched(launch: &Launch, launched: &LaunchedWorker, now: Timestamp) -> Self {
        let instance = Instance {
            id: launched.id.clone(),
            runner: launch.runner.clone(),
            config: launch.config.clone(),
            launch: Some(launch.token.clone()),
            state: InstanceState::Pending,
            state_reason: None,
            launched_at: now,
            instance_type: launched.instance_type.clone(),
            zone: launched.zone.clone(),
            market: launched.market,
            address: None,
            hold: false,
            health: Health::Unknown,
        };
        Self { boot_watched: true, ours: true, ..Self::adopted(instance, now) }
    }

    /// What there is to tell of it when it has ended as `instance`.
    pub(crate) fn ended(self, instance: Instance) -> WorkerTransition {
        let (asked, jobs, booting) = (self.ending.is_some(), self.jobs(), self.boot_watched && !self.served);
        let projects = self.heard.map(|heard| heard.report.projects).unwrap_or_default();
        WorkerTransition::Ended(Box::new(Terminated { instance, asked, jobs, projects, booting }))
    }

    /// Takes in a report.
    pub(crate) fn heard(&mut self, heard: Heard) {
        let report = &heard.report;
        if let Some(last) = &self.heard {
            let taken = report.jobs_started.saturating_sub(last.report.jobs_started);
            // More than a handful at once is a worker that counts from elsewhere, not jobs taken within a second.
            let taken = usize::try_from(taken).unwrap_or(usize::MAX).min(64);
            self.starts.extend(std::iter::repeat_n(heard.at, taken));
        }
        let horizon = before(heard.at, STARTS_KEPT);
        self.starts.retain(|start| *start >= horizon);
        match (&report.phase, report.runner) {
            (Phase::Booting { .. } | Phase::Failed { .. }, _) | (Phase::Ready, RunnerState::Absent) => {
                self.boot_watched = true;
            }
            (
                Phase::Ready,
                RunnerState::Serving
                | RunnerState::Fenced
                | RunnerState::Stopping
                | RunnerState::Stopped
                | RunnerState::Failed,
            ) => self.served = true,
        }
        self.failed_since = match heard.report.runner {
            RunnerState::Failed => self.failed_since.or(Some(heard.at)),
            RunnerState::Absent
            | RunnerState::Serving
            | RunnerState::Fenced
            | RunnerState::Stopping
            | RunnerState::Stopped => None,
        };
        // EC2 has not carried out the end, and the runner is alive by now: it may have a job. Only force ends it as it is.
        let alive = matches!(heard.report.runner, RunnerState::Serving | RunnerState::Fenced);
        let forced = Reason::Drained { force: true };
        if alive && self.ending.as_ref().is_some_and(|ending| ending.reason != forced) {
            self.ending = None;
        }
        self.heard = Some(heard);
    }

    /// The clock has moved by `gap` without anybody listening: its last words are no older for that.
    pub(crate) fn was_not_listened_to(&mut self, gap: SignedDuration) {
        let moved = |at: Timestamp| at.saturating_add(gap).unwrap_or(at);
        if let Some(heard) = &mut self.heard {
            heard.at = moved(heard.at);
        }
        if let Some(drain) = &mut self.drain {
            drain.told_at = drain.told_at.map(moved);
        }
    }

    pub(crate) fn report(&self) -> Option<&Report> {
        self.heard.as_ref().map(|heard| &heard.report)
    }

    /// Jobs that the last report showed; 0 if there was none. Bounded, because workers are not trusted with our sums.
    pub(crate) fn jobs(&self) -> u32 {
        self.report().map_or(0, Report::jobs).min(JOBS_MAX)
    }

    /// The queue size that GitLab told its runner, if it took a job recently enough for that to mean something.
    pub(crate) fn queue_hint(&self, now: Timestamp) -> u32 {
        let recent = self.starts.iter().any(|start| since(now, *start) <= QUEUE_HINT);
        self.report().filter(|_| recent).and_then(|report| report.queue_size).unwrap_or(0)
    }

    /// When EC2 takes it back, if it said so.
    pub(crate) fn interruption(&self) -> Option<Timestamp> {
        self.report().and_then(|report| report.interruption)
    }

    /// Jobs taken at or after that time whose ids no report has told yet: the poll of the queue of that time may show them
    /// as waiting still.
    pub(crate) fn unnamed_starts_after(&self, as_of: Timestamp) -> u32 {
        let Some(report) = self.report() else { return 0 };
        let unnamed = report.jobs().saturating_sub(u32::try_from(report.job_ids.len()).unwrap_or(u32::MAX));
        let started = self.starts.iter().filter(|start| **start >= as_of).count();
        unnamed.min(u32::try_from(started).unwrap_or(u32::MAX))
    }

    /// Since when it has said nothing, if it has said nothing for too long.
    pub(crate) fn silent_since(&self, now: Timestamp) -> Option<Timestamp> {
        let last = self.heard.as_ref().map_or(self.first_seen, |heard| heard.at);
        (since(now, last) >= SILENCE).then_some(last)
    }

    /// Where it stands.
    pub(crate) fn status(&self, now: Timestamp) -> WorkerStatus {
        let Instance { state, .. } = &self.instance;
        if self.ending.is_some() || !matches!(state, InstanceState::Pending | InstanceState::Running) {
            return WorkerStatus::Ending;
        }
        // One that was adopted and is young may still be booting; it is given the time that a boot takes.
        let may_boot = self.boot_watched || (self.heard.is_none() && self.age(now) < BOOT_TIMEOUT);
        if self.silent_since(now).is_some() && (self.served || !may_boot) {
            return WorkerStatus::Unreachable;
        }
        if self.drain.is_some() {
            return WorkerStatus::Draining;
        }
        match self.report().map(|report| (&report.phase, report.runner)) {
            Some((Phase::Ready, RunnerState::Serving)) => WorkerStatus::Serving,
            Some((Phase::Ready, RunnerState::Fenced)) if self.returns(now) => WorkerStatus::Serving,
            Some((
                Phase::Ready,
                RunnerState::Fenced | RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed,
            )) => WorkerStatus::Draining,
            Some((Phase::Ready, RunnerState::Absent) | (Phase::Booting { .. } | Phase::Failed { .. }, _)) | None => {
                WorkerStatus::Booting
            }
        }
    }

    /// Whether it was told a moment ago to take jobs again.
    pub(crate) fn returns(&self, now: Timestamp) -> bool {
        self.returned_at.is_some_and(|returned_at| since(now, returned_at) < RETURN)
    }

    /// For how long it has been ready and without a job.
    pub(crate) fn idle(&self, now: Timestamp) -> Option<Duration> {
        let heard = self.heard.as_ref()?;
        let ready = heard.report.phase == Phase::Ready && heard.report.runner != RunnerState::Absent;
        if !ready || heard.report.jobs() > 0 {
            return None;
        }
        // What an agent claims is bounded by the worker's age, so that a wrong counter retires nothing early.
        let claimed = Duration::from_secs(heard.report.idle_seconds).saturating_add(since(now, heard.at));
        Some(claimed.min(self.age(now)))
    }

    pub(crate) fn age(&self, now: Timestamp) -> Duration {
        since(now, self.instance.launched_at)
    }

    /// When its boot has failed, if it is not ready by then. A launch of our own is timed by our own clock: where that
    /// runs ahead of EC2's by minutes, every worker would look too old from its first second on.
    pub(crate) fn boot_deadline(&self, boot_timeout: Duration) -> Timestamp {
        after(if self.ours { self.first_seen } else { self.instance.launched_at }, boot_timeout)
    }

    /// The boot step that was seen last, for people.
    pub(crate) fn boot_step(&self) -> String {
        match self.report().map(|report| &report.phase) {
            Some(Phase::Booting { step }) => step.clone(),
            Some(Phase::Ready) => "starting gitlab-runner".into(),
            Some(Phase::Failed { error }) => error.clone(),
            None => match &self.connection {
                Connection::None { .. } | Connection::Down { .. } => "waiting for SSH".into(),
                Connection::Up => "connected".into(),
            },
        }
    }
}

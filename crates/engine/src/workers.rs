//! One worker: what EC2 and its agent last said, and what we began with it.

use super::settings::BOOT_TIMEOUT;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::activity::{Activity, Quiet};
use super::attempt::Attempt;
use super::boot_course::BootCourse;
use super::claims::{Claimed, note_running};
use super::command::{Launch, Want};
use super::drain::{Drain, DrainStep};
use super::event::{ConnectionFailure, LaunchedWorker};
use super::ids::JobId;
use super::jobs_taken::JobsTaken;
use super::reason::{DrainReason, EndReason};
use super::sighting::Sighting;
use super::time::{after, before, since};
use super::transition::{Terminated, WorkerTransition};
use super::worker::{Health, Instance, InstanceState, Phase, Report, RunnerState, Unfit};

/// How long a silent worker still counts as reachable: two missed half-minute reports and some.
pub(crate) const SILENCE: Duration = Duration::from_secs(75);
/// How long job starts are remembered; longer than any poll of the queue stays in use.
const STARTS_KEPT: Duration = Duration::from_secs(120);

/// How long the queue size that comes with a job is trusted: a boot, more or less.
const QUEUE_HINT: Duration = Duration::from_secs(60);

/// How long a termination may stay unconfirmed before it is asked for again.
const TERMINATE_AGAIN: Duration = Duration::from_secs(60);

/// How long a termination may take; then people are told, and it is asked for on.
const TERMINATED_BY: Duration = Duration::from_secs(600);

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

/// How we came to know a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A launch of this manager's own life made it.
    Launched,
    /// Somebody else launched it, and it was seen before it was ready.
    SeenBooting,
    /// Found as it is: it may have been ready for long, and may run jobs.
    Adopted,
}

/// What has been decided about a worker.
#[derive(Clone, Debug)]
pub(crate) enum Life {
    /// It boots or takes jobs, and is to go on.
    Active {
        /// When a drain was taken back; for a short while its slots count although its report still says that it is fenced.
        returned_at: Option<Timestamp>,
    },
    /// It is to end when it has finished its jobs.
    Draining(Drain),
    /// It is to be terminated, or is being terminated.
    Ending {
        ending: Ending,
        /// The drain that came before; it goes on where a sign of life refutes the end.
        drain: Option<Drain>,
    },
}

/// A termination that was decided.
#[derive(Clone, Debug)]
pub(crate) struct Ending {
    pub(crate) reason: EndReason,
    /// Whether EC2 was asked for it; a listing shows whether it was carried out.
    pub(crate) terminate: Attempt,
    decided_at: Timestamp,
    /// Whether people were told that it takes too long.
    overdue: bool,
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
    origin: Origin,
    /// Whether its runner was ever seen to be configured.
    served: bool,
    pub(crate) connection: Connection,
    pub(crate) heard: Option<Heard>,
    /// The jobs that its reports name.
    pub(crate) running: BTreeMap<JobId, Claimed>,
    /// When reports showed that jobs were taken; one entry per job.
    pub(crate) starts: Vec<Timestamp>,
    /// How far its boot is, where a launch of this life is its origin, and the clock was not set since.
    pub(crate) course: Option<BootCourse>,
    /// When it took its jobs.
    pub(crate) jobs_taken: JobsTaken,
    life: Life,
    /// Since when its reports say that the runner process has failed.
    pub(crate) failed_since: Option<Timestamp>,
    /// Whether they show jobs, and for how long.
    pub(crate) activity: Option<Activity>,
    /// What GitLab shows of its jobs, where that was asked.
    pub(crate) sighting: Sighting,
    /// Why it is of no use, if it ever said so: it stays so, whatever it says later.
    pub(crate) unfit: Option<Unfit>,
}

impl Worker {
    /// A worker that a listing shows and that we know nothing of: after a restart, or from an unanswered launch.
    pub(crate) fn adopted(instance: Instance, now: Timestamp) -> Self {
        Self {
            instance,
            listed_at: None,
            absent_since: None,
            first_seen: now,
            origin: Origin::Adopted,
            served: false,
            connection: Connection::None { asked_at: None },
            heard: None,
            running: BTreeMap::new(),
            starts: Vec::new(),
            course: None,
            jobs_taken: JobsTaken::default(),
            life: Life::Active { returned_at: None },
            failed_since: None,
            activity: None,
            sighting: Sighting::default(),
            unfit: None,
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
            ended_at: None,
            instance_type: launched.instance_type.clone(),
            zone: launched.zone.clone(),
            market: launched.market,
            address: None,
            hold: false,
            health: Health::Unknown,
        };
        Self::adopted(instance, now)
    }

    /// A launch of this manager's own life, decided then, made it: nobody else can have made it ready.
    pub(crate) fn is_ours(&mut self, decided_at: Timestamp) {
        if self.origin != Origin::Launched {
            self.course = Some(BootCourse::begun(decided_at));
        }
        self.origin = Origin::Launched;
    }

    /// It was seen before it was ready.
    pub(crate) fn seen_booting(&mut self) {
        if self.origin == Origin::Adopted {
            self.origin = Origin::SeenBooting;
        }
    }

    /// Whether a launch of this manager's own life made it.
    pub(crate) fn is_launched_here(&self) -> bool {
        self.origin == Origin::Launched
    }

    /// Whether its boot was watched, so that nothing of it can have been missed.
    pub(crate) fn boot_was_watched(&self) -> bool {
        self.origin != Origin::Adopted
    }

    /// Whether its runner was ever seen to be configured.
    pub(crate) fn has_served(&self) -> bool {
        self.served
    }

    /// Whether it is known never to have been ready, so that it cannot have had a job.
    pub(crate) fn never_ready(&self) -> bool {
        self.boot_was_watched() && !self.served
    }

    /// The drain that it is in, or was in before it was to end.
    pub(crate) fn drain(&self) -> Option<&Drain> {
        match &self.life {
            Life::Active { .. } => None,
            Life::Draining(drain) => Some(drain),
            Life::Ending { drain, .. } => drain.as_ref(),
        }
    }

    fn drain_mut(&mut self) -> Option<&mut Drain> {
        match &mut self.life {
            Life::Active { .. } => None,
            Life::Draining(drain) => Some(drain),
            Life::Ending { drain, .. } => drain.as_mut(),
        }
    }

    /// It takes no more jobs from now on, for this reason. A drain that is under way goes on, and for this reason.
    pub(crate) fn begin_drain(&mut self, reason: DrainReason, now: Timestamp) {
        if let Some(drain) = self.drain_mut() {
            (drain.reason, drain.stops_from) = (reason, drain.stops_from.min(now));
            return;
        }
        self.drain_as(Drain::begun(reason, now));
    }

    /// A retirement is begun ahead of its time, if none was: it takes no more jobs from now on, and stops when that time has
    /// come.
    pub(crate) fn begin_drain_ahead(&mut self, reason: DrainReason, now: Timestamp, stops_from: Timestamp) {
        if self.drain().is_none() {
            self.drain_as(Drain { stops_from, ..Drain::begun(reason, now) });
        }
    }

    fn drain_as(&mut self, begun: Drain) {
        match &mut self.life {
            Life::Ending { drain, .. } => *drain = Some(begun),
            Life::Active { .. } | Life::Draining(_) => self.life = Life::Draining(begun),
        }
    }

    /// What is wanted of it from now on is this.
    pub(crate) fn want(&mut self, want: &Want, now: Timestamp) {
        let step = match want {
            Want::Serve => return self.life = Life::Active { returned_at: Some(now) },
            Want::Fence { .. } => DrainStep::Fencing { since: now },
            Want::Stop { .. } => DrainStep::Stopping { since: now },
            Want::HardStop { reason } => DrainStep::HardStopping { since: now, because: reason.clone() },
        };
        if let Some(drain) = self.drain_mut() {
            drain.step = step;
            // For how long it was idle is known better by now.
            if let Want::Fence { reason } | Want::Stop { reason } = want {
                drain.reason = reason.clone();
            }
        }
    }

    /// What is wanted of it, where it is not simply to go on.
    pub(crate) fn wanted(&self) -> Option<Want> {
        self.drain()?.wanted()
    }

    /// The termination that was decided.
    pub(crate) fn ending(&self) -> Option<&Ending> {
        match &self.life {
            Life::Active { .. } | Life::Draining(_) => None,
            Life::Ending { ending, .. } => Some(ending),
        }
    }

    /// Whether its termination was decided.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending().is_some()
    }

    /// It is to be terminated.
    pub(crate) fn end(&mut self, reason: EndReason, now: Timestamp) {
        let drain = self.drain().cloned();
        let ending = Ending { reason, terminate: Attempt::Idle, decided_at: now, overdue: false };
        self.life = Life::Ending { ending, drain };
    }

    /// For how long EC2 has not ended it, if people must hear of that now.
    pub(crate) fn is_overdue(&mut self, now: Timestamp) -> Option<Duration> {
        let Life::Ending { ending, .. } = &mut self.life else { return None };
        let after = since(now, ending.decided_at);
        let is_news = after >= TERMINATED_BY && !ending.overdue;
        ending.overdue |= is_news;
        is_news.then_some(after)
    }

    /// The reason for which to ask EC2 for its end now, which is noted as done.
    pub(crate) fn ask_for_end(&mut self, now: Timestamp) -> Option<EndReason> {
        let Life::Ending { ending, .. } = &mut self.life else { return None };
        ending.terminate.is_due(now, TERMINATE_AGAIN).then(|| {
            ending.terminate = Attempt::Asked(now);
            ending.reason.clone()
        })
    }

    /// What there is to tell of it when it has ended as `instance`.
    pub(crate) fn ended(self, instance: Instance) -> WorkerTransition {
        let (asked, jobs, booting) = (self.is_ending(), self.jobs(), self.is_launched_here() && self.never_ready());
        let proven = self.served && self.unfit.is_none();
        let stood_at = self.boot_stands_at();
        let reason = self.ending().map(|ending| ending.reason.clone());
        let jobs_started = self.report().map_or(0, |report| report.jobs_started);
        let projects = self.heard.map(|heard| heard.report.projects).unwrap_or_default();
        let ended = Terminated { instance, asked, reason, jobs_started, jobs, projects, booting, stood_at, proven };
        WorkerTransition::Ended(Box::new(ended))
    }

    /// Takes in a report, as far as it is believed, and how many jobs were `taken` since the last one.
    pub(crate) fn heard(&mut self, report: Report, taken: u32, now: Timestamp) {
        self.starts.extend((0..taken).map(|_| now));
        // Nobody knows what it did while it was silent for long.
        let activity = self.activity.take().filter(|_| self.silent_since(now).is_none());
        self.activity = Some(Activity::after(activity.as_ref(), &report, now));
        self.unfit = self.unfit.or(report.unfit);
        let heard = Heard { at: now, report };
        let report = &heard.report;
        note_running(&mut self.running, report, now);
        let horizon = before(heard.at, STARTS_KEPT);
        self.starts.retain(|start| *start >= horizon);
        match (&report.phase, report.runner) {
            (Phase::Booting { .. } | Phase::Failed { .. }, _) | (Phase::Ready, RunnerState::Absent) => {
                self.seen_booting()
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
        // EC2 has not carried out the end, and the runner is alive by now: it may have a job.
        if self.ending().is_some_and(|ending| refutes(report, &ending.reason)) {
            self.life = self.drain().cloned().map_or(Life::Active { returned_at: None }, Life::Draining);
        }
        self.heard = Some(heard);
    }

    /// The clock has moved by `gap` without anybody listening: its last words are no older for that.
    pub(crate) fn was_not_listened_to(&mut self, gap: SignedDuration) {
        if let Some(heard) = &mut self.heard {
            heard.at = heard.at.saturating_add(gap).unwrap_or(heard.at);
        }
        if let Some(drain) = self.drain_mut() {
            drain.was_not_listened_to(gap);
        }
        if let Some(activity) = &mut self.activity {
            activity.was_not_listened_to(gap);
        }
        self.sighting.was_not_listened_to(gap);
        self.jobs_taken.was_not_listened_to(gap);
        self.course = None;
    }

    pub(crate) fn report(&self) -> Option<&Report> {
        self.heard.as_ref().map(|heard| &heard.report)
    }

    /// Since when its reports have named this job.
    pub(crate) fn claimed_since(&self, job: JobId) -> Option<Timestamp> {
        self.running.get(&job).map(|claimed| claimed.since())
    }

    /// Jobs that the last report showed; 0 if there was none.
    pub(crate) fn jobs(&self) -> u32 {
        self.report().map_or(0, Report::jobs)
    }

    /// That it shows no job, and for how long.
    pub(crate) fn quiet(&self) -> Option<&Quiet> {
        self.activity.as_ref()?.quiet()
    }

    /// Since when it shows jobs.
    pub(crate) fn busy_since(&self) -> Option<Timestamp> {
        self.activity.as_ref()?.busy_since()
    }

    /// For how long after `begun` it has shown jobs of which GitLab knows none.
    pub(crate) fn job_unknown_for(&self, begun: Timestamp, now: Timestamp) -> Option<Duration> {
        self.sighting.absent_for(begun.max(self.busy_since()?), now)
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
        if self.is_ending() || !matches!(state, InstanceState::Pending | InstanceState::Running) {
            return WorkerStatus::Ending;
        }
        // One that was adopted and is young may still be booting; it is given the time that a boot takes.
        let may_boot = self.origin != Origin::Adopted || (self.heard.is_none() && self.age(now) < BOOT_TIMEOUT);
        if self.silent_since(now).is_some() && (self.served || !may_boot) {
            return WorkerStatus::Unreachable;
        }
        if self.drain().is_some() {
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
        matches!(self.life, Life::Active { returned_at: Some(at) } if since(now, at) < RETURN)
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
        let begun_at = match self.origin {
            Origin::Launched => self.first_seen,
            Origin::SeenBooting | Origin::Adopted => self.instance.launched_at,
        };
        after(begun_at, boot_timeout)
    }

    /// Where its boot stands, by a name that is known: the step of the bootstrap, or the phase that is under way.
    pub(crate) fn boot_stands_at(&self) -> &'static str {
        self.course.as_ref().map_or("unknown", BootCourse::stands_at)
    }

    /// The boot step that was seen last, for people.
    pub(crate) fn boot_step(&self) -> String {
        match self.report().map(|report| &report.phase) {
            Some(Phase::Booting { step }) => step.clone(),
            Some(Phase::Ready) => "starting gitlab-runner".into(),
            Some(Phase::Failed { error }) => error.clone(),
            None => match &self.connection {
                Connection::None { .. } => "waiting for SSH".into(),
                Connection::Down { .. } => "no SSH".into(),
                Connection::Up => "connected".into(),
            },
        }
    }

    /// Why there is no connection to it, if one was tried.
    pub(crate) fn failure(&self) -> Option<&ConnectionFailure> {
        match &self.connection {
            Connection::Down { failure, .. } => Some(failure),
            Connection::None { .. } | Connection::Up => None,
        }
    }
}

/// Whether a report shows that a worker must not end for this reason. Only force ends one whatever it says.
fn refutes(report: &Report, reason: &EndReason) -> bool {
    match (reason, report.runner) {
        (reason, _) if reason.is_forced() => false,
        (EndReason::Disobeyed(_), _) => report.jobs() > 0,
        // It has claimed jobs all the time; only GitLab can show that it has one.
        (EndReason::JobUnknown { .. }, _) => false,
        (_, RunnerState::Serving | RunnerState::Fenced) => true,
        (_, RunnerState::Absent | RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed) => false,
    }
}

//! What a step is to tell the log: what happened and what was decided, each once, as data. Whoever drives the engine writes
//! it down.

use std::time::Duration;

use strum::{IntoStaticStr, VariantArray};

use super::ids::{InstanceType, JobId, RunnerName, WorkerId, Zone};
use super::offering::Market;
use super::reason::Reason;
use super::snapshot::DecisionKind;
use super::verdict::Severity;
use super::worker::Instance;

/// A line of the log. What does not apply is absent.
#[derive(Clone, Debug, PartialEq)]
pub struct Note {
    /// What kind of thing.
    pub event: NoteKind,
    /// How much it concerns people.
    pub level: NoteLevel,
    /// The runner that it concerns.
    pub runner: Option<RunnerName>,
    /// The worker that it concerns.
    pub worker: Option<WorkerId>,
    /// That worker's type.
    pub instance_type: Option<InstanceType>,
    /// Where it runs.
    pub zone: Option<Zone>,
    /// As what it was bought.
    pub market: Option<Market>,
    /// The job that it concerns.
    pub job: Option<JobId>,
    /// For how long something lasted: a boot, a job, a life.
    pub lasted: Option<Duration>,
    /// How many jobs: those that were lost, or those that a worker has run.
    pub jobs: Option<u64>,
    /// What a worker has cost, estimated.
    pub usd: Option<f64>,
    /// Why.
    pub reason: Option<Reason>,
    /// Of which kind a trouble is.
    pub trouble: Option<(Severity, &'static str)>,
    /// All of it in a sentence.
    pub text: String,
}

/// How much a line concerns people.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NoteLevel {
    /// For those who look for something.
    Debug,
    /// What happens every day.
    Info,
    /// A person should look at it.
    Warning,
}

/// What happened or was decided; the names are stable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum NoteKind {
    /// Workers are asked for.
    Launching,
    /// EC2 gave a worker.
    Launched,
    /// EC2 gave fewer workers than asked for.
    LaunchShort,
    /// EC2 gives all that is asked for again.
    LaunchFull,
    /// Workers were found that this life of the manager has not launched.
    Adopted,
    /// A worker is ready for jobs.
    Ready,
    /// A boot has failed.
    BootFailed,
    /// The breaker is open: boots keep failing, and nothing is launched for a while.
    BreakerOpen,
    /// Workers are of use again.
    BreakerClosed,
    /// A worker began a job.
    JobStarted,
    /// A worker runs a job that it began before this manager looked.
    JobFound,
    /// A worker runs a job no more.
    JobEnded,
    /// A worker takes no more jobs.
    Fenced,
    /// A worker takes jobs again.
    Serving,
    /// A worker that does not obey is stopped hard.
    HardStop,
    /// A worker is terminated.
    Terminating,
    /// EC2 did not terminate workers.
    TerminateFailed,
    /// A worker is gone.
    Ended,
    /// EC2 gave notice of an interruption.
    Interrupted,
    /// EC2 says that it may take a worker back soon.
    Rebalance,
    /// Jobs would fail on a worker, it says.
    Unfit,
    /// A job is left alone because GitLab does not hand it out.
    JobQuarantined,
    /// What came of asking GitLab to retry a job.
    JobRetry,
    /// An operator wanted it.
    Operator,
    /// Another manager of this name launches workers.
    AnotherManager,
    /// A law of the engine was broken: a bug.
    LawBroken,
    /// Something is wrong, and has been so for a while.
    TroubleBegan,
    /// What is wrong has become critical.
    TroubleWorse,
    /// It is wrong no more.
    TroubleOver,
}

impl NoteKind {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

impl From<DecisionKind> for NoteKind {
    fn from(kind: DecisionKind) -> Self {
        match kind {
            DecisionKind::Launch => Self::Launching,
            DecisionKind::LaunchShort => Self::LaunchShort,
            DecisionKind::Fence => Self::Fenced,
            DecisionKind::Serve => Self::Serving,
            DecisionKind::HardStop => Self::HardStop,
            DecisionKind::Terminate => Self::Terminating,
            DecisionKind::TerminateFailed => Self::TerminateFailed,
            DecisionKind::Ended => Self::Ended,
            DecisionKind::Interruption => Self::Interrupted,
            DecisionKind::Rebalance => Self::Rebalance,
            DecisionKind::JobQuarantined => Self::JobQuarantined,
            DecisionKind::JobRetry => Self::JobRetry,
            DecisionKind::Operator => Self::Operator,
            DecisionKind::AnotherManager => Self::AnotherManager,
            DecisionKind::LawBroken => Self::LawBroken,
        }
    }
}

impl NoteKind {
    fn level(self) -> NoteLevel {
        match self {
            Self::LaunchShort
            | Self::BootFailed
            | Self::BreakerOpen
            | Self::HardStop
            | Self::TerminateFailed
            | Self::Interrupted
            | Self::Unfit
            | Self::JobQuarantined
            | Self::AnotherManager
            | Self::TroubleBegan
            | Self::TroubleWorse => NoteLevel::Warning,
            // Whoever drives the engine knows more of these, and tells them.
            Self::Operator | Self::LawBroken => NoteLevel::Debug,
            Self::Launching
            | Self::Launched
            | Self::LaunchFull
            | Self::Adopted
            | Self::Ready
            | Self::BreakerClosed
            | Self::JobStarted
            | Self::JobFound
            | Self::JobEnded
            | Self::Fenced
            | Self::Serving
            | Self::Terminating
            | Self::Ended
            | Self::Rebalance
            | Self::JobRetry
            | Self::TroubleOver => NoteLevel::Info,
        }
    }
}

impl Note {
    pub(crate) fn new(event: NoteKind, text: String) -> Self {
        Self {
            event,
            level: event.level(),
            runner: None,
            worker: None,
            instance_type: None,
            zone: None,
            market: None,
            job: None,
            lasted: None,
            jobs: None,
            usd: None,
            reason: None,
            trouble: None,
            text,
        }
    }

    pub(crate) fn of(self, runner: &RunnerName) -> Self {
        Self { runner: Some(runner.clone()), ..self }
    }

    /// It concerns this instance, whose runner, type and place are told as well.
    pub(crate) fn on(self, instance: &Instance) -> Self {
        let Instance { id, runner, instance_type, zone, market, .. } = instance;
        Self {
            worker: Some(id.clone()),
            runner: Some(runner.clone()),
            instance_type: Some(instance_type.clone()),
            zone: Some(zone.clone()),
            market: Some(*market),
            ..self
        }
    }

    pub(crate) fn at(self, level: NoteLevel) -> Self {
        Self { level, ..self }
    }

    pub(crate) fn because(self, reason: impl Into<Reason>) -> Self {
        Self { reason: Some(reason.into()), ..self }
    }

    pub(crate) fn about(self, job: JobId) -> Self {
        Self { job: Some(job), ..self }
    }

    pub(crate) fn lasting(self, lasted: Duration) -> Self {
        Self { lasted: Some(lasted), ..self }
    }

    pub(crate) fn with_jobs(self, jobs: u64) -> Self {
        Self { jobs: Some(jobs), ..self }
    }
}

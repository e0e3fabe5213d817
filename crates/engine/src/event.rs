//! What the engine is told: answers, complete or failed. An event is never a request to do something.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::failure::Failure;
use super::ids::{InstanceType, JobId, LaunchToken, RunnerName, Server, WorkerId, Zone};
use super::job::{QueueSnapshot, RunnerFacts};
use super::offering::{LaunchPlan, Market, Offering};
use super::prices::PriceSnapshot;
use super::settings::Settings;
use super::worker::{Instance, Report};

/// An answer from the world.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A configuration was read: the first, or a changed one.
    Configured(Settings),
    /// GitLab was asked about a runner.
    Runner {
        /// The section.
        runner: RunnerName,
        /// What GitLab knows about it, or why it could not be read.
        facts: Result<RunnerFacts, Failure>,
    },
    /// GitLab was asked for waiting jobs.
    Queue {
        /// The server.
        server: Server,
        /// What waits, or why nobody knows.
        snapshot: Result<QueueSnapshot, Failure>,
    },
    /// The launch of a runner's workers was prepared: image resolved, launch template found or created.
    LaunchPlan {
        /// The section.
        runner: RunnerName,
        /// What a worker launched now is made of, or why none can be launched.
        plan: Result<LaunchPlan, Failure>,
    },
    /// EC2 was asked for all instances with our manager tag, the ended ones too.
    Instances {
        /// When the first page was asked for: what was launched later may be missing.
        asked_at: Timestamp,
        /// Every one, or why the listing failed; a listing of which one page failed has failed.
        listing: Result<Vec<Instance>, Failure>,
    },
    /// EC2 answered a launch.
    Launched {
        /// Which.
        token: LaunchToken,
        /// What came of it.
        answer: LaunchAnswer,
    },
    /// EC2 refused to terminate these workers; success is seen in the next listing instead.
    TerminateFailed {
        /// Which.
        workers: Vec<WorkerId>,
        /// Why.
        failure: Failure,
    },
    /// The connection to a worker changed, or the worker said something.
    Worker {
        /// Which worker.
        worker: WorkerId,
        /// What happened.
        event: WorkerEvent,
    },
    /// GitLab was asked to delete the runner-manager row of a worker that has ended.
    Forgotten {
        /// Which worker.
        worker: WorkerId,
        /// Done (also when there was no such row), or why not.
        outcome: Result<(), Failure>,
    },
    /// GitLab was asked which jobs run on a worker.
    JobsSeen {
        /// Which worker.
        worker: WorkerId,
        /// When the question was begun: a job that was taken later may be missing.
        asked_at: Timestamp,
        /// How many it shows as running there, in the projects that the api token may see; or why nobody knows.
        jobs: Result<u32, Failure>,
    },
    /// GitLab was asked to retry a job if it needs that.
    Retried {
        /// The server.
        server: Server,
        /// The job that was lost.
        job: JobId,
        /// What came of it.
        outcome: RetryOutcome,
    },
    /// The prices of a region were looked at.
    Prices(PriceSnapshot),
    /// Someone at the control socket wants something.
    Operator(OperatorRequest),
}

/// What came of asking for a job's retry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RetryOutcome {
    /// It is queued again, as this new job.
    Queued(JobId),
    /// It needs no retry, or has been given one already; why, for people.
    NotNeeded(String),
    /// GitLab still takes it for running: nobody has told it yet, and it finds out by itself only after an hour.
    StillRuns,
    /// GitLab forbids it: a person must act.
    Refused(Failure),
    /// No answer, or none that settles it: it is asked again.
    Failed(Failure),
}

/// EC2's answer to a launch. Errors describe failed offerings, not missing instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchAnswer {
    /// What was launched; may be fewer than asked for, also when `errors` is empty.
    pub launched: Vec<LaunchedWorker>,
    /// What EC2 said about offerings that it could not use, or about the call as a whole.
    pub errors: Vec<LaunchError>,
    /// What a failed call may have left behind.
    pub leftover: Leftover,
}

impl LaunchAnswer {
    /// What EC2 said, each code with its message once, and the offerings that it said it of; none: of the call as a whole.
    pub fn reasons(&self) -> BTreeMap<(&str, &str), Vec<&Offering>> {
        let mut reasons: BTreeMap<(&str, &str), Vec<&Offering>> = BTreeMap::new();
        for error in &self.errors {
            reasons.entry((&error.code, &error.message)).or_default().extend(&error.offering);
        }
        reasons
    }
}

/// One instance of a launch's answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchedWorker {
    /// The instance id.
    pub id: WorkerId,
    /// Its type.
    pub instance_type: InstanceType,
    /// Its zone.
    pub zone: Zone,
    /// Its market.
    pub market: Market,
}

/// Whether workers may exist that a failed launch did not name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Leftover {
    /// EC2 has answered: there is nothing but what it named.
    None,
    /// No answer came (time-out, connection lost, unreadable body): the call may have worked. It is repeated with
    /// the same token, which cannot launch twice, until it is answered.
    Possible,
}

/// Why an offering, or a whole launch, failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaunchError {
    /// The offering; `None`: the call as a whole.
    pub offering: Option<Offering>,
    /// What follows from it.
    pub class: LaunchErrorClass,
    /// EC2's error code (`InsufficientInstanceCapacity`), for people.
    pub code: String,
    /// EC2's message, shortened, for people.
    pub message: String,
}

/// What a launch error means for the next launch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LaunchErrorClass {
    /// None of this type in this zone now: cool the offering.
    Capacity,
    /// This type is never offered there: cool it for hours.
    Unsupported,
    /// The subnet has no free address: cool every offering in it.
    Subnet,
    /// The account's limit for this market is reached: cool the market; a person must act.
    Quota,
    /// EC2 is throttling, unwell or unreachable: back off from launching at all.
    Slow,
    /// Not allowed: stop for this runner, show the reason, retry rarely.
    Denied,
    /// The request is wrong (image, group, profile, template): stop for this runner, show the reason, retry rarely.
    Invalid,
}

impl LaunchErrorClass {
    /// Whether EC2 has looked at the launch itself, and not turned the call away at the door: only then does the answer to
    /// a repeated launch say anything about its first sending.
    pub fn judges_the_launch(self) -> bool {
        match self {
            Self::Capacity | Self::Unsupported | Self::Subnet | Self::Quota => true,
            Self::Slow | Self::Denied | Self::Invalid => false,
        }
    }
}

/// What happened on the connection to a worker.
#[derive(Clone, Debug, PartialEq)]
pub enum WorkerEvent {
    /// Connected, host key verified.
    Connected,
    /// Connected, but there is no agent yet: the worker's boot has not come so far, so it has never had a job.
    NoAgent,
    /// Not connected, or not any more.
    Disconnected(ConnectionFailure),
    /// The agent reported.
    Report(Box<Report>),
}

/// Why there is no connection, with what was said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "class", content = "said", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum ConnectionFailure {
    /// Nothing listens there, nobody answers, or the connection broke.
    Unreachable(String),
    /// Someone answers with another host key than the one given to the worker at launch.
    WrongHostKey(String),
    /// The worker refuses our key or our commands, or its agent talks nonsense.
    Refused(String),
}

impl ConnectionFailure {
    /// The stable name of its class, as in JSON.
    pub fn class(&self) -> &'static str {
        self.into()
    }

    /// What was said.
    pub fn said(&self) -> &str {
        match self {
            Self::Unreachable(said) | Self::WrongHostKey(said) | Self::Refused(said) => said,
        }
    }
}

/// An operator's request, from the control socket.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OperatorRequest {
    /// Retire these workers: fence, let their jobs finish, terminate. With `force`, terminate at once.
    Drain {
        /// Which.
        workers: Vec<WorkerId>,
        /// Whether running jobs may be killed.
        force: bool,
    },
    /// Launch nothing more for this runner and retire its idle workers.
    Pause(RunnerName),
    /// Undo a pause. What has failed is tried again at once, as by [`Self::Retry`].
    Resume(RunnerName),
    /// Let these workers stay that an operator has drained.
    Undrain(Vec<WorkerId>),
    /// What kept launches for this runner back has been mended: forget the failures, and try at once.
    Retry(RunnerName),
}

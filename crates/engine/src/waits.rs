//! Why a job waits, and why a worker is as it is: as data.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::event::ConnectionFailure;
use super::failure::Failure;
use super::held_back::HeldBack;
use super::ids::{RunnerName, WorkerId};
use super::job::Knowledge;
use super::reason::{DrainReason, EndReason};

/// Why a job waits, or where else it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum JobReason {
    /// None of the runners here may take it.
    NoMatch {
        /// Why not, runner by runner; empty when none is configured for its server.
        mismatches: Vec<Mismatch>,
    },
    /// The queue was not read lately, so that nothing is launched for it.
    QueueUnknown {
        /// How the queue stands.
        queue: Knowledge,
    },
    /// An idle worker asks for jobs, and GitLab does not hand it this one.
    Unassignable,
    /// A worker has a free slot for it.
    FreeSlot {
        /// That worker.
        worker: WorkerId,
    },
    /// A worker is booting, one of whose slots is for it.
    Booting {
        /// That worker.
        worker: WorkerId,
        /// Its launch.
        since: Timestamp,
        /// The boot step that was seen last.
        step: String,
        /// Why there is no connection to it; absent where there is one, or none was tried yet.
        failure: Option<ConnectionFailure>,
    },
    /// A launch is on its way, and one of its workers is for it.
    InFlight {
        /// When it was decided.
        since: Timestamp,
    },
    /// No worker is launched for it.
    HeldBack {
        /// Why not.
        held_back: HeldBack,
    },
    /// A worker is launched at the next step.
    NextStep,
    /// It runs on a worker of ours.
    Running {
        /// That worker.
        worker: WorkerId,
        /// Its runner.
        runner: RunnerName,
    },
    /// No runner here has an `api_token` for its server, so that no queue is seen.
    NoApiToken,
    /// It is not among the jobs that wait, and no worker shows it.
    NotSeen,
}

/// Why a runner may not take a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Mismatch {
    /// The runner.
    pub runner: RunnerName,
    /// What does not fit.
    #[serde(flatten)]
    pub why: MismatchKind,
}

/// What does not fit between a job and a runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum MismatchKind {
    /// Nothing is known of the runner yet.
    Unknown {
        /// What GitLab answered last; absent for one that has just been configured.
        failure: Option<Failure>,
    },
    /// It is paused in GitLab.
    PausedInGitlab,
    /// GitLab itself does not name it for this job.
    NotOffered,
    /// It lacks these of the job's tags.
    MissingTags {
        /// Those tags.
        tags: Vec<String>,
    },
    /// The job has no tags, and the runner takes none without.
    Untagged,
    /// It does not serve the job's project.
    OutOfScope,
    /// It takes jobs of protected refs only.
    ProtectedOnly,
}

/// Why a worker is not simply at work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum WorkerReason {
    /// It boots.
    Booting {
        /// Its launch.
        since: Timestamp,
        /// The boot step that was seen last.
        step: String,
        /// Why there is no connection to it; absent where there is one, or none was tried yet.
        failure: Option<ConnectionFailure>,
    },
    /// It boots, and does not let the manager in.
    NotLetIn {
        /// What it answers.
        failure: ConnectionFailure,
    },
    /// It takes no more jobs.
    Draining {
        /// Why.
        because: DrainReason,
    },
    /// It is being terminated.
    Ending {
        /// Why.
        because: EndReason,
    },
    /// It was ready, and nothing is heard from it.
    Silent {
        /// The last report.
        since: Timestamp,
        /// What the connection says; absent where it stands and no report comes.
        failure: Option<ConnectionFailure>,
        /// EC2 calls its host healthy, so that it is left alone: it may be running a job.
        healthy: bool,
    },
}

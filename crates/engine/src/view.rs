//! The engine's picture of the fleet, for people: what `status`, the dashboard and the metrics show.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::ids::{InstanceType, JobId, ProjectId, RunnerName, Server, WorkerId, Zone};
use super::job::Knowledge;
use super::json::seconds;
use super::offering::Market;
use super::worker::{EcrError, Phase};

/// Everything, as of one step. Its JSON form is `/api/v1/state` and `status --json`: stable, and versioned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct View {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The time of the step.
    pub at: Timestamp,
    /// What is known of EC2's instances.
    pub ec2: Knowledge,
    /// In file order; runners that are no longer configured but still have workers come last.
    pub runners: Vec<RunnerView>,
    /// By runner, then by launch time.
    pub workers: Vec<WorkerView>,
    /// Jobs that wait, in queue order; at most [`View::JOBS_MAX`].
    pub jobs: Vec<JobView>,
    /// What there is to say of all that wait.
    #[serde(default)]
    pub waiting: Waiting,
    /// The newest decisions, newest last; at most [`View::DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
    /// Counters since the manager's start.
    pub totals: Totals,
    /// What the workers cost.
    pub costs: Costs,
}

/// What the workers cost: an estimate from the prices of now, for instances alone (no disks, traffic or taxes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// All workers of known price, in USD per hour.
    pub usd_per_hour: f64,
    /// Workers whose price is not known, and which the sum lacks.
    pub unpriced_workers: u32,
}

impl View {
    /// A screenful and a half: what was decided in the last minutes of a busy fleet.
    pub const DECISIONS_MAX: usize = 100;
    /// More than anyone reads, and at 200 bytes each a document that is still sent in a moment.
    pub const JOBS_MAX: usize = 1_000;
}

/// A runner and what holds it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunnerView {
    /// The section's name.
    pub name: RunnerName,
    /// What is known of its queue.
    pub queue: Knowledge,
    /// Jobs that run.
    pub running: u32,
    /// Jobs that wait and are counted for it.
    pub waiting: u32,
    /// Free slots that the policy wants now.
    pub idle_wanted: u32,
    /// Free slots that are ready now.
    pub idle_ready: u32,
    /// Workers not yet terminated, launches in flight included.
    pub workers: u32,
    /// The ceiling that holds now.
    pub max_workers: u32,
    /// Why no worker is launched although one is wanted; absent when nothing is held back.
    pub held_back: Option<String>,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// Why the forecast wants so many free slots, in a sentence; absent without one.
    pub forecast: Option<String>,
    /// Spot offers that are not asked for because of what they cost, a sentence each, the cheapest first.
    pub too_dear: Vec<String>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerView {
    /// Instance id.
    pub id: WorkerId,
    /// Its runner.
    pub runner: RunnerName,
    /// Where it is in its life.
    pub state: WorkerState,
    /// One sentence more: the boot step, why it is drained, why it cannot be reached.
    pub note: Option<String>,
    /// The boot phase that it reported last.
    pub phase: Option<Phase>,
    /// Jobs that it runs, by count.
    pub jobs: u32,
    /// Jobs that it runs, by id, where known.
    pub job_ids: Vec<JobId>,
    /// Since its launch.
    #[serde(rename = "age_seconds", with = "seconds")]
    pub age: Duration,
    /// Since its last job, or since it was ready; absent while it is busy or not ready.
    #[serde(rename = "idle_seconds", with = "seconds::optional")]
    pub idle: Option<Duration>,
    /// Its type.
    pub instance_type: InstanceType,
    /// Its zone.
    pub zone: Zone,
    /// Its market.
    pub market: Market,
    /// What it costs now; absent where the price is not known.
    pub usd_per_hour: Option<f64>,
    /// What it has cost since its launch, at the price of now.
    pub usd_estimated: Option<f64>,
    /// Whether a person holds it.
    pub hold: bool,
    /// Why the ECR login on its host failed in the last hour; absent when nothing is known to have failed.
    #[serde(default)]
    pub ecr_error: Option<EcrError>,
}

/// Where a worker is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum WorkerState {
    /// Launched; not ready yet.
    Booting,
    /// Ready, and runs nothing.
    Idle,
    /// Runs a job.
    Busy,
    /// Takes no more jobs; finishes what it has.
    Draining,
    /// Terminated by us; EC2 has not yet confirmed.
    Terminating,
    /// Was ready, but cannot be reached now: nobody knows what it runs.
    Unreachable,
}

impl WorkerState {
    /// All of them, in the order of a life; so that a metric reports 0 for an empty one.
    pub const ALL: [Self; 6] =
        [Self::Booting, Self::Idle, Self::Busy, Self::Draining, Self::Terminating, Self::Unreachable];

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Booting => "booting",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Draining => "draining",
            Self::Terminating => "terminating",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A waiting job and the sentence that says why it waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// The job.
    pub id: JobId,
    /// Its project.
    pub project: ProjectId,
    /// Its name in the pipeline.
    pub name: String,
    /// For how long it has been pending.
    #[serde(rename = "waited_seconds", with = "seconds")]
    pub waited: Duration,
    /// The runner that it is counted for; absent when none of ours may take it.
    pub runner: Option<RunnerName>,
    /// One sentence.
    pub why: String,
}

/// All jobs that wait.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// How many.
    pub total: u32,
    /// Those that no runner here may take.
    pub unmatched: u32,
    /// The longest wait.
    #[serde(rename = "longest_seconds", with = "seconds")]
    pub longest: Duration,
}

/// What is known of one job on one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobFate {
    /// The server.
    pub server: Server,
    /// The job.
    pub id: JobId,
    /// Where it is in its life, as far as we see.
    pub standing: JobStanding,
    /// The runner that it is counted for, or that runs it.
    pub runner: Option<RunnerName>,
    /// The worker that runs it.
    pub worker: Option<WorkerId>,
    /// One sentence.
    pub why: String,
}

/// Where a job is in its life, as far as we see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobStanding {
    /// It is pending in GitLab.
    Waiting,
    /// A worker of ours runs it.
    Running,
    /// Neither is seen.
    Unknown,
}

/// Something that was decided, for people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// One sentence.
    pub text: String,
}

/// Counters since the manager's start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Totals {
    /// Launch calls.
    pub launches: u64,
    /// Workers that those calls gave.
    pub workers_launched: u64,
    /// Launch calls that failed as a whole, or gave fewer than asked for.
    pub launches_short: u64,
    /// Workers that we terminated.
    pub workers_terminated: u64,
    /// Boots that failed.
    pub boots_failed: u64,
    /// Interruption notices.
    pub interruptions: u64,
    /// Jobs that were lost to an interruption and queued again by us.
    #[serde(default)]
    pub jobs_retried: u64,
    /// Laws that were seen broken: always 0, or a bug.
    pub laws_broken: u64,
}

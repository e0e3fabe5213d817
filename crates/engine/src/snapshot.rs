//! The engine's snapshot of the fleet, for people: what `status`, the dashboard and the metrics show.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

use super::explained::Explained;
use super::held_back::HeldBack;
use super::ids::{InstanceType, JobId, ProjectId, RunnerName, Server, WorkerId, Zone};
use super::job::{Knowledge, TokenEnd};
use super::json::seconds;
use super::ledger::LedgerSnapshot;
use super::offering::Market;
use super::prices::OverPriceCap;
use super::project_path::ProjectPath;
use super::reason::Reason;
use super::verdict::Verdict;
use super::waits::{JobReason, WorkerReason};
use super::worker::{EcrError, Phase};

/// Everything, as of one step. Its JSON form is `/api/v1/state` and `status --json`: stable, and versioned.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FleetSnapshot {
    /// Of this JSON form; 1.
    pub version: u32,
    /// The time of the step.
    pub at: Timestamp,
    /// Whether anything is wrong.
    #[serde(default)]
    pub verdict: Verdict,
    /// What is known of EC2's instances.
    pub ec2: Knowledge,
    /// In file order; runners that are no longer configured but still have workers come last.
    pub runners: Vec<RunnerSnapshot>,
    /// By runner, then by launch time.
    pub workers: Vec<WorkerSnapshot>,
    /// Jobs that wait, in queue order; at most [`FleetSnapshot::JOBS_MAX`].
    pub jobs: Vec<JobSnapshot>,
    /// What there is to say of all that wait.
    #[serde(default)]
    pub waiting: Waiting,
    /// The newest decisions, newest last; at most [`FleetSnapshot::DECISIONS_MAX`].
    pub decisions: Vec<Decision>,
    /// Counters since the manager's start.
    pub totals: Totals,
    /// What the workers cost.
    pub costs: Costs,
    /// What they have cost, and whose cost that was.
    #[serde(default)]
    pub ledger: LedgerSnapshot,
    /// What is known of the spot prices, by region.
    #[serde(default)]
    pub prices: BTreeMap<String, Knowledge>,
}

/// What the workers cost: an estimate from the prices of now, for instances alone (no disks, traffic or taxes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Costs {
    /// All workers of known price, in USD per hour.
    pub usd_per_hour: f64,
    /// Workers whose price is not known, and which the sum lacks.
    pub unpriced_workers: u32,
    /// All workers, in USD per hour, where those of unknown price cost what they would on demand; absent where that is not
    /// known either.
    #[serde(default)]
    pub usd_per_hour_at_most: Option<f64>,
}

impl FleetSnapshot {
    /// A screenful and a half: what was decided in the last minutes of a busy fleet.
    pub const DECISIONS_MAX: usize = 100;
    /// More than anyone reads, and at 200 bytes each a document that is still sent in a moment.
    pub const JOBS_MAX: usize = 1_000;
}

/// A runner and what holds it back.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunnerSnapshot {
    /// The section's name.
    pub name: RunnerName,
    /// What is known of its queue.
    pub queue: Knowledge,
    /// Projects of its server that its api token may not see: their jobs wait unseen.
    #[serde(default)]
    pub projects_blind: u32,
    /// What is known of it in GitLab (tags, scope, whether it is paused); decisions rest on a stale answer, too.
    pub facts: Knowledge,
    /// The first of its tokens to end, where GitLab says that one does.
    #[serde(default)]
    pub token_end: Option<TokenEnd>,
    /// What is known of its launches (image, subnets, template); launches are made from a stale answer, too.
    pub launch_plan: Knowledge,
    /// Jobs that run.
    pub running: u32,
    /// Jobs that wait and are counted for it; absent while nobody knows, because its queue was not read lately, or cannot
    /// be read at all.
    pub waiting: Option<u32>,
    /// Free slots that the policy wants now.
    pub idle_wanted: u32,
    /// Free slots that are ready now.
    pub idle_ready: u32,
    /// Workers not yet terminated, launches in flight included.
    pub workers: u32,
    /// Job slots of those that are there, and paid, whatever they do.
    #[serde(default)]
    pub slots: u32,
    /// The ceiling that holds now.
    pub max_workers: u32,
    /// Why no worker is launched although one is wanted; absent when nothing is held back.
    pub held_back: Option<Explained<HeldBack>>,
    /// Whether an operator has paused it.
    pub paused: bool,
    /// Why the forecast wants so many free slots, in a sentence; absent without one.
    pub forecast: Option<String>,
    /// Spot offers that are not asked for because of what they cost, the cheapest first.
    pub over_price_cap: Vec<Explained<OverPriceCap>>,
    /// Whether launches are possible, also while none is wanted.
    #[serde(default)]
    pub outlook: Outlook,
    /// How the promise was kept.
    #[serde(default)]
    pub promise: Promise,
}

/// Whether launches of a runner are possible, also while none is wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outlook {
    /// Until when the breaker is open; absent while it is not.
    pub breaker_open_until: Option<Timestamp>,
    /// Types in zones that a launch may ask for, on its own market.
    pub offerings: u32,
    /// Those of them that are left alone for a while, because EC2 gave none.
    pub offerings_cooling: u32,
    /// Free slots that the forecast wants; absent without one.
    pub forecast_slots: Option<u32>,
}

/// How the promise of a runner was kept: of the jobs that began within a week, those that had waited no longer than it says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Promise {
    /// The promise.
    #[serde(rename = "target_wait_seconds", with = "seconds")]
    pub target_wait: Duration,
    /// Jobs that began within the last week, and since this manager was started, and whose wait is known.
    pub jobs: u64,
    /// Those for which it was kept.
    pub kept: u64,
    /// When the first of all began that this manager has measured; absent before.
    pub since: Option<Timestamp>,
}

/// A worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerSnapshot {
    /// Instance id.
    pub id: WorkerId,
    /// Its runner.
    pub runner: RunnerName,
    /// Where it is in its life.
    pub state: WorkerState,
    /// Why it is in that state: the boot step, why it is drained, why it cannot be reached; absent for one that serves.
    pub reason: Option<Explained<WorkerReason>>,
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
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
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
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// A waiting job and why it waits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobSnapshot {
    /// The job.
    pub id: JobId,
    /// Its project.
    pub project: ProjectId,
    /// The project's path; absent where the server does not tell it.
    pub project_path: Option<ProjectPath>,
    /// Where the server shows the job, always under the configured address; absent where the path is.
    pub url: Option<String>,
    /// Its name in the pipeline.
    pub name: String,
    /// For how long it has been pending.
    #[serde(rename = "waited_seconds", with = "seconds")]
    pub waited: Duration,
    /// The runner that it is counted for; absent when none of ours may take it.
    pub runner: Option<RunnerName>,
    /// Why it waits.
    pub reason: Explained<JobReason>,
}

/// All jobs that wait, as they were last seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Waiting {
    /// Whether every queue that can be read was read lately; otherwise the other numbers are old, or lack a server's jobs.
    #[serde(default)]
    pub complete: bool,
    /// How many.
    pub total: u32,
    /// Those that no runner here may take.
    pub unmatched: u32,
    /// The longest wait.
    #[serde(rename = "longest_seconds", with = "seconds")]
    pub longest: Duration,
}

/// What is known of one job on one server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct JobStatus {
    /// The server.
    pub server: Server,
    /// The job.
    pub id: JobId,
    /// Where it is in its life, as far as we see.
    pub state: JobState,
    /// The runner that it is counted for, or that runs it.
    pub runner: Option<RunnerName>,
    /// The worker that runs it.
    pub worker: Option<WorkerId>,
    /// For how long it has been pending; absent unless it waits.
    #[serde(rename = "waited_seconds", with = "seconds::optional")]
    pub waited: Option<Duration>,
    /// Why it waits, or where else it is.
    pub reason: Explained<JobReason>,
}

/// Where a job is in its life, as far as we see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// It is pending in GitLab.
    Waiting,
    /// A worker of ours runs it.
    Running,
    /// Neither is seen.
    Unknown,
}

/// Something that was decided, or that happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// When.
    pub at: Timestamp,
    /// What kind of thing.
    pub kind: DecisionKind,
    /// The runner that it concerns.
    pub runner: Option<RunnerName>,
    /// The worker that it concerns.
    pub worker: Option<WorkerId>,
    /// Why; absent for what only happened.
    pub reason: Option<Reason>,
    /// The same for people, in one sentence.
    pub text: String,
}

/// What was decided, or what happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DecisionKind {
    /// Workers are launched.
    Launch,
    /// EC2 gave fewer workers than asked for.
    LaunchShort,
    /// A worker takes no more jobs.
    Fence,
    /// A worker takes jobs again.
    Serve,
    /// A worker that does not obey is stopped hard.
    HardStop,
    /// A worker is terminated.
    Terminate,
    /// EC2 did not terminate workers.
    TerminateFailed,
    /// A worker has ended without us.
    Ended,
    /// EC2 gave notice of an interruption.
    Interruption,
    /// EC2 says that it may take a worker back soon.
    Rebalance,
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
    /// Workers that did not take a fence.
    #[serde(default)]
    pub fences_failed: u64,
    /// Workers whose job request never ended.
    #[serde(default)]
    pub requests_stuck: u64,
    /// Workers that did not stop.
    #[serde(default)]
    pub stops_failed: u64,
    /// Workers that were unfit to run jobs.
    #[serde(default)]
    pub unfit: u64,
    /// Interruption notices.
    pub interruptions: u64,
    /// Jobs that were lost to an interruption and queued again by us.
    #[serde(default)]
    pub jobs_retried: u64,
    /// Laws that were seen broken: always 0, or a bug.
    pub laws_broken: u64,
}

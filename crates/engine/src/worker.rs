//! What is observed of a worker: by EC2 (an [`Instance`]) and by the worker itself (a [`Report`]).

use super::text::short_hex;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::ids::{ConfigHash, InstanceType, JobId, LaunchToken, ProjectId, RunnerName, SystemId, WorkerId, Zone};
use super::offering::Market;

/// An EC2 instance that carries our manager tag, as one listing showed it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Instance {
    /// The instance id.
    pub id: WorkerId,
    /// The tag `runner-fleet:runner`; a name that no section has any more is still ours to drain and end.
    pub runner: RunnerName,
    /// The tag `runner-fleet:config`.
    pub config: ConfigHash,
    /// The tag `runner-fleet:launch`: the launch decision that this instance came from.
    pub launch: Option<LaunchToken>,
    /// EC2's state.
    pub state: InstanceState,
    /// Why it has ended, where EC2 says so.
    pub state_reason: Option<StateReason>,
    /// EC2's `LaunchTime`.
    pub launched_at: Timestamp,
    /// When it began to end, where EC2 says so: of an end that was asked for, to the second.
    #[serde(default)]
    pub ended_at: Option<Timestamp>,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The zone.
    pub zone: Zone,
    /// Spot or on-demand.
    pub market: Market,
    /// The address that the manager connects to (private or public, as configured); absent until EC2 gives one.
    pub address: Option<IpAddr>,
    /// Whether a person has set the tag `runner-fleet:hold`: hands off.
    pub hold: bool,
    /// EC2's status checks, where they were asked for.
    pub health: Health,
}

/// EC2's `InstanceState`, of which a worker passes through these.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstanceState {
    /// Being started.
    Pending,
    /// Running; says nothing about the boot.
    Running,
    /// On its way to `stopped`; a worker has no business there, and is terminated.
    Stopping,
    /// Stopped; keeps costing its disk until it is terminated.
    Stopped,
    /// On its way to `terminated`.
    ShuttingDown,
    /// Gone; EC2 shows it for about an hour more.
    Terminated,
}

impl Instance {
    /// Where it runs, for people: as an [`Offering`](super::offering::Offering) is written.
    pub(crate) fn place(&self) -> String {
        format!("{} {} in {}", self.market, self.instance_type, self.zone)
    }
}

impl InstanceState {
    /// Whether it has ended or is ending by itself: it takes no job any more and needs no call.
    pub fn is_ending(self) -> bool {
        matches!(self, Self::ShuttingDown | Self::Terminated)
    }

    /// Whether EC2 bills its time. Source: EC2 User Guide, "Instance lifecycle": not from `stopping` and `shutting-down` on.
    pub(crate) fn is_paid_for(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }
}

/// EC2's `StateReason`. Source: EC2 API Reference, "StateReason".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StateReason {
    /// Who ended it.
    pub by: EndedBy,
    /// EC2's code (`Server.SpotInstanceTermination`), for people.
    pub code: String,
}

impl StateReason {
    /// The code of an instance that EC2 could not start, mostly because its volume's key may not be used: no call fails for
    /// that. Source: EC2 User Guide, "Troubleshoot instance launch issues", "Instance terminates immediately".
    const CANNOT_START: &str = "Client.InternalError";

    /// The code, and where it says little what it mostly means.
    pub(crate) fn told(&self) -> String {
        if self.code == Self::CANNOT_START {
            return format!("{}, mostly a KMS key of its volume that the manager's role may not use", self.code);
        }
        self.code.clone()
    }
}

/// Who ended an instance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EndedBy {
    /// EC2: a spot interruption, a lack of capacity, a fault of its own.
    Ec2,
    /// A call, or the instance itself when it powered off.
    Us,
}

/// EC2's view of an instance's host, from `DescribeInstanceStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Health {
    /// Not asked, or not answered yet.
    Unknown,
    /// Both status checks pass, or are still initialising.
    Ok,
    /// The instance or its host is impaired.
    Impaired,
}

/// One line of a worker's agent: the worker's whole state, not a change of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// How far the boot is.
    pub phase: Phase,
    /// What the gitlab-runner process does.
    pub runner: RunnerState,
    /// Jobs that the runner's metrics show as running.
    pub jobs_by_metrics: u32,
    /// Jobs that Docker labels show as running (build, helper and service containers, counted by job id).
    pub jobs_by_docker: u32,
    /// Their ids, where Docker labels tell them.
    pub job_ids: BTreeSet<JobId>,
    /// Their projects, where Docker labels tell them.
    pub projects: BTreeMap<JobId, ProjectId>,
    /// `gitlab_runner_request_concurrency`: job requests open towards GitLab; each may still bring a job.
    pub open_requests: u32,
    /// Jobs taken since the runner was first started.
    pub jobs_started: u64,
    /// Seconds since the last job ended, or since the runner was started if there was none; 0 while a job runs.
    pub idle_seconds: u64,
    /// The queue size that GitLab told with the last job taken; stale between jobs, hence only a hint.
    pub queue_size: Option<u32>,
    /// Free space where Docker keeps its data.
    pub disk_free_mib: Option<u64>,
    /// Why it should run no jobs, if it has found out that it should not.
    #[serde(default)]
    pub unfit: Option<Unfit>,
    /// EC2's notice that this spot instance ends at that time.
    pub interruption: Option<Timestamp>,
    /// EC2's hint that the interruption risk is raised.
    pub rebalance: bool,
    /// The newest failure of the ECR login on the host that the worker still knows of; it may be long ago.
    #[serde(default)]
    pub ecr_error: Option<EcrError>,
}

/// Why a worker is of no use, as it says itself: jobs would fail on it, one after the other, and faster than elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Unfit {
    /// Docker has not answered for a minute.
    Docker,
    /// The disk of Docker's data is nearly full.
    Disk,
    /// That disk has hardly any inode left.
    Inodes,
    /// The last jobs have all failed for reasons of the runner's, not their own.
    SystemFailures,
    /// A reason that this manager does not know.
    #[serde(other)]
    Other,
}

/// Why the ECR credential helper had no credentials for the worker's Docker. Docker itself says only "not found".
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EcrError {
    /// When, by the worker's clock; absent when the helper did not say.
    pub at: Option<Timestamp>,
    /// The helper's own words, one line, without anything that looks like a secret.
    pub text: String,
}

impl Report {
    /// The jobs that run here: the larger of the two independent counts, because either may lag.
    pub fn jobs(&self) -> u32 {
        self.jobs_by_metrics.max(self.jobs_by_docker)
    }

    /// Whether nothing runs and nothing can arrive, by every key that we have.
    pub fn is_empty(&self) -> bool {
        self.jobs() == 0 && self.open_requests == 0
    }
}

impl std::fmt::Display for EcrError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at {
            Some(at) => write!(f, "ECR login failed at {at:.0}: {}", self.text),
            None => write!(f, "ECR login failed: {}", self.text),
        }
    }
}

/// How far a worker's boot is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Phase {
    /// At this step of the bootstrap.
    Booting {
        /// The step, in the bootstrap's own words (`installing docker`).
        step: String,
    },
    /// The bootstrap is done.
    Ready,
    /// The bootstrap failed; the worker powers itself off soon.
    Failed {
        /// What failed.
        error: String,
    },
}

/// What the gitlab-runner process on a worker does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum RunnerState {
    /// No configuration has been pushed yet.
    Absent,
    /// It asks for jobs.
    Serving,
    /// Its configuration holds no `[[runners]]`: it asks for no more jobs and finishes what it has.
    Fenced,
    /// SIGQUIT was sent; it exits after its last job.
    Stopping,
    /// It has exited after a stop: nothing runs, nothing can arrive.
    Stopped,
    /// It exited by itself, or never came up.
    Failed,
}

impl SystemId {
    /// The system id of a worker's runner: `r_` and 12 characters from the hash of the instance id.
    ///
    /// gitlab-runner takes `^[rs]_[0-9a-zA-Z]{12}$` from `.runner_system_id` and GitLab keys the runner-manager row by
    /// it, so that this mapping leads from a row to the instance without anything stored.
    pub fn of(worker: &WorkerId) -> Self {
        let digest = Sha256::digest(worker.as_str().as_bytes());
        Self::new(format!("r_{}", short_hex(&digest, 12)))
    }
}

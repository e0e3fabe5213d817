//! What a way of scaling leaves behind when it has run a workload: every job, every machine, every kind of call.
//!
//! The engine's world and the models of other autoscalers all write this, and the report reads nothing else: so that
//! what is compared is measured in one way.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::{InstanceType, Market, Offering, Zone};

/// One run of a workload under one policy.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Recording {
    /// In the workload's order; what was lost and queued again stands right behind, as a job of its own.
    pub jobs: Vec<JobRun>,
    /// In order of their launch.
    pub machines: Vec<MachineRun>,
    /// Calls to EC2 and GitLab, by kind.
    pub calls: BTreeMap<&'static str, u64>,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq)]
pub struct JobRun {
    /// Which of the workload, from 0.
    pub index: usize,
    /// 0; one more for each time that it was lost and queued again.
    pub attempt: u32,
    /// When it became pending.
    pub queued_at: Timestamp,
    /// When a machine began with it; not when a manager took it from the queue.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How.
    pub outcome: JobOutcome,
    /// On which of [`Recording::machines`].
    pub machine: Option<usize>,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobOutcome {
    /// It ran to its end.
    Done,
    /// Its machine was taken back by EC2, or died.
    Lost,
    /// No machine came for it in the time that an autoscaler waits, and GitLab was told that it failed.
    NoMachine,
    /// The run ended before it did.
    Open,
}

/// A machine, from launch to end.
#[derive(Clone, Debug, PartialEq)]
pub struct MachineRun {
    /// Spot or on demand, type, zone.
    pub offering: Offering,
    /// Jobs that it takes at one time.
    pub slots: u32,
    /// From here on it is paid for.
    pub launched_at: Timestamp,
    /// When it could take a job.
    pub ready_at: Option<Timestamp>,
    /// Until here it is paid for; none where the run ended before.
    pub ended_at: Option<Timestamp>,
    /// Whether EC2 took it back.
    pub interrupted: bool,
}

impl JobRun {
    /// From pending to begun, where it has begun.
    pub fn wait(&self) -> Option<Duration> {
        self.started_at.map(|at| at.duration_since(self.queued_at).try_into().unwrap_or_default())
    }
}

impl MachineRun {
    /// Spot or on demand.
    pub fn market(&self) -> Market {
        self.offering.market
    }

    /// Its type.
    pub fn instance_type(&self) -> &InstanceType {
        &self.offering.instance_type
    }

    /// Its zone.
    pub fn zone(&self) -> &Zone {
        &self.offering.zone
    }

    /// For how long it is paid for, in a run that ended at `end`.
    pub fn lived(&self, end: Timestamp) -> Duration {
        self.ended_at.unwrap_or(end).duration_since(self.launched_at).try_into().unwrap_or_default()
    }
}

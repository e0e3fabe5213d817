//! What a simulation tells: the numbers of every policy side by side, and what they rest on.

mod charts;
mod gantt;
mod html;
mod paint;

use jiff::Timestamp;
use serde::Serialize;

use super::assumptions::Assumed;
use super::figures::Figures;
use super::recording::Recording;

pub use charts::{Chart, all as charts};
pub use html::{page, rows};

/// The whole report. Its JSON form is what `simulate --json` prints: stable, and versioned.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    /// Of this JSON form; 1.
    pub version: u32,
    /// What was replayed.
    pub workload: WorkloadFacts,
    /// Feeds all chance of the simulated world.
    pub seed: u64,
    /// The wait that every policy was tuned for, where that was asked.
    pub equal_wait_seconds: Option<f64>,
    /// The policies, runner-fleet's own first.
    pub policies: Vec<Figures>,
    /// What was taken for granted; all else was measured in the simulation.
    pub assumed: Vec<Assumed>,
}

/// What was replayed.
#[derive(Clone, Debug, Serialize)]
pub struct WorkloadFacts {
    /// The file's name, or the bundled workload's.
    pub name: String,
    /// How many jobs.
    pub jobs: usize,
    /// When the first was queued.
    pub from: Timestamp,
    /// When the last was queued.
    pub to: Timestamp,
    /// What was left out, and why.
    pub notes: Vec<String>,
}

/// One policy's run, for the plots.
#[derive(Clone, Debug)]
pub struct Run {
    /// A short name.
    pub name: String,
    /// What happened.
    pub recording: Recording,
    /// When it ended.
    pub end: Timestamp,
}

impl Run {
    /// When the first thing happened.
    fn start(&self) -> Timestamp {
        self.recording.jobs.iter().map(|job| job.queued_at).min().unwrap_or(self.end)
    }
}

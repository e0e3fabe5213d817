//! What a simulation tells: the numbers of every policy side by side, and what they rest on.

mod charts;
mod gantt;
mod html;
mod paint;
mod reached;
mod words;

use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;

use super::assumptions::Assumed;
use super::figures::Figures;
use super::recording::Recording;
use super::tuning::Tuned;

pub use charts::{Chart, all as charts};
pub use html::{page, rows};
pub use words::point;
pub(crate) use words::{result, warnings};

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
    /// What the comparison shows, in one sentence that claims no more than its least favourable row.
    pub result: Option<String>,
    /// What makes numbers look better than they are.
    pub warnings: Vec<String>,
    /// What each policy costs at several waits, where that was asked.
    pub curves: Vec<Curve>,
    /// What was taken for granted; all else was measured in the simulation.
    pub assumed: Vec<Assumed>,
}

/// What one policy costs, tuned to each of several waits.
#[derive(Clone, Debug, Serialize)]
pub struct Curve {
    /// The policy.
    pub policy: String,
    /// By the target, shortest first.
    pub points: Vec<CurvePoint>,
}

/// The cheapest that was found for one wait.
#[derive(Clone, Debug, Serialize)]
pub struct CurvePoint {
    /// The wait that 95 of 100 jobs were not to exceed, in seconds.
    pub target_seconds: f64,
    /// Whether they did not; else this is the run that came nearest.
    pub met: bool,
    /// Its numbers and settings.
    pub figures: Figures,
}

impl Curve {
    /// One found setting for each target.
    pub(crate) fn of(policy: &str, targets: &[Duration], found: Vec<Tuned>) -> Self {
        let point = |(target, found): (&Duration, Tuned)| CurvePoint {
            target_seconds: target.as_secs_f64(),
            met: found.met,
            figures: found.figures,
        };
        Self { policy: policy.to_owned(), points: targets.iter().zip(found).map(point).collect() }
    }
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

/// A policy's name without its settings.
fn short(policy: &str) -> &str {
    policy.split(':').next().unwrap_or(policy)
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

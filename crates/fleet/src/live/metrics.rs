//! Counts what the loop does.

use std::sync::Arc;

use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::Registry;
use tokio::sync::{mpsc, watch};

use runner_fleet_engine::{Command, FleetSnapshot, Measure, Settings};

use super::measures::Measured;
use crate::http::{CostCollector, FleetCollector};
use crate::metrics::process::ProcessCollector;
use crate::metrics::{Calls, catalogue};

/// All that `/metrics` shows, and what the loop counts of it.
pub fn registry(snapshot: watch::Receiver<Arc<FleetSnapshot>>, calls: &Calls) -> (Registry, LoopMetrics) {
    let mut all = Registry::default();
    all.register_collector(Box::new(ProcessCollector));
    let ours = all.sub_registry_with_prefix("runner_fleet");
    ours.register_collector(Box::new(FleetCollector::new(snapshot.clone())));
    ours.register_collector(Box::new(CostCollector::new(snapshot)));
    catalogue::BUILD.register(ours, Info::new(crate::version::parts()));
    calls.register(ours);
    let metrics = LoopMetrics::new(ours);
    (all, metrics)
}

/// A step of 1,000 workers and 10,000 jobs is to take 5 ms: the buckets surround that.
const STEP_SECONDS: [f64; 8] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// The loop's counters; cheap to clone, all clones count together.
#[derive(Clone, Debug)]
pub struct LoopMetrics {
    events: Counter,
    commands: Family<CommandLabel, Counter>,
    step_seconds: Histogram,
    measured: Measured,
    jobs: Option<mpsc::Sender<Measure>>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CommandLabel {
    kind: &'static str,
}

impl LoopMetrics {
    /// Registers the counters.
    pub fn new(registry: &mut Registry) -> Self {
        let new = Self {
            events: Counter::default(),
            commands: Family::default(),
            step_seconds: Histogram::new(STEP_SECONDS),
            measured: Measured::new(registry),
            jobs: None,
        };
        catalogue::EVENTS.register(registry, new.events.clone());
        catalogue::COMMANDS.register(registry, new.commands.clone());
        catalogue::STEP_SECONDS.register(registry, new.step_seconds.clone());
        for kind in Command::kinds() {
            drop(new.commands.get_or_create(&CommandLabel { kind }));
        }
        new
    }

    /// The same, which also tells what is measured of jobs.
    pub fn telling(self, jobs: mpsc::Sender<Measure>) -> Self {
        Self { jobs: Some(jobs), ..self }
    }

    /// Zeros for the runners of this configuration.
    pub fn configured(&self, settings: &Settings) {
        self.measured.expect(settings);
    }

    /// Counts what the engine has measured.
    pub fn measured(&self, measure: &Measure) {
        self.measured.count(measure);
        if let (Some(jobs), Measure::JobBegan(_) | Measure::JobEnded { .. }) = (&self.jobs, measure) {
            // Who is told is too slow: a trace is left out.
            let _ = jobs.try_send(measure.clone());
        }
    }

    pub(super) fn stepping(&self, events: usize) {
        self.events.inc_by(events as u64);
    }

    /// Counts a command.
    pub fn commanded(&self, command: &Command) {
        self.commands.get_or_create(&CommandLabel { kind: command.kind() }).inc();
        self.measured.commanded(command);
    }

    pub(super) fn took(&self, time: SignedDuration) {
        self.step_seconds.observe(time.as_secs_f64().max(0.0));
    }
}

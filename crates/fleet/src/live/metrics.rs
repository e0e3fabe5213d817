//! Counts what the loop does.

use jiff::SignedDuration;
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use runner_fleet_engine::Command;

/// A step of 1,000 workers and 10,000 jobs is to take 5 ms: the buckets surround that.
const STEP_SECONDS: [f64; 8] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.25, 1.0];

/// The loop's counters; cheap to clone, all clones count together.
#[derive(Clone, Debug)]
pub struct LoopMetrics {
    events: Counter,
    commands: Family<CommandLabel, Counter>,
    step_seconds: Histogram,
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
        };
        registry.register("events", "Answers from the world taken in", new.events.clone());
        registry.register("commands", "Commands given, by kind", new.commands.clone());
        registry.register("step_seconds", "Time that a step took, with all it set off", new.step_seconds.clone());
        for kind in Command::kinds() {
            drop(new.commands.get_or_create(&CommandLabel { kind }));
        }
        new
    }

    pub(super) fn stepping(&self, events: usize) {
        self.events.inc_by(events as u64);
    }

    pub(super) fn commanded(&self, command: &Command) {
        self.commands.get_or_create(&CommandLabel { kind: command.kind() }).inc();
    }

    pub(super) fn took(&self, time: SignedDuration) {
        self.step_seconds.observe(time.as_secs_f64().max(0.0));
    }
}

//! Counts what the engine has measured.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;

use runner_fleet_engine::{Command, JobBegan, Measure, Reason, RunnerName, Settings};

use crate::metrics::catalogue;

/// From "at once" over the usual targets to an hour.
const WAIT_SECONDS: [f64; 14] =
    [1.0, 2.5, 5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0];
/// From a baked image on a fast host to what `boot_timeout` allows.
const BOOT_SECONDS: [f64; 12] = [5.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0, 120.0, 180.0, 300.0, 600.0];
/// What one part of it takes.
const PART_SECONDS: [f64; 11] = [0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0];

type Histograms<L> = Family<L, Histogram, fn() -> Histogram>;

/// The counters; all clones count together.
#[derive(Clone, Debug)]
pub struct Measured {
    job_wait: Histograms<Runner>,
    promised: Family<Promised, Counter>,
    taken: Family<Runner, Counter>,
    lost: Family<Runner, Counter>,
    retried: Family<Runner, Counter>,
    interruptions: Family<Runner, Counter>,
    launches: Family<Launched, Counter>,
    boots: Histograms<OfType>,
    phases: Histograms<InPhase>,
    steps: Histograms<AtStep>,
    boots_failed: Family<AtStep, Counter>,
    ended: Family<Because, Counter>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Runner {
    runner: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Promised {
    runner: String,
    promise: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Launched {
    runner: String,
    market: String,
    reason: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OfType {
    runner: String,
    r#type: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct InPhase {
    runner: String,
    phase: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AtStep {
    runner: String,
    step: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Because {
    runner: String,
    reason: &'static str,
}

impl Measured {
    /// Registers the counters.
    pub fn new(registry: &mut Registry) -> Self {
        let new = Self {
            job_wait: Family::new_with_constructor(|| Histogram::new(WAIT_SECONDS)),
            promised: Family::default(),
            taken: Family::default(),
            lost: Family::default(),
            retried: Family::default(),
            interruptions: Family::default(),
            launches: Family::default(),
            boots: Family::new_with_constructor(|| Histogram::new(BOOT_SECONDS)),
            phases: Family::new_with_constructor(|| Histogram::new(PART_SECONDS)),
            steps: Family::new_with_constructor(|| Histogram::new(PART_SECONDS)),
            boots_failed: Family::default(),
            ended: Family::default(),
        };
        catalogue::JOB_WAIT_SECONDS.register(registry, new.job_wait.clone());
        catalogue::JOBS_PROMISED.register(registry, new.promised.clone());
        catalogue::JOBS_TAKEN.register(registry, new.taken.clone());
        catalogue::JOBS_LOST.register(registry, new.lost.clone());
        catalogue::JOBS_RETRIED.register(registry, new.retried.clone());
        catalogue::INTERRUPTIONS.register(registry, new.interruptions.clone());
        catalogue::LAUNCHES.register(registry, new.launches.clone());
        catalogue::BOOT_SECONDS.register(registry, new.boots.clone());
        catalogue::BOOT_PHASE_SECONDS.register(registry, new.phases.clone());
        catalogue::BOOT_STEP_SECONDS.register(registry, new.steps.clone());
        catalogue::BOOTS_FAILED.register(registry, new.boots_failed.clone());
        catalogue::WORKERS_ENDED.register(registry, new.ended.clone());
        new
    }

    /// Zeros for the runners of this configuration: what counts from nothing to one is no increase to Prometheus.
    pub fn expect(&self, settings: &Settings) {
        for runner in &settings.runners {
            let labels = of(&runner.name);
            drop(self.job_wait.get_or_create(&labels));
            for family in [&self.taken, &self.lost, &self.retried, &self.interruptions] {
                drop(family.get_or_create(&labels));
            }
            for promise in ["kept", "broken"] {
                drop(self.promised.get_or_create(&Promised { runner: labels.runner.clone(), promise }));
            }
        }
    }

    /// A launch is sent.
    pub(super) fn commanded(&self, command: &Command) {
        if let Command::Launch(launch) = command {
            let (runner, market) = (launch.runner.to_string(), launch.market.to_string());
            let reason = Reason::from(launch.reason.clone()).kind();
            self.launches.get_or_create(&Launched { runner, market, reason }).inc();
        }
    }

    /// Counts one.
    pub fn count(&self, measure: &Measure) {
        match measure {
            Measure::JobsTaken { runner, count } => {
                self.taken.get_or_create(&of(runner)).inc_by(u64::from(*count));
            }
            Measure::JobBegan(JobBegan { runner, wait: Some(wait), .. }) => {
                self.job_wait.get_or_create(&of(runner)).observe(wait.time.as_secs_f64());
                let promise = if wait.is_kept { "kept" } else { "broken" };
                self.promised.get_or_create(&Promised { runner: runner.to_string(), promise }).inc();
            }
            Measure::JobBegan(JobBegan { wait: None, .. }) | Measure::JobEnded { .. } => {}
            Measure::BootPhase { runner, phase, took } => {
                let labels = InPhase { runner: runner.to_string(), phase: phase.as_str() };
                self.phases.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Measure::BootStep { runner, step, took } => {
                let labels = AtStep { runner: runner.to_string(), step: step.as_str() };
                self.steps.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Measure::Booted { runner, instance_type, took } => {
                let labels = OfType { runner: runner.to_string(), r#type: instance_type.to_string() };
                self.boots.get_or_create(&labels).observe(took.as_secs_f64());
            }
            Measure::BootFailed { runner, step } => {
                self.boots_failed.get_or_create(&AtStep { runner: runner.to_string(), step }).inc();
            }
            Measure::Interrupted { runner } => {
                self.interruptions.get_or_create(&of(runner)).inc();
            }
            Measure::Ended { runner, reason, jobs_lost } => {
                self.ended.get_or_create(&Because { runner: runner.to_string(), reason }).inc();
                self.lost.get_or_create(&of(runner)).inc_by(u64::from(*jobs_lost));
            }
            Measure::JobRetried { runner } => {
                self.retried.get_or_create(&of(runner)).inc();
            }
        }
    }
}

fn of(runner: &RunnerName) -> Runner {
    Runner { runner: runner.to_string() }
}

//! The fleet's gauges, computed from the snapshot at each scrape: nothing to keep in step, and a series that has become
//! empty reports 0 because every combination is written every time.
//!
//! Labels are runners (bounded by the configuration), states and markets; never ids, never messages.

use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use strum::VariantArray as _;
use tokio::sync::watch;

use runner_fleet_engine::snapshot::{RunnerSnapshot, WorkerState};
use runner_fleet_engine::{FleetSnapshot, Knowledge, Market};

/// Reads the snapshot when it is scraped.
#[derive(Debug)]
pub struct FleetCollector {
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
}

impl FleetCollector {
    /// Shows the snapshot that arrives here.
    pub fn new(snapshot: watch::Receiver<Arc<FleetSnapshot>>) -> Self {
        Self { snapshot }
    }
}

impl Collector for FleetCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let snapshot = Arc::clone(&self.snapshot.borrow());
        workers(&mut encoder, &snapshot)?;
        runners(&mut encoder, &snapshot)?;
        jobs_waiting(&mut encoder, &snapshot)?;
        token_ends(&mut encoder, &snapshot)?;
        held_back(&mut encoder, &snapshot)?;
        failures(&mut encoder, &snapshot)?;
        whole(&mut encoder, &snapshot)?;
        totals(&mut encoder, &snapshot)
    }
}

fn workers(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut family =
        encoder.encode_descriptor("workers", "Workers, by runner, state and market", None, MetricType::Gauge)?;
    for runner in &snapshot.runners {
        for &state in WorkerState::VARIANTS {
            for market in [Market::Spot, Market::OnDemand] {
                let here = |w: &&runner_fleet_engine::snapshot::WorkerSnapshot| {
                    w.runner == runner.name && w.state == state && w.market == market
                };
                let count = snapshot.workers.iter().filter(here).count() as u64;
                let labels = [
                    ("runner", runner.name.to_string()),
                    ("state", state.as_str().to_owned()),
                    ("market", market.to_string()),
                ];
                ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
            }
        }
    }
    Ok(())
}

/// A gauge per runner: name, help, and how it is read.
type RunnerGauge = (&'static str, &'static str, fn(&RunnerSnapshot) -> u64);

const RUNNER_GAUGES: [RunnerGauge; 9] = [
    ("jobs_running", "Jobs that run", |r| r.running.into()),
    ("idle_wanted", "Free job slots that the idle policy wants now", |r| r.idle_wanted.into()),
    ("idle_ready", "Free job slots that are ready now", |r| r.idle_ready.into()),
    ("workers_max", "Workers that the runner may have now", |r| r.max_workers.into()),
    ("paused", "1 when an operator has paused the runner", |r| r.paused.into()),
    ("queue_known", "1 when the last poll of the queue is recent", |r| r.queue.is_known().into()),
    ("projects_blind", "Projects of its server that the api token may not see", |r| r.projects_blind.into()),
    ("facts_known", "1 when GitLab's last answer about the runner was good", |r| r.facts.is_known().into()),
    ("launch_plan_known", "1 when the last preparation of launches was good", |r| r.launch_plan.is_known().into()),
];

fn runners(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    for (name, help, read) in RUNNER_GAUGES {
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for runner in &snapshot.runners {
            let labels = [("runner", runner.name.to_string())];
            ConstGauge::new(read(runner)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Jobs that wait for a runner; NaN while nobody knows, which is not zero.
fn jobs_waiting(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let help = "Jobs that wait and are counted for this runner; NaN while its queue is not known";
    let mut family = encoder.encode_descriptor("jobs_waiting", help, None, MetricType::Gauge)?;
    for runner in &snapshot.runners {
        let waiting = runner.waiting.map_or(f64::NAN, f64::from);
        ConstGauge::new(waiting).encode(family.encode_family(&[("runner", runner.name.to_string())])?)?;
    }
    Ok(())
}

/// Seconds to live of the tokens that end; a runner without such a one has none here.
fn token_ends(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let help = "Seconds until the first of the runner's tokens ends, which GitLab refuses from then on";
    let mut family = encoder.encode_descriptor("token_expires_seconds", help, None, MetricType::Gauge)?;
    for runner in &snapshot.runners {
        if let Some(end) = runner.token_end {
            let labels = [("runner", runner.name.to_string()), ("token", end.key().to_owned())];
            let left = end.at.duration_since(snapshot.at).as_secs();
            ConstGauge::new(left).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Nothing for a runner that is not held back: a series per kind would be a dozen zeros for each runner.
fn held_back(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let help = "1 when a worker is wanted and none is launched, and why";
    let mut family = encoder.encode_descriptor("held_back", help, None, MetricType::Gauge)?;
    for runner in &snapshot.runners {
        let kind = runner.held_back.as_ref().map_or("none", |held_back| held_back.reason.kind());
        let labels = [("runner", runner.name.to_string()), ("kind", kind.to_owned())];
        ConstGauge::new(u64::from(runner.held_back.is_some())).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// What is unknown or old, with the class of what failed last.
fn failures(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let help = "1 for what could not be read lately, by the class of the last failure";
    let mut family = encoder.encode_descriptor("failure", help, None, MetricType::Gauge)?;
    let mut tell = |of: &str, name: &str, known: &Knowledge| match known.failure() {
        None => Ok(()),
        Some(failure) => {
            let labels = [("of", of), ("name", name), ("class", failure.class.as_str())];
            ConstGauge::new(1_u64).encode(family.encode_family(&labels)?)
        }
    };
    tell("ec2", "", &snapshot.ec2)?;
    for runner in &snapshot.runners {
        let name = runner.name.as_str();
        tell("queue", name, &runner.queue)?;
        tell("facts", name, &runner.facts)?;
        tell("launch-plan", name, &runner.launch_plan)?;
    }
    snapshot.prices.iter().try_for_each(|(region, prices)| tell("prices", region, prices))
}

fn whole(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    // What an old look has shown says nothing of now.
    let now = |number: f64| if snapshot.waiting.complete { number } else { f64::NAN };
    let unmatched = now(f64::from(snapshot.waiting.unmatched));
    let longest = now(snapshot.waiting.longest.as_secs_f64());
    let ec2_age = match &snapshot.ec2 {
        Knowledge::Known => 0.0,
        Knowledge::Stale { age, .. } => age.as_secs_f64(),
        Knowledge::Unknown { .. } => f64::NAN,
    };
    gauge(encoder, "ec2_known", "1 when the last listing of EC2 is recent", u64::from(snapshot.ec2.is_known()))?;
    gauge(
        encoder,
        "ec2_stale_seconds",
        "Age of the last listing once it is no longer recent; NaN before the first",
        ec2_age,
    )?;
    gauge(
        encoder,
        "cost_usd_per_hour",
        "What the workers of known price cost now; an estimate, instances alone",
        snapshot.costs.usd_per_hour,
    )?;
    let unpriced = u64::from(snapshot.costs.unpriced_workers);
    gauge(encoder, "workers_unpriced", "Workers whose price is not known, and which the cost lacks", unpriced)?;
    let help = "Waiting jobs that no runner here may take; NaN while a queue is not known";
    gauge(encoder, "jobs_unmatched", help, unmatched)?;
    let help = "The longest wait of a job that waits now; NaN while a queue is not known";
    gauge(encoder, "job_wait_seconds_max", help, longest)?;
    gauge(encoder, "last_step_timestamp_seconds", "When the loop stepped last", snapshot.at.as_duration().as_secs_f64())
}

fn gauge<N>(encoder: &mut DescriptorEncoder<'_>, name: &str, help: &str, value: N) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    let metric = ConstGauge::new(value);
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

fn totals(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let runner_fleet_engine::snapshot::Totals {
        launches,
        workers_launched,
        launches_short,
        workers_terminated,
        boots_failed,
        fences_failed,
        requests_stuck,
        stops_failed,
        unfit,
        interruptions,
        jobs_retried,
        laws_broken,
    } = snapshot.totals;
    for (name, help, value) in [
        ("launches", "Launch calls", launches),
        ("workers_launched", "Workers that the launch calls gave", workers_launched),
        ("launches_short", "Launch calls that gave fewer workers than asked for, or none", launches_short),
        ("workers_terminated", "Workers that the manager terminated", workers_terminated),
        ("boots_failed", "Boots that failed", boots_failed),
        ("workers_unfit", "Workers that were unfit to run jobs", unfit),
        ("interruptions", "Spot interruption notices", interruptions),
        ("jobs_retried", "Jobs that an interruption killed and that were queued again", jobs_retried),
        ("laws_broken", "Laws of the engine seen broken: anything above 0 is a bug", laws_broken),
    ] {
        let metric = ConstCounter::new(value);
        metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)?;
    }
    let help = "Workers that did not do as they were told, by what they did not do";
    let mut disobeyed = encoder.encode_descriptor("disobeyed", help, None, MetricType::Counter)?;
    for (reason, value) in
        [("fence-failed", fences_failed), ("request-stuck", requests_stuck), ("stop-failed", stops_failed)]
    {
        ConstCounter::new(value).encode(disobeyed.encode_family(&[("reason", reason)])?)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::registry::Registry;
    use runner_fleet_engine::{Engine, RunnerName};

    #[test]
    fn an_emptied_series_reports_zero() {
        let mut snapshot = Engine::new("ci", 1, jiff::Timestamp::UNIX_EPOCH).snapshot();
        snapshot.runners.push(RunnerSnapshot {
            name: RunnerName::new("spot \"x\""),
            queue: Knowledge::Known,
            projects_blind: 0,
            facts: Knowledge::Known,
            token_end: None,
            launch_plan: Knowledge::Known,
            running: 2,
            waiting: None,
            idle_wanted: 0,
            idle_ready: 0,
            workers: 0,
            slots: 1,
            max_workers: 4,
            held_back: None,
            paused: false,
            forecast: None,
            over_price_cap: Vec::new(),
        });
        let (_keep, receiver) = watch::channel(Arc::new(snapshot));
        let mut registry = Registry::with_prefix("runner_fleet");
        registry.register_collector(Box::new(FleetCollector::new(receiver)));
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &registry).unwrap();
        let busy = "runner_fleet_workers{runner=\"spot \\\"x\\\"\",state=\"busy\",market=\"spot\"} 0\n";
        assert!(text.contains(busy), "{text}");
        assert!(text.contains("runner_fleet_jobs_running{runner=\"spot \\\"x\\\"\"} 2\n"), "{text}");
        assert!(text.contains("runner_fleet_laws_broken_total 0\n"), "{text}");
        assert!(text.contains("runner_fleet_jobs_waiting{runner=\"spot \\\"x\\\"\"} NaN\n"), "{text}");
        assert!(text.contains("runner_fleet_job_wait_seconds_max NaN\n"), "unknown is not zero: {text}");
    }
}

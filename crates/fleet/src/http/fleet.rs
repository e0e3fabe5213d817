//! The fleet's gauges, computed from the snapshot at each scrape: nothing to keep in step, and a series that has become
//! empty reports 0 because every combination is written every time.
//!
//! Labels are runners (bounded by the configuration), states and markets; never ids, never messages.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use strum::VariantArray as _;
use tokio::sync::watch;

use crate::metrics::catalogue::{self, Described};
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
        promises(&mut encoder, &snapshot)?;
        by_type(&mut encoder, &snapshot)?;
        by_market(&mut encoder, &snapshot)?;
        failures(&mut encoder, &snapshot)?;
        verdict(&mut encoder, &snapshot)?;
        whole(&mut encoder, &snapshot)?;
        totals(&mut encoder, &snapshot)
    }
}

fn workers(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut family = catalogue::WORKERS.begin(encoder)?;
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

/// A gauge per runner, and how it is read.
type RunnerGauge = (Described, fn(&RunnerSnapshot) -> u64);

const RUNNER_GAUGES: [RunnerGauge; 12] = [
    (catalogue::JOBS_RUNNING, |r| r.running.into()),
    (catalogue::IDLE_WANTED, |r| r.idle_wanted.into()),
    (catalogue::IDLE_READY, |r| r.idle_ready.into()),
    (catalogue::WORKERS_MAX, |r| r.max_workers.into()),
    (catalogue::PAUSED, |r| r.paused.into()),
    (catalogue::QUEUE_KNOWN, |r| r.queue.is_known().into()),
    (catalogue::PROJECTS_BLIND, |r| r.projects_blind.into()),
    (catalogue::FACTS_KNOWN, |r| r.facts.is_known().into()),
    (catalogue::LAUNCH_PLAN_KNOWN, |r| r.launch_plan.is_known().into()),
    (catalogue::BREAKER_OPEN, |r| r.outlook.breaker_open_until.is_some().into()),
    (catalogue::OFFERINGS, |r| r.outlook.offerings.into()),
    (catalogue::OFFERINGS_COOLING, |r| r.outlook.offerings_cooling.into()),
];

fn runners(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    for (described, read) in RUNNER_GAUGES {
        let mut family = described.begin(encoder)?;
        for runner in &snapshot.runners {
            let labels = [("runner", runner.name.to_string())];
            ConstGauge::new(read(runner)).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// Jobs that wait for a runner; NaN while nobody knows, which is not zero.
fn jobs_waiting(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut family = catalogue::JOBS_WAITING.begin(encoder)?;
    for runner in &snapshot.runners {
        let waiting = runner.waiting.map_or(f64::NAN, f64::from);
        ConstGauge::new(waiting).encode(family.encode_family(&[("runner", runner.name.to_string())])?)?;
    }
    Ok(())
}

/// Seconds to live of the tokens that end; a runner without such a one has none here.
fn token_ends(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut family = catalogue::TOKEN_EXPIRES_SECONDS.begin(encoder)?;
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
    let mut family = catalogue::HELD_BACK.begin(encoder)?;
    for runner in &snapshot.runners {
        let kind = runner.held_back.as_ref().map_or("none", |held_back| held_back.reason.kind());
        let labels = [("runner", runner.name.to_string()), ("kind", kind.to_owned())];
        ConstGauge::new(u64::from(runner.held_back.is_some())).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

/// The promise and how it was kept, and what the forecast wants for it.
fn promises(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let of = |runner: &RunnerSnapshot| [("runner", runner.name.to_string())];
    let mut family = catalogue::PROMISE_SECONDS.begin(encoder)?;
    for runner in &snapshot.runners {
        ConstGauge::new(runner.promise.target_wait.as_secs_f64()).encode(family.encode_family(&of(runner))?)?;
    }
    let mut family = catalogue::PROMISE_KEPT_RATIO.begin(encoder)?;
    for runner in &snapshot.runners {
        ConstGauge::new(share(runner.promise.kept, runner.promise.jobs)).encode(family.encode_family(&of(runner))?)?;
    }
    let mut family = catalogue::FORECAST_SLOTS.begin(encoder)?;
    for runner in &snapshot.runners {
        if let Some(slots) = runner.outlook.forecast_slots {
            ConstGauge::new(slots).encode(family.encode_family(&of(runner))?)?;
        }
    }
    Ok(())
}

/// Of no jobs nothing can be said.
#[expect(clippy::cast_precision_loss, reason = "more jobs than a float counts take longer than a week")]
fn share(part: u64, whole: u64) -> f64 {
    if whole == 0 { f64::NAN } else { part as f64 / whole as f64 }
}

fn by_type(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut counts: BTreeMap<_, u64> = BTreeMap::new();
    for worker in &snapshot.workers {
        *counts.entry((&worker.instance_type, &worker.zone, worker.market)).or_default() += 1;
    }
    let mut family = catalogue::WORKERS_BY_TYPE.begin(encoder)?;
    for ((instance_type, zone, market), count) in counts {
        let labels = [("type", instance_type.to_string()), ("zone", zone.to_string()), ("market", market.to_string())];
        ConstGauge::new(count).encode(family.encode_family(&labels)?)?;
    }
    Ok(())
}

fn by_market(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut family = catalogue::MARKET_USD_PER_HOUR.begin(encoder)?;
    for runner in &snapshot.runners {
        for market in [Market::Spot, Market::OnDemand] {
            let here = snapshot.workers.iter().filter(|w| w.runner == runner.name && w.market == market);
            let usd: f64 = here.filter_map(|worker| worker.usd_per_hour).sum();
            let labels = [("runner", runner.name.to_string()), ("market", market.to_string())];
            // An empty sum is minus zero.
            ConstGauge::new(usd + 0.0).encode(family.encode_family(&labels)?)?;
        }
    }
    Ok(())
}

/// What is unknown or old, with the class of what failed last.
fn failures(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let mut family = catalogue::FAILURE.begin(encoder)?;
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

/// What is wrong, by kind; nothing where nothing is. A kind may be there once for each server.
fn verdict(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    gauge(encoder, &catalogue::VERDICT, snapshot.verdict.severity as u64)?;
    let mut family = catalogue::TROUBLE.begin(encoder)?;
    let mut counts: BTreeMap<[(&str, &str); 3], u64> = BTreeMap::new();
    for trouble in &snapshot.verdict.troubles {
        let runner = trouble.runner.as_ref().map_or("", |runner| runner.as_str());
        let (kind, severity) = (trouble.reason.reason.kind(), trouble.severity.as_str());
        *counts.entry([("runner", runner), ("kind", kind), ("severity", severity)]).or_default() += 1;
    }
    counts.into_iter().try_for_each(|(labels, count)| ConstGauge::new(count).encode(family.encode_family(&labels)?))
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
    gauge(encoder, &catalogue::EC2_KNOWN, u64::from(snapshot.ec2.is_known()))?;
    gauge(encoder, &catalogue::EC2_STALE_SECONDS, ec2_age)?;
    gauge(encoder, &catalogue::COST_USD_PER_HOUR, snapshot.costs.usd_per_hour)?;
    gauge(encoder, &catalogue::WORKERS_UNPRICED, u64::from(snapshot.costs.unpriced_workers))?;
    gauge(encoder, &catalogue::JOBS_UNMATCHED, unmatched)?;
    gauge(encoder, &catalogue::JOB_WAIT_SECONDS_MAX, longest)?;
    gauge(encoder, &catalogue::LAST_STEP, snapshot.at.as_duration().as_secs_f64())
}

fn gauge<N>(encoder: &mut DescriptorEncoder<'_>, what: &Described, value: N) -> fmt::Result
where
    ConstGauge<N>: EncodeMetric,
{
    ConstGauge::new(value).encode(what.begin(encoder)?)
}

fn totals(encoder: &mut DescriptorEncoder<'_>, snapshot: &FleetSnapshot) -> fmt::Result {
    let totals = snapshot.totals;
    for (described, value) in [
        (catalogue::WORKERS_LAUNCHED, totals.workers_launched),
        (catalogue::LAUNCHES_SHORT, totals.launches_short),
        (catalogue::WORKERS_TERMINATED, totals.workers_terminated),
        (catalogue::WORKERS_UNFIT, totals.unfit),
        (catalogue::LAWS_BROKEN, totals.laws_broken),
    ] {
        ConstCounter::new(value).encode(described.begin(encoder)?)?;
    }
    let mut disobeyed = catalogue::DISOBEYED.begin(encoder)?;
    for (reason, value) in [
        ("fence-failed", totals.fences_failed),
        ("request-stuck", totals.requests_stuck),
        ("stop-failed", totals.stops_failed),
    ] {
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
            outlook: Default::default(),
            promise: Default::default(),
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

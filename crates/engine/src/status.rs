//! The [`FleetSnapshot`], built from what the engine knows: every reason as data and in words.

use std::collections::BTreeMap;

use super::cooldown::Openness;
use super::demand::Demand;
use super::event::ConnectionFailure;
use super::explained::Explained;
use super::failure::Failure;
use super::held_back::HeldBack;
use super::ids::RunnerName;
use super::job::Knowledge;
use super::money::UsdPerHour;
use super::offering::{Market, Offering};
use super::placement;
use super::prices::{self, OverPriceCap};
use super::settings::{IdleCount, RunnerSettings};
use super::snapshot::{Costs, FleetSnapshot, Outlook, Promise, RunnerSnapshot, WorkerSnapshot, WorkerState};
use super::state::Engine;
use super::time::{before, since};
use super::waits::WorkerReason;
use super::why;
use super::worker::{EcrError, Health};
use super::workers::{Worker, WorkerStatus};

/// The engine's snapshot after its last step.
pub(super) fn snapshot(engine: &Engine) -> FleetSnapshot {
    let mut workers: Vec<WorkerSnapshot> =
        engine.fleet.workers.values().map(|worker| worker_snapshot(engine, worker)).collect();
    workers.sort_by(|one, other| (&one.runner, other.age, &one.id).cmp(&(&other.runner, one.age, &other.id)));
    let (jobs, waiting) = why::jobs(engine);
    let costs = costs(engine, &workers);
    FleetSnapshot {
        version: 1,
        at: engine.now,
        verdict: engine.troubles.verdict(engine.now),
        ec2: engine.listing.knowledge(engine.now),
        runners: runners(engine),
        workers,
        jobs,
        waiting,
        decisions: engine.journal.newest(),
        totals: engine.journal.totals,
        costs,
        ledger: engine.ledger.snapshot(engine.now),
        prices: engine.prices.knowledge(engine.now),
    }
}

fn costs(engine: &Engine, workers: &[WorkerSnapshot]) -> Costs {
    // EC2 takes no more for a spot instance than for the same one on demand, unless somebody bids more.
    let at_most = |worker: &WorkerSnapshot| {
        let on_demand = |market| engine.prices.hourly(market, &worker.instance_type, &worker.zone, engine.now);
        worker.usd_per_hour.or_else(|| on_demand(Market::OnDemand))
    };
    let mut sum = Costs { usd_per_hour_at_most: workers.iter().map(at_most).sum(), ..Costs::default() };
    for worker in workers {
        match worker.usd_per_hour {
            Some(price) => sum.usd_per_hour += price,
            None => sum.unpriced_workers += 1,
        }
    }
    sum
}

fn runners(engine: &Engine) -> Vec<RunnerSnapshot> {
    let configured = engine.settings.iter().flat_map(|settings| &settings.runners);
    let mut views: Vec<RunnerSnapshot> = configured
        .filter_map(|runner| Some(runner_snapshot(engine, runner, engine.assessment.demands.get(&runner.name)?)))
        .collect();
    let mut orphans: BTreeMap<&RunnerName, u32> = BTreeMap::new();
    for worker in engine.fleet.workers.values() {
        if !views.iter().any(|snapshot| snapshot.name == worker.instance.runner) {
            *orphans.entry(&worker.instance.runner).or_default() += 1;
        }
    }
    views.extend(orphans.into_iter().map(|(name, workers)| RunnerSnapshot {
        name: name.clone(),
        // It has none to read any more.
        queue: Knowledge::Known,
        projects_blind: 0,
        facts: Knowledge::Known,
        token_end: None,
        launch_plan: Knowledge::Known,
        running: 0,
        waiting: Some(0),
        idle_wanted: 0,
        idle_ready: 0,
        workers,
        // What nobody configures any more takes no jobs.
        slots: 0,
        max_workers: 0,
        held_back: Some(Explained::at(engine.now, HeldBack::Removed)),
        paused: false,
        forecast: None,
        over_price_cap: Vec::new(),
        outlook: Outlook::default(),
        promise: Promise::default(),
    }));
    views
}

fn runner_snapshot(engine: &Engine, runner: &RunnerSettings, demand: &Demand) -> RunnerSnapshot {
    let Demand { policy, queue, supply, wanted, .. } = demand;
    let known = engine.runners.get(&runner.name);
    let awaited = || Knowledge::Unknown { failure: Failure::awaited("the next step") };
    let serving =
        engine.fleet.workers.values().filter(|worker| {
            worker.instance.runner == runner.name && worker.status(engine.now) == WorkerStatus::Serving
        });
    let there = engine.fleet.workers.values().filter(|worker| worker.instance.runner == runner.name).count();
    let there = u32::try_from(there).unwrap_or(u32::MAX);
    let kept = engine.promises.get(&runner.name).cloned().unwrap_or_default();
    let promise = kept.told(runner.idle.target_wait, engine.now);
    RunnerSnapshot {
        name: runner.name.clone(),
        queue: queue.clone(),
        projects_blind: engine.queues.get(&runner.server).map_or(0, |queue| queue.blind()),
        facts: known.map_or_else(awaited, |known| known.facts.knowledge(engine.now)),
        token_end: known.and_then(|known| known.facts.known()).and_then(|facts| facts.token_end),
        launch_plan: known.map_or_else(awaited, |known| known.plan.knowledge(engine.now)),
        running: supply.running,
        waiting: demand.jobs_waiting(runner),
        idle_wanted: wanted.idle,
        idle_ready: serving.map(|worker| runner.capacity.saturating_sub(worker.jobs())).sum(),
        workers: supply.workers,
        slots: there.saturating_mul(runner.capacity),
        max_workers: policy.max_workers,
        held_back: engine.held_back.get(&runner.name).map(|why| Explained::at(engine.now, why.clone())),
        paused: known.is_some_and(|known| known.paused),
        forecast: (policy.idle.count == IdleCount::Auto).then(|| forecast(engine, runner, &promise)).flatten(),
        over_price_cap: over_price_cap(engine, runner),
        outlook: outlook(engine, runner),
        promise,
    }
}

/// How many slots are kept ready, why, and whether that was enough so far: a forecast cannot reach everything.
fn forecast(engine: &Engine, runner: &RunnerSettings, promise: &Promise) -> Option<String> {
    let why = engine.forecasts.why(&runner.name)?;
    Some(promise.reached().map_or_else(|| why.clone(), |reached| format!("{why}; {reached}")))
}

/// What a launch would meet now.
fn outlook(engine: &Engine, runner: &RunnerSettings) -> Outlook {
    let known = engine.runners.get(&runner.name);
    let places = known.and_then(|known| known.plan.known()).map(|plan| plan.places.as_slice()).unwrap_or_default();
    let is_closed = |offering: &Offering| {
        matches!(engine.cooldowns.openness(offering, engine.now), Openness::Closed { .. } | Openness::Probe)
    };
    let cooling = places.iter().filter(|place| is_closed(&place.on(runner.market))).count();
    let wants = runner.idle.count == IdleCount::Auto;
    Outlook {
        breaker_open_until: known.and_then(|known| known.breaker_open_until(engine.now)),
        offerings: u32::try_from(places.len()).unwrap_or(u32::MAX),
        offerings_cooling: u32::try_from(cooling).unwrap_or(u32::MAX),
        forecast_slots: wants.then(|| engine.forecasts.slots(&runner.name)),
    }
}

/// The spot offers that a launch now would leave out for their price.
fn over_price_cap(engine: &Engine, runner: &RunnerSettings) -> Vec<Explained<OverPriceCap>> {
    let plan = engine.runners.get(&runner.name).and_then(|known| known.plan.known());
    let Some(plan) = plan.filter(|_| runner.market == Market::Spot) else { return Vec::new() };
    let offerings: Vec<Offering> = plan.places.iter().map(|place| place.on(Market::Spot)).collect();
    let max = runner.spot_max_price.as_ref().map(UsdPerHour::value);
    let over = placement::over_price_cap(&offerings, max, &engine.prices, engine.now);
    over.into_iter().map(|offer| Explained::at(engine.now, offer)).collect()
}

fn worker_snapshot(engine: &Engine, worker: &Worker) -> WorkerSnapshot {
    let status = worker.status(engine.now);
    let jobs = worker.jobs();
    let state = match status {
        WorkerStatus::Booting => WorkerState::Booting,
        WorkerStatus::Serving if jobs > 0 => WorkerState::Busy,
        WorkerStatus::Serving => WorkerState::Idle,
        WorkerStatus::Draining => WorkerState::Draining,
        WorkerStatus::Unreachable => WorkerState::Unreachable,
        WorkerStatus::Ending => WorkerState::Terminating,
    };
    let instance = &worker.instance;
    let usd_per_hour = engine.prices.hourly(instance.market, &instance.instance_type, &instance.zone, engine.now);
    let age = worker.age(engine.now);
    WorkerSnapshot {
        id: instance.id.clone(),
        runner: instance.runner.clone(),
        state,
        reason: reason(engine, worker, status).map(|reason| Explained::at(engine.now, reason)),
        phase: worker.report().map(|report| report.phase.clone()),
        jobs,
        job_ids: worker.report().map(|report| report.job_ids.iter().copied().collect()).unwrap_or_default(),
        age,
        idle: worker.idle(engine.now).filter(|_| status == WorkerStatus::Serving),
        instance_type: instance.instance_type.clone(),
        zone: instance.zone.clone(),
        market: instance.market,
        usd_per_hour,
        usd_estimated: usd_per_hour.map(|price| prices::cost(price, age)),
        hold: instance.hold,
        ecr_error: worker.report().and_then(|report| recent(engine, report.ecr_error.as_ref()?)),
    }
}

/// How long a failed ECR login is shown. The helper says when it fails, not when it works again: an hour is long enough to
/// find a job that has just failed, and short enough for yesterday's mistake to be forgotten.
const ECR_ERROR_SHOWN: std::time::Duration = std::time::Duration::from_secs(3600);

fn recent(engine: &Engine, error: &EcrError) -> Option<EcrError> {
    let is_recent = error.at.is_none_or(|at| since(engine.now, at) < ECR_ERROR_SHOWN);
    is_recent.then(|| error.clone())
}

fn reason(engine: &Engine, worker: &Worker, status: WorkerStatus) -> Option<WorkerReason> {
    let failure = worker.failure().cloned();
    match status {
        WorkerStatus::Booting => Some(match failure {
            Some(failure @ (ConnectionFailure::WrongHostKey(_) | ConnectionFailure::Refused(_))) => {
                WorkerReason::NotLetIn { failure }
            }
            failure @ (Some(ConnectionFailure::Unreachable(_)) | None) => {
                let since = before(engine.now, worker.age(engine.now));
                WorkerReason::Booting { since, step: worker.boot_step(), failure }
            }
        }),
        WorkerStatus::Serving => None,
        WorkerStatus::Draining => worker.drain().map(|drain| WorkerReason::Draining { because: drain.reason.clone() }),
        WorkerStatus::Unreachable => {
            let since = worker.silent_since(engine.now).unwrap_or(engine.now);
            // It is never ended on a guess: it may be running a job.
            let healthy = worker.instance.health == Health::Ok;
            Some(WorkerReason::Silent { since, failure, healthy })
        }
        WorkerStatus::Ending => worker.ending().map(|ending| WorkerReason::Ending { because: ending.reason.clone() }),
    }
}

//! What one look at the fleet shows of each runner, and of all: the numbers that are known then, and no others.

use std::collections::BTreeMap;

use runner_fleet_engine::snapshot::{RunnerSnapshot, WorkerSnapshot, WorkerState};
use runner_fleet_engine::{FleetSnapshot, Knowledge, Market, RunnerName};

use super::number::Number;

/// Whom a row is about: one runner, or (`None`) all of them.
pub(super) type Scope = Option<RunnerName>;

/// The known numbers of one look.
pub(super) type Sample = Vec<(Number, f64)>;

/// What this snapshot shows.
pub(super) fn samples(snapshot: &FleetSnapshot) -> BTreeMap<Scope, Sample> {
    let scopes = std::iter::once(None).chain(snapshot.runners.iter().map(|runner| Some(runner.name.clone())));
    let mut workers: BTreeMap<Scope, Workers> = scopes.map(|scope| (scope, Workers::default())).collect();
    for worker in &snapshot.workers {
        for scope in [None, Some(worker.runner.clone())] {
            workers.entry(scope).or_default().take(worker);
        }
    }
    let sample = |(scope, workers): (Scope, Workers)| {
        let known = numbers(snapshot, scope.as_ref(), &workers);
        (scope, known.into_iter().filter_map(|(number, value)| Some((number, value?))).collect())
    };
    workers.into_iter().map(sample).collect()
}

fn numbers(snapshot: &FleetSnapshot, scope: Option<&RunnerName>, workers: &Workers) -> [(Number, Option<f64>); 9] {
    let meant = || snapshot.runners.iter().filter(|one| scope.is_none_or(|name| *name == one.name));
    // Before the first listing nobody knows which workers there are.
    let listed = |value: f64| (!matches!(snapshot.ec2, Knowledge::Unknown { .. })).then_some(value);
    let sum = |read: fn(&RunnerSnapshot) -> u32| listed(meant().map(|one| f64::from(read(one))).sum());
    let (waiting, longest) = match scope {
        None => all_waits(snapshot),
        Some(name) => waits_of(snapshot, name),
    };
    [
        (Number::SlotsPaid, sum(|one| one.slots)),
        (Number::SlotsAtWork, sum(|one| one.running)),
        (Number::SlotsIdle, sum(|one| one.idle_ready)),
        (Number::WorkersBooting, listed(workers.booting.into())),
        (Number::JobsWaiting, waiting),
        (Number::LongestWaitSeconds, longest),
        (Number::UsdPerHourSpot, workers.spot.and_then(listed)),
        (Number::UsdPerHourOnDemand, workers.on_demand.and_then(listed)),
        (Number::UsdPerHourIdle, workers.idle.and_then(listed)),
    ]
}

/// How many wait, and the longest wait, where every queue was read lately.
fn all_waits(snapshot: &FleetSnapshot) -> (Option<f64>, Option<f64>) {
    let waiting = &snapshot.waiting;
    let known = waiting.complete.then_some(waiting);
    (known.map(|all| all.total.into()), known.map(|all| all.longest.as_secs_f64()))
}

/// The same of one runner. The snapshot does not name every waiting job: of one that it leaves out nothing is known.
fn waits_of(snapshot: &FleetSnapshot, name: &RunnerName) -> (Option<f64>, Option<f64>) {
    let waiting = snapshot.runners.iter().find(|one| one.name == *name).and_then(|one| one.waiting);
    let jobs = snapshot.jobs.iter().filter(|job| job.runner.as_ref() == Some(name));
    let longest = jobs.map(|job| job.waited.as_secs_f64()).reduce(f64::max);
    let longest = match waiting {
        Some(0) => Some(0.0),
        Some(_) => longest,
        None => None,
    };
    (waiting.map(f64::from), longest)
}

/// What is summed up over workers.
struct Workers {
    booting: u32,
    /// Of each kind the USD an hour; `None`: the price of one is not known.
    spot: Option<f64>,
    on_demand: Option<f64>,
    idle: Option<f64>,
}

impl Default for Workers {
    fn default() -> Self {
        Self { booting: 0, spot: Some(0.0), on_demand: Some(0.0), idle: Some(0.0) }
    }
}

impl Workers {
    fn take(&mut self, worker: &WorkerSnapshot) {
        let more = |sum: Option<f64>| Some(sum? + worker.usd_per_hour?);
        match worker.market {
            Market::Spot => self.spot = more(self.spot),
            Market::OnDemand => self.on_demand = more(self.on_demand),
        }
        match worker.state {
            WorkerState::Idle => self.idle = more(self.idle),
            WorkerState::Booting => self.booting += 1,
            WorkerState::Busy | WorkerState::Draining | WorkerState::Terminating | WorkerState::Unreachable => {}
        }
    }
}

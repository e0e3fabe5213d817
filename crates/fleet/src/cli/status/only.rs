//! The part of a snapshot that concerns one runner.

use runner_fleet_engine::snapshot::{Costs, Waiting};
use runner_fleet_engine::{FleetSnapshot, RunnerName, Trouble, Verdict};

use super::super::CliError;

/// What concerns the runner of this name.
///
/// # Errors
/// There is no such runner.
pub(super) fn only(mut snapshot: FleetSnapshot, name: &str) -> Result<FleetSnapshot, CliError> {
    let name = &RunnerName::new(name);
    if !snapshot.runners.iter().any(|runner| runner.name == *name) {
        let names: Vec<&str> = snapshot.runners.iter().map(|runner| runner.name.as_str()).collect();
        let known = if names.is_empty() { "none yet".to_owned() } else { names.join(", ") };
        return Err(CliError::BadUsage(format!("no runner is named {name}; there is: {known}")));
    }
    snapshot.runners.retain(|runner| runner.name == *name);
    snapshot.workers.retain(|worker| worker.runner == *name);
    let concerns = |trouble: &Trouble| trouble.runner.as_ref().is_none_or(|runner| runner == name);
    snapshot.verdict = Verdict::of(snapshot.verdict.troubles.into_iter().filter(concerns).collect());
    snapshot.jobs.retain(|job| job.runner.as_ref() == Some(name));
    let of_it = |id| snapshot.workers.iter().any(|worker| worker.id == id);
    snapshot
        .decisions
        .retain(|decision| decision.runner.as_ref() == Some(name) || decision.worker.clone().is_some_and(of_it));
    let runner = snapshot.runners.first();
    snapshot.waiting = Waiting {
        complete: runner.is_some_and(|runner| runner.queue.is_known()),
        total: u32::try_from(snapshot.jobs.len()).unwrap_or(u32::MAX),
        unmatched: 0,
        longest: snapshot.jobs.iter().map(|job| job.waited).max().unwrap_or_default(),
    };
    let priced: Vec<f64> = snapshot.workers.iter().filter_map(|worker| worker.usd_per_hour).collect();
    let unpriced = snapshot.workers.len() - priced.len();
    let usd_per_hour = priced.iter().sum();
    snapshot.costs = Costs {
        usd_per_hour,
        unpriced_workers: u32::try_from(unpriced).unwrap_or(u32::MAX),
        // The prices on demand are not part of the snapshot.
        usd_per_hour_at_most: (unpriced == 0).then_some(usd_per_hour),
    };
    snapshot.ledger = snapshot.ledger.of_runner(name);
    Ok(snapshot)
}

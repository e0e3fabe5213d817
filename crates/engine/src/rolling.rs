//! Workers that are replaced although they work: made from an older configuration, too old, or about to be taken back.
//!
//! They go a few at a time, at most a tenth of their runner's workers (and at least one), idle ones first, the oldest
//! first; those that finish a job, which may take hours, keep no idle one waiting. An idle one that the idle policy needs
//! goes only when its replacement is ready: a replacement is wanted first, as long as `max_workers` and `concurrent` have
//! room for it; where they have none, it goes first. A busy one finishes what it runs. One that is merely too old goes
//! when it is idle.

use jiff::Timestamp;

use super::demand::Demand;
use super::fleet::Fleet;
use super::ids::ConfigHash;
use super::outdated::{at_once, is_rolled, outdated};
use super::settings::RunnerSettings;
use super::workers::WorkerStatus;

/// Begins the drains of a runner's outdated workers.
pub(crate) fn roll(
    fleet: &mut Fleet,
    section: &RunnerSettings,
    demand: &Demand,
    wants: Option<&ConfigHash>,
    now: Timestamp,
) {
    if demand.supply.outdated == 0 {
        return;
    }
    let (mut ready, mut candidates) = (0, Vec::new());
    let (limit, mut going, mut going_idle) = (at_once(demand.supply.workers), 0, 0);
    for worker in fleet.workers.values_mut().filter(|worker| worker.instance.runner == section.name) {
        if is_rolled(worker) {
            going += 1;
            going_idle += u32::from(worker.jobs() == 0);
        }
        if worker.status(now) == WorkerStatus::Serving {
            ready += section.capacity.max(worker.jobs());
            if let Some(reason) = outdated(worker, section, wants, now) {
                candidates.push((worker, reason));
            }
        }
    }
    candidates.sort_by_key(|(worker, _)| (worker.jobs() > 0, worker.instance.launched_at, worker.instance.id.clone()));
    let mut spare = ready.saturating_sub(demand.needed());
    for (worker, reason) in candidates {
        let is_idle = worker.jobs() == 0;
        let before = if is_idle { going_idle } else { going };
        if before >= limit {
            continue;
        }
        let free = section.capacity.saturating_sub(worker.jobs());
        // What is ready beyond what is needed is its replacement; where none is wanted first, nothing is waited for.
        if is_idle && demand.wanted.replacements > 0 && spare < free {
            break;
        }
        going += 1;
        going_idle += u32::from(is_idle);
        spare = spare.saturating_sub(free);
        worker.begin_drain(reason, now);
    }
}

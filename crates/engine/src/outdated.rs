//! Which workers should be replaced although they work, and how many of them at one time.

use jiff::Timestamp;

use super::ids::ConfigHash;
use super::reason::DrainReason;
use super::settings::RunnerSettings;
use super::workers::Worker;

/// How many workers of so many may be on their way to being replaced at one time.
pub(crate) fn at_once(workers: u32) -> u32 {
    (workers / 10).max(1)
}

/// Whether it is on its way out because it is to be replaced.
pub(crate) fn is_rolled(worker: &Worker) -> bool {
    let is_replacement = |reason: &DrainReason| {
        matches!(reason, DrainReason::Drift { .. } | DrainReason::Rebalance | DrainReason::Age { .. })
    };
    worker.drain().is_some_and(|drain| is_replacement(&drain.reason))
}

/// Why this worker should be replaced, if it should. `wants` is the configuration that a worker launched now has.
pub(crate) fn outdated(
    worker: &Worker,
    section: &RunnerSettings,
    wants: Option<&ConfigHash>,
    now: Timestamp,
) -> Option<DrainReason> {
    if worker.instance.hold {
        return None;
    }
    let has = &worker.instance.config;
    if let Some(wants) = wants.filter(|wants| *wants != has) {
        return Some(DrainReason::Drift { has: has.clone(), wants: wants.clone() });
    }
    if worker.report().is_some_and(|report| report.rebalance) {
        return Some(DrainReason::Rebalance);
    }
    let age = worker.age(now);
    (worker.idle(now).is_some() && age >= section.max_age).then_some(DrainReason::Age { age })
}

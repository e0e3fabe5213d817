//! What a runner has: its workers as they are now, and the launches that may still bring some.

use jiff::Timestamp;

use super::cooldown::Cooldowns;
use super::fleet::Fleet;
use super::outdated::{is_rolled, outdated};
use super::placement::{Request, is_offered};
use super::prices::Prices;
use super::runner::Runner;
use super::settings::RunnerSettings;
use super::workers::WorkerStatus;

/// The slots and workers of one runner. Launches in flight are counted as workers that boot.
#[derive(Clone, Debug)]
pub(crate) struct Supply {
    /// Jobs on workers that take jobs.
    pub(crate) running: u32,
    /// Slots that take jobs or are coming.
    pub(crate) slots: u32,
    /// Workers that boot.
    pub(crate) booting: u32,
    /// Workers not yet terminated.
    pub(crate) workers: u32,
    /// Workers that take jobs and should be replaced.
    pub(crate) outdated: u32,
    /// Workers without a job that are on their way out because they are to be replaced.
    pub(crate) rolling: u32,
    /// Workers not yet terminated that take no more jobs, or are out of reach: they fill the ceilings until they are gone.
    pub(crate) leaving: u32,
    /// Slots of workers that nothing here can end now: held by a person, or out of reach.
    pub(crate) fixed: u32,
    /// The longest queue that GitLab has told its runners with a job lately: all there is to know where no queue is read,
    /// and 0 where one is.
    pub(crate) queue_hint: u32,
    /// Whether a launch for it could be made now, its ceilings aside.
    pub(crate) can_grow: bool,
}

/// What decides whether a launch could be made.
#[derive(Clone, Copy)]
pub(crate) struct Offers<'a> {
    pub(crate) cooldowns: &'a Cooldowns,
    pub(crate) prices: &'a Prices,
}

impl Supply {
    /// Counts what this runner has now.
    pub(crate) fn of(
        fleet: &Fleet,
        known: Option<&Runner>,
        offers: Offers<'_>,
        runner: &RunnerSettings,
        now: Timestamp,
    ) -> Self {
        let coming = fleet.coming(&runner.name);
        let mut supply = Self {
            running: 0,
            slots: coming.saturating_mul(runner.capacity),
            booting: coming,
            workers: coming,
            outdated: 0,
            rolling: 0,
            leaving: 0,
            fixed: 0,
            queue_hint: 0,
            can_grow: known.is_some_and(|known| can_grow(known, offers, runner, now)),
        };
        let wants = known.and_then(|known| known.plan.known()).map(|plan| &plan.config);
        for worker in fleet.workers.values().filter(|worker| worker.instance.runner == runner.name) {
            supply.workers += 1;
            let status = worker.status(now);
            if is_fixed(worker.instance.hold, status) {
                supply.fixed = supply.fixed.saturating_add(runner.capacity);
            }
            supply.rolling += u32::from(is_rolled(worker) && worker.jobs() == 0);
            match status {
                WorkerStatus::Booting => {
                    supply.booting += 1;
                    supply.slots = supply.slots.saturating_add(runner.capacity);
                }
                WorkerStatus::Serving => {
                    supply.running = supply.running.saturating_add(worker.jobs());
                    supply.slots = supply.slots.saturating_add(runner.capacity.max(worker.jobs()));
                    supply.outdated += u32::from(outdated(worker, runner, wants, now).is_some());
                }
                WorkerStatus::Draining | WorkerStatus::Unreachable | WorkerStatus::Ending => supply.leaving += 1,
            }
            if !runner.sees_queue {
                supply.queue_hint = supply.queue_hint.max(worker.queue_hint(now));
            }
        }
        supply
    }

    /// Slots that take jobs or are coming, beyond the jobs that run.
    pub(crate) fn free(&self) -> u32 {
        self.slots.saturating_sub(self.running)
    }
}

/// Whether nothing that is decided here can end it now.
pub(crate) fn is_fixed(hold: bool, status: WorkerStatus) -> bool {
    hold || status == WorkerStatus::Unreachable
}

fn can_grow(known: &Runner, offers: Offers<'_>, runner: &RunnerSettings, now: Timestamp) -> bool {
    let Some(plan) = known.plan.known() else { return false };
    !known.paused
        && known.over_budget.is_none()
        && known.refused.closed_until(now).is_none()
        && known.breaker_open_until(now).is_none()
        && is_offered(&plan.places, Request::of(runner, 1), offers.cooldowns, offers.prices, now)
}

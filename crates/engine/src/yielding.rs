//! Room under `concurrent` for those who have less than their share of it.
//!
//! Where `concurrent` keeps a runner's jobs waiting, workers of the others go until what is on its way out makes room
//! for one worker: first idle ones that their own jobs do not need, whatever the idle policy wants; then, while the
//! waiting runner has less than its fair share, those of runners that have more than theirs, the emptiest first. They
//! are drained like all others: what they run, they finish. Nobody is brought below its own share.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::demand::{Assessment, Demand};
use super::fleet::Fleet;
use super::held_back::HeldBack;
use super::ids::{RunnerName, WorkerId};
use super::reason::DrainReason;
use super::settings::Settings;
use super::time::since;
use super::workers::{Worker, WorkerStatus};

/// How long a busy worker that yields may take to end. One whose job takes longer is not waited for: another
/// yields too, as long as its runner stays above its share.
const PATIENCE: Duration = Duration::from_secs(120);

/// Decides who yields.
pub(crate) struct Yielding<'a> {
    pub(crate) now: Timestamp,
    pub(crate) settings: &'a Settings,
    pub(crate) fleet: &'a mut Fleet,
    /// What held the last step's launches back.
    pub(crate) held_back: &'a BTreeMap<RunnerName, HeldBack>,
}

/// What a runner can give away, in slots, counted down while its workers yield.
struct Means {
    /// Beyond its own jobs.
    spare: u32,
    /// Beyond its fair share.
    excess: u32,
}

impl Means {
    fn of(demand: &Demand) -> Self {
        let Demand { supply, wanted, .. } = demand;
        Self { spare: supply.free().saturating_sub(wanted.waiting), excess: supply.slots.saturating_sub(wanted.share) }
    }
}

impl Yielding<'_> {
    /// Begins the drains that make room.
    pub(crate) fn make_room(&mut self, assessment: &Assessment) {
        let crowded_out = self.crowded_out(assessment);
        if crowded_out.is_empty() {
            return;
        }
        let mut means: BTreeMap<&RunnerName, Means> =
            assessment.demands.iter().map(|(name, demand)| (name, Means::of(demand))).collect();
        let mut room = self.settings.concurrent.saturating_sub(self.fleet.slots(self.settings)) + self.leaving();
        for (to, demand) in crowded_out {
            let size = self.fleet.capacity_of(self.settings, to);
            // Room for one worker at a time. What has just become free, or soon will, is enough.
            if room < size {
                let below_share = demand.supply.slots + size <= demand.wanted.share;
                room += self.ask(to, size - room, below_share, &mut means);
            }
            room = room.saturating_sub(size);
        }
    }

    /// Runners whose waiting jobs found no room in the last step and find none now, those with the fewest slots first.
    fn crowded_out<'a>(&self, assessment: &'a Assessment) -> Vec<(&'a RunnerName, &'a Demand)> {
        let by_file = |name: &RunnerName| self.settings.runners.iter().position(|section| section.name == *name);
        let mut crowded_out: Vec<_> = assessment
            .demands
            .iter()
            .filter(|(name, _)| matches!(self.held_back.get(*name), Some(HeldBack::Concurrent { .. })))
            .filter(|(_, demand)| demand.missing_for_jobs() > 0)
            .collect();
        crowded_out.sort_by_key(|(name, demand)| (demand.supply.slots, by_file(name)));
        crowded_out
    }

    /// Slots of workers that end soon.
    fn leaving(&self) -> u32 {
        let leaves = |worker: &&Worker| match worker.status(self.now) {
            WorkerStatus::Ending => true,
            WorkerStatus::Draining => {
                let waited = worker.drain().map_or(Duration::ZERO, |drain| since(self.now, drain.begun_at));
                worker.jobs() == 0 || waited < PATIENCE
            }
            WorkerStatus::Booting | WorkerStatus::Serving | WorkerStatus::Unreachable => false,
        };
        let workers = self.fleet.workers.values().filter(leaves);
        workers.map(|worker| self.fleet.capacity_of(self.settings, &worker.instance.runner)).sum()
    }

    /// Drains workers of others until `needed` slots are on their way out; returns how many are.
    fn ask(
        &mut self,
        to: &RunnerName,
        needed: u32,
        below_share: bool,
        means: &mut BTreeMap<&RunnerName, Means>,
    ) -> u32 {
        let mut candidates: Vec<(bool, u32, Reverse<Duration>, &WorkerId, &mut Worker)> = self
            .fleet
            .workers
            .iter_mut()
            .filter(|(_, worker)| worker.instance.runner != *to && !worker.instance.hold)
            .filter(|(_, worker)| worker.status(self.now) == WorkerStatus::Serving)
            .map(|(id, worker)| {
                let idle = worker.idle(self.now);
                (idle.is_none(), worker.jobs(), Reverse(idle.unwrap_or_default()), id, worker)
            })
            .collect();
        candidates.sort_by(|one, other| (one.0, one.1, one.2, one.3).cmp(&(other.0, other.1, other.2, other.3)));
        let mut made = 0;
        for (is_busy, _, _, _, worker) in candidates {
            if made >= needed {
                break;
            }
            // Only runners that are configured have means.
            let size = self.settings.capacity_of(&worker.instance.runner).unwrap_or(1);
            let Some(means) = means.get_mut(&worker.instance.runner) else { continue };
            let is_spare = !is_busy && means.spare >= size;
            let is_excess = below_share && means.excess >= size;
            if is_spare || is_excess {
                means.spare = means.spare.saturating_sub(size);
                means.excess = means.excess.saturating_sub(size);
                made += size;
                worker.begin_drain(DrainReason::Yields { to: to.clone() }, self.now);
            }
        }
        made
    }
}

//! How many slots each runner needs, and how many there are or are coming.
//!
//! For each runner: the jobs that run, the jobs that wait and are counted for it, and the free slots that its policy
//! wants. Every waiting job is counted once, among the runners that may take it in file order: for the first that has a
//! slot free or coming; else for the first that can launch one, its ceiling, its boots and what EC2 offers considered;
//! else for the first. So a job neither launches a worker where another's stands idle, nor waits for a runner that gets
//! none while another could.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::cooldown::Cooldowns;
use super::fleet::Fleet;
use super::forecast::Forecasts;
use super::ids::{JobId, RunnerName, Server};
use super::job::{Knowledge, PendingJob};
use super::matching::{is_open_to, tags_fit};
use super::outdated::{at_once, is_rolled, outdated};
use super::placement::{Request, is_offered};
use super::prices::Prices;
use super::quarantine::Quarantine;
use super::queue::Queue;
use super::runner::Runner;
use super::schedule::{Policy, policy_at};
use super::settings::{IdleCount, RunnerSettings, Settings};
use super::shares::{Claim, share};
use super::trouble::Trouble;
use super::workers::{Worker, WorkerStatus};

/// What one runner needs and has.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// The policy in force.
    pub(crate) policy: Policy,
    /// What is known of its queue; `Known` for a runner that has none to read.
    pub(crate) queue: Knowledge,
    /// Whether the absence of waiting jobs can be believed.
    pub(crate) complete: bool,
    /// Jobs on workers that take jobs.
    pub(crate) running: u32,
    /// Jobs that wait and are counted for it.
    pub(crate) waiting: u32,
    /// Free slots that the policy wants.
    pub(crate) idle_wanted: u32,
    /// Slots wanted for the replacements of outdated workers, which the idle policy needs until those are ready.
    pub(crate) replacements: u32,
    /// Workers that take jobs and should be replaced.
    pub(crate) outdated: u32,
    /// Workers without a job that are on their way out because they are to be replaced.
    pub(crate) rolling: u32,
    /// Workers not yet terminated that take no more jobs, or are out of reach: they fill the ceilings until they are gone.
    pub(crate) leaving: u32,
    /// Slots that take jobs or are coming.
    pub(crate) slots: u32,
    /// Workers that boot, launches in flight included.
    pub(crate) booting: u32,
    /// Workers not yet terminated, launches in flight included.
    pub(crate) workers: u32,
    /// Whether a launch for it could be made now, its ceilings aside.
    pub(crate) can_grow: bool,
    /// Slots of workers that nothing here can end now: held by a person, or out of reach.
    pub(crate) fixed: u32,
    /// Slots under `concurrent` that are its fair share, by the jobs that run and wait.
    pub(crate) share: u32,
}

impl Demand {
    /// Slots missing for jobs that wait now.
    pub(crate) fn missing_for_jobs(&self) -> u32 {
        (self.running + self.waiting).saturating_sub(self.slots)
    }

    /// Slots needed by jobs and by the idle policy.
    pub(crate) fn needed(&self) -> u32 {
        self.running + self.waiting + self.idle_wanted
    }

    /// All slots wanted.
    pub(crate) fn wanted(&self) -> u32 {
        self.needed() + self.replacements
    }

    /// Slots missing in all.
    pub(crate) fn missing(&self) -> u32 {
        self.wanted().saturating_sub(self.slots)
    }

    /// Slots beyond what is wanted.
    pub(crate) fn surplus(&self) -> u32 {
        self.slots.saturating_sub(self.wanted())
    }
}

/// The demand of every configured runner, and which waiting job is counted for which.
#[derive(Clone, Debug, Default)]
pub(crate) struct Assessment {
    pub(crate) demands: BTreeMap<RunnerName, Demand>,
}

/// What the assessment looks at.
#[derive(Clone, Copy)]
pub(crate) struct Scene<'a> {
    pub(crate) settings: &'a Settings,
    pub(crate) runners: &'a BTreeMap<RunnerName, Runner>,
    pub(crate) queues: &'a BTreeMap<Server, Queue>,
    pub(crate) fleet: &'a Fleet,
    pub(crate) quarantine: &'a Quarantine,
    pub(crate) cooldowns: &'a Cooldowns,
    pub(crate) prices: &'a Prices,
    pub(crate) forecasts: &'a Forecasts,
}

/// Works out every runner's demand at `now`.
pub(crate) fn assess(scene: Scene<'_>, now: Timestamp) -> Assessment {
    let mut demands: BTreeMap<RunnerName, Demand> = scene
        .settings
        .runners
        .iter()
        .map(|runner| (runner.name.clone(), demand_without_jobs(scene, runner, now)))
        .collect();
    for (server, waiting) in waiting_by_server(scene, now) {
        count_waiting(scene, server, waiting, &mut demands, now);
    }
    for runner in &scene.settings.runners {
        if let Some(demand) = demands.get_mut(&runner.name) {
            settle(scene, runner, demand);
        }
    }
    want_replacements(scene, &mut demands);
    share_out(scene, &mut demands, now);
    Assessment { demands }
}

/// A runner's demand without its waiting jobs.
fn demand_without_jobs(scene: Scene<'_>, runner: &RunnerSettings, now: Timestamp) -> Demand {
    let queue = scene.queues.get(&runner.server);
    let check_interval = scene.settings.check_interval;
    let coming = scene.fleet.coming(&runner.name);
    let known = scene.runners.get(&runner.name);
    let mut demand = Demand {
        policy: policy_at(runner, now),
        queue: match (runner.sees_queue, queue) {
            (false, _) => Knowledge::Known,
            (true, Some(queue)) => queue.knowledge(now, check_interval),
            (true, None) => Knowledge::Unknown { trouble: Trouble::awaited("the first poll of the queue") },
        },
        complete: !runner.sees_queue || queue.is_some_and(Queue::is_complete),
        running: 0,
        waiting: 0,
        idle_wanted: 0,
        replacements: 0,
        outdated: 0,
        rolling: 0,
        leaving: 0,
        slots: coming.saturating_mul(runner.capacity),
        booting: coming,
        workers: coming,
        can_grow: known.is_some_and(|known| can_grow(scene, known, runner, now)),
        fixed: 0,
        share: 0,
    };
    let wants = known.and_then(|known| known.plan.known()).map(|plan| &plan.config);
    for worker in scene.fleet.workers.values().filter(|worker| worker.instance.runner == runner.name) {
        demand.workers += 1;
        let status = worker.status(now);
        if is_fixed(worker.instance.hold, status) {
            demand.fixed += runner.capacity;
        }
        demand.rolling += u32::from(is_rolled(worker) && worker.jobs() == 0);
        match status {
            WorkerStatus::Booting => {
                demand.booting += 1;
                demand.slots += runner.capacity;
            }
            WorkerStatus::Serving => {
                demand.running += worker.jobs();
                demand.slots += runner.capacity.max(worker.jobs());
                demand.outdated += u32::from(outdated(worker, runner, wants, now).is_some());
            }
            WorkerStatus::Draining | WorkerStatus::Unreachable | WorkerStatus::Ending => demand.leaving += 1,
        }
        if !runner.sees_queue {
            demand.waiting = demand.waiting.max(worker.queue_hint(now));
        }
    }
    demand
}

/// Whether nothing that is decided here can end it now.
fn is_fixed(hold: bool, status: WorkerStatus) -> bool {
    hold || status == WorkerStatus::Unreachable
}

/// The jobs of each server that wait and run nowhere yet, in queue order, each once.
fn waiting_by_server<'a>(scene: Scene<'a>, now: Timestamp) -> Vec<(&'a Server, Vec<&'a PendingJob>)> {
    if scene.queues.values().all(|queue| queue.jobs().next().is_none()) {
        return scene.queues.keys().map(|server| (server, Vec::new())).collect();
    }
    let running: BTreeSet<JobId> = scene
        .fleet
        .workers
        .values()
        .filter_map(|worker| worker.report())
        .flat_map(|report| &report.job_ids)
        .copied()
        .collect();
    let mut servers = Vec::new();
    for (server, queue) in scene.queues {
        let mut jobs: Vec<&PendingJob> = queue
            .fresh_jobs(now, scene.settings.check_interval)
            .filter(|job| !running.contains(&job.id) && !scene.quarantine.is_quarantined(server, job.id, now))
            .collect();
        jobs.sort_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        servers.push((server, jobs));
    }
    servers
}

/// Counts each waiting job for one runner.
fn count_waiting(
    scene: Scene<'_>,
    server: &Server,
    waiting: Vec<&PendingJob>,
    demands: &mut BTreeMap<RunnerName, Demand>,
    now: Timestamp,
) {
    let candidates: Vec<Candidate<'_>> = scene
        .settings
        .runners
        .iter()
        .filter(|runner| runner.sees_queue && runner.server == *server)
        .filter_map(|runner| Candidate::of(scene, runner, demands.get(&runner.name)?))
        .collect();
    let mut counted: Vec<u32> = vec![0; candidates.len()];
    let mut oldest_poll: Vec<Timestamp> = vec![now; candidates.len()];
    let mut by_tags = ByTags::default();
    for job in waiting {
        let fitting = by_tags.fitting(&candidates, job);
        let able = || {
            let open = |index: &&usize| candidates.get(**index).is_some_and(|candidate| candidate.may_take(job));
            fitting.iter().filter(open)
        };
        let has = |index: &usize, slots: fn(&Candidate<'_>) -> u32| {
            let candidate = candidates.get(*index).map_or(0, slots);
            counted.get(*index).is_some_and(|count| *count < candidate)
        };
        let has_slot = |index: &&usize| has(index, |candidate| candidate.free);
        let has_room = |index: &&usize| has(index, |candidate| candidate.room);
        let Some(&index) = able().find(has_slot).or_else(|| able().find(has_room)).or_else(|| able().next()) else {
            continue;
        };
        if let (Some(count), Some(snapshot)) = (counted.get_mut(index), oldest_poll.get_mut(index)) {
            *count += 1;
            *snapshot = (*snapshot).min(job.seen_at);
        }
    }
    for ((candidate, counted), snapshot) in candidates.iter().zip(counted).zip(oldest_poll) {
        if let Some(demand) = demands.get_mut(candidate.name) {
            // A job taken since the poll may still be counted as waiting; it is running already.
            let taken: u32 = scene
                .fleet
                .workers
                .values()
                .filter(|worker| worker.instance.runner == *candidate.name)
                .map(|worker| worker.unnamed_starts_after(snapshot))
                .sum();
            demand.waiting = counted.saturating_sub(taken);
        }
    }
}

/// A runner that may take jobs of a queue.
struct Candidate<'a> {
    name: &'a RunnerName,
    facts: &'a super::job::RunnerFacts,
    /// Jobs that the slots which are there or coming could run, beyond those that run.
    free: u32,
    /// Jobs that it could run at once if it grew as far as it can now, beyond those that it runs.
    room: u32,
}

/// Which candidates fit a set of tags, as indices in file order, worked out once for each set: thousands of jobs share a
/// handful of them. Where GitLab itself names the runners (`true`), tags say nothing.
#[derive(Default)]
struct ByTags<'a>(BTreeMap<(bool, &'a BTreeSet<String>), Vec<usize>>);

impl<'a> ByTags<'a> {
    /// The candidates that this job's tags fit.
    fn fitting(&mut self, candidates: &[Candidate<'_>], job: &'a PendingJob) -> &[usize] {
        let by_gitlab = job.offered_to.is_some();
        self.0.entry((by_gitlab, &job.tags)).or_insert_with(|| {
            let fit = |(_, candidate): &(usize, &Candidate<'_>)| by_gitlab || tags_fit(candidate.facts, &job.tags);
            candidates.iter().enumerate().filter(fit).map(|(index, _)| index).collect()
        })
    }
}

impl<'a> Candidate<'a> {
    /// Whether it may take a job that its tags fit.
    fn may_take(&self, job: &PendingJob) -> bool {
        match &job.offered_to {
            Some(runners) => !self.facts.paused && runners.contains(self.name),
            None => is_open_to(self.facts, job),
        }
    }

    fn of(scene: Scene<'a>, runner: &'a RunnerSettings, demand: &Demand) -> Option<Self> {
        let known = scene.runners.get(&runner.name)?;
        let facts = known.facts.known()?;
        let free = if known.paused { 0 } else { demand.slots.saturating_sub(demand.running) };
        let ceiling = demand.policy.max_workers.saturating_mul(runner.capacity).saturating_sub(demand.running);
        let room = if known.paused {
            0
        } else if !demand.can_grow {
            free
        } else if known.on_probation() {
            ceiling.min(free + runner.capacity)
        } else {
            ceiling
        };
        Some(Self { name: &runner.name, facts, free, room })
    }
}

/// Whether a launch for it could be made now, its ceilings aside.
fn can_grow(scene: Scene<'_>, known: &Runner, runner: &RunnerSettings, now: Timestamp) -> bool {
    let Some(plan) = known.plan.known() else { return false };
    !known.paused
        && known.refused.closed_until(now).is_none()
        && known.breaker_open_until(now).is_none()
        && is_offered(&plan.places, Request::of(runner, 1), scene.cooldowns, scene.prices, now)
}

/// Adds what follows from the counts: wanted idle slots, and the runner's own limit on jobs.
fn settle(scene: Scene<'_>, runner: &RunnerSettings, demand: &mut Demand) {
    // Paused here or in GitLab: nobody would take a job from its slots.
    let paused = scene
        .runners
        .get(&runner.name)
        .is_none_or(|known| known.paused || known.facts.known().is_some_and(|facts| facts.paused));
    let forecast = scene.forecasts.slots(&runner.name);
    demand.idle_wanted = if paused { 0 } else { demand.policy.idle.wanted(demand.running, forecast) };
    if demand.policy.idle.count == IdleCount::Auto {
        // A forecast asks for no more than there may be: what it lacks by that is nobody's failure to launch.
        let most = demand.policy.max_workers.saturating_mul(runner.capacity).min(scene.settings.concurrent);
        let left = most.saturating_sub(demand.running.saturating_add(demand.waiting));
        demand.idle_wanted = demand.idle_wanted.min(left);
    }
    if runner.limit > 0 {
        demand.waiting = demand.waiting.min(runner.limit.saturating_sub(demand.running));
        let left = runner.limit.saturating_sub(demand.running + demand.waiting);
        demand.idle_wanted = demand.idle_wanted.min(left);
    }
}

/// Replacements come before what they replace, where the idle policy needs it and the ceilings leave room for both, beside
/// those that finish their jobs and may take hours for it.
fn want_replacements(scene: Scene<'_>, demands: &mut BTreeMap<RunnerName, Demand>) {
    let workers = |demand: &Demand, size: u32| demand.needed().div_ceil(size).saturating_add(demand.leaving);
    let settings = scene.settings;
    let needed: u32 = demands
        .iter()
        .map(|(name, demand)| (demand, settings.capacity_of(name).unwrap_or(1).max(1)))
        .map(|(demand, size)| workers(demand, size).saturating_mul(size))
        .fold(0, u32::saturating_add);
    let mut room = settings.concurrent.saturating_sub(needed);
    for runner in &settings.runners {
        let Some(demand) = demands.get_mut(&runner.name) else { continue };
        if demand.outdated == 0 || demand.idle_wanted == 0 {
            continue;
        }
        let size = runner.capacity.max(1);
        let below_ceiling = demand.policy.max_workers.saturating_sub(workers(demand, size));
        let at_once = at_once(demand.workers).saturating_sub(demand.rolling);
        let more = at_once.min(demand.outdated).min(below_ceiling).min(room / size);
        demand.replacements = more * size;
        room -= more * size;
    }
}

/// Every runner's fair share of `concurrent`: what it would get if all that can be moved were handed out anew, for the
/// jobs that run and wait.
fn share_out(scene: Scene<'_>, demands: &mut BTreeMap<RunnerName, Demand>, now: Timestamp) {
    let is_stray = |worker: &&Worker| {
        let configured = scene.settings.section(&worker.instance.runner).is_some();
        !configured && is_fixed(worker.instance.hold, worker.status(now))
    };
    let strays = scene.fleet.workers.values().filter(is_stray);
    let strays: u32 = strays
        .map(|worker| scene.fleet.capacity_of(scene.settings, &worker.instance.runner))
        .fold(0, u32::saturating_add);
    let fixed = demands.values().map(|demand| demand.fixed).fold(strays, u32::saturating_add);
    let budget = scene.settings.concurrent.saturating_sub(fixed);
    let claims: Vec<Claim> = scene
        .settings
        .runners
        .iter()
        .filter_map(|runner| demands.get(&runner.name).map(|demand| (runner, demand)))
        .map(|(runner, demand)| {
            let size = runner.capacity.max(1);
            let wants = (demand.running + demand.waiting).saturating_sub(demand.fixed).div_ceil(size);
            // A runner that cannot launch right now reserves no capacity.
            let has = demand.slots.saturating_sub(demand.fixed).div_ceil(size);
            let most =
                if demand.can_grow { demand.policy.max_workers.saturating_sub(demand.fixed / size) } else { has };
            let more = wants.min(most);
            Claim { has: demand.fixed, more, size, waits: false }
        })
        .collect();
    let shares = share(budget, &claims);
    for ((runner, claim), workers) in scene.settings.runners.iter().zip(&claims).zip(shares.workers) {
        if let Some(demand) = demands.get_mut(&runner.name) {
            demand.share = claim.has + workers.saturating_mul(claim.size);
        }
    }
}

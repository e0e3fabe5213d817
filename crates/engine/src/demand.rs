//! How many slots each runner needs, and how many there are or are coming.
//!
//! For each runner: the jobs that run, the jobs that wait and are counted for it, and the free slots that its policy
//! wants. Every waiting job is counted once, among the runners that may take it in file order: for the first that has a
//! slot free or coming; else for the first that can launch one, its ceiling, its boots and what EC2 offers considered;
//! else for the first. So a job neither launches a worker where another's stands idle, nor waits for a runner that gets
//! none while another could.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::claims::Claimed;
use super::cooldown::Cooldowns;
use super::fleet::Fleet;
use super::forecast::Forecasts;
use super::ids::{JobId, RunnerName, Server};
use super::job::{Knowledge, PendingJob};
use super::matching::{is_open_to, tags_fit};
use super::outdated::at_once;
use super::prices::Prices;
use super::quarantine::Quarantine;
use super::queue::Queue;
use super::runner::Runner;
use super::schedule::{Policy, policy_at};
use super::settings::{IdleCount, RunnerSettings, Settings};
use super::shares::{Claim, share};
use super::supply::{Offers, Supply, is_fixed};
use super::workers::Worker;

/// What one runner has, and what is wanted of it.
#[derive(Clone, Debug)]
pub(crate) struct Demand {
    /// The policy in force.
    pub(crate) policy: Policy,
    /// How long a worker above it stays idle.
    pub(crate) idle_time: Duration,
    /// What is known of its queue; `Known` for a runner that has none to read.
    pub(crate) queue: Knowledge,
    /// For how long jobs may have been waiting for it that nobody here sees; `None`: what is not seen does not wait.
    pub(crate) doubted_for: Option<Duration>,
    pub(crate) supply: Supply,
    pub(crate) wanted: Wanted,
    /// More jobs wait than the runner's own `limit` on jobs lets run.
    pub(crate) is_limited: bool,
}

/// Slots that a runner should have, beside those of the jobs that run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    /// For jobs that wait and are counted for it.
    pub(crate) waiting: u32,
    /// Free ones, as the policy says.
    pub(crate) idle: u32,
    /// For the replacements of outdated workers, which the idle policy needs until those are ready.
    pub(crate) replacements: u32,
    /// Its fair share of `concurrent`, by the jobs that run and wait; not in addition to the others.
    pub(crate) share: u32,
}

impl Demand {
    /// Jobs that wait and are counted for it; `None` while nobody knows. Where no queue is read, the runners' own word is all
    /// there is.
    pub(crate) fn jobs_waiting(&self, runner: &RunnerSettings) -> Option<u32> {
        let waiting = self.wanted.waiting;
        (self.queue.is_known() && (runner.sees_queue || waiting > 0)).then_some(waiting)
    }

    /// Slots for jobs that run or wait now.
    fn for_jobs(&self) -> u32 {
        self.supply.running.saturating_add(self.wanted.waiting)
    }

    /// Slots missing for jobs that wait now.
    pub(crate) fn missing_for_jobs(&self) -> u32 {
        self.for_jobs().saturating_sub(self.supply.slots)
    }

    /// Slots needed by jobs and by the idle policy.
    pub(crate) fn needed(&self) -> u32 {
        self.for_jobs().saturating_add(self.wanted.idle)
    }

    /// All slots wanted.
    pub(crate) fn wanted(&self) -> u32 {
        self.needed().saturating_add(self.wanted.replacements)
    }

    /// Slots missing in all.
    pub(crate) fn missing(&self) -> u32 {
        self.wanted().saturating_sub(self.supply.slots)
    }

    /// Slots beyond what is wanted.
    pub(crate) fn surplus(&self) -> u32 {
        self.supply.slots.saturating_sub(self.wanted())
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

/// A configured runner, before anything is wanted of it.
struct One<'a> {
    section: &'a RunnerSettings,
    known: Option<&'a Runner>,
    policy: Policy,
    supply: Supply,
}

/// Works out every runner's demand at `now`.
pub(crate) fn assess(scene: Scene<'_>, now: Timestamp) -> Assessment {
    let offers = Offers { cooldowns: scene.cooldowns, prices: scene.prices };
    let runners: Vec<One<'_>> =
        scene.settings.runners.iter().map(|section| One::of(scene, section, offers, now)).collect();
    let waiting = waiting_jobs(scene, &runners, now);
    let needs: Vec<Need> = runners.iter().zip(waiting).map(|(one, waiting)| need(scene, one, waiting)).collect();
    let replacements = replacements(scene, &runners, &needs);
    let shares = shares(scene, &runners, &needs, now);
    let check_interval = scene.settings.check_interval;
    let demands = runners.into_iter().zip(needs).zip(replacements.into_iter().zip(shares));
    let demands = demands.map(|((one, Need { waiting, idle, is_limited }), (replacements, share))| {
        let One { section, policy, supply, .. } = one;
        let queue = scene.queues.get(&section.server);
        let demand = Demand {
            idle_time: policy.idle.time.for_boots_of(scene.forecasts.boot(&section.name)),
            policy,
            queue: match (section.sees_queue, queue) {
                (false, _) => Knowledge::Known,
                (true, Some(queue)) => queue.knowledge(now, check_interval),
                (true, None) => Queue::awaited(),
            },
            doubted_for: match (section.sees_queue, queue) {
                (false, _) => None,
                (true, Some(queue)) => queue.doubted_for(now, check_interval),
                (true, None) => Some(Duration::ZERO),
            },
            supply,
            wanted: Wanted { waiting, idle, replacements, share },
            is_limited,
        };
        (section.name.clone(), demand)
    });
    Assessment { demands: demands.collect() }
}

/// The jobs of each server that wait and run nowhere yet, in queue order, each once.
fn waiting_by_server<'a>(scene: Scene<'a>, now: Timestamp) -> Vec<(&'a Server, Vec<&'a PendingJob>)> {
    if scene.queues.values().all(|queue| queue.jobs().next().is_none()) {
        return scene.queues.keys().map(|server| (server, Vec::new())).collect();
    }
    let mut servers = Vec::new();
    for (server, queue) in scene.queues {
        let running = running_jobs(scene, server);
        let runs = |job: &&PendingJob| running.get(&job.id).is_some_and(|claim| claim.outweighs(job.seen_at));
        let mut jobs: Vec<&PendingJob> = queue
            .fresh_jobs(now, scene.settings.check_interval)
            .filter(|job| !runs(job) && !scene.quarantine.is_quarantined(server, job.id, now))
            .collect();
        jobs.sort_by_key(|job| job.id);
        jobs.dedup_by_key(|job| job.id);
        servers.push((server, jobs));
    }
    servers
}

/// The jobs that workers of this server's runners say they run, each by its newest claim.
fn running_jobs(scene: Scene<'_>, server: &Server) -> BTreeMap<JobId, Claimed> {
    let is_here = |worker: &&Worker| {
        let section = scene.settings.section(&worker.instance.runner);
        section.is_none_or(|section| section.server == *server)
    };
    let mut running: BTreeMap<JobId, Claimed> = BTreeMap::new();
    for (job, claimed) in scene.fleet.workers.values().filter(is_here).flat_map(|worker| &worker.running) {
        let newest = running.entry(*job).or_insert(*claimed);
        *newest = (*newest).max(*claimed);
    }
    running
}

/// The waiting jobs that are counted for each runner, in file order.
fn waiting_jobs(scene: Scene<'_>, runners: &[One<'_>], now: Timestamp) -> Vec<u32> {
    let mut waiting: Vec<u32> = runners.iter().map(|one| one.supply.queue_hint).collect();
    for (server, jobs) in waiting_by_server(scene, now) {
        for (index, counted) in count_waiting(scene, server, jobs, runners, now) {
            waiting.get_mut(index).into_iter().for_each(|waiting| *waiting = counted);
        }
    }
    waiting
}

/// Counts each waiting job of a server for one runner, which is named by its place in the file.
fn count_waiting(
    scene: Scene<'_>,
    server: &Server,
    waiting: Vec<&PendingJob>,
    runners: &[One<'_>],
    now: Timestamp,
) -> Vec<(usize, u32)> {
    let candidates: Vec<Candidate<'_>> = runners
        .iter()
        .enumerate()
        .filter(|(_, one)| one.section.sees_queue && one.section.server == *server)
        .filter_map(|(index, one)| Candidate::of(index, one))
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
        if let (Some(count), Some(poll)) = (counted.get_mut(index), oldest_poll.get_mut(index)) {
            *count += 1;
            *poll = (*poll).min(job.seen_at);
        }
    }
    let counted = candidates.iter().zip(counted).zip(oldest_poll);
    let left = counted.map(|((candidate, counted), poll)| {
        // A job taken since the poll may still be counted as waiting; it is running already.
        let workers = scene.fleet.workers.values().filter(|worker| worker.instance.runner == *candidate.name);
        let taken: u32 = workers.map(|worker| worker.unnamed_starts_after(poll)).sum();
        (candidate.index, counted.saturating_sub(taken))
    });
    left.collect()
}

/// A runner that may take jobs of a queue.
struct Candidate<'a> {
    /// Its place in the file.
    index: usize,
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

    fn of(index: usize, one: &One<'a>) -> Option<Self> {
        let One { section, known, policy, supply } = one;
        let known = (*known)?;
        let facts = known.facts.known()?;
        let free = if known.paused { 0 } else { supply.free() };
        let ceiling = policy.max_workers.saturating_mul(section.capacity).saturating_sub(supply.running);
        let room = if known.paused {
            0
        } else if !supply.can_grow {
            free
        } else if known.on_probation() {
            ceiling.min(free.saturating_add(section.capacity))
        } else {
            ceiling
        };
        Some(Self { index, name: &section.name, facts, free, room })
    }
}

impl<'a> One<'a> {
    fn of(scene: Scene<'a>, section: &'a RunnerSettings, offers: Offers<'_>, now: Timestamp) -> Self {
        let known = scene.runners.get(&section.name);
        let supply = Supply::of(scene.fleet, known, offers, section, now);
        Self { section, known, policy: policy_at(section, now), supply }
    }

    /// One worker's slots.
    fn size(&self) -> u32 {
        self.section.capacity.max(1)
    }
}

/// What a runner's jobs and its idle policy need, beside the slots of the jobs that run.
#[derive(Clone, Copy)]
struct Need {
    waiting: u32,
    idle: u32,
    is_limited: bool,
}

/// What follows from the counts: wanted idle slots, and the runner's own limit on jobs.
fn need(scene: Scene<'_>, one: &One<'_>, mut waiting: u32) -> Need {
    let One { section, known, policy, supply } = one;
    // Paused here or in GitLab: nobody would take a job from its slots.
    let paused = known.is_none_or(|known| known.paused || known.facts.known().is_some_and(|facts| facts.paused));
    // Idle slots are the first to go: what is left of a budget is for jobs.
    let spent = known.is_some_and(|known| known.over_budget.is_some());
    let forecast = scene.forecasts.slots(&section.name);
    let mut idle = if paused || spent { 0 } else { policy.idle.wanted(supply.running, forecast) };
    if policy.idle.count == IdleCount::Auto {
        // A forecast asks for no more than there may be: what it lacks by that is nobody's failure to launch.
        let most = policy.max_workers.saturating_mul(section.capacity).min(scene.settings.concurrent);
        idle = idle.min(most.saturating_sub(supply.running.saturating_add(waiting)));
    }
    let all = waiting;
    if section.limit > 0 {
        waiting = waiting.min(section.limit.saturating_sub(supply.running));
        idle = idle.min(section.limit.saturating_sub(supply.running.saturating_add(waiting)));
    }
    Need { waiting, idle, is_limited: waiting < all }
}

/// Replacements come before what they replace, where the idle policy needs it and the ceilings leave room for both, beside
/// those that finish their jobs and may take hours for it, also of runners that are no longer configured.
fn replacements(scene: Scene<'_>, runners: &[One<'_>], needs: &[Need]) -> Vec<u32> {
    let workers = |one: &One<'_>, need: &Need| {
        let slots = one.supply.running.saturating_add(need.waiting).saturating_add(need.idle);
        slots.div_ceil(one.size()).saturating_add(one.supply.leaving)
    };
    let needed = runners.iter().zip(needs).map(|(one, need)| workers(one, need).saturating_mul(one.size()));
    let strays = scene.fleet.stray_slots(scene.settings, |_| true);
    let mut room = scene.settings.concurrent.saturating_sub(needed.fold(strays, u32::saturating_add));
    let wanted = runners.iter().zip(needs).map(|(one, need)| {
        if one.supply.outdated == 0 || need.idle == 0 {
            return 0;
        }
        let below_ceiling = one.policy.max_workers.saturating_sub(workers(one, need));
        let at_once = at_once(one.supply.workers).saturating_sub(one.supply.rolling);
        let more = at_once.min(one.supply.outdated).min(below_ceiling).min(room / one.size());
        room -= more * one.size();
        more * one.size()
    });
    wanted.collect()
}

/// Every runner's fair share of `concurrent`: what it would get if all that can be moved were handed out anew, for the
/// jobs that run and wait.
fn shares(scene: Scene<'_>, runners: &[One<'_>], needs: &[Need], now: Timestamp) -> Vec<u32> {
    let is_stuck = |worker: &Worker| is_fixed(worker.instance.hold, worker.status(now));
    let strays = scene.fleet.stray_slots(scene.settings, is_stuck);
    let fixed = runners.iter().map(|one| one.supply.fixed).fold(strays, u32::saturating_add);
    let budget = scene.settings.concurrent.saturating_sub(fixed);
    let claim = |(one, need): (&One<'_>, &Need)| {
        let Supply { running, slots, fixed, can_grow, .. } = one.supply;
        let wants = running.saturating_add(need.waiting).saturating_sub(fixed).div_ceil(one.size());
        // A runner that cannot launch right now reserves no capacity.
        let has = slots.saturating_sub(fixed).div_ceil(one.size());
        let most = if can_grow { one.policy.max_workers.saturating_sub(fixed / one.size()) } else { has };
        Claim { has: fixed, more: wants.min(most), size: one.size(), waits: false }
    };
    let claims: Vec<Claim> = runners.iter().zip(needs).map(claim).collect();
    let shares = share(budget, &claims);
    claims
        .iter()
        .zip(shares.workers)
        .map(|(claim, workers)| claim.has.saturating_add(workers.saturating_mul(claim.size)))
        .collect()
}

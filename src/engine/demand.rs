//! How many slots each runner needs, and how many there are or are coming.
//!
//! For each runner: the jobs that run, the jobs that wait and are counted for it, and the free slots that its policy
//! wants. Every waiting job is counted once: for the first runner in file order that may take it and still has room
//! under its ceiling; if none has room, for the first that may take it.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use jiff::Timestamp;

use super::fleet::Fleet;
use super::ids::{JobId, RunnerName, Server};
use super::job::{Knowledge, PendingJob};
use super::matching::{is_open_to, tags_fit};
use super::queue::Queue;
use super::runner::Runner;
use super::schedule::{Policy, policy_at};
use super::settings::{RunnerSettings, Settings};
use super::untaken::Untaken;
use super::workers::Standing;

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
    /// Slots that take jobs or are coming.
    pub(crate) slots: u32,
    /// Workers that boot, launches in flight included.
    pub(crate) booting: u32,
    /// Workers not yet terminated, launches in flight included.
    pub(crate) workers: u32,
}

impl Demand {
    /// Slots missing for jobs that wait now.
    pub(crate) fn missing_for_jobs(&self) -> u32 {
        (self.running + self.waiting).saturating_sub(self.slots)
    }

    /// All slots wanted.
    pub(crate) fn wanted(&self) -> u32 {
        self.running + self.waiting + self.idle_wanted
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
    pub(crate) untaken: &'a Untaken,
}

/// Works out every runner's demand at `now`.
pub(crate) fn assess(scene: Scene<'_>, now: Timestamp) -> Assessment {
    let mut demands: BTreeMap<RunnerName, Demand> = scene
        .settings
        .runners
        .iter()
        .map(|runner| (runner.name.clone(), standing_demand(scene, runner, now)))
        .collect();
    for (server, waiting) in waiting_by_server(scene, now) {
        count_waiting(scene, server, waiting, &mut demands, now);
    }
    for runner in &scene.settings.runners {
        if let Some(demand) = demands.get_mut(&runner.name) {
            settle(scene, runner, demand);
        }
    }
    Assessment { demands }
}

/// A runner's demand without its waiting jobs.
fn standing_demand(scene: Scene<'_>, runner: &RunnerSettings, now: Timestamp) -> Demand {
    let queue = scene.queues.get(&runner.server);
    let check_interval = scene.settings.check_interval;
    let coming = scene.fleet.coming(&runner.name);
    let mut demand = Demand {
        policy: policy_at(runner, now),
        queue: match (runner.sees_queue, queue) {
            (false, _) => Knowledge::Known,
            (true, Some(queue)) => queue.knowledge(now, check_interval),
            (true, None) => Knowledge::Unknown { why: "the first look at the queue is awaited".into() },
        },
        complete: !runner.sees_queue || queue.is_some_and(Queue::is_complete),
        running: 0,
        waiting: 0,
        idle_wanted: 0,
        slots: coming.saturating_mul(runner.capacity),
        booting: coming,
        workers: coming,
    };
    for worker in scene.fleet.workers.values().filter(|worker| worker.instance.runner == runner.name) {
        demand.workers += 1;
        match worker.standing(now) {
            Standing::Booting => {
                demand.booting += 1;
                demand.slots += runner.capacity;
            }
            Standing::Serving => {
                demand.running += worker.jobs();
                demand.slots += runner.capacity.max(worker.jobs());
            }
            Standing::Draining | Standing::Unreachable | Standing::Ending => {}
        }
        if !runner.sees_queue {
            demand.waiting = demand.waiting.max(worker.queue_hint(now));
        }
    }
    demand
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
            .filter(|job| !running.contains(&job.id) && !scene.untaken.is_set_aside(server, job.id, now))
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
    let mut oldest_look: Vec<Timestamp> = vec![now; candidates.len()];
    let mut by_tags = ByTags::default();
    for job in waiting {
        let fitting = by_tags.fitting(&candidates, job);
        let able = || {
            let open = |index: &&usize| candidates.get(**index).is_some_and(|candidate| candidate.may_take(job));
            fitting.iter().filter(open)
        };
        let has_room = |index: &&usize| {
            counted.get(**index).zip(candidates.get(**index)).is_some_and(|(count, candidate)| *count < candidate.room)
        };
        let Some(&index) = able().find(has_room).or_else(|| able().next()) else { continue };
        if let (Some(count), Some(look)) = (counted.get_mut(index), oldest_look.get_mut(index)) {
            *count += 1;
            *look = (*look).min(job.seen_at);
        }
    }
    for ((candidate, counted), look) in candidates.iter().zip(counted).zip(oldest_look) {
        if let Some(demand) = demands.get_mut(candidate.name) {
            // A job taken since the look may still be counted as waiting; it is running already.
            let taken: u32 = scene
                .fleet
                .workers
                .values()
                .filter(|worker| worker.instance.runner == *candidate.name)
                .map(|worker| worker.unnamed_starts_after(look))
                .sum();
            demand.waiting = counted.saturating_sub(taken);
        }
    }
}

/// A runner that may take jobs of a queue.
struct Candidate<'a> {
    name: &'a RunnerName,
    facts: &'a super::job::RunnerFacts,
    /// Jobs that it could run at once if it grew to its ceiling, beyond those that it runs.
    room: u32,
}

/// Which candidates fit a set of tags, worked out once for each set: thousands of jobs share a handful of them.
#[derive(Default)]
struct ByTags<'a>(BTreeMap<u64, Vec<Fitting<'a>>>);

/// A set of tags, and the indices of the candidates that it fits, in file order.
struct Fitting<'a> {
    by_gitlab: bool,
    tags: &'a BTreeSet<String>,
    candidates: Vec<usize>,
}

impl<'a> ByTags<'a> {
    /// The candidates that this job's tags fit, in file order; all of them where GitLab itself names the runners.
    fn fitting(&mut self, candidates: &[Candidate<'_>], job: &'a PendingJob) -> &[usize] {
        // The hash only finds the set quickly; the sets themselves are compared, and no order follows from it.
        let mut hasher = DefaultHasher::new();
        (job.offered_to.is_some(), &job.tags).hash(&mut hasher);
        let same_hash = self.0.entry(hasher.finish()).or_default();
        let is_same =
            |fitting: &Fitting<'_>| fitting.by_gitlab == job.offered_to.is_some() && *fitting.tags == job.tags;
        let index = same_hash.iter().position(is_same).unwrap_or_else(|| {
            let by_gitlab = job.offered_to.is_some();
            let fit = |(_, candidate): &(usize, &Candidate<'_>)| by_gitlab || tags_fit(candidate.facts, &job.tags);
            let fitting = candidates.iter().enumerate().filter(fit).map(|(index, _)| index).collect();
            same_hash.push(Fitting { by_gitlab, tags: &job.tags, candidates: fitting });
            same_hash.len() - 1
        });
        same_hash.get(index).map_or(&[], |fitting| &fitting.candidates)
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
        let room = if known.paused {
            0
        } else {
            demand.policy.max_workers.saturating_mul(runner.capacity).saturating_sub(demand.running)
        };
        Some(Self { name: &runner.name, facts, room })
    }
}

/// Adds what follows from the counts: wanted idle slots, and the runner's own limit on jobs.
fn settle(scene: Scene<'_>, runner: &RunnerSettings, demand: &mut Demand) {
    let paused = scene.runners.get(&runner.name).is_none_or(|known| known.paused);
    demand.idle_wanted = if paused { 0 } else { demand.policy.idle.wanted(demand.running) };
    if runner.limit > 0 {
        demand.waiting = demand.waiting.min(runner.limit.saturating_sub(demand.running));
        let left = runner.limit.saturating_sub(demand.running + demand.waiting);
        demand.idle_wanted = demand.idle_wanted.min(left);
    }
}

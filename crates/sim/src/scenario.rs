//! What a world is made of, before chance is added: configuration, jobs, boot times, shortages, faults.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::{
    ConfigHash, InstanceType, Inventory, LaunchPlan, Market, Place, ProjectId, RunnerFacts, RunnerName, RunnerSettings,
    Scope, Server, Settings, SubnetId, TemplateName, Zone,
};

use super::faults::Faults;

/// Everything given about a world; with a seed it decides all that happens in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Scenario {
    /// The manager's name in the tags.
    pub manager: String,
    /// When virtual time begins.
    pub start: Timestamp,
    /// The configuration that the engine is given at each of its starts.
    pub settings: Settings,
    /// What GitLab says about each runner.
    pub facts: BTreeMap<RunnerName, RunnerFacts>,
    /// What each runner's workers are made of.
    pub plans: BTreeMap<RunnerName, LaunchPlan>,
    /// Launch templates and key pairs that an earlier installation of this manager has left.
    pub inherited: Inventory,
    /// What is queued, when; in any order.
    pub jobs: Vec<JobSpec>,
    /// From launch to ready, for the median boot; others take between 0.7 and 2 times as long.
    pub boot: Duration,
    /// Longest time until a new instance, or a changed state, shows in every listing.
    pub consistency: Duration,
    /// Times in which some offerings give little or nothing.
    pub shortages: Vec<Shortage>,
    /// Times after the start at which some running spot worker gets its two minutes' notice.
    pub interruptions: Vec<Duration>,
    /// What goes wrong by chance.
    pub faults: Faults,
    /// Longest time between two steps of the engine.
    pub step_every: Duration,
    /// For weeks of jobs: nothing is noted but counts, what has ended is put away, and a poll of the queue that would show
    /// nothing new is made less often. Checks and transcripts need `false`.
    pub lean: bool,
    /// What GitLab does: a job request that hangs when a job is queued comes back empty, and its runner asks again within 3 s.
    /// Otherwise it brings the job at once.
    pub held_end_empty: bool,
    /// Feeds the differences between the spot prices of types, zones and days, which the manager is told; none: all get the
    /// same discount, and nobody speaks of prices.
    pub price_seed: Option<u64>,
}

/// A job to come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobSpec {
    /// When it becomes pending, after the start.
    pub after: Duration,
    /// Its project.
    pub project: ProjectId,
    /// Its name.
    pub name: String,
    /// The tags that it asks for.
    pub tags: BTreeSet<String>,
    /// Whether its ref is protected.
    pub protected: bool,
    /// How long it runs.
    pub takes: Duration,
    /// Whether its script succeeds.
    pub succeeds: bool,
    /// How often GitLab itself queues it again when its worker is lost: what the job's YAML says by
    /// `retry: {max: N, when: [runner_system_failure, runner_interrupted, stuck_or_timeout_failure]}`. 0 unless it says so.
    pub retries: u32,
}

impl JobSpec {
    /// A job that succeeds, of project 1, without tags.
    pub fn new(after: Duration, takes: Duration) -> Self {
        Self {
            after,
            project: ProjectId(1),
            name: "test".into(),
            tags: BTreeSet::new(),
            protected: false,
            takes,
            succeeds: true,
            retries: 0,
        }
    }

    /// The same, with this tag.
    #[must_use]
    pub fn tagged(mut self, tag: &str) -> Self {
        self.tags.insert(tag.to_owned());
        self
    }
}

/// A time in which the offerings that match have no more than `room` instances in all for us.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shortage {
    /// This market only.
    pub market: Option<Market>,
    /// This type only.
    pub instance_type: Option<InstanceType>,
    /// This zone only.
    pub zone: Option<Zone>,
    /// Begins, after the start.
    pub from: Duration,
    /// Ends, after the start.
    pub until: Duration,
    /// Our instances of the matching offerings that may live at one time.
    pub room: u32,
}

impl Scenario {
    /// One runner `spot` that takes untagged jobs and those tagged `arm`, up to 10 workers of capacity 1, nothing kept
    /// idle; two types in two zones; boots of 45 s; no jobs, no faults.
    pub fn new(start: Timestamp) -> Self {
        let mut scenario = Self {
            manager: "sim".into(),
            start,
            settings: Settings { concurrent: 100, check_interval: Duration::from_secs(3), runners: Vec::new() },
            facts: BTreeMap::new(),
            plans: BTreeMap::new(),
            inherited: Inventory::default(),
            jobs: Vec::new(),
            boot: Duration::from_secs(45),
            consistency: Duration::from_secs(4),
            shortages: Vec::new(),
            interruptions: Vec::new(),
            faults: Faults::default(),
            step_every: Duration::from_secs(1),
            lean: false,
            held_end_empty: false,
            price_seed: None,
        };
        scenario.add_runner(runner("spot"), &["arm"]);
        scenario
    }

    /// Adds a runner that takes untagged jobs and those with these tags.
    pub fn add_runner(&mut self, settings: RunnerSettings, tags: &[&str]) {
        let name = settings.name.clone();
        let facts = RunnerFacts {
            id: self.facts.len() as u64 + 1,
            tags: tags.iter().map(|&tag| tag.to_owned()).collect(),
            run_untagged: true,
            protected_only: false,
            paused: false,
            scope: Scope::Everything,
            token_end: None,
        };
        self.facts.insert(name.clone(), facts);
        self.plans.insert(name.clone(), plan(&name));
        self.settings.runners.push(settings);
    }

    /// The first runner's settings, to be changed.
    pub fn runner_mut(&mut self) -> Option<&mut RunnerSettings> {
        self.settings.runners.first_mut()
    }

    /// The same, with these jobs.
    #[must_use]
    pub fn with_jobs(mut self, jobs: impl IntoIterator<Item = JobSpec>) -> Self {
        self.jobs.extend(jobs);
        self
    }

    /// The same, with these faults.
    #[must_use]
    pub fn with_faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// When, after the start, everything should long be done: the last job and the last fault have come, all jobs have
    /// had the time to run one after the other on the slots there are, twice over, and two hours have passed for
    /// back-offs, cool-downs and dead-man timers.
    pub fn limit(&self) -> Duration {
        let last = self.jobs.iter().map(|job| job.after).max().unwrap_or_default();
        let faults = if self.faults.until == Duration::MAX { Duration::ZERO } else { self.faults.until };
        let work: Duration = self.jobs.iter().map(|job| job.takes).sum();
        let slots = self.settings.runners.iter().map(|runner| runner.max_workers * runner.capacity).min().unwrap_or(1);
        last.max(faults) + work * 2 / slots.min(self.settings.concurrent).max(1) + Duration::from_secs(2 * 3600)
    }
}

/// How long one boot takes, of which half take no longer than about `median`: `chance` is drawn evenly from 0 to 1.
pub(crate) fn boot_time(median: Duration, chance: f64) -> Duration {
    median.mul_f64(0.7 + 1.3 * chance.powi(2))
}

/// A runner with the contract's defaults: spot with on-demand fallback, `max_workers` 10, nothing kept idle.
pub fn runner(name: &str) -> RunnerSettings {
    RunnerSettings::new(RunnerName::new(name), Server::new("https://gitlab.example.com"))
}

fn plan(runner: &RunnerName) -> LaunchPlan {
    let zones = [("eu-central-1a", "subnet-a"), ("eu-central-1b", "subnet-b")];
    let places = ["c8g.large", "c7g.large"].into_iter().flat_map(|instance_type| {
        zones.into_iter().map(move |(zone, subnet)| Place {
            instance_type: InstanceType::new(instance_type),
            zone: Zone::new(zone),
            subnet: SubnetId::new(subnet),
        })
    });
    LaunchPlan {
        config: ConfigHash::new("c0ffee"),
        template: TemplateName::new(format!("runner-fleet-sim-{runner}-c0ffee")),
        places: places.collect(),
    }
}

//! From a configuration and a workload to a scenario: what a file cannot say (zones, tags in GitLab) is assumed.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use runner_fleet_config::Config;
use runner_fleet_engine::{
    ConfigHash, LaunchPlan, Place, ProjectId, RunnerFacts, RunnerName, Scope, TemplateName, Zone,
};

use super::assumptions::Assumptions;
use super::faults::Faults;
use super::recording::Recording;
use super::scenario::{JobSpec, Scenario};
use super::workloads::Workload;

/// What a simulation is made of.
#[derive(Clone, Debug)]
pub struct Setting {
    /// The configuration's runners, the workload's jobs.
    pub scenario: Scenario,
    /// Root volume of each runner's workers.
    pub root_volume_gib: u32,
}

/// Puts a configuration and a workload together. `tags` are the tags of the runners that the caller knows; a runner without
/// an entry may take every job.
pub fn setting(
    config: &Config,
    workload: &Workload,
    tags: &BTreeMap<RunnerName, BTreeSet<String>>,
    assumed: &Assumptions,
    seed: u64,
) -> Setting {
    let start = workload.span().map_or(Timestamp::UNIX_EPOCH, |(first, _)| first);
    let mut scenario = Scenario::new(start);
    scenario.manager = config.fleet.manager.clone();
    scenario.settings = config.settings();
    scenario.facts.clear();
    scenario.plans.clear();
    let all_tags = workload.tags();
    for (number, runner) in config.runners.iter().enumerate() {
        let facts = RunnerFacts {
            id: number as u64 + 1,
            tags: tags.get(&runner.name).unwrap_or(&all_tags).clone(),
            run_untagged: true,
            protected_only: false,
            paused: false,
            scope: Scope::Everything,
            token_end: None,
        };
        scenario.facts.insert(runner.name.clone(), facts);
        let region = runner.fleet.region.as_deref().unwrap_or("eu-central-1");
        let places = runner.fleet.instance_types.iter().flat_map(|instance_type| {
            runner.fleet.subnets.iter().zip('a'..='z').map(move |(subnet, letter)| Place {
                instance_type: instance_type.clone(),
                zone: Zone::new(format!("{region}{letter}")),
                subnet: subnet.clone(),
            })
        });
        let plan = LaunchPlan {
            config: ConfigHash::new("simulated"),
            template: TemplateName::new(format!("runner-fleet-{}-{}", config.fleet.manager, runner.name)),
            places: places.collect(),
        };
        scenario.plans.insert(runner.name.clone(), plan);
    }
    scenario.jobs = jobs(workload, start, assumed.retries);
    scenario.boot = assumed.boot;
    scenario.faults = Faults {
        interruptions_per_hour: assumed.interruptions_per_hour,
        no_capacity: assumed.no_capacity,
        throttled: assumed.throttled,
        ..Faults::default()
    };
    scenario.lean = true;
    scenario.held_end_empty = assumed.held_end_empty;
    scenario.price_seed = Some(seed);
    let root_volume_gib = config.runners.first().map_or(30, |runner| runner.fleet.root_volume.size_gib);
    Setting { scenario, root_volume_gib }
}

fn jobs(workload: &Workload, start: Timestamp, retries: u32) -> Vec<JobSpec> {
    let mut projects: BTreeMap<&str, u64> = BTreeMap::new();
    let mut specs = Vec::with_capacity(workload.jobs.len());
    for job in &workload.jobs {
        let next = projects.len() as u64 + 1;
        let project = *projects.entry(&job.project).or_insert(next);
        let after = job.queued_at.duration_since(start).try_into().unwrap_or_default();
        let spec =
            JobSpec { project: ProjectId(project), tags: job.tags.clone(), retries, ..JobSpec::new(after, job.takes) };
        specs.push(spec);
    }
    specs
}

impl Setting {
    /// When the last job is queued: nothing is over before.
    pub fn end(&self) -> Timestamp {
        let last = self.scenario.jobs.iter().map(|job| job.after).max().unwrap_or_default();
        super::world::later(self.scenario.start, last)
    }

    /// The production engine.
    pub fn replay(&self, seed: u64, progress: &mut dyn FnMut(Timestamp)) -> Recording {
        super::replay::replay(self.scenario.clone(), seed, self.end(), progress)
    }
}

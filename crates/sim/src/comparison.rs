//! Several ways of scaling over one workload: as they are configured, or each tuned to the same wait.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_config::Config;
use runner_fleet_engine::{Brief, IdleCount, IdlePolicy, RunnerName};

use super::assumptions::Assumptions;
use super::baselines;
use super::configured::{Setting, setting};
use super::figures::{Figures, Tariff, end_of, figures};
use super::recording::Recording;
use super::report::{Report, Run, WorkloadFacts};
use super::tuning::{self, Idle};
use super::workloads::Workload;

/// One way of scaling.
#[derive(Clone, Debug)]
pub enum Policy {
    /// The production engine under a configuration; the name is for people.
    Fleet(String, Box<Config>),
    /// docker+machine with the same sections' numbers.
    DockerMachine,
    /// docker-autoscaler with the same sections' numbers.
    DockerAutoscaler,
}

/// What all of them share.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// The jobs.
    pub workload: Workload,
    /// The configuration that gives the baselines their numbers.
    pub config: Config,
    /// Tags of runners, where the caller knows them.
    pub tags: BTreeMap<RunnerName, BTreeSet<String>>,
    /// What is taken for granted.
    pub assumed: Assumptions,
    /// Feeds all chance.
    pub seed: u64,
    /// Tune every policy's idle policy to this wait of 95 of 100 jobs.
    pub equal_wait: Option<Duration>,
}

/// Where a long comparison is: a policy, its run, and the virtual time of it.
pub type Progress<'a> = dyn FnMut(&str, u32, Timestamp) + 'a;

impl Comparison {
    /// Runs every policy, in this order.
    pub fn run_all(&self, policies: &[Policy], progress: &mut Progress<'_>) -> (Report, Vec<Run>) {
        let (mut measured, mut runs) = (Vec::new(), Vec::new());
        for policy in policies {
            let (figures, run) = self.run(policy, progress);
            measured.push(figures);
            runs.push(run);
        }
        let (from, to) = self.workload.span().unwrap_or_default();
        let gib = self.setting(&self.config).root_volume_gib;
        let report = Report {
            version: 1,
            workload: WorkloadFacts {
                name: self.workload.name.clone(),
                jobs: self.workload.jobs.len(),
                from,
                to,
                notes: self.workload.notes.clone(),
            },
            seed: self.seed,
            equal_wait_seconds: self.equal_wait.map(|wait| wait.as_secs_f64()),
            policies: measured,
            assumed: self.assumed.list(gib),
        };
        (report, runs)
    }

    fn setting(&self, config: &Config) -> Setting {
        setting(config, &self.workload, &self.tags, &self.assumed, self.seed)
    }

    fn run(&self, policy: &Policy, progress: &mut Progress<'_>) -> (Figures, Run) {
        let (name, config) = match policy {
            Policy::Fleet(name, config) => (name.as_str(), config.as_ref()),
            Policy::DockerMachine => ("docker+machine", &self.config),
            Policy::DockerAutoscaler => ("docker-autoscaler", &self.config),
        };
        let setting = self.setting(config);
        let mut turn = 0;
        let mut once = |idle: Option<Idle>| {
            turn += 1;
            let recording = self.play(policy, setting.clone(), idle, &mut |at| progress(name, turn, at));
            let end = end_of(&recording, setting.end());
            let tariff = Tariff { root_volume_gib: setting.root_volume_gib, price_seed: Some(self.seed) };
            (figures(told(name, idle), &recording, end, tariff), (recording, end))
        };
        let tuned = self.equal_wait.and_then(|wait| tuning::cheapest(wait, |idle| once(Some(idle))));
        let (figures, (recording, end)) = match tuned {
            Some(tuned) => {
                let mut figures = tuned.figures;
                if !tuned.met {
                    figures.policy.push_str(" (target not met)");
                }
                (figures, tuned.rest)
            }
            None => once(None),
        };
        (figures, Run { name: name.to_owned(), recording, end })
    }

    /// One run of the whole workload.
    fn play(
        &self,
        policy: &Policy,
        mut setting: Setting,
        idle: Option<Idle>,
        progress: &mut dyn FnMut(Timestamp),
    ) -> Recording {
        if let Some(idle) = idle {
            for runner in &mut setting.scenario.settings.runners {
                let count = IdleCount::Fixed(idle.count);
                runner.idle = IdlePolicy { count, count_min: 0, scale_factor: 0.0, time: idle.time, ..runner.idle };
                runner.schedule.clear();
            }
        }
        let baseline = |run: fn(&Setting, &Assumptions, u64) -> Recording| {
            baselines::section_by_section(&setting, |part| run(part, &self.assumed, self.seed))
        };
        match policy {
            Policy::Fleet(..) => setting.replay(self.seed, progress),
            Policy::DockerMachine => baseline(baselines::docker_machine),
            Policy::DockerAutoscaler => baseline(baselines::docker_autoscaler),
        }
    }
}

fn told(name: &str, idle: Option<Idle>) -> String {
    match idle {
        Some(idle) => format!("{name}: idle {} for {}", idle.count, Brief(idle.time)),
        None => format!("{name}: as configured"),
    }
}

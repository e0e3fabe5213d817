//! Several ways of scaling over one workload: as they are configured, or each tuned to the same wait.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_config::Config;
use runner_fleet_engine::{Brief, IdleCount, IdlePolicy, IdleTime, RunnerName};

use super::assumptions::Assumptions;
use super::baselines;
use super::bound::bound;
use super::configured::{Setting, setting};
use super::figures::{Figures, Span, Tariff, end_of, figures};
use super::recording::Recording;
use super::report::{self, Curve, Report, Run, WorkloadFacts};
use super::tuning::{self, IDLE_TIMES, Idle, Tuned};
use super::workloads::Workload;

/// The waits of a curve.
pub const CURVE: [Duration; 5] = [
    Duration::from_secs(5),
    Duration::from_secs(15),
    Duration::from_secs(30),
    Duration::from_secs(60),
    Duration::from_secs(120),
];

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
    /// Tune every policy to each wait of [`CURVE`] too.
    pub curve: bool,
    /// Waits and money count from then on: what lies before is warm-up.
    pub count_from: Option<Timestamp>,
}

/// Where a long comparison is: a policy, its runs so far, and the virtual time of one that is under way.
pub type Progress<'a> = dyn Fn(&str, u32, Timestamp) + Sync + 'a;

/// What one run is made with.
#[derive(Clone, Debug, Default)]
pub(crate) struct Trial {
    /// An idle policy for all sections instead of theirs.
    pub(crate) idle: Option<IdlePolicy>,
    /// docker-autoscaler's `preemptive_mode`.
    pub(crate) preemptive: Option<bool>,
}

impl Comparison {
    /// Runs every policy, in this order.
    pub fn run_all(&self, policies: &[Policy], progress: &Progress<'_>) -> (Report, Vec<Run>) {
        let (mut measured, mut runs, mut curves) = (Vec::new(), Vec::new(), Vec::new());
        for policy in policies {
            let (figures, run, curve) = self.run(policy, progress);
            measured.push(figures);
            runs.push(run);
            curves.extend(curve);
        }
        let (from, to) = self.workload.span().unwrap_or_default();
        let gib = self.setting(&self.config).root_volume_gib;
        let mut report = Report {
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
            result: None,
            warnings: report::warnings(self.configs(policies)),
            curves,
            assumed: self.assumed.list(gib),
        };
        report.result = report::result(&report);
        (report, runs)
    }

    /// The configurations that run, each once, with their names.
    fn configs<'a>(&'a self, policies: &'a [Policy]) -> impl Iterator<Item = (&'a str, &'a Config)> {
        policies.iter().filter_map(|policy| match policy {
            Policy::Fleet(name, config) => Some((name.as_str(), config.as_ref())),
            Policy::DockerMachine | Policy::DockerAutoscaler => None,
        })
    }

    pub(crate) fn setting(&self, config: &Config) -> Setting {
        setting(config, &self.workload, &self.tags, &self.assumed, self.seed)
    }

    fn run(&self, policy: &Policy, progress: &Progress<'_>) -> (Figures, Run, Option<Curve>) {
        let (name, config) = match policy {
            Policy::Fleet(name, config) => (name.as_str(), config.as_ref()),
            Policy::DockerMachine => ("docker+machine", &self.config),
            Policy::DockerAutoscaler => ("docker-autoscaler", &self.config),
        };
        let targets: Vec<Duration> =
            self.equal_wait.into_iter().chain(CURVE.into_iter().filter(|_| self.curve)).collect();
        let turns = AtomicU32::new(1);
        let tell = |at| progress(name, turns.load(Ordering::Relaxed), at);
        let mut tuned = Vec::new();
        if !targets.is_empty() {
            tuned = self.tuned(policy, config, &targets, &|trial| {
                let figures = self.measured(policy, config, name, &trial, &tell).0;
                turns.fetch_add(1, Ordering::Relaxed);
                figures
            });
        }
        let equal = self.equal_wait.and_then(|_| (!tuned.is_empty()).then(|| tuned.remove(0)));
        let trial = equal.as_ref().map(|(trial, _)| trial.clone()).unwrap_or_default();
        let (mut figures, recording, end) = self.measured(policy, config, name, &trial, &tell);
        if equal.is_some_and(|(_, tuned)| !tuned.met) {
            figures.policy.push_str(" (target not met)");
        }
        let curve = self.curve.then(|| Curve::of(name, &CURVE, tuned.into_iter().map(|(_, tuned)| tuned).collect()));
        (figures, Run { name: name.to_owned(), recording, end }, curve)
    }

    /// The best for each target, of all idle times and modes.
    fn tuned(
        &self,
        policy: &Policy,
        config: &Config,
        targets: &[Duration],
        run: &(dyn Fn(Trial) -> Figures + Sync),
    ) -> Vec<(Trial, Tuned)> {
        let modes: &[Option<bool>] = match (policy, self.assumed.preemptive) {
            (Policy::DockerAutoscaler, None) => &[None, Some(false)],
            (Policy::DockerAutoscaler, Some(true)) => &[Some(true)],
            (Policy::DockerAutoscaler, Some(false)) => &[Some(false)],
            (Policy::Fleet(..) | Policy::DockerMachine, _) => &[None],
        };
        let base = config.settings().runners.first().map(|runner| runner.idle.clone());
        let Some(base) = base else { return Vec::new() };
        let trial = |idle: Idle, preemptive| Trial { idle: Some(fixed(&base, idle)), preemptive };
        let pieces: Vec<(Option<bool>, Duration)> =
            modes.iter().flat_map(|mode| IDLE_TIMES.map(|time| (*mode, time))).collect();
        let found: Vec<Vec<(Trial, Tuned)>> = tuning::on_all_cores(&pieces, |(mode, time)| {
            let tuned = tuning::smallest_counts(targets, *time, |idle| run(trial(idle, *mode)));
            tuned.into_iter().map(|tuned| (trial(tuned.idle, *mode), tuned)).collect()
        });
        (0..targets.len()).filter_map(|at| tuning::best_at(&found, at)).collect()
    }

    /// One run, and its numbers.
    pub(crate) fn measured(
        &self,
        policy: &Policy,
        config: &Config,
        name: &str,
        trial: &Trial,
        progress: &dyn Fn(Timestamp),
    ) -> (Figures, Recording, Timestamp) {
        let setting = self.setting(config);
        let (end, root_volume_gib) = (setting.end(), setting.root_volume_gib);
        let recording = self.play(policy, setting, trial, progress);
        let end = end_of(&recording, end);
        let tariff = Tariff { root_volume_gib, price_seed: Some(self.seed) };
        let span = Span { from: self.count_from.unwrap_or(Timestamp::MIN), to: end };
        let mut figures = figures(told(name, config, trial), &recording, span, tariff);
        let wait = Duration::from_secs_f64(figures.wait_seconds.p95);
        figures.bound = Some(bound(&self.workload, &self.assumed, self.count_from, wait));
        (figures, recording, end)
    }

    /// One run of the whole workload.
    fn play(&self, policy: &Policy, mut setting: Setting, trial: &Trial, progress: &dyn Fn(Timestamp)) -> Recording {
        if let Some(idle) = &trial.idle {
            for runner in &mut setting.scenario.settings.runners {
                runner.idle = idle.clone();
                runner.schedule.clear();
            }
        }
        let assumed = Assumptions { preemptive: trial.preemptive.or(self.assumed.preemptive), ..self.assumed.clone() };
        let baseline = |run: fn(&Setting, &Assumptions, u64) -> Recording| {
            baselines::section_by_section(&setting, |part| run(part, &assumed, self.seed))
        };
        match policy {
            Policy::Fleet(..) => setting.replay(self.seed, &mut |at| progress(at)),
            Policy::DockerMachine => baseline(baselines::docker_machine),
            Policy::DockerAutoscaler => baseline(baselines::docker_autoscaler),
        }
    }
}

/// A number of idle slots, and nothing else of an idle policy.
pub(crate) fn fixed(base: &IdlePolicy, idle: Idle) -> IdlePolicy {
    let (count, time) = (IdleCount::Fixed(idle.count), IdleTime::Fixed(idle.time));
    IdlePolicy { count, count_min: 0, scale_factor: 0.0, time, ..base.clone() }
}

/// A policy's name and the settings of its run.
fn told(name: &str, config: &Config, trial: &Trial) -> String {
    let mode = match trial.preemptive {
        None => "",
        Some(true) => ", preemptive_mode on",
        Some(false) => ", preemptive_mode off",
    };
    if let Some(idle) = &trial.idle {
        return format!("{name}: {}{mode}", idle_told(idle));
    }
    let settings = config.settings();
    let one = settings.runners.len() == 1;
    let sections: Vec<String> = settings
        .runners
        .iter()
        .map(|runner| {
            let whose = if one { String::new() } else { format!("{} ", runner.name) };
            let schedule = if runner.schedule.is_empty() { "" } else { ", by schedule" };
            format!("{whose}{}{schedule}", idle_told(&runner.idle))
        })
        .collect();
    format!("{name}: {}{mode}", sections.join("; "))
}

fn idle_told(idle: &IdlePolicy) -> String {
    let time = match idle.time {
        IdleTime::Fixed(time) => Brief(time).to_string(),
        IdleTime::Auto => "as long as a boot takes".to_owned(),
    };
    match idle.count {
        IdleCount::Auto => format!("idle auto, target {}, for {time}", Brief(idle.target_wait)),
        IdleCount::Fixed(count) if idle.scale_factor > 0.0 => {
            format!("idle {} × in use, {} to {count}, for {time}", idle.scale_factor, idle.count_min)
        }
        IdleCount::Fixed(count) => format!("idle {count} for {time}"),
    }
}

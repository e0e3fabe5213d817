//! What administrators and operators do while the manager works: drains, pauses, another configuration, another image.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::event_log::{Bounds, Fact};
use crate::rng::Stream;
use runner_fleet_engine::{
    ConfigHash, Event, IdleCount, IdleTime, Market, OperatorRequest, RunnerName, RunnerSettings, ScheduleEntry,
    Settings, TemplateName, WorkerId,
};

use super::World;
use super::agenda::Happening;
use super::host::Lie;

/// A launch may have been decided under limits that were replaced so long ago: the manager may have stood still for ten
/// minutes, and may repeat an unanswered launch for ten more.
const DECIDED_WITHIN: SignedDuration = SignedDuration::from_mins(25);
/// Runners that may be configured at one time.
const RUNNERS_MAX: usize = 3;

/// What was wished for before.
#[derive(Clone, Debug, Default)]
pub(super) struct Wishes {
    /// Replaced settings, and when they were.
    past: Vec<(Timestamp, Settings)>,
    /// Runners that were not configured for a while: nobody had the token to delete their rows.
    removed: BTreeSet<RunnerName>,
    /// Removed ones that the present manager has never known.
    unknown: BTreeSet<RunnerName>,
    /// Sections that were taken out, to be put in again.
    shelf: Vec<RunnerSettings>,
    drifts: u32,
}

impl Wishes {
    /// A manager starts, and knows nothing of sections that were there before.
    pub(super) fn manager_starts(&mut self, settings: &Settings) {
        let known = |name: &RunnerName| settings.runners.iter().any(|runner| runner.name == *name);
        self.unknown = self.removed.iter().filter(|name| !known(name)).cloned().collect();
    }

    pub(super) fn replaced(&mut self, now: Timestamp, settings: Settings) {
        self.past.push((now, settings));
    }
}

impl World {
    pub(super) fn plan_administrators(&mut self) {
        self.plan_deed(|faults| faults.drains_per_hour, Happening::SomeDrain);
        self.plan_deed(|faults| faults.pauses_per_hour, Happening::SomePause);
        self.plan_deed(|faults| faults.reconfigurations_per_hour, Happening::SomeReconfiguration);
        self.plan_deed(|faults| faults.drifts_per_hour, Happening::SomeDrift);
    }

    fn plan_deed(&mut self, rate: impl Fn(&super::Faults) -> f64, happening: Happening) {
        if !self.is_calm()
            && let Some(after) = self.rng.until_next(Stream::Admin, rate(&self.scenario.faults))
        {
            self.soon(after, happening);
        }
    }

    /// Whether its agent will lie, and how.
    pub(super) fn plan_lies(&mut self, worker: &WorkerId) {
        if !self.strikes(Stream::Admin, |faults| faults.lies) {
            return;
        }
        let lie = Lie::ALL.get(self.rng.pick(Stream::Admin, Lie::ALL.len())).copied();
        if let Some(host) = self.hosts.get_mut(worker) {
            host.lie = lie;
        }
        if lie == Some(Lie::Deaf) {
            let after = self.rng.millis(Stream::Admin, 60_000, 1_800_000);
            self.soon(after, Happening::SpeaksAgain(worker.clone()));
        }
        if lie == Some(Lie::StaysOn) {
            let after = self.rng.millis(Stream::Admin, 60_000, 1_800_000);
            self.soon(after, Happening::FallsSilent(worker.clone()));
        }
        self.log.note(self.now, Fact::Fault("an agent will lie", Some(worker.clone())));
    }

    pub(super) fn tell_to_go(&mut self, worker: &WorkerId, go: bool) {
        if let Some(host) = self.hosts.get_mut(worker) {
            host.told_to_go = go;
        }
    }

    fn administer(&mut self, what: String) {
        self.log.note(self.now, Fact::Administered(what));
    }

    pub(super) fn some_drain(&mut self) {
        self.plan_deed(|faults| faults.drains_per_hour, Happening::SomeDrain);
        let mut live: Vec<WorkerId> = self.live().map(|(id, _)| id.clone()).collect();
        if self.is_calm() || !self.manager_up || live.is_empty() {
            return;
        }
        let worker = live.swap_remove(self.rng.pick(Stream::Admin, live.len()));
        let force = self.rng.chance(Stream::Admin, 0.2);
        self.operator_drains(worker, force);
    }

    /// An operator drains a worker, through the manager.
    pub fn operator_drains(&mut self, worker: WorkerId, force: bool) {
        self.administer(format!("an operator drains {worker}{}", if force { " by force" } else { "" }));
        self.tell_to_go(&worker, true);
        self.hear(self.incarnation, Event::Operator(OperatorRequest::Drain { workers: vec![worker], force }));
    }

    pub(super) fn some_pause(&mut self) {
        self.plan_deed(|faults| faults.pauses_per_hour, Happening::SomePause);
        let runners = &self.scenario.settings.runners;
        let names: Vec<RunnerName> = runners.iter().map(|runner| runner.name.clone()).collect();
        let chosen = self.rng.pick(Stream::Admin, names.len());
        let Some(runner) = names.into_iter().nth(chosen).filter(|_| !self.is_calm() && self.manager_up) else { return };
        let after = self.rng.millis(Stream::Admin, 30_000, 900_000);
        self.operator_pauses(runner.clone());
        self.soon(after, Happening::PauseEnds(runner));
    }

    /// An operator pauses a runner. A manager that starts again has forgotten it.
    pub fn operator_pauses(&mut self, runner: RunnerName) {
        self.administer(format!("an operator pauses {runner}"));
        self.hear(self.incarnation, Event::Operator(OperatorRequest::Pause(runner)));
    }

    /// The operator takes the pause back.
    pub fn pause_ends(&mut self, runner: RunnerName) {
        self.administer(format!("an operator resumes {runner}"));
        self.hear(self.incarnation, Event::Operator(OperatorRequest::Resume(runner)));
    }

    /// A runner's workers are made of something else from now on.
    pub fn drift(&mut self, runner: &RunnerName) {
        self.wishes.drifts += 1;
        let number = self.wishes.drifts;
        if let Some(plan) = self.scenario.plans.get_mut(runner) {
            plan.config = ConfigHash::new(format!("c0ffee-{number}"));
            plan.template = TemplateName::new(format!("runner-fleet-sim-{runner}-c0ffee-{number}"));
        }
        self.administer(format!("{runner} gets another image"));
        let after = self.rng.millis(Stream::Admin, 100, 60_000);
        let incarnation = self.incarnation;
        self.soon(after, Happening::ReadConfiguration { incarnation });
    }

    /// The administrator writes another configuration, which the manager reads a second later.
    pub fn rewrite(&mut self, settings: Settings, what: &str) {
        let gone = |name: &RunnerName| !settings.runners.iter().any(|runner| runner.name == *name);
        let before = self.scenario.settings.runners.iter().map(|runner| runner.name.clone());
        let removed: Vec<RunnerName> = before.filter(|name| gone(name)).collect();
        self.wishes.removed.extend(removed);
        self.administer(format!("the configuration changes: {what}"));
        self.reconfigure(settings);
        let incarnation = self.incarnation;
        self.soon(Duration::from_secs(1), Happening::ReadConfiguration { incarnation });
    }

    /// The faults that can still begin, to be changed by a script.
    pub fn faults_mut(&mut self) -> &mut super::Faults {
        &mut self.scenario.faults
    }

    /// EC2 tells this worker that it ends in two minutes.
    pub fn interrupt(&mut self, worker: &WorkerId) {
        self.notice(worker);
    }

    /// The host of this worker dies.
    pub fn kill_host(&mut self, worker: &WorkerId) {
        self.host_dies(worker);
    }

    /// Nobody can reach this worker for a while.
    pub fn silence(&mut self, worker: &WorkerId) {
        self.falls_silent(worker);
    }

    pub(super) fn some_drift(&mut self) {
        self.plan_deed(|faults| faults.drifts_per_hour, Happening::SomeDrift);
        let names: Vec<RunnerName> = self.scenario.settings.runners.iter().map(|runner| runner.name.clone()).collect();
        let chosen = self.rng.pick(Stream::Admin, names.len());
        if let Some(runner) = names.get(chosen).filter(|_| !self.is_calm()) {
            self.drift(runner);
        }
    }

    pub(super) fn some_reconfiguration(&mut self) {
        self.plan_deed(|faults| faults.reconfigurations_per_hour, Happening::SomeReconfiguration);
        if self.is_calm() {
            return;
        }
        let mut settings = self.scenario.settings.clone();
        let what = self.change(&mut settings);
        make_room(&mut settings);
        self.administer(format!("the configuration changes: {what}"));
        self.reconfigure(settings);
        let incarnation = self.incarnation;
        let after = self.rng.millis(Stream::Admin, 100, 2_000);
        self.soon(after, Happening::ReadConfiguration { incarnation });
    }

    fn number(&mut self, least: u32, most: u32) -> u32 {
        least + self.rng.pick(Stream::Admin, (most - least + 1) as usize) as u32
    }

    /// Changes something, and says what.
    fn change(&mut self, settings: &mut Settings) -> String {
        let what = self.number(0, 8);
        let (one, other, choice) = (self.number(0, 3), self.number(1, 8), self.number(0, 2));
        let index = self.rng.pick(Stream::Admin, settings.runners.len());
        let removable = settings.runners.len() > 1;
        if what == 0 && removable {
            let runner = settings.runners.remove(index);
            let name = runner.name.clone();
            self.hosts.values_mut().filter(|host| host.runner == name).for_each(|host| host.told_to_go = true);
            self.wishes.removed.insert(name.clone());
            self.wishes.shelf.push(runner);
            return format!("{name} is removed");
        }
        if what <= 1
            && settings.runners.len() < RUNNERS_MAX
            && let Some(runner) = self.wishes.shelf.pop()
        {
            let name = runner.name.clone();
            settings.runners.insert(index, runner);
            return format!("{name} is back");
        }
        if what == 2 {
            settings.concurrent = other * 2;
            return format!("concurrent at least {}", settings.concurrent);
        }
        let Some(runner) = settings.runners.get_mut(index) else { return "nothing".into() };
        let name = runner.name.clone();
        match what {
            3 => {
                runner.max_workers = other;
                format!("{name} max_workers {other}")
            }
            4 => {
                runner.idle.count = IdleCount::Fixed(one);
                runner.idle.time = IdleTime::Fixed(Duration::from_secs(u64::from(other) * 60));
                format!("{name} idle_count {one}, idle_time {other} min")
            }
            5 => {
                runner.idle.count = IdleCount::Fixed(one);
                (runner.idle.count_min, runner.idle.scale_factor) = (choice.min(one), 0.5);
                format!("{name} idle_count {one} by factor 0.5")
            }
            6 => {
                runner.limit = one;
                (runner.max_booting, runner.on_demand_fallback) = (choice, other > 2);
                format!("{name} limit {one}, max_booting {choice}")
            }
            7 if runner.max_jobs != 1 => {
                runner.capacity = 1 << choice;
                let what = format!("{name} capacity {}", runner.capacity);
                // The workers' own configuration says it too.
                self.drift(&name);
                what
            }
            _ => {
                runner.market = if choice == 0 { Market::OnDemand } else { Market::Spot };
                runner.schedule = schedule(one);
                format!("{name} {}, {} schedule entries", runner.market, runner.schedule.len())
            }
        }
    }

    /// The most generous limits of the last minutes.
    pub(super) fn bounds(&self, runner: &RunnerName) -> Bounds {
        let mut bounds = Bounds::default();
        for settings in self.recent_settings() {
            bounds.concurrent = bounds.concurrent.max(settings.concurrent);
            let sections = settings.runners.iter().filter(|section| section.name == *runner);
            for section in sections {
                let entries = || section.schedule.iter();
                let max_workers = entries().filter_map(|entry| entry.max_workers).fold(section.max_workers, u32::max);
                let idle = most_idle(section, max_workers * section.capacity);
                bounds.max_workers = bounds.max_workers.max(max_workers);
                bounds.idle = bounds.idle.max(idle);
                bounds.capacity = bounds.capacity.max(section.capacity);
            }
        }
        bounds
    }

    /// The smallest capacity of a runner in the last minutes; a manager that started after its removal has never known it.
    pub(super) fn least_capacity(&self, runner: &RunnerName) -> u32 {
        if !self.is_configured(runner) && self.wishes.unknown.contains(runner) {
            return 1;
        }
        let sections = self.recent_settings().filter_map(|settings| settings.capacity_of(runner));
        sections.min().unwrap_or(1)
    }

    fn recent_settings(&self) -> impl Iterator<Item = &Settings> {
        let recent = |(at, _): &&(Timestamp, Settings)| self.now.duration_since(*at) < DECIDED_WITHIN;
        let past = self.wishes.past.iter().filter(recent).map(|(_, settings)| settings);
        std::iter::once(&self.scenario.settings).chain(past)
    }

    /// Whether there is a section of that name.
    pub fn is_configured(&self, runner: &RunnerName) -> bool {
        self.scenario.settings.runners.iter().any(|section| section.name == *runner)
    }

    /// Whether the manager always had the token to delete this worker's row.
    pub fn is_row_ours(&self, worker: &WorkerId) -> bool {
        self.cloud.machines.get(worker).is_none_or(|machine| !self.wishes.removed.contains(&machine.runner))
    }
}

/// Keeps a wish satisfiable: beside everybody's idle slots there is room for a worker of each runner.
fn make_room(settings: &mut Settings) {
    let mut least = 0;
    for runner in &mut settings.runners {
        runner.max_workers = runner.max_workers.max(1);
        let most = runner.max_workers * runner.capacity;
        if let IdleCount::Fixed(count) = runner.idle.count {
            runner.idle.count = IdleCount::Fixed(count.min(most));
            runner.idle.count_min = runner.idle.count_min.min(count.min(most));
        }
        // Nobody promises room to a forecast.
        let idle = most_idle(runner, 0);
        least += (idle + runner.capacity).div_ceil(runner.capacity) * runner.capacity;
    }
    settings.concurrent = settings.concurrent.max(least);
}

/// The most idle slots that a runner wants at any time; `forecast` stands for those that a forecast says.
fn most_idle(runner: &RunnerSettings, forecast: u32) -> u32 {
    let counts = runner.schedule.iter().filter_map(|entry| entry.idle_count).chain([runner.idle.count]);
    counts.map(|count| count.fixed().unwrap_or(forecast)).fold(0, u32::max)
}

/// Entries for the first hour of the small worlds, which begin at eight.
fn schedule(entries: u32) -> Vec<ScheduleEntry> {
    let written = ["* 8 * * * UTC", "10-19,40-49 8 * * * UTC", "*/20 8 * * * UTC"];
    let entries = written.into_iter().zip([1, 0, 2]).take(entries as usize);
    entries
        .map(|(period, idle_count)| ScheduleEntry {
            periods: cronexpr::parse_crontab(period).into_iter().collect(),
            written: vec![period.to_owned()],
            idle_count: Some(IdleCount::Fixed(idle_count)),
            idle_count_min: None,
            idle_scale_factor: None,
            idle_time: Some(IdleTime::Fixed(Duration::from_secs(120))),
            max_workers: (idle_count == 2).then_some(4),
        })
        .collect()
}

//! What the administrator wants, in the engine's words: made from the configuration, without secrets.

use std::time::Duration;

use cronexpr::Crontab;
use serde::Serialize;

use super::ids::{RunnerName, Server};
use super::offering::Market;

/// The whole wish: limits over all runners, and the runners in file order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Jobs at one time over all runners: caps the sum of the capacities of all workers not yet terminated.
    pub concurrent: u32,
    /// Time between two looks at the queue; also the measure of how fresh an answer must be.
    pub check_interval: Duration,
    /// In file order: a job that two runners could take is counted for the first.
    pub runners: Vec<RunnerSettings>,
}

impl Settings {
    /// Jobs at one time on one worker of this runner, if it is configured.
    pub(crate) fn capacity_of(&self, runner: &RunnerName) -> Option<u32> {
        self.runners.iter().find(|section| section.name == *runner).map(|section| section.capacity)
    }
}

/// One `[[runners]]` section, as far as decisions need it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RunnerSettings {
    /// The section's name.
    pub name: RunnerName,
    /// The GitLab server of its `url`.
    pub server: Server,
    /// Whether its queue can be read (an `api_token` is given). If not, the idle policy and the queue sizes that the
    /// workers' runners report are all there is.
    pub sees_queue: bool,
    /// Jobs at one time of this runner; 0: no limit of its own.
    pub limit: u32,
    /// Workers not yet terminated, at most.
    pub max_workers: u32,
    /// Jobs at one time on one worker; at least 1.
    pub capacity: u32,
    /// Retire a worker after so many jobs; 0: never for that.
    pub max_jobs: u32,
    /// Retire a worker when it is idle after this age.
    pub max_age: Duration,
    /// Workers booting at one time; 0: no limit.
    pub max_booting: u32,
    /// From launch to ready; then the boot has failed.
    pub boot_timeout: Duration,
    /// Spot or on-demand.
    pub market: Market,
    /// With `Market::Spot`: let on-demand take what spot could not give.
    pub on_demand_fallback: bool,
    /// Retry, once, a job that an interruption killed.
    pub retry_interrupted: bool,
    /// The idle policy where no schedule entry matches.
    pub idle: IdlePolicy,
    /// Exceptions by time; the last one that matches wins.
    pub schedule: Vec<ScheduleEntry>,
}

/// How many free job slots stand ready, and for how long a worker above that stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdlePolicy {
    /// Free job slots to keep ready; the ceiling when a factor is set.
    pub count: u32,
    /// The floor when a factor is set.
    pub count_min: u32,
    /// Wanted idle = clamp(slots in use × factor, min, count); 0: `count` alone.
    pub scale_factor: f64,
    /// How long a worker above the policy stays idle before it is retired.
    pub time: Duration,
}

/// One `[[runners.fleet.schedule]]` table; what it omits is inherited from the runner.
#[derive(Clone, Debug, Serialize)]
pub struct ScheduleEntry {
    /// Each is a 5-field cron expression with its zone; the entry is active in the minutes that any of them matches.
    #[serde(skip)]
    pub periods: Vec<Crontab>,
    /// As written, for people and for comparing.
    pub written: Vec<String>,
    /// Replaces [`IdlePolicy::count`].
    pub idle_count: Option<u32>,
    /// Replaces [`IdlePolicy::count_min`].
    pub idle_count_min: Option<u32>,
    /// Replaces [`IdlePolicy::scale_factor`].
    pub idle_scale_factor: Option<f64>,
    /// Replaces [`IdlePolicy::time`].
    pub idle_time: Option<Duration>,
    /// Replaces [`RunnerSettings::max_workers`].
    pub max_workers: Option<u32>,
}

impl PartialEq for ScheduleEntry {
    /// Two entries are equal when they are written equally; a parsed cron expression has no equality of its own.
    fn eq(&self, other: &Self) -> bool {
        let Self { periods: _, written, idle_count, idle_count_min, idle_scale_factor, idle_time, max_workers } = self;
        *written == other.written
            && *idle_count == other.idle_count
            && *idle_count_min == other.idle_count_min
            && *idle_scale_factor == other.idle_scale_factor
            && *idle_time == other.idle_time
            && *max_workers == other.max_workers
    }
}

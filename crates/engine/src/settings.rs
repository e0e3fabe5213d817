//! What the administrator wants, in the engine's words: made from the configuration, without secrets.

use std::collections::BTreeMap;
use std::time::Duration;

use cronexpr::Crontab;
use serde::{Serialize, Serializer};

use super::ids::{RunnerName, Server};
use super::ledger::Spending;
use super::money::UsdPerHour;
use super::offering::Market;

/// The whole wish: limits over all runners, and the runners in file order.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Settings {
    /// Jobs at one time over all runners: caps the sum of the capacities of all workers not yet terminated.
    pub concurrent: u32,
    /// Time between two polls of the queue; also the measure of how fresh an answer must be.
    pub check_interval: Duration,
    /// In file order: a job that two runners could take is counted for the first.
    pub runners: Vec<RunnerSettings>,
}

impl Settings {
    /// The section of this name, if there is one (still).
    pub fn section(&self, runner: &RunnerName) -> Option<&RunnerSettings> {
        self.runners.iter().find(|section| section.name == *runner)
    }

    /// Jobs at one time on one worker of this runner, if it is configured.
    pub fn capacity_of(&self, runner: &RunnerName) -> Option<u32> {
        self.section(runner).map(|section| section.capacity)
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
    /// Without a manager for so long, a worker takes no more jobs by itself, and ends when it has none.
    pub orphan_timeout: Duration,
    /// Spot or on-demand.
    pub market: Market,
    /// With `Market::Spot`: let on-demand take what spot could not give.
    pub on_demand_fallback: bool,
    /// What a spot worker may cost at most; `None`: what the same type costs on demand.
    pub spot_max_price: Option<UsdPerHour>,
    /// What its workers may cost; `None`: no limit.
    pub budget: Option<Budget>,
    /// The size of a worker's root volume, where that is gp3 without more speed than it has by itself: what else it may be
    /// is not priced here.
    pub disk_gib: Option<u32>,
    /// Whether its workers get a public address.
    pub public_address: bool,
    /// The user's own tags, for everything that a launch makes.
    pub tags: BTreeMap<String, String>,
    /// Retry, once, a job that an interruption killed.
    pub retry_interrupted: bool,
    /// The idle policy where no schedule entry matches.
    pub idle: IdlePolicy,
    /// Exceptions by time; the last one that matches wins.
    pub schedule: Vec<ScheduleEntry>,
}

/// The default of `boot_timeout`; and the patience with a boot of which no section says how long it may take.
pub const BOOT_TIMEOUT: Duration = Duration::from_secs(5 * 60);

impl RunnerSettings {
    /// Whether a worker's runner takes one job and exits.
    pub(crate) fn is_single_use(&self) -> bool {
        self.max_jobs == 1
    }

    /// A runner for which nothing but its name and its server is configured, whose queue can be read, under a `concurrent` of
    /// 10: the defaults of docs/configuration.md.
    pub fn new(name: RunnerName, server: Server) -> Self {
        Self {
            name,
            server,
            sees_queue: true,
            limit: 0,
            max_workers: 10,
            capacity: 1,
            max_jobs: 0,
            max_age: Duration::from_secs(24 * 3600),
            max_booting: 0,
            boot_timeout: BOOT_TIMEOUT,
            orphan_timeout: Duration::from_secs(30 * 60),
            market: Market::Spot,
            on_demand_fallback: true,
            spot_max_price: None,
            budget: None,
            disk_gib: Some(30),
            public_address: false,
            tags: BTreeMap::new(),
            retry_interrupted: false,
            idle: IdlePolicy {
                count: IdleCount::Fixed(0),
                count_min: 0,
                count_max: None,
                scale_factor: 0.0,
                time: IdleTime::Auto,
                target_wait: Duration::from_secs(30),
            },
            schedule: Vec::new(),
        }
    }
}

/// What a runner's workers may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Budget {
    /// USD, above zero.
    pub usd: f64,
    /// In a day or a month of UTC.
    pub per: Spending,
}

/// How many free job slots stand ready, and for how long a worker above that stays.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct IdlePolicy {
    /// Free job slots to keep ready; the ceiling when a factor is set.
    pub count: IdleCount,
    /// The floor when a factor is set, or when the forecast says how many.
    pub count_min: u32,
    /// The most that the forecast keeps ready, whatever it expects; `None`: as many as `max_workers` hold.
    pub count_max: Option<u32>,
    /// Wanted idle = clamp(slots in use × factor, min, count); 0: `count` alone.
    pub scale_factor: f64,
    /// How long a worker above the policy stays idle before it is retired.
    pub time: IdleTime,
    /// With [`IdleCount::Auto`]: 95 of 100 jobs are to wait no longer than this for a slot.
    pub target_wait: Duration,
}

/// `idle_count`: a number, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IdleCount {
    /// A number of slots.
    Fixed(u32),
    /// As many as the forecast says: docs/forecast.md.
    Auto,
}

/// `idle_time`: a length, or `"auto"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum IdleTime {
    /// So long.
    Fixed(Duration),
    /// As long as a worker of this runner takes to boot.
    Auto,
}

impl IdleTime {
    /// A job request that is open when a worker is given up may last nearly as long: less would save next to nothing.
    pub const AUTO_MIN: Duration = Duration::from_secs(60);
    /// What boots for longer hangs more often than it works.
    pub const AUTO_MAX: Duration = Duration::from_secs(5 * 60);

    /// The length for a runner whose workers boot in `boot`, the median. Who keeps a worker for as long as it takes to bring
    /// it back pays at most twice what it costs to know when the next job comes: the rule for renting skis.
    pub fn for_boots_of(self, boot: Duration) -> Duration {
        match self {
            Self::Fixed(time) => time,
            Self::Auto => boot.clamp(Self::AUTO_MIN, Self::AUTO_MAX),
        }
    }

    /// The length that was written; `None` where it follows the boots.
    pub fn fixed(self) -> Option<Duration> {
        match self {
            Self::Fixed(time) => Some(time),
            Self::Auto => None,
        }
    }
}

impl IdleCount {
    /// The number that was written; `None` with a forecast.
    pub fn fixed(self) -> Option<u32> {
        match self {
            Self::Fixed(count) => Some(count),
            Self::Auto => None,
        }
    }
}

impl Serialize for IdleCount {
    /// As it is written in the configuration.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Fixed(count) => serializer.serialize_u32(*count),
            Self::Auto => serializer.serialize_str("auto"),
        }
    }
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
    pub idle_count: Option<IdleCount>,
    /// Replaces [`IdlePolicy::count_min`].
    pub idle_count_min: Option<u32>,
    /// Replaces [`IdlePolicy::scale_factor`].
    pub idle_scale_factor: Option<f64>,
    /// Replaces [`IdlePolicy::time`].
    pub idle_time: Option<IdleTime>,
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

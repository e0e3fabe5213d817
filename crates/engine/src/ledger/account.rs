//! The accounts, the lines that they are made of, and what stands on a line.

use std::ops::AddAssign;

use serde::{Deserialize, Serialize};
use strum::{EnumString, IntoStaticStr, VariantArray};

use crate::ids::{JobName, ProjectId, RunnerName};
use crate::offering::Market;

/// The longest name of a job that is kept, in characters: GitLab allows no longer one.
const NAME_MAX: usize = 255;

/// What a worker's time, or what belongs to it, was paid for.
#[derive(
    Clone,
    Copy,
    Debug,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    EnumString,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Account {
    /// Jobs ran. A worker with several splits its time evenly among them.
    Jobs,
    /// From the launch to the first moment when it could take a job.
    Boot,
    /// Ready, and without a job: the idle policy's.
    Idle,
    /// Without a job on its way out: fenced, stopping, being terminated.
    Drain,
    /// Nobody knows what it did: it was silent, or the manager was down.
    Unknown,
    /// Before this ledger was begun.
    Before,
    /// Its root volume.
    Disks,
    /// Its public IPv4 address.
    Addresses,
}

impl Account {
    /// Its stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether it holds instance time: each worker's time is on exactly one of these.
    pub fn is_instance_time(self) -> bool {
        !matches!(self, Self::Disks | Self::Addresses)
    }
}

/// Whose job.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Label {
    /// A job, as far as it is known.
    Job {
        /// Its project; `None`: not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        project: Option<ProjectId>,
        /// Its name in the pipeline; `None`: not known.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        name: Option<JobName>,
    },
    /// All that are too small to be told one by one.
    Rest,
}

impl Label {
    /// A job of which nothing is known.
    pub const UNKNOWN: Self = Self::Job { project: None, name: None };

    /// A job of this project and name.
    pub fn of(project: ProjectId, name: &str) -> Self {
        let name: String = name.chars().take(NAME_MAX).collect();
        Self::Job { project: Some(project), name: Some(JobName::new(name)) }
    }

    /// Its project alone.
    #[must_use]
    pub fn without_name(&self) -> Self {
        match self {
            Self::Job { project, name: _ } => Self::Job { project: *project, name: None },
            Self::Rest => Self::Rest,
        }
    }
}

/// Where an amount is booked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Line {
    /// The runner whose worker it was.
    pub runner: RunnerName,
    /// How the worker was paid for.
    pub market: Market,
    /// What for.
    pub account: Account,
}

/// Time and money on a line. Money is in pico-USD (10⁻¹²), time in milliseconds; a correction may be negative.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Amount {
    /// Time that was paid for.
    pub ms: i64,
    /// What it cost, where the price is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub pico: i64,
    /// What the same time would have cost on demand, where both prices are known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub on_demand: i64,
    /// The part of `pico` whose price on demand is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub uncompared: i64,
    /// The part of `ms` whose price is not known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced_ms: i64,
    /// What that part costs at most, where that is known.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unpriced_at_most: i64,
    /// The part of `unpriced_ms` of which that is not known either.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub unbounded_ms: i64,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the form that serde asks for")]
fn is_zero(value: &i64) -> bool {
    *value == 0
}

impl Amount {
    /// What it costs, where time of unknown price costs what it may at most.
    pub fn at_most(&self) -> i64 {
        self.pico.saturating_add(self.unpriced_at_most)
    }

    /// What takes it back.
    #[must_use]
    pub(crate) fn negative(&self) -> Self {
        Self {
            ms: -self.ms,
            pico: -self.pico,
            on_demand: -self.on_demand,
            uncompared: -self.uncompared,
            unpriced_ms: -self.unpriced_ms,
            unpriced_at_most: -self.unpriced_at_most,
            unbounded_ms: -self.unbounded_ms,
        }
    }

    /// The share of the `index`th of `of` equal ones: together they are the whole, to the last unit.
    #[must_use]
    pub(crate) fn share(&self, index: usize, of: usize) -> Self {
        let (index, of) = (i64::try_from(index).unwrap_or(i64::MAX), i64::try_from(of).unwrap_or(1).max(1));
        let share = |whole: i64| whole.div_euclid(of) + i64::from(index < whole.rem_euclid(of));
        Self {
            ms: share(self.ms),
            pico: share(self.pico),
            on_demand: share(self.on_demand),
            uncompared: share(self.uncompared),
            unpriced_ms: share(self.unpriced_ms),
            unpriced_at_most: share(self.unpriced_at_most),
            unbounded_ms: share(self.unbounded_ms),
        }
    }
}

impl AddAssign for Amount {
    fn add_assign(&mut self, other: Self) {
        let Self { ms, pico, on_demand, uncompared, unpriced_ms, unpriced_at_most, unbounded_ms } = other;
        let add = |sum: &mut i64, more: i64| *sum = sum.saturating_add(more);
        add(&mut self.ms, ms);
        add(&mut self.pico, pico);
        add(&mut self.on_demand, on_demand);
        add(&mut self.uncompared, uncompared);
        add(&mut self.unpriced_ms, unpriced_ms);
        add(&mut self.unpriced_at_most, unpriced_at_most);
        add(&mut self.unbounded_ms, unbounded_ms);
    }
}

impl std::iter::Sum for Amount {
    fn sum<I: Iterator<Item = Self>>(amounts: I) -> Self {
        amounts.fold(Self::default(), |mut sum, amount| {
            sum += amount;
            sum
        })
    }
}

//! The numbers of a row, each with the way in which two rows become one.

use strum::{IntoStaticStr, VariantArray};

/// What a row says of a span of time, for one runner or for all. The names are those of the JSON form.
#[derive(Clone, Copy, Debug, PartialEq, Eq, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "snake_case")]
pub enum Number {
    /// Job slots of all workers that are there and paid, whatever they do; the mean.
    SlotsPaid,
    /// Of these, those that run a job; the mean.
    SlotsAtWork,
    /// Of these, those that are ready and free; the mean.
    SlotsIdle,
    /// Workers that boot; the mean.
    WorkersBooting,
    /// Jobs that wait; the mean.
    JobsWaiting,
    /// The longest wait of a job that waited; the maximum.
    LongestWaitSeconds,
    /// Jobs that workers were seen to begin; how many.
    JobsBegun,
    /// Half of these had waited no longer.
    #[strum(serialize = "wait_p50_seconds")]
    WaitP50Seconds,
    /// 95 of 100 of these had waited no longer.
    #[strum(serialize = "wait_p95_seconds")]
    WaitP95Seconds,
    /// Workers that EC2 gave; how many.
    WorkersLaunched,
    /// Boots that failed; how many.
    BootsFailed,
    /// Notices of interruptions; how many.
    Interruptions,
    /// Workers that were gone; how many.
    WorkersEnded,
    /// What the spot workers cost an hour; the mean.
    UsdPerHourSpot,
    /// What the on-demand workers cost an hour; the mean.
    UsdPerHourOnDemand,
    /// Of both, what idle workers cost an hour; the mean.
    UsdPerHourIdle,
}

/// How the numbers of two spans become that of both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Merging {
    /// The mean, by the time that each was watched.
    Mean,
    /// The larger one.
    Max,
    /// The sum.
    Sum,
    /// The mean, by the jobs that began in each: near enough for a plot, and exact within one row.
    ByJobs,
}

impl Number {
    /// How many there are.
    pub(super) const COUNT: usize = Self::VARIANTS.len();

    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    pub(super) fn merging(self) -> Merging {
        match self {
            Self::SlotsPaid
            | Self::SlotsAtWork
            | Self::SlotsIdle
            | Self::WorkersBooting
            | Self::JobsWaiting
            | Self::UsdPerHourSpot
            | Self::UsdPerHourOnDemand
            | Self::UsdPerHourIdle => Merging::Mean,
            Self::LongestWaitSeconds => Merging::Max,
            Self::JobsBegun | Self::WorkersLaunched | Self::BootsFailed | Self::Interruptions | Self::WorkersEnded => {
                Merging::Sum
            }
            Self::WaitP50Seconds | Self::WaitP95Seconds => Merging::ByJobs,
        }
    }
}

//! How long each kind of trouble must have lasted before it is told, and how long it must have been away to be over.

use std::time::Duration;

use super::TroubleReason;
use crate::job::Knowledge;

/// The patience with a kind of trouble.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Patience {
    /// It is told when it has lasted for so long.
    pub(crate) begins_after: Duration,
    /// It is over when nothing has shown it for so long: some are not to be seen while something is tried against them.
    pub(crate) over_after: Duration,
}

impl Patience {
    const fn seconds(begins_after: u64, over_after: u64) -> Self {
        Self { begins_after: Duration::from_secs(begins_after), over_after: Duration::from_secs(over_after) }
    }
}

impl TroubleReason {
    /// The patience with troubles of this kind.
    pub(crate) fn patience(&self) -> Patience {
        match self {
            // These have lasted already when they show: a series of failures, an instance that is there, a date, a bug.
            Self::NotStarted { .. }
            | Self::BootsFail { .. }
            | Self::WorkersUnfit { .. }
            | Self::AnotherManager { .. }
            | Self::TokenEnds { .. }
            | Self::LawsBroken { .. } => Patience::seconds(0, 0),
            // One refusal may be a right that was granted a moment ago; it is tried again within half a minute.
            Self::LaunchesRefused { .. } => Patience::seconds(60, 60),
            Self::TokenRefused { .. } => Patience::seconds(60, 0),
            // GitLab restarts, and an answer of EC2 fails: what it told last is trusted for a while before that, too.
            Self::QueueUnreadable { .. } | Self::Ec2Unlisted { .. } => Patience::seconds(120, 30),
            // A start has this to find out first. What is known and could not be read again for long still serves.
            Self::FactsUnknown { facts: known } | Self::LaunchPlanUnknown { launch_plan: known } => match known {
                Knowledge::Stale { .. } => Patience::seconds(1800, 0),
                Knowledge::Known | Knowledge::Unknown { .. } => Patience::seconds(180, 0),
            },
            // A shortage closes an offering for three minutes first; while it lasts, one worker is asked for every half.
            Self::NoCapacity { .. } | Self::OverPriceCap { .. } | Self::Throttled { .. } => Patience::seconds(300, 60),
            // Whatever else is wrong or has just been mended is given the time of a boot.
            Self::JobsWait { .. } => Patience::seconds(120, 60),
            Self::JobsUnmatched { .. } => Patience::seconds(60, 60),
            // It counts those that have been silent for five minutes: longer than a host takes to restart.
            Self::WorkersUnreachable { .. } => Patience::seconds(0, 60),
            Self::Paused | Self::BudgetSpent { .. } => Patience::seconds(300, 60),
            // Jobs that queue for minutes are what a ceiling is for.
            Self::ProjectsBlind { .. } | Self::Ceiling { .. } => Patience::seconds(600, 60),
        }
    }

    /// Whether it is seen by what is wanted and not launched: where that is not known, neither is whether it is over.
    pub(crate) fn rests_on_demand(&self) -> bool {
        matches!(
            self,
            Self::NoCapacity { .. }
                | Self::OverPriceCap { .. }
                | Self::LaunchesRefused { .. }
                | Self::Throttled { .. }
                | Self::JobsUnmatched { .. }
                | Self::JobsWait { .. }
                | Self::Paused
                | Self::BudgetSpent { .. }
                | Self::Ceiling { .. }
        )
    }

    /// Whether jobs wait because of it, so that there is no more to say of their waiting.
    pub(crate) fn explains_waits(&self) -> bool {
        !matches!(
            self,
            Self::TokenEnds { .. }
                | Self::JobsUnmatched { .. }
                | Self::JobsWait { .. }
                | Self::WorkersUnreachable { .. }
                | Self::LawsBroken { .. }
                | Self::ProjectsBlind { .. }
                | Self::AnotherManager { is_elder: false, .. }
                | Self::FactsUnknown { facts: Knowledge::Stale { .. } }
                | Self::LaunchPlanUnknown { launch_plan: Knowledge::Stale { .. } }
        )
    }
}

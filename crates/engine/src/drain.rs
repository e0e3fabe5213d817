//! A drain, as far as it has been begun with a worker.

use jiff::{SignedDuration, Timestamp};

use super::command::Want;
use super::reason::{Disobedience, DrainReason};
use super::time::moved;

/// A retirement that was begun.
#[derive(Clone, Debug)]
pub(crate) struct Drain {
    pub(crate) reason: DrainReason,
    /// When it was begun.
    pub(crate) begun_at: Timestamp,
    /// Its runner is not stopped before this: until then it may still be needed.
    pub(crate) stops_from: Timestamp,
    pub(crate) step: DrainStep,
}

/// What is wanted of a draining worker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum DrainStep {
    /// Nothing yet.
    Begun,
    /// That it takes no more jobs.
    Fencing {
        /// When that was first wanted.
        since: Timestamp,
    },
    /// That its runner exits: from here there is no way back.
    Stopping {
        /// When that was first wanted.
        since: Timestamp,
    },
    /// That its runner is made to exit: it did not do as it was told.
    HardStopping {
        /// When that was first wanted.
        since: Timestamp,
        /// What it has not done.
        because: Disobedience,
    },
}

impl Drain {
    /// One that nobody has been told of yet.
    pub(crate) fn begun(reason: DrainReason, now: Timestamp) -> Self {
        Self { reason, begun_at: now, stops_from: now, step: DrainStep::Begun }
    }

    /// Whether it may still be needed as it is, without anybody asking for it.
    pub(crate) fn is_early(&self, now: Timestamp) -> bool {
        now < self.stops_from && self.step.can_be_taken_back()
    }

    /// What is wanted of the worker.
    pub(crate) fn wanted(&self) -> Option<Want> {
        match &self.step {
            DrainStep::Begun => None,
            DrainStep::Fencing { .. } => Some(Want::Fence { reason: self.reason.clone() }),
            DrainStep::Stopping { .. } => Some(Want::Stop { reason: self.reason.clone() }),
            DrainStep::HardStopping { because, .. } => Some(Want::HardStop { reason: because.clone() }),
        }
    }

    /// The clock has moved by `gap` without anybody listening.
    pub(crate) fn was_not_listened_to(&mut self, gap: SignedDuration) {
        moved(&mut self.begun_at, gap);
        moved(&mut self.stops_from, gap);
        match &mut self.step {
            DrainStep::Begun => {}
            DrainStep::Fencing { since } | DrainStep::Stopping { since } | DrainStep::HardStopping { since, .. } => {
                moved(since, gap);
            }
        }
    }
}

impl DrainStep {
    /// Whether the worker can still be asked to take jobs again.
    pub(crate) fn can_be_taken_back(&self) -> bool {
        matches!(self, Self::Begun | Self::Fencing { .. })
    }
}

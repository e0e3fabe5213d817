//! The worker's own word for how long it has been without a job, or never without one.

use jiff::{SignedDuration, Timestamp};

use super::time::moved;
use super::worker::{Report, RunnerState};

/// What a worker's reports have shown without a break.
#[derive(Clone, Debug)]
pub(crate) enum Activity {
    /// No job.
    Quiet(Quiet),
    /// At least one job.
    Busy {
        /// Since when.
        since: Timestamp,
    },
}

/// A worker that shows no job.
#[derive(Clone, Debug)]
pub(crate) struct Quiet {
    /// Since when all its reports show none.
    pub(crate) since: Timestamp,
    runner: RunnerState,
    asks: bool,
    /// Since when they show this runner, with a request open or not, besides.
    pub(crate) unchanged_since: Timestamp,
}

impl Activity {
    /// What is known after one more report, which came without a long silence before it if it is to continue `before`.
    pub(crate) fn after(before: Option<&Self>, report: &Report, now: Timestamp) -> Self {
        match before {
            _ if report.jobs() == 0 => {
                let before = before.and_then(Self::quiet);
                Self::Quiet(Quiet::after(before, report, now))
            }
            Some(Self::Busy { since }) => Self::Busy { since: *since },
            Some(Self::Quiet(_)) | None => Self::Busy { since: now },
        }
    }

    /// That it shows no job.
    pub(crate) fn quiet(&self) -> Option<&Quiet> {
        match self {
            Self::Quiet(quiet) => Some(quiet),
            Self::Busy { .. } => None,
        }
    }

    /// Since when it shows jobs.
    pub(crate) fn busy_since(&self) -> Option<Timestamp> {
        match self {
            Self::Quiet(_) => None,
            Self::Busy { since } => Some(*since),
        }
    }

    /// The clock has moved by `gap` without anybody listening.
    pub(crate) fn was_not_listened_to(&mut self, gap: SignedDuration) {
        match self {
            Self::Quiet(quiet) => {
                moved(&mut quiet.since, gap);
                moved(&mut quiet.unchanged_since, gap);
            }
            Self::Busy { since } => moved(since, gap),
        }
    }
}

impl Quiet {
    fn after(before: Option<&Self>, report: &Report, now: Timestamp) -> Self {
        let (runner, asks) = (report.runner, report.open_requests > 0);
        Self {
            since: before.map_or(now, |before| before.since),
            runner,
            asks,
            unchanged_since: before
                .filter(|before| (before.runner, before.asks) == (runner, asks))
                .map_or(now, |before| before.unchanged_since),
        }
    }
}

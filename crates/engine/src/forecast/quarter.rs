//! A quarter of an hour, as the memories know it: what the days and weeks brought at that time, and what it has brought itself.

use super::bucket::{Bucket, Window};

/// Hours of a bucket's own past that weigh as much as what stands for it.
const DAY_PRIOR_HOURS: f64 = 0.15;
const WEEK_PRIOR_HOURS: f64 = 0.25;
/// A depth that came so often, old days faded, and each time once, is expected at its minute.
const DAYS_OFTEN: f64 = 2.5;
const WEEKS_OFTEN: f64 = 1.7;

/// The memories of one quarter of an hour.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quarter<'a> {
    pub(super) day: &'a Bucket,
    pub(super) week: &'a Bucket,
    /// The last hour, and the hours that it counts for.
    pub(super) recent: &'a Bucket,
    pub(super) recent_hours: f64,
    /// What it has brought itself; `None` where that is not known any more, or not yet.
    pub(super) brought: Option<&'a Bucket>,
}

/// Jobs an hour that a depth typically brings: as the days and weeks say, and what the last hour adds where they say little.
#[derive(Clone, Copy, Debug)]
pub(super) struct Typical {
    pub(super) past: f64,
    pub(super) lately: f64,
}

impl Quarter<'_> {
    /// Depths of which anything is known, and one.
    pub(super) fn len(&self) -> usize {
        self.recent.len().max(self.day.len()).max(self.week.len())
    }

    /// Jobs an hour at this depth, trend aside.
    pub(super) fn typical(&self, depth: usize) -> Typical {
        let by_day = |jobs: f64| jobs / (self.day.hours + DAY_PRIOR_HOURS);
        let by_week = |jobs: f64| jobs / (self.week.hours + WEEK_PRIOR_HOURS);
        Typical {
            past: by_week(self.week.jobs(depth) + WEEK_PRIOR_HOURS * by_day(self.day.jobs(depth))),
            lately: by_week(WEEK_PRIOR_HOURS * by_day(DAY_PRIOR_HOURS * self.recent.jobs(depth) / self.recent_hours)),
        }
    }

    /// Jobs an hour at all depths, trend aside.
    pub(super) fn jobs_per_hour(&self) -> f64 {
        (0..self.len()).map(|depth| self.typical(depth)).map(|typical| typical.past + typical.lately).sum()
    }

    /// When this depth comes, if it comes once. What needed no slot has no minute.
    pub(super) fn window(&self, depth: usize) -> Option<Window> {
        let window = || self.day.window(depth, DAYS_OFTEN).or_else(|| self.week.window(depth, WEEKS_OFTEN));
        if depth > 0 { window() } else { None }
    }

    /// Whether such a job has come.
    pub(super) fn has_come(&self, depth: usize) -> bool {
        self.brought.is_some_and(|brought| brought.jobs(depth) > 0.0)
    }
}

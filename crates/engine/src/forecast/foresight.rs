//! What was expected of a time when a worker for it had to be launched.
//!
//! A job is judged by this, and not by what is known when it comes: by then the first jobs of its own burst have raised the
//! present above the pattern, and a price that follows from them is never reached when a decision is due.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::time::{before, since};

use super::pattern::Depths;

/// Two answers that are closer than this are one: the memory stays small however many jobs come.
const APART: Duration = Duration::from_secs(2);
/// More than these are never kept: twenty minutes of answers, at the most.
const KEPT_MAX: usize = 600;

/// What was expected with each answer of the last lead, oldest first: of the time for which it was made.
#[derive(Clone, Debug, Default)]
pub(super) struct Foresight(VecDeque<(Timestamp, Depths)>);

impl Foresight {
    /// Now this is expected of the time that can still be prepared for.
    pub(super) fn saw(&mut self, now: Timestamp, lead: Duration, coming: Depths) {
        // The clock was set back: what was expected of that time is not known any more.
        self.0.retain(|(at, _)| *at <= now);
        if self.0.back().is_some_and(|(at, _)| since(now, *at) < APART) {
            return;
        }
        self.0.push_back((now, coming));
        let due = before(now, lead);
        // The youngest of those that are as old as the lead stays, and the one before it.
        while self.0.len() > KEPT_MAX || self.0.get(2).is_some_and(|(at, _)| *at <= due) {
            self.0.pop_front();
        }
    }

    /// Jobs an hour that the slot of this depth was expected to serve at that time; `None` if there was no answer one lead before.
    pub(super) fn of(&self, at: Timestamp, lead: Duration, depth: usize) -> Option<f64> {
        let due = before(at, lead);
        let next = self.0.partition_point(|(seen, _)| *seen <= due);
        // Two, for the job came between the times of which they speak.
        let answers = self.0.range(next.saturating_sub(2)..next);
        answers.map(|(_, coming)| coming.worth(depth)).reduce(f64::max)
    }
}

//! How deep a job lies in its burst: how many free slots would have had to stand ready for it to start in time.
//!
//! Imagine the fleet without any slots kept ready. A job that ends leaves its slot behind, for `idle_time`. A job that
//! comes takes such a slot, if there is one; else a worker is launched for it, and is there one boot later. With `s` slots kept
//! ready beside this fleet, a job for which a worker is launched starts at once as long as fewer than `s` such launches
//! are still on their way: those took the ready slots, and what replaces them still boots. So its depth is the number of
//! launches within the boot before it, itself included; 0 if it found a slot left behind.
//!
//! A job may wait for the target. So only launches count that are younger than boot time minus target: the *lead*.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::time::before;

/// More than this many at once are a flood for which no slots are kept ready.
const KEPT_MAX: usize = 10_000;

/// The imagined fleet.
#[derive(Clone, Debug, Default)]
pub(crate) struct Bursts {
    /// When the slots that are still there were left behind.
    left: VecDeque<Timestamp>,
    /// When workers were launched that may still boot.
    launches: VecDeque<Timestamp>,
}

impl Bursts {
    /// A job has come; its depth.
    pub(crate) fn came(&mut self, at: Timestamp, lead: Duration, idle_time: Duration) -> usize {
        drop_until(&mut self.left, before(at, idle_time));
        // The youngest is taken: the others then end sooner, so that the depth errs towards more.
        if self.left.pop_back().is_some() {
            return 0;
        }
        drop_until(&mut self.launches, before(at, lead));
        if self.launches.len() < KEPT_MAX {
            self.launches.push_back(at);
        }
        self.launches.len()
    }

    /// A job has ended, and its slot is free for the next one.
    pub(crate) fn ended(&mut self, at: Timestamp) {
        if self.left.len() < KEPT_MAX {
            self.left.push_back(at);
        }
    }
}

/// Drops what happened at that time or before.
fn drop_until(times: &mut VecDeque<Timestamp>, until: Timestamp) {
    while times.front().is_some_and(|time| *time <= until) {
        times.pop_front();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    const LEAD: Duration = Duration::from_secs(60);
    const IDLE_TIME: Duration = Duration::from_secs(300);

    #[test]
    fn depth_counts_the_launches_that_still_boot() {
        let mut bursts = Bursts::default();
        let depths: Vec<usize> = [0, 10, 20, 60, 75, 200].map(|second| bursts.came(at(second), LEAD, IDLE_TIME)).into();
        assert_eq!(depths, [1, 2, 3, 3, 3, 1]);
    }

    #[test]
    fn a_slot_left_behind_serves_once_and_for_the_idle_time() {
        let mut bursts = Bursts::default();
        bursts.ended(at(0));
        assert_eq!([10, 20].map(|second| bursts.came(at(second), LEAD, IDLE_TIME)), [0, 1]);
        bursts.ended(at(100));
        assert_eq!(bursts.came(at(400), LEAD, IDLE_TIME), 1, "it was retired at that moment");
    }
}

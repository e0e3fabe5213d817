//! When a worker took its jobs. Its runner's counter tells at once that one was taken, and Docker's labels tell later, when
//! the images are there, which: the two are brought together here.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};

use super::time::moved;

/// Jobs that one worker has taken and not named, at most: more than it has slots, and a bound on what it says.
const UNNAMED_MAX: usize = 64;

/// Jobs that were taken and not named yet, or the other way about.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobsTaken {
    unnamed: VecDeque<Timestamp>,
    /// Named before the counter told of them.
    uncounted: u32,
}

impl JobsTaken {
    /// The counter has risen by so much.
    pub(crate) fn counted(&mut self, count: u32, now: Timestamp) {
        for _ in 0..count {
            match self.uncounted.checked_sub(1) {
                Some(left) => self.uncounted = left,
                None if self.unnamed.len() < UNNAMED_MAX => self.unnamed.push_back(now),
                None => return,
            }
        }
    }

    /// A job is named: when it was taken.
    pub(crate) fn named(&mut self, now: Timestamp) -> Timestamp {
        self.unnamed.pop_front().unwrap_or_else(|| {
            self.uncounted = self.uncounted.saturating_add(1);
            now
        })
    }

    /// The worker runs nothing: what was not named by now never will be.
    pub(crate) fn none_runs(&mut self) {
        *self = Self::default();
    }

    /// The clock has moved by `gap` without anybody listening.
    pub(crate) fn was_not_listened_to(&mut self, gap: SignedDuration) {
        self.unnamed.iter_mut().for_each(|at| moved(at, gap));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_began_when_the_counter_rose_whichever_is_told_first() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let mut taken = JobsTaken::default();
        taken.counted(2, at(10));
        assert_eq!([taken.named(at(40)), taken.named(at(50)), taken.named(at(60))], [at(10), at(10), at(60)]);
        taken.counted(2, at(61));
        assert_eq!(taken.named(at(70)), at(61), "one of the two was the job that was named before");
        taken.counted(9, at(80));
        taken.none_runs();
        assert_eq!(taken.named(at(90)), at(90));
        taken.counted(u32::MAX, at(100));
        assert_eq!(taken.unnamed.len(), UNNAMED_MAX);
    }
}

//! How a row comes to be: what was seen and what happened within its time, summed up.

use std::time::Duration;

use strum::VariantArray as _;

use super::number::{Merging, Number};
use super::row::Row;
use super::sample::Sample;

/// Waits that one row remembers to find its percentiles; a fleet that begins more jobs within a quarter of an hour has
/// the percentiles of the first of them.
const WAITS_MAX: usize = 10_000;

/// The sums behind a row that is not finished.
#[derive(Clone, Debug, Default)]
pub(super) struct Tally {
    seconds: f64,
    /// For each number the sum, or the maximum, and how often it was known.
    sums: [(f64, u32); Number::COUNT],
    waits: Vec<f32>,
}

impl Tally {
    /// What was seen once, standing for so many seconds.
    pub(super) fn sample(&mut self, seen: &Sample, seconds: f64) {
        self.seconds += seconds;
        for (number, value) in seen {
            let Some((sum, count)) = self.sums.get_mut(*number as usize) else { continue };
            *sum = if number.merging() == Merging::Max { sum.max(*value) } else { *sum + *value };
            *count += 1;
        }
    }

    /// It happened once more.
    pub(super) fn count(&mut self, number: Number) {
        if let Some((sum, _)) = self.sums.get_mut(number as usize) {
            *sum += 1.0;
        }
    }

    /// A job began after this wait, where that is known.
    pub(super) fn began(&mut self, waited: Option<Duration>) {
        self.count(Number::JobsBegun);
        if self.waits.len() < WAITS_MAX {
            self.waits.extend(waited.map(|waited| waited.as_secs_f32()));
        }
    }

    /// What it comes to.
    pub(super) fn row(&self) -> Row {
        let mut row = Row::unknown();
        row.seconds = self.seconds as f32;
        for &number in Number::VARIANTS {
            let (sum, count) = self.sums.get(number as usize).copied().unwrap_or_default();
            match number.merging() {
                Merging::Mean if count > 0 => row.set(number, (sum / f64::from(count)) as f32),
                Merging::Max if count > 0 => row.set(number, sum as f32),
                Merging::Sum => row.set(number, sum as f32),
                Merging::Mean | Merging::Max | Merging::ByJobs => {}
            }
        }
        let mut waits = self.waits.clone();
        waits.sort_by(f32::total_cmp);
        for (number, percent) in [(Number::WaitP50Seconds, 50), (Number::WaitP95Seconds, 95)] {
            if let Some(wait) = percentile(&waits, percent) {
                row.set(number, wait);
            }
        }
        row
    }
}

/// The smallest value that so many of 100 do not exceed.
fn percentile(sorted: &[f32], percent: usize) -> Option<f32> {
    sorted.get((sorted.len() * percent).div_ceil(100).checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_averaged_and_the_worst_wait_stays() {
        let mut tally = Tally::default();
        tally.sample(&vec![(Number::SlotsPaid, 2.0), (Number::LongestWaitSeconds, 5.0)], 1.0);
        tally.sample(&vec![(Number::SlotsPaid, 4.0), (Number::LongestWaitSeconds, 1.0)], 1.0);
        tally.sample(&vec![(Number::LongestWaitSeconds, 2.0)], 1.0);
        let row = tally.row();
        assert_eq!(row.seconds, 3.0);
        assert_eq!(row.get(Number::SlotsPaid), Some(3.0), "a look that did not know does not count");
        assert_eq!(row.get(Number::LongestWaitSeconds), Some(5.0));
        assert_eq!(row.get(Number::JobsWaiting), None, "what was never known is not zero");
        assert_eq!(row.get(Number::BootsFailed), Some(0.0), "what was watched for and did not happen is zero");
        assert_eq!(row.get(Number::WaitP95Seconds), None, "nothing began");
    }

    #[test]
    fn percentiles_are_waits_that_were() {
        let mut tally = Tally::default();
        (1..=20).rev().for_each(|wait| tally.began(Some(Duration::from_secs(wait))));
        tally.began(None);
        let row = tally.row();
        assert_eq!(row.get(Number::JobsBegun), Some(21.0));
        assert_eq!(row.get(Number::WaitP50Seconds), Some(10.0));
        assert_eq!(row.get(Number::WaitP95Seconds), Some(19.0));
        tally.began(Some(Duration::ZERO));
        assert_eq!(tally.row().get(Number::WaitP50Seconds), Some(10.0));
    }
}

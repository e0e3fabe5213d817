//! A row: the numbers of one span of time. What was not known is nothing, never zero.

use strum::VariantArray as _;

use super::number::{Merging, Number};

/// How many values a row has in its file: the time that was watched, then each [`Number`].
pub(super) const WIDTH: usize = 1 + Number::COUNT;

/// What is known of a span of time. Seven digits are more than a plot shows, and half the memory.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    /// Seconds that were watched.
    pub(super) seconds: f32,
    /// NaN: not known.
    numbers: [f32; Number::COUNT],
}

impl Row {
    /// Of a span of which nothing is known.
    pub(super) fn unknown() -> Self {
        Self { seconds: 0.0, numbers: [f32::NAN; Number::COUNT] }
    }

    /// The number, where it is known.
    pub(super) fn get(&self, number: Number) -> Option<f32> {
        self.numbers.get(number as usize).copied().filter(|value| value.is_finite())
    }

    /// It is known.
    pub(super) fn set(&mut self, number: Number, value: f32) {
        if let Some(place) = self.numbers.get_mut(number as usize) {
            *place = value;
        }
    }

    /// Both spans in one row.
    #[must_use]
    pub(super) fn and(&self, other: &Self) -> Self {
        let mut both = Self { seconds: self.seconds + other.seconds, ..Self::unknown() };
        for &number in Number::VARIANTS {
            let value = match (self.get(number), other.get(number)) {
                (None, None) => continue,
                (Some(one), None) | (None, Some(one)) => one,
                (Some(one), Some(two)) => match number.merging() {
                    Merging::Mean => weighted(one, self.seconds, two, other.seconds),
                    Merging::Max => one.max(two),
                    Merging::Sum => one + two,
                    Merging::ByJobs => weighted(one, self.jobs(), two, other.jobs()),
                },
            };
            both.set(number, value);
        }
        both
    }

    fn jobs(&self) -> f32 {
        self.get(Number::JobsBegun).unwrap_or_default()
    }

    /// As it lies in the file.
    pub(super) fn to_array(self) -> [f32; WIDTH] {
        let mut values = std::iter::once(self.seconds).chain(self.numbers);
        std::array::from_fn(|_| values.next().unwrap_or(f32::NAN))
    }

    /// As it lay in the file.
    pub(super) fn of_array(array: &[f32; WIDTH]) -> Self {
        let [seconds, numbers @ ..] = array;
        Self { seconds: if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }, numbers: *numbers }
    }
}

fn weighted(one: f32, weight_one: f32, two: f32, weight_two: f32) -> f32 {
    let weight = weight_one + weight_two;
    if weight > 0.0 { (one * weight_one + two * weight_two) / weight } else { one.max(two) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(seconds: f32, numbers: &[(Number, f32)]) -> Row {
        let mut row = Row { seconds, ..Row::unknown() };
        numbers.iter().for_each(|&(number, value)| row.set(number, value));
        row
    }

    #[test]
    fn two_spans_become_one_each_number_in_its_way() {
        use Number::{JobsBegun, JobsWaiting, LongestWaitSeconds, SlotsPaid, WaitP95Seconds};
        let one = row(60.0, &[(SlotsPaid, 4.0), (LongestWaitSeconds, 9.0), (JobsBegun, 1.0), (WaitP95Seconds, 10.0)]);
        let two = row(20.0, &[(SlotsPaid, 8.0), (LongestWaitSeconds, 3.0), (JobsBegun, 3.0), (WaitP95Seconds, 2.0)]);
        let both = one.and(&two);
        assert_eq!(both.seconds, 80.0);
        assert_eq!(both.get(SlotsPaid), Some(5.0), "by time");
        assert_eq!(both.get(LongestWaitSeconds), Some(9.0));
        assert_eq!(both.get(JobsBegun), Some(4.0));
        assert_eq!(both.get(WaitP95Seconds), Some(4.0), "by jobs");
        assert_eq!(both.get(JobsWaiting), None, "what neither knows is not zero");
    }

    #[test]
    fn what_one_does_not_know_does_not_count() {
        let known = row(60.0, &[(Number::SlotsPaid, 4.0)]);
        assert_eq!(known.and(&row(60.0, &[])).get(Number::SlotsPaid), Some(4.0));
        assert_eq!(row(60.0, &[]).and(&known).get(Number::SlotsPaid), Some(4.0));
    }

    #[test]
    fn a_row_survives_its_file() {
        let written = row(60.0, &[(Number::SlotsPaid, 4.0), (Number::UsdPerHourIdle, 0.25)]);
        let read = Row::of_array(&written.to_array());
        assert_eq!(read.seconds, 60.0);
        for &number in Number::VARIANTS {
            assert_eq!(read.get(number), written.get(number), "{}", number.as_str());
        }
    }
}

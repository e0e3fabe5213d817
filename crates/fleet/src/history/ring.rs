//! A ring of rows: so many spans of time, so many rows in all; the oldest make room for the newest.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::row::Row;
use super::sample::Scope;

/// How long one span is, and how many are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Size {
    /// Seconds of one span.
    pub(super) step: i64,
    /// Spans: a day of minutes, 31 days of quarters.
    pub(super) spans: usize,
    /// Rows: one a span for all, and one for each runner. With many runners the past becomes shorter, not larger.
    pub(super) rows: usize,
}

/// A row a minute for a day, of 20 runners.
pub(super) const MINUTES: Size = Size { step: 60, spans: 24 * 60, rows: 24 * 60 * 21 };
/// A row every quarter of an hour for 31 days, of 15 runners.
pub(super) const QUARTERS: Size = Size { step: 15 * 60, spans: 31 * 24 * 4, rows: 31 * 24 * 4 * 16 };

/// The rows of one span.
pub(super) type Rows = BTreeMap<Scope, Row>;

/// The spans that are kept, by the second in which they begin.
#[derive(Clone, Debug)]
pub(super) struct Ring {
    size: Size,
    spans: BTreeMap<i64, Rows>,
    rows: usize,
    /// Spans that the file does not have like this.
    unsaved: BTreeSet<i64>,
}

impl Ring {
    pub(super) fn new(size: Size) -> Self {
        Self { size, spans: BTreeMap::new(), rows: 0, unsaved: BTreeSet::new() }
    }

    /// The beginning of the span in which this time lies.
    pub(super) fn begin_of(&self, time: Timestamp) -> i64 {
        let second = time.as_second();
        second - second.rem_euclid(self.size.step)
    }

    /// These are the rows of that span now.
    pub(super) fn put(&mut self, at: i64, rows: Rows) {
        self.rows += rows.len();
        let before = self.spans.insert(at, rows);
        self.rows -= before.map_or(0, |before| before.len());
        self.unsaved.insert(at);
        while self.spans.len() > self.size.spans || self.rows > self.size.rows && self.spans.len() > 1 {
            let Some((oldest, gone)) = self.spans.pop_first() else { break };
            self.rows -= gone.len();
            self.unsaved.remove(&oldest);
        }
    }

    /// The file has these rows of that span. What is known here already is newer.
    pub(super) fn remember(&mut self, at: i64, rows: Rows) {
        if !self.spans.contains_key(&at) {
            self.put(at, rows);
            self.unsaved.remove(&at);
        }
    }

    /// What is known of that span already.
    pub(super) fn get(&self, at: i64) -> Option<&Rows> {
        self.spans.get(&at)
    }

    /// Whether any span has a row of this scope.
    pub(super) fn knows(&self, scope: &Scope) -> bool {
        self.spans.values().rev().any(|rows| rows.contains_key(scope))
    }

    /// The beginning of the oldest span.
    pub(super) fn oldest(&self) -> Option<i64> {
        self.spans.first_key_value().map(|(at, _)| *at)
    }

    /// The spans that begin within this time, oldest first.
    pub(super) fn within(&self, from: i64, to: i64) -> impl Iterator<Item = (i64, &Rows)> {
        let range = if from < to { from..to } else { from..from };
        self.spans.range(range).map(|(at, rows)| (*at, rows))
    }

    /// The spans that the file does not have; it is asked to have them from now on.
    pub(super) fn take_unsaved(&mut self) -> Vec<(i64, Rows)> {
        let unsaved = std::mem::take(&mut self.unsaved);
        unsaved.into_iter().filter_map(|at| Some((at, self.spans.get(&at)?.clone()))).collect()
    }

    /// The file has lost everything.
    pub(super) fn forget_saved(&mut self) {
        self.unsaved = self.spans.keys().copied().collect();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::RunnerName;

    const SIZE: Size = Size { step: 60, spans: 3, rows: 5 };

    fn rows(runners: usize) -> Rows {
        let scopes = (1..runners).map(|number| Some(RunnerName::new(format!("r{number}")))).chain([None]);
        scopes.map(|scope| (scope, Row::unknown())).collect()
    }

    fn begins(ring: &Ring) -> Vec<i64> {
        ring.within(i64::MIN, i64::MAX).map(|(at, _)| at).collect()
    }

    #[test]
    fn the_oldest_spans_make_room() {
        let mut ring = Ring::new(SIZE);
        (0..5).for_each(|minute| ring.put(minute * 60, rows(1)));
        assert_eq!(begins(&ring), [120, 180, 240]);
        ring.put(300, rows(3));
        assert_eq!(begins(&ring), [180, 240, 300]);
        ring.put(360, rows(3));
        assert_eq!(begins(&ring), [360], "five rows hold one span of three runners and not another");
        ring.put(420, rows(9));
        assert_eq!(begins(&ring), [420], "the newest stays, however large");
    }

    #[test]
    fn a_clock_that_jumps_ahead_and_back_costs_one_span() {
        let mut ring = Ring::new(SIZE);
        for at in [0, 60, 1_000_000_000 * 60, 120, 180] {
            ring.put(at, rows(1));
        }
        assert_eq!(begins(&ring), [120, 180, 60_000_000_000]);
    }

    #[test]
    fn what_the_file_lacks_is_given_once() {
        let mut ring = Ring::new(SIZE);
        ring.put(0, rows(1));
        ring.put(60, rows(1));
        assert_eq!(ring.take_unsaved().len(), 2);
        ring.put(60, rows(2));
        let unsaved = ring.take_unsaved();
        assert_eq!(unsaved.iter().map(|(at, rows)| (*at, rows.len())).collect::<Vec<_>>(), [(60, 2)]);
        ring.forget_saved();
        assert_eq!(ring.take_unsaved().len(), 2);
    }
}

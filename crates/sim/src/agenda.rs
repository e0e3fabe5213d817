//! What is going to happen, by time; at equal times in the order in which it was put down.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use jiff::Timestamp;

/// The future.
#[derive(Clone, Debug)]
pub(crate) struct Agenda<T> {
    entries: BinaryHeap<Reverse<Entry<T>>>,
    /// Total order at equal times.
    next_turn: u64,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    at: Timestamp,
    turn: u64,
    happening: T,
}

impl<T> Default for Agenda<T> {
    fn default() -> Self {
        Self { entries: BinaryHeap::new(), next_turn: 0 }
    }
}

impl<T> Agenda<T> {
    pub(crate) fn put(&mut self, at: Timestamp, happening: T) {
        self.entries.push(Reverse(Entry { at, turn: self.next_turn, happening }));
        self.next_turn += 1;
    }

    pub(crate) fn next_at(&self) -> Option<Timestamp> {
        self.entries.peek().map(|Reverse(entry)| entry.at)
    }

    /// The next thing to happen, unless it lies after `until`.
    pub(crate) fn take_until(&mut self, until: Timestamp) -> Option<(Timestamp, T)> {
        if self.next_at()? > until {
            return None;
        }
        self.entries.pop().map(|Reverse(entry)| (entry.at, entry.happening))
    }
}

impl<T> Entry<T> {
    fn key(&self) -> (Timestamp, u64) {
        (self.at, self.turn)
    }
}

impl<T> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl<T> Eq for Entry<T> {}

impl<T> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

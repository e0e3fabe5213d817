//! A ring, and the span at its end that is not over yet.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::ring::{Ring, Rows, Size};
use super::sample::Scope;
use super::tally::Tally;

/// The finished spans and the open one.
#[derive(Debug)]
pub(super) struct Track {
    pub(super) ring: Ring,
    open: Option<Open>,
}

/// A span that is not over.
#[derive(Debug)]
struct Open {
    at: i64,
    /// What is known of it from before: the service was started again within it, or the clock was set back.
    before: Rows,
    tallies: BTreeMap<Scope, Tally>,
    /// Whether the ring lacks something of it.
    is_news: bool,
}

impl Open {
    fn at(at: i64, ring: &Ring) -> Self {
        Self { at, before: ring.get(at).cloned().unwrap_or_default(), tallies: BTreeMap::new(), is_news: false }
    }

    fn rows(&self) -> Rows {
        let mut rows = self.before.clone();
        for (scope, tally) in &self.tallies {
            let row = tally.row();
            rows.entry(scope.clone()).and_modify(|before| *before = before.and(&row)).or_insert(row);
        }
        rows
    }
}

impl Track {
    pub(super) fn new(size: Size) -> Self {
        Self { ring: Ring::new(size), open: None }
    }

    /// The file has these rows.
    pub(super) fn remember(&mut self, at: i64, rows: Rows) {
        match &mut self.open {
            // The service was started again within this span.
            Some(open) if open.at == at && open.before.is_empty() => {
                open.before = rows;
                open.is_news = true;
            }
            Some(_) | None => self.ring.remember(at, rows),
        }
    }

    /// It is this time now: whether a span is over by that.
    pub(super) fn roll_to(&mut self, now: Timestamp) -> bool {
        let at = self.ring.begin_of(now);
        if self.open.as_ref().is_some_and(|open| open.at == at) {
            return false;
        }
        self.settle();
        let was_open = self.open.replace(Open::at(at, &self.ring));
        was_open.is_some()
    }

    /// Adds something to the sums of this scope in the open span.
    pub(super) fn tally(&mut self, scope: &Scope, add: impl FnOnce(&mut Tally)) {
        if let Some(open) = &mut self.open {
            open.is_news = true;
            add(open.tallies.entry(scope.clone()).or_default());
        }
    }

    /// The ring has of the open span what is known of it so far.
    pub(super) fn settle(&mut self) {
        if let Some(open) = self.open.as_mut().filter(|open| open.is_news) {
            open.is_news = false;
            self.ring.put(open.at, open.rows());
        }
    }
}

//! Something that is tried again and again is told when it begins to fail, and when it works again; not every three
//! seconds, and not because a sentence names another time or another project.
//!
//! Kinds are compared, sentences are not: a [`Complaint`] remembers the kind that was told last.

use std::time::Duration;

use runner_fleet_engine::backoff::Doubling;
use runner_fleet_engine::{Failure, FailureClass};
use tracing::{debug, info, warn};

/// Remembers what kind of failure was told last.
#[derive(Debug)]
pub(super) struct Complaint<Kind = FailureClass> {
    told: Option<Kind>,
}

impl<Kind> Default for Complaint<Kind> {
    fn default() -> Self {
        Self { told: None }
    }
}

/// What the log was told of an outcome.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It works as before, or fails as before.
    Nothing,
    /// It fails, or fails in another way.
    Failure,
    /// It works again.
    Recovery,
}

impl Complaint {
    /// Tells the log about this outcome of `what` if it is news: WARN for a new kind of failure, INFO for the recovery.
    pub(super) fn about<T>(&mut self, what: &str, outcome: &Result<T, Failure>) -> Told {
        let told = self.take(outcome.as_ref().err().map(|failure| failure.class));
        match (told, outcome) {
            (Told::Failure, Err(failure)) => warn!(failure.class = %failure.class, "{what} failed: {failure}"),
            (Told::Recovery, _) => info!("{what} works again"),
            (_, Err(failure)) => debug!(failure.class = %failure.class, "{what} still fails: {failure}"),
            (_, Ok(_)) => {}
        }
        told
    }
}

impl<Kind: Copy + PartialEq> Complaint<Kind> {
    /// Whether it is news that things are now so; `None`: they are well.
    pub(super) fn take(&mut self, now: Option<Kind>) -> Told {
        let before = std::mem::replace(&mut self.told, now);
        match now {
            None if before.is_some() => Told::Recovery,
            Some(_) if before != now => Told::Failure,
            None | Some(_) => Told::Nothing,
        }
    }
}

/// Short enough for an outage that ends, long enough for one that does not.
const PACE: Doubling = Doubling { first: Duration::from_secs(5), longest: Duration::from_secs(300) };

/// Growing pauses of what is tried until it works.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> Duration {
        self.failures = self.failures.saturating_add(1);
        PACE.wait(self.failures)
    }

    /// It worked.
    pub(super) fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end_at_five_minutes() {
        let mut pauses = Pauses::default();
        let seconds: Vec<_> = (0..9).map(|_| pauses.next().as_secs()).collect();
        assert_eq!(seconds, [5, 10, 20, 40, 80, 160, 300, 300, 300]);
        pauses.reset();
        assert_eq!(pauses.next().as_secs(), 5);
    }

    #[test]
    fn a_failure_is_told_once_whatever_its_sentence_says() {
        let mut complaint = Complaint::default();
        let outage: Vec<Told> = (0..20)
            .map(|second| {
                let failure = Failure::new(FailureClass::ServerError, format!("502, next try at {second}"));
                complaint.about::<()>("x", &Err(failure))
            })
            .collect();
        assert_eq!(outage.iter().filter(|told| **told != Told::Nothing).count(), 1);
        assert_eq!(outage[0], Told::Failure);
        assert_eq!(complaint.about::<()>("x", &Err(Failure::new(FailureClass::Denied, "403"))), Told::Failure);
        assert_eq!(complaint.about("x", &Ok(())), Told::Recovery);
        assert_eq!(complaint.about("x", &Ok(())), Told::Nothing);
    }
}

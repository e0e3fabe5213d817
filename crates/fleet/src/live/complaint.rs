//! Something that is tried again and again is complained about once, and not every three seconds.

use std::error::Error;
use std::fmt::Display;

use tracing::{debug, info, warn};

/// Remembers what was said last.
#[derive(Debug, Default)]
pub(super) struct Complaint {
    said: Option<String>,
}

impl Complaint {
    /// Tells the log about this outcome of `what` if it is news: WARN for a new failure, INFO for the recovery.
    pub(super) fn about<T, E: Display>(&mut self, what: &str, outcome: &Result<T, E>) {
        match (outcome, &self.said) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => {
                info!("{what} works again");
                self.said = None;
            }
            (Err(error), said) => {
                let error = error.to_string();
                if said.as_ref() == Some(&error) {
                    debug!("{what} still fails: {error}");
                } else {
                    warn!("{what} fails: {error}");
                    self.said = Some(error);
                }
            }
        }
    }
}

/// An error and its causes as one sentence; what a cause merely repeats is said once.
pub(crate) fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text = format!("{text}: {said}");
        }
        next = cause.source();
    }
    text
}

/// Growing pauses: 5 s, doubled up to 5 min. Short enough for an outage that ends, long enough for one that does not.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    failures: u32,
}

impl Pauses {
    /// The pause after one more failure.
    pub(super) fn next(&mut self) -> std::time::Duration {
        let seconds = 5 << self.failures.min(6);
        self.failures += 1;
        std::time::Duration::from_secs(seconds.min(300))
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
    fn the_same_failure_is_remembered_until_it_works() {
        let mut complaint = Complaint::default();
        complaint.about::<(), _>("x", &Err("down"));
        assert_eq!(complaint.said.as_deref(), Some("down"));
        complaint.about::<(), &str>("x", &Ok(()));
        assert_eq!(complaint.said, None);
    }
}

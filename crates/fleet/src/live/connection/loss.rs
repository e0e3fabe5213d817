//! A worker that was heard and is heard no more: what the log is told of it. Pure: times come in.
//!
//! Two losses are not told. A boot whose sshd is not up yet was never heard; `boot_timeout` is for that. And where an
//! instance ends, by us or by EC2, its connection is let go within the grace.

use tokio::time::Instant;

use super::timeouts::Timeouts;
use crate::live::complaint::{Complaint, Told};
use runner_fleet_engine::ConnectionFailure;

/// What is known of one worker.
#[derive(Debug, Default)]
pub(super) struct Loss {
    was_heard: bool,
    since: Option<Instant>,
    complaint: Complaint<&'static str>,
}

impl Loss {
    /// Its agent made sense.
    pub(super) fn heard(&mut self) -> Told {
        self.was_heard = true;
        self.since = None;
        self.complaint.take(None)
    }

    /// A connection, or an attempt to make one, ended so.
    pub(super) fn ended(&mut self, failure: &ConnectionFailure, timeouts: &Timeouts, now: Instant) -> Told {
        if !self.was_heard {
            return Told::Nothing;
        }
        let since = *self.since.get_or_insert(now);
        if now.duration_since(since) < timeouts.lost_grace {
            return Told::Nothing;
        }
        self.complaint.take(Some(failure.class()))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// A worker, attempts at which fail every five seconds.
    struct Attempts {
        loss: Loss,
        now: Instant,
    }

    impl Attempts {
        fn new() -> Self {
            Self { loss: Loss::default(), now: Instant::now() }
        }

        /// What is told of attempts during so many seconds, with the second of it.
        fn fail(&mut self, seconds: u64, failure: fn(String) -> ConnectionFailure) -> Vec<(u64, Told)> {
            let began = self.now;
            let mut told = Vec::new();
            while self.now < began + Duration::from_secs(seconds) {
                let second = (self.now - began).as_secs();
                told.push((second, self.loss.ended(&failure(format!("at {second}")), &Timeouts::default(), self.now)));
                self.now += Duration::from_secs(5);
            }
            told.into_iter().filter(|(_, told)| *told != Told::Nothing).collect()
        }
    }

    #[test]
    fn a_lost_worker_is_told_once_after_the_grace_and_once_found() {
        let mut attempts = Attempts::new();
        assert_eq!(attempts.loss.heard(), Told::Nothing);

        assert_eq!(attempts.fail(600, ConnectionFailure::Unreachable), [(60, Told::Failure)]);

        assert_eq!((attempts.loss.heard(), attempts.loss.heard()), (Told::Recovery, Told::Nothing));
        assert_eq!(attempts.fail(600, ConnectionFailure::Unreachable), [(60, Told::Failure)], "the next loss is news");
    }

    #[test]
    fn another_kind_of_failure_is_news_and_another_sentence_is_not() {
        let mut attempts = Attempts::new();
        attempts.loss.heard();
        assert_eq!(attempts.fail(100, ConnectionFailure::Unreachable).len(), 1);

        assert_eq!(attempts.fail(100, ConnectionFailure::WrongHostKey), [(0, Told::Failure)]);
        assert_eq!(attempts.fail(100, ConnectionFailure::WrongHostKey), []);
        assert_eq!(attempts.fail(100, ConnectionFailure::Refused), [(0, Told::Failure)]);
    }

    #[test]
    fn a_boot_and_a_loss_within_the_grace_are_not_told() {
        let mut attempts = Attempts::new();
        assert_eq!(attempts.fail(900, ConnectionFailure::Unreachable), [], "boot_timeout is for that");

        for _ in 0..10 {
            assert_eq!(attempts.loss.heard(), Told::Nothing);
            assert_eq!(attempts.fail(60, ConnectionFailure::Unreachable), []);
        }
    }
}

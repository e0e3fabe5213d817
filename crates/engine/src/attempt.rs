//! Something that is asked of the world until it is done: asked again when no answer comes, and some time after a failure.

use std::time::Duration;

use jiff::Timestamp;

use super::time::since;

/// How far it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// Not asked yet.
    #[default]
    Idle,
    /// Asked at that time, and not answered yet.
    Asked(Timestamp),
    /// Answered by a failure, or by "not yet": to be asked again at that time.
    Wait(Timestamp),
    /// Done.
    Done,
}

impl Attempt {
    /// Whether to ask now. A question without an answer for as long as `unanswered` is taken for lost.
    pub(crate) fn is_due(self, now: Timestamp, unanswered: Duration) -> bool {
        match self {
            Self::Idle => true,
            Self::Asked(at) => since(now, at) >= unanswered,
            Self::Wait(until) => until <= now,
            Self::Done => false,
        }
    }

    /// Whether an answer is still to be expected.
    pub(crate) fn is_on_its_way(self, now: Timestamp, unanswered: Duration) -> bool {
        matches!(self, Self::Asked(at) if since(now, at) < unanswered)
    }

    /// Whether nothing is left to ask.
    pub(crate) fn is_done(self) -> bool {
        self == Self::Done
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn each_state_says_when_it_is_due() {
        let due = |attempt: Attempt, second| attempt.is_due(at(second), PATIENCE);

        assert!(due(Attempt::Idle, 0));
        assert!(!due(Attempt::Asked(at(0)), 59) && due(Attempt::Asked(at(0)), 60));
        assert!(!due(Attempt::Wait(at(5)), 4) && due(Attempt::Wait(at(5)), 5));
        assert!(!due(Attempt::Done, 1_000_000));
    }

    #[test]
    fn a_lost_question_is_no_longer_on_its_way() {
        assert!(Attempt::Asked(at(0)).is_on_its_way(at(59), PATIENCE));
        assert!(!Attempt::Asked(at(0)).is_on_its_way(at(60), PATIENCE));
        assert!(!Attempt::Wait(at(100)).is_on_its_way(at(0), PATIENCE));
    }
}

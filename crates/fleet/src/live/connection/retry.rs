//! When to connect again, and when to tell. Pure: times come in, chance comes in.

use std::time::Duration;

use tokio::time::Instant;

use super::timeouts::Timeouts;
use runner_fleet_engine::ConnectionFailure;

/// How one attempt, or one connection, ended.
#[derive(Debug)]
pub(super) struct Ended {
    pub(super) failure: ConnectionFailure,
    /// Whether it came as far as telling that it is up.
    pub(super) was_up: bool,
    /// Whether the agent made sense at least once.
    pub(super) heard: bool,
}

/// The state between attempts.
#[derive(Debug)]
pub(super) struct Retry {
    began: Instant,
    ever_up: bool,
    failures: u32,
    told: Option<(ConnectionFailure, Instant)>,
}

/// What follows from an ending.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) pause: Duration,
    pub(super) tell: bool,
}

impl Retry {
    pub(super) fn new(began: Instant) -> Self {
        Self { began, ever_up: false, failures: 0, told: None }
    }

    /// Whether sshd may come up any moment.
    pub(super) fn is_eager(&self, timeouts: &Timeouts, now: Instant) -> bool {
        !self.ever_up && now.duration_since(self.began) < timeouts.eager_for
    }

    /// `chance` in 0..=1 spreads the attempts of many workers over half of each pause.
    pub(super) fn after(&mut self, ended: &Ended, timeouts: &Timeouts, now: Instant, chance: f64) -> Verdict {
        self.ever_up |= ended.was_up;
        let unreachable = matches!(ended.failure, ConnectionFailure::Unreachable(_));
        let full = if unreachable && self.is_eager(timeouts, now) {
            timeouts.eager_pause
        } else {
            if ended.heard && unreachable {
                self.failures = 0; // it was well; one that talks nonsense has to wait longer each time
            }
            self.failures = self.failures.saturating_add(1);
            timeouts.backoff.wait(self.failures)
        };
        Verdict {
            pause: full.mul_f64(0.5 + 0.5 * chance.clamp(0.0, 1.0)),
            tell: self.is_worth_telling(ended, timeouts, now),
        }
    }

    fn is_worth_telling(&mut self, ended: &Ended, timeouts: &Timeouts, now: Instant) -> bool {
        let told_before = self
            .told
            .as_ref()
            .is_some_and(|(told, at)| *told == ended.failure && now.duration_since(*at) < timeouts.repeat_down);
        let tell = ended.was_up || !told_before;
        if tell {
            self.told = Some((ended.failure.clone(), now));
        }
        tell
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSES_MS: [u64; 7] = [500, 1000, 2000, 4000, 8000, 10_000, 10_000];

    fn ended(failure: ConnectionFailure, was_up: bool) -> Ended {
        Ended { failure, was_up, heard: was_up }
    }

    fn unreachable() -> ConnectionFailure {
        ConnectionFailure::Unreachable("x".into())
    }

    fn refused() -> ConnectionFailure {
        ConnectionFailure::Refused("x".into())
    }

    #[tokio::test]
    async fn a_boot_is_tried_twice_a_second_and_told_by_half_minutes() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut retry = Retry::new(start);

        let verdicts: Vec<_> = (0..100)
            .map(|s| retry.after(&ended(unreachable(), false), &timeouts, start + Duration::from_secs(s), 1.0))
            .collect();

        assert!(verdicts.iter().all(|verdict| verdict.pause == timeouts.eager_pause));
        let told: Vec<_> = (0..100).filter(|s| verdicts[*s].tell).collect();
        assert_eq!(told, [0, 30, 60, 90]);
    }

    #[tokio::test]
    async fn a_refusal_backs_off_also_while_it_boots() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut retry = Retry::new(start);

        let pauses = PAUSES_MS.map(|_| retry.after(&ended(refused(), false), &timeouts, start, 1.0).pause.as_millis());

        assert_eq!(pauses, PAUSES_MS.map(u128::from));
    }

    #[tokio::test]
    async fn a_worker_that_was_up_backs_off_and_recovers() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut retry = Retry::new(start);

        let mut pause = |was_up| retry.after(&ended(unreachable(), was_up), &timeouts, start, 0.0).pause.as_millis();

        assert_eq!([pause(true), pause(false), pause(false), pause(true), pause(false)], [250, 500, 1000, 250, 500]);
    }

    #[tokio::test]
    async fn nonsense_after_sense_still_backs_off() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut retry = Retry::new(start);

        let pauses = PAUSES_MS.map(|_| retry.after(&ended(refused(), true), &timeouts, start, 1.0).pause.as_millis());

        assert_eq!(pauses, PAUSES_MS.map(u128::from));
    }

    #[tokio::test]
    async fn an_end_after_up_and_a_change_are_told_at_once() {
        let (timeouts, start) = (Timeouts::default(), Instant::now());
        let mut retry = Retry::new(start);

        let mut tell = |failure, was_up| retry.after(&ended(failure, was_up), &timeouts, start, 1.0).tell;

        assert_eq!(
            [tell(unreachable(), false), tell(unreachable(), false), tell(refused(), false), tell(refused(), true)],
            [true, false, true, true]
        );
    }
}

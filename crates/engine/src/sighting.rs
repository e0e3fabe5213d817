//! What GitLab shows of a worker that nobody hears, or that says for long that it is busy.
//!
//! A worker's own word is not enough to keep it for ever: its agent may lie, and a container may outlive its job. GitLab
//! knows which jobs run on which worker, in the projects that the api token may see (`GET /runners/:id/jobs`). That it
//! shows none proves something only where no project is hidden, and where several looks in a row agree: a job that was
//! taken a moment ago, and is not yet acknowledged, is not shown either.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::attempt::Attempt;
use super::backoff::Doubling;
use super::failure::Failure;
use super::time::{after, moved, since};

/// Between two looks that showed no job, and after one that failed.
const LOOK_AGAIN: Duration = Duration::from_secs(5 * 60);
/// Between two looks that showed a job: a thousand workers with jobs of hours are no reason to ask GitLab thrice a second.
const LOOK_AGAIN_CONFIRMED: Doubling = Doubling { first: LOOK_AGAIN, longest: Duration::from_secs(40 * 60) };
/// Looks with longer pauses between them prove nothing of what was in between.
const PAUSE_MAX: Duration = Duration::from_secs(12 * 60);
/// When a look without an answer is asked for again; the calls' own time-outs are shorter.
const UNANSWERED: Duration = Duration::from_secs(90);

/// What GitLab has shown of one worker's jobs.
#[derive(Clone, Debug, Default)]
pub(crate) struct Sighting {
    question: Attempt,
    /// When the newest look that counts was begun.
    newest: Option<Timestamp>,
    /// Answers in a row that showed jobs.
    confirmed: u32,
    /// All looks in this time showed none.
    absent: Option<Absent>,
}

#[derive(Clone, Copy, Debug)]
struct Absent {
    since: Timestamp,
    last: Timestamp,
}

impl Sighting {
    /// Whether GitLab is to be asked now.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.question.is_due(now, UNANSWERED)
    }

    /// Whether an answer is still to be expected.
    pub(crate) fn is_on_its_way(&self, now: Timestamp) -> bool {
        self.question.is_on_its_way(now, UNANSWERED)
    }

    /// GitLab is asked.
    pub(crate) fn asked(&mut self, now: Timestamp) {
        self.question = Attempt::Asked(now);
    }

    /// Takes in how many `jobs` of this worker GitLab shows as running, by a look that was begun at `asked_at`. It
    /// `sees_all` where no project is hidden from it.
    pub(crate) fn answered(&mut self, asked_at: Timestamp, jobs: Result<u32, Failure>, sees_all: bool, now: Timestamp) {
        // A late answer of an earlier look, the same one twice, or one from before the clock was set back.
        if asked_at > now || self.newest.is_some_and(|newest| asked_at <= newest) {
            return;
        }
        let wait = match jobs {
            Err(_) => LOOK_AGAIN,
            Ok(0) if sees_all => {
                let run = self.absent.filter(|absent| since(asked_at, absent.last) <= PAUSE_MAX);
                self.absent = Some(Absent { since: run.map_or(asked_at, |run| run.since), last: asked_at });
                (self.newest, self.confirmed) = (Some(asked_at), 0);
                LOOK_AGAIN
            }
            Ok(_) => {
                self.absent = None;
                (self.newest, self.confirmed) = (Some(asked_at), self.confirmed.saturating_add(1));
                LOOK_AGAIN_CONFIRMED.wait(self.confirmed)
            }
        };
        self.question = Attempt::Wait(after(now, wait));
    }

    /// For how long after `begun` all looks, the last of them a short while ago, have shown no job.
    pub(crate) fn absent_for(&self, begun: Timestamp, now: Timestamp) -> Option<Duration> {
        let absent = self.absent.filter(|absent| since(now, absent.last) <= PAUSE_MAX)?;
        Some(since(absent.last, absent.since.max(begun)))
    }

    /// The clock has moved by `gap` without anybody looking.
    pub(crate) fn was_not_listened_to(&mut self, gap: SignedDuration) {
        // Nobody can tell how long ago a look was that is on its way.
        *self = Self { absent: self.absent.take(), ..Self::default() };
        if let Some(absent) = &mut self.absent {
            moved(&mut absent.since, gap);
            moved(&mut absent.last, gap);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::FailureClass;

    const MINUTE: i64 = 60;

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + minute * MINUTE).unwrap()
    }

    fn minutes(minutes: u64) -> Option<Duration> {
        Some(Duration::from_secs(minutes * 60))
    }

    fn seen(looks: &[(i64, u32)]) -> Sighting {
        let mut sighting = Sighting::default();
        looks.iter().for_each(|(minute, jobs)| sighting.answered(at(*minute), Ok(*jobs), true, at(*minute)));
        sighting
    }

    #[test]
    fn only_looks_in_a_row_without_a_job_count() {
        assert_eq!(seen(&[(0, 0), (5, 0), (10, 0)]).absent_for(at(0), at(11)), minutes(10));
        assert_eq!(seen(&[(0, 0), (5, 1), (10, 0)]).absent_for(at(0), at(11)), minutes(0));
        assert_eq!(seen(&[(0, 0), (5, 0), (10, 1)]).absent_for(at(0), at(11)), None);
        assert_eq!(seen(&[(0, 0), (13, 0)]).absent_for(at(0), at(14)), minutes(0), "nobody looked in between");
        assert_eq!(seen(&[(0, 0), (5, 0)]).absent_for(at(0), at(18)), None, "nobody has looked since");
        assert_eq!(seen(&[(0, 0), (5, 0), (10, 0)]).absent_for(at(4), at(11)), minutes(6), "counted from then on");
    }

    #[test]
    fn a_look_that_cannot_see_everything_proves_nothing() {
        let mut sighting = seen(&[(0, 0), (5, 0)]);
        sighting.answered(at(10), Ok(0), false, at(10));
        assert_eq!(sighting.absent_for(at(0), at(10)), None);
        let mut sighting = seen(&[(0, 0), (5, 0)]);
        sighting.answered(at(10), Err(Failure::new(FailureClass::Late, "no answer")), true, at(10));
        assert_eq!(sighting.absent_for(at(0), at(10)), minutes(5), "a failure says nothing");
    }

    #[test]
    fn late_and_doubled_answers_change_nothing() {
        let mut sighting = seen(&[(0, 0), (5, 0), (10, 1)]);
        sighting.answered(at(5), Ok(0), true, at(11));
        sighting.answered(at(20), Ok(0), true, at(11));
        assert_eq!(sighting.absent_for(at(0), at(11)), None);
    }

    #[test]
    fn a_confirmed_worker_is_asked_about_ever_more_rarely() {
        let mut sighting = Sighting::default();
        let mut now = 0;
        let mut looks = Vec::new();
        while now < 200 {
            if sighting.is_due(at(now)) {
                looks.push(now);
                sighting.answered(at(now), Ok(1), true, at(now));
            }
            now += 1;
        }
        assert_eq!(looks, [0, 5, 15, 35, 75, 115, 155, 195]);
    }
}

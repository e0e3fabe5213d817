//! Whose turn it is: what is known of each project, and which of them the next poll asks. Pure.
//!
//! Hot projects (a job was seen there a short while ago) come in every poll, cold ones round robin in what the budget
//! leaves; a fifth of every poll is kept for the cold ones, so that a hundred busy projects cannot hide the next.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::super::error::GitLabError;
use super::row::Waiting;
use runner_fleet_engine::backoff::Doubling;
use runner_fleet_engine::{JobId, ProjectId};

/// How long a project stays hot after a job was seen: the next push or the next stage usually follows within it.
const HOT: Duration = Duration::from_secs(300);

/// One in this many places of a poll is for cold projects.
const COLD_SHARE: usize = 5;

/// When a single failing project is asked again: one that hangs must not make every poll last as long as its time-out.
const PAUSE: Doubling = Doubling { first: Duration::from_secs(5), longest: Duration::from_secs(60) };

/// A project that GitLab does not show to us is asked again after this; a person must change something first.
const BLIND_PAUSE: Duration = Duration::from_secs(600);

/// What is known of one project.
#[derive(Debug, Default)]
pub(super) struct ProjectPoll {
    /// Its waiting jobs, as of the last good answer.
    pub(super) waiting: BTreeMap<JobId, Waiting>,
    /// How its last turn ended.
    pub(super) last: Last,
    asked_at: Option<Timestamp>,
    hot_until: Option<Timestamp>,
    paused_until: Option<Timestamp>,
    failures: u32,
}

/// How a project's last turn ended.
#[derive(Debug, Default)]
pub(super) enum Last {
    /// There was none yet.
    #[default]
    Never,
    /// All its jobs are known.
    Whole,
    /// It has more waiting jobs than we read.
    Part,
    /// Not answered; the older jobs stay.
    Failed(GitLabError),
    /// GitLab does not show it to this token, or has no such project: no part of the queue that we can see.
    Blind(GitLabError),
}

impl ProjectPoll {
    /// A good answer. `any` says whether it showed any job, claimed ones included.
    pub(super) fn answered(
        &mut self,
        asked_at: Timestamp,
        mut waiting: BTreeMap<JobId, Waiting>,
        any: bool,
        whole: bool,
    ) {
        // The first reading of a job's age stays: later ones differ by milliseconds and would look like news.
        for (id, new) in &mut waiting {
            if let Some(old) = self.waiting.get(id) {
                new.job.queued_at = old.job.queued_at.min(new.job.queued_at);
            }
        }
        if any {
            self.hot_until = asked_at.checked_add(HOT).ok();
        }
        self.waiting = waiting;
        self.last = if whole { Last::Whole } else { Last::Part };
        self.asked_at = Some(asked_at);
        self.paused_until = None;
        self.failures = 0;
    }

    /// No answer, or none that can be used; the jobs of the last good answer stay.
    pub(super) fn failed(&mut self, asked_at: Timestamp, error: GitLabError) {
        self.asked_at = Some(asked_at);
        self.last = Last::Failed(error);
    }

    /// GitLab does not show this project: what it once showed does not count any more.
    pub(super) fn blind(&mut self, asked_at: Timestamp, error: GitLabError) {
        self.asked_at = Some(asked_at);
        self.waiting.clear();
        self.last = Last::Blind(error);
        self.paused_until = asked_at.checked_add(BLIND_PAUSE).ok();
    }

    /// Others are answered and this one is not: leave it alone for a while.
    pub(super) fn pause(&mut self, now: Timestamp) {
        self.failures = self.failures.saturating_add(1);
        self.paused_until = now.checked_add(PAUSE.wait(self.failures)).ok();
    }

    fn is_open(&self, now: Timestamp) -> bool {
        self.paused_until.is_none_or(|until| until <= now)
    }

    fn is_hot(&self, now: Timestamp) -> bool {
        !self.waiting.is_empty() || self.hot_until.is_some_and(|until| now < until)
    }
}

/// How many projects could be asked now.
pub(super) fn open(polls: &BTreeMap<ProjectId, ProjectPoll>, now: Timestamp) -> usize {
    polls.values().filter(|poll| poll.is_open(now)).count()
}

/// The projects that a poll with so many places asks: within hot and cold, the longest unasked first, id last.
pub(super) fn choose(polls: &BTreeMap<ProjectId, ProjectPoll>, now: Timestamp, places: usize) -> Vec<ProjectId> {
    let ranked = |hot: bool| {
        let mut of_kind: Vec<_> = polls
            .iter()
            .filter(|(_, poll)| poll.is_open(now) && poll.is_hot(now) == hot)
            .map(|(id, poll)| (poll.asked_at, *id))
            .collect();
        of_kind.sort_unstable();
        of_kind.into_iter().map(|(_, id)| id)
    };
    let share = if places > 1 { places.div_ceil(COLD_SHARE) } else { 0 };
    let kept_for_cold = share.min(ranked(false).len());
    let mut chosen: Vec<_> = ranked(true).take(places - kept_for_cold).collect();
    let left = places - chosen.len();
    chosen.extend(ranked(false).take(left));
    chosen
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    fn cold(asked: i64) -> ProjectPoll {
        let mut poll = ProjectPoll::default();
        poll.answered(at(asked), BTreeMap::new(), false, true);
        poll
    }

    fn hot(asked: i64) -> ProjectPoll {
        let mut poll = ProjectPoll::default();
        poll.answered(at(asked), BTreeMap::new(), true, true);
        poll
    }

    fn chosen(polls: Vec<ProjectPoll>, places: usize) -> Vec<u64> {
        let polls = (1..).map(ProjectId).zip(polls).collect();
        choose(&polls, at(10), places).into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn hot_ones_come_first_and_the_longest_unasked_before() {
        assert_eq!(chosen(vec![cold(1), hot(5), hot(4), cold(2), ProjectPoll::default()], 4), [3, 2, 5, 1]);
    }

    #[test]
    fn hot_ones_never_take_every_place() {
        assert_eq!(chosen(vec![hot(1), hot(2), hot(3), hot(4), hot(5), hot(6), cold(7)], 5), [1, 2, 3, 4, 7]);
    }

    #[test]
    fn heat_and_pauses_end() {
        let mut poll = hot(0);
        assert!(poll.is_hot(at(299)) && !poll.is_hot(at(300)));
        for wait in [5, 10, 20, 40, 60, 60] {
            poll.pause(at(0));
            assert!(!poll.is_open(at(wait - 1)) && poll.is_open(at(wait)), "{wait}");
        }
        poll.answered(at(1), BTreeMap::new(), false, true);
        assert!(poll.is_open(at(1)));
    }

    proptest! {
        /// With `places` a poll, every one of n projects is asked within so many polls, whoever is hot.
        #[test]
        fn nobody_waits_for_ever(hots in proptest::collection::vec(any::<bool>(), 1..30), places in 2usize..10) {
            let mut polls: BTreeMap<_, _> =
                hots.iter().enumerate().map(|(n, is_hot)| (ProjectId(n as u64), if *is_hot { hot(0) } else { cold(0) })).collect();
            let rounds = hots.len().max(hots.len().div_ceil(places.div_ceil(COLD_SHARE))) + 1;
            for round in 1..=rounds {
                let now = at(i64::try_from(round).unwrap());
                let asked = choose(&polls, now, places);
                prop_assert_eq!(asked.len(), places.min(polls.len()));
                for id in asked {
                    let poll = polls.get_mut(&id).unwrap();
                    let still_hot = poll.is_hot(now);
                    poll.answered(now, BTreeMap::new(), still_hot, true);
                }
            }
            for (id, poll) in &polls {
                prop_assert!(poll.asked_at > Some(at(0)), "{id} was never asked in {rounds} rounds");
            }
        }
    }
}

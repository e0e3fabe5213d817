//! What is wrong, since when, and what of it people were told: the memory behind the verdict. It decides nothing, and its
//! loss is harmless: what is still wrong is seen again.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::ids::{RunnerName, Server};
use super::time::{moved, since};
use super::verdict::{Severity, Trouble, TroubleReason, Verdict};

/// Between two looks: people read no faster, and a thousand workers are a look at each.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a broken law is told: long enough to be seen by somebody who looks once a day.
const LAW_TOLD_FOR: Duration = Duration::from_secs(24 * 3600);

/// Something that is wrong just now; a trouble, if it lasts.
#[derive(Clone, Debug)]
pub(crate) struct Sign {
    pub(crate) severity: Severity,
    pub(crate) runner: Option<RunnerName>,
    pub(crate) jobs_waiting: Option<u32>,
    pub(crate) reason: TroubleReason,
}

/// What one look has found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    pub(crate) signs: Vec<Sign>,
    /// Runners whose demand is not known now: what they lacked before may be lacking still.
    pub(crate) unsure: BTreeSet<RunnerName>,
}

/// What makes two signs the same trouble.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    kind: &'static str,
    runner: Option<RunnerName>,
    server: Option<Server>,
}

/// A trouble's life so far.
#[derive(Clone, Debug)]
struct Course {
    newest: Sign,
    since: Timestamp,
    seen_at: Timestamp,
    /// The worst that people were told of it; nothing, while it may pass.
    told: Option<Severity>,
}

/// What is new.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    /// It has lasted.
    Began(Trouble),
    /// It has become critical.
    Worse(Trouble),
    /// It has been away.
    Over(Trouble),
}

/// All that is wrong, or was a moment ago.
#[derive(Clone, Debug, Default)]
pub(crate) struct Troubles {
    looked_at: Option<Timestamp>,
    courses: BTreeMap<Key, Course>,
    broken_law: Option<(Timestamp, String)>,
}

impl Troubles {
    /// Whether it is time for a look.
    pub(crate) fn is_due(&self, now: Timestamp) -> bool {
        self.looked_at.is_none_or(|looked_at| now < looked_at || since(now, looked_at) >= LOOK_EVERY)
    }

    /// A law was broken.
    pub(crate) fn law_broken(&mut self, now: Timestamp, what: &str) {
        self.broken_law = Some((now, what.to_owned()));
    }

    /// The law that was broken last, for as long as that is told.
    pub(crate) fn broken_law(&self, now: Timestamp) -> Option<&str> {
        self.broken_law.as_ref().filter(|(at, _)| since(now, *at) < LAW_TOLD_FOR).map(|(_, what)| what.as_str())
    }

    /// The clock has moved by `gap` while nobody looked. What may pass has lasted no longer for that; what people were told
    /// began when they were told, but never after now.
    pub(crate) fn was_not_looked_at(&mut self, gap: SignedDuration) {
        for course in self.courses.values_mut() {
            moved(&mut course.seen_at, gap);
            if course.told.is_none() || gap.is_negative() {
                moved(&mut course.since, gap);
            }
        }
    }

    /// Takes in a look, and says what has changed.
    pub(crate) fn take(&mut self, now: Timestamp, look: Look) -> Vec<Change> {
        self.looked_at = Some(now);
        let mut changes = Vec::new();
        // What explains a wait comes first.
        let (waits, others): (Vec<Sign>, Vec<Sign>) =
            look.signs.into_iter().partition(|sign| matches!(sign.reason, TroubleReason::JobsWait { .. }));
        for sign in others {
            changes.extend(self.see(now, sign));
        }
        for sign in waits {
            if !self.is_explained(&sign) {
                changes.extend(self.see(now, sign));
            }
        }
        self.courses.retain(|_, course| {
            if course.rests_on_demand_of(&look.unsure) {
                course.seen_at = now;
            }
            let lasts = since(now, course.seen_at) <= course.newest.reason.patience().over_after;
            if !lasts && course.told.is_some() {
                changes.push(Change::Over(course.trouble(now)));
            }
            lasts
        });
        changes
    }

    /// What people are to be told now.
    pub(crate) fn verdict(&self, now: Timestamp) -> Verdict {
        let told = self.courses.values().filter(|course| course.told.is_some());
        Verdict::of(told.map(|course| course.trouble(now)).collect())
    }

    fn see(&mut self, now: Timestamp, sign: Sign) -> Option<Change> {
        let key = Key { kind: sign.reason.kind(), runner: sign.runner.clone(), server: sign.reason.server().cloned() };
        let (severity, patience) = (sign.severity, sign.reason.patience());
        let fresh = Course { newest: sign.clone(), since: now, seen_at: now, told: None };
        let course = self.courses.entry(key).or_insert(fresh);
        (course.newest, course.seen_at) = (sign, now);
        match course.told {
            None if since(now, course.since) < patience.begins_after => None,
            None => {
                course.told = Some(severity);
                Some(Change::Began(course.trouble(now)))
            }
            Some(told) if severity > told => {
                course.told = Some(severity);
                Some(Change::Worse(course.trouble(now)))
            }
            Some(_) => None,
        }
    }

    /// Whether something else that is wrong, or may be, is why these jobs wait.
    fn is_explained(&self, waits: &Sign) -> bool {
        self.courses.values().any(|course| {
            let Sign { runner, reason, .. } = &course.newest;
            reason.explains_waits() && (runner.is_none() || *runner == waits.runner)
        })
    }
}

impl Course {
    fn trouble(&self, now: Timestamp) -> Trouble {
        let Sign { severity, runner, jobs_waiting, reason } = self.newest.clone();
        Trouble::at(now, severity, runner, self.since, jobs_waiting, reason)
    }

    /// Whether nobody can tell now that it is over.
    fn rests_on_demand_of(&self, unsure: &BTreeSet<RunnerName>) -> bool {
        let Sign { runner, reason, .. } = &self.newest;
        reason.rests_on_demand()
            && match runner {
                Some(runner) => unsure.contains(runner),
                None => !unsure.is_empty(),
            }
    }
}

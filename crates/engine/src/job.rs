//! Jobs that wait, and the runners that may take them, as GitLab tells it.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::failure::Failure;
use super::ids::{JobId, ProjectId, RunnerName};
use super::project_path::ProjectPath;
use super::time::since;

/// A job that waits for a runner: `pending`, and claimed by nobody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PendingJob {
    /// The job's id.
    pub id: JobId,
    /// Its project.
    pub project: ProjectId,
    /// The project's path, for people; `None` where the server does not tell it, or not under its own address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_path: Option<ProjectPath>,
    /// Its name in the pipeline (`rspec`), for people.
    pub name: String,
    /// The tags that a runner must all have.
    pub tags: BTreeSet<String>,
    /// Whether its ref is protected; `None` where that was not looked up. A job of unknown protection counts as
    /// eligible: an idle worker too many costs less than a job that waits for ever.
    pub protected: Option<bool>,
    /// The runners that GitLab itself names for this job (GraphQL `compatibleRunnerId`); `None` where we must match.
    pub offered_to: Option<BTreeSet<RunnerName>>,
    /// When the job became pending (`queued_duration` counted back from the answer; never `created_at`).
    pub queued_at: Timestamp,
    /// When GitLab was asked in the answer that showed this job: the request's start, so that it is never too late.
    pub seen_at: Timestamp,
}

/// One poll of the queue of a GitLab server, merged over its projects.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct QueueSnapshot {
    /// Send time of the oldest request behind this look that contributed a pending job.
    pub as_of: Timestamp,
    /// In the order in which GitLab hands jobs out: by id.
    pub jobs: Vec<PendingJob>,
    /// Whether every project in scope was looked at successfully in its last turn. Only a complete poll says "nothing waits".
    pub complete: bool,
    /// Projects that the server does not show to the token: their jobs are seen by nobody here.
    #[serde(default)]
    pub blind: u32,
}

/// What GitLab knows about a runner; read with its token.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunnerFacts {
    /// GitLab's id of the runner.
    pub id: u64,
    /// Its tags; a job's tags must be a subset, compared as exact strings.
    pub tags: BTreeSet<String>,
    /// Whether it takes jobs without tags.
    pub run_untagged: bool,
    /// `access_level = ref_protected`: takes jobs of protected refs only.
    pub protected_only: bool,
    /// Paused in GitLab: every request is answered with "no job".
    pub paused: bool,
    /// The projects whose jobs it may take.
    pub scope: Scope,
    /// The first of its tokens to end, where GitLab says that one does.
    #[serde(default)]
    pub token_end: Option<TokenEnd>,
}

/// The end of a token that a runner needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct TokenEnd {
    /// From when on GitLab refuses it.
    pub at: Timestamp,
    /// Which.
    pub token: TokenKind,
}

/// The tokens of a runner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum TokenKind {
    /// Its authentication token, with which jobs are asked for.
    Token,
    /// The one that reads the queue.
    ApiToken,
}

/// How long before the end of a token people are warned: long enough to be back from a holiday.
const TOKEN_WARNING: Duration = Duration::from_secs(14 * 24 * 3600);

impl TokenEnd {
    /// How long it still lives, if that is so short that people must hear of it; zero if it has ended.
    pub fn is_near(&self, now: Timestamp) -> Option<Duration> {
        let left = since(self.at, now);
        (left <= TOKEN_WARNING).then_some(left)
    }

    /// The key of the configuration where it stands.
    pub fn key(&self) -> &'static str {
        (&self.token).into()
    }
}

/// The projects that a runner serves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scope {
    /// Every project whose jobs are seen at all (an instance runner).
    Everything,
    /// These.
    Projects(BTreeSet<ProjectId>),
}

/// What is known when something was asked for: an answer, an old answer, or none.
///
/// Unknown is not zero: nothing is launched or ended on the strength of an answer that did not come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Knowledge {
    /// The last answer is recent.
    Known,
    /// There was an answer, and every newer question has failed.
    Stale {
        /// Age of the last good answer.
        #[serde(rename = "age_seconds", with = "super::json::seconds")]
        age: Duration,
        /// The newest failure.
        #[serde(flatten)]
        failure: Failure,
    },
    /// There has never been an answer.
    Unknown {
        /// The newest failure, or that the first answer is awaited.
        #[serde(flatten)]
        failure: Failure,
    },
}

impl Knowledge {
    /// Of what is asked again and again: the last good answer came at `good_at`, and `failure` is why there is none newer.
    pub(crate) fn of(good_at: Option<Timestamp>, failure: Option<&Failure>, now: Timestamp) -> Self {
        match (good_at, failure.cloned()) {
            (_, None) => Self::Known,
            (Some(at), Some(failure)) => Self::Stale { age: since(now, at), failure },
            (None, Some(failure)) => Self::Unknown { failure },
        }
    }

    /// Whether decisions may rest on it.
    pub fn is_known(&self) -> bool {
        matches!(self, Self::Known)
    }

    /// Why it is not known.
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Known => None,
            Self::Stale { failure, .. } | Self::Unknown { failure } => Some(failure),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_token_is_near_for_a_fortnight_and_after_it() {
        let (at, day) = (Timestamp::from_second(1_800_000_000).unwrap(), 24 * 3600);
        let end = TokenEnd { at, token: TokenKind::Token };
        let near = |before: u64| end.is_near(crate::time::before(at, Duration::from_secs(before)));
        assert_eq!(near(14 * day + 1), None);
        assert_eq!(near(14 * day), Some(Duration::from_secs(14 * day)));
        assert_eq!(end.is_near(crate::time::after(at, Duration::from_secs(day))), Some(Duration::ZERO));
    }
}

//! Why: every decision's reason, as data. `prose` makes sentences of them.
//!
//! A launch, a drain and an end have reasons of their own kinds, so that none can be given for the wrong thing. In JSON
//! they all look alike: an object with a `kind` and the fields of that kind.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::IntoStaticStr;

use super::event::ConnectionFailure;
use super::ids::{ConfigHash, JobId, RunnerName};
use super::worker::Unfit;

/// Why a command was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Reason {
    /// Why workers are launched.
    Launch(LaunchReason),
    /// Why a worker takes no more jobs.
    Drain(DrainReason),
    /// Why a worker is terminated.
    End(EndReason),
}

/// Why workers are launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum LaunchReason {
    /// Slots are missing.
    Demand {
        /// Jobs that run.
        running: u32,
        /// Jobs that wait.
        waiting: u32,
        /// Free slots that the idle policy wants.
        idle: u32,
        /// Slots that exist or are coming.
        slots: u32,
    },
    /// Spot could not give these; on-demand is asked for the missing part.
    SpotMissing {
        /// How many workers are missing.
        missing: u32,
    },
    /// A replacement is wanted before outdated workers go.
    Replacement {
        /// How many are outdated.
        outdated: u32,
    },
    /// A repetition: the first call got no answer, and its token makes sure that nothing is launched twice.
    LaunchUnanswered,
}

/// Why a worker takes no more jobs, and ends when it has finished those that it has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum DrainReason {
    /// Idle for longer than the policy wants.
    Idle {
        /// How long it has been idle.
        #[serde(rename = "idle_seconds", with = "super::json::seconds")]
        idle: Duration,
        /// Free slots beyond what is wanted.
        surplus: u32,
    },
    /// Runs the fewest jobs, while a whole worker's slots are free beyond what is wanted.
    Emptiest {
        /// Jobs that it finishes.
        jobs: u32,
        /// Free slots beyond what is wanted.
        surplus: u32,
    },
    /// Older than `max_age`, and idle.
    Age {
        /// Its age.
        #[serde(rename = "age_seconds", with = "super::json::seconds")]
        age: Duration,
    },
    /// Has taken `max_jobs` jobs.
    JobsDone {
        /// How many it has taken.
        jobs: u64,
    },
    /// Made from another image, template or runner configuration than a worker launched now.
    Drift {
        /// What it was made from.
        has: ConfigHash,
        /// What it should be made from.
        wants: ConfigHash,
    },
    /// EC2 says that it may soon be taken back.
    Rebalance,
    /// EC2 takes it back at this time.
    Interruption {
        /// When.
        at: jiff::Timestamp,
    },
    /// Jobs would fail on it, it says.
    Unfit {
        /// Why.
        why: Unfit,
    },
    /// Idle and asking, it has left alone a job that it may take; it may not truly ask.
    TakesNothing {
        /// The job.
        job: JobId,
    },
    /// It has shown jobs for long, and GitLab shows none of it.
    JobUnknown {
        /// For how long GitLab has not.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
    },
    /// Its boot took longer than `boot_timeout`, and its configuration may be on the way in this very moment.
    LateBoot {
        /// How long it took until it was given up.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
        /// The last step that was seen.
        step: String,
    },
    /// Its runner process failed, and systemd did not bring it back.
    RunnerFailed,
    /// No `[[runners]]` section of that name exists any more.
    RunnerRemoved,
    /// The runner was paused by an operator.
    Paused,
    /// An operator asked for it.
    Requested {
        /// Without waiting for its jobs.
        force: bool,
    },
    /// Idle, or beyond its runner's share, while another runner's jobs wait for room under `concurrent`.
    Yields {
        /// Whose jobs.
        to: RunnerName,
    },
}

/// Why a worker is terminated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum EndReason {
    /// The boot took longer than `boot_timeout`.
    BootTimeout {
        /// How long it took until it was given up.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
        /// The last step that was seen.
        step: String,
        /// Why there was no connection to it; absent where there was one.
        failure: Option<ConnectionFailure>,
    },
    /// The bootstrap said that it failed.
    BootFailed {
        /// What it said.
        error: String,
    },
    /// Its host key is not the one given to it at launch.
    WrongHostKey,
    /// Unreachable, and EC2 says that its host is impaired.
    Lost,
    /// Unreachable for so long that its own dead man must have fenced it, and GitLab shows no job of it; or, where GitLab
    /// cannot tell, for longer than any worker is meant to live. Whatever EC2 says of its host.
    Unreachable {
        /// For how long.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
    },
    /// It shows jobs, takes no more of them, and GitLab has shown none of it for an hour: what it runs can deliver nothing.
    JobUnknown {
        /// For how long GitLab has not, since it was to take no more.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
    },
    /// The runner process that ran its jobs has failed while it drained.
    RunnerDied,
    /// It is stopped, which no worker should be.
    FoundStopped,
    /// It does not do what it is told, and shows no job.
    #[serde(untagged)]
    Disobeyed(Disobedience),
    /// It was drained, and is empty; or an operator does not wait for that.
    #[serde(untagged)]
    Drained(DrainReason),
}

/// How a worker does not do what it is told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Disobedience {
    /// It was told to take no more jobs, and its runner goes on as before.
    FenceFailed {
        /// How long ago it was told.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
    },
    /// It takes no more jobs and has none, but a request of its runner stays open, which may still bring one.
    RequestStuck {
        /// For how long that has been so.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
    },
    /// It takes no jobs, shows none, and was told to stop; its runner has not exited.
    StopFailed {
        /// How long ago it was told.
        #[serde(rename = "after_seconds", with = "super::json::seconds")]
        after: Duration,
    },
}

impl Reason {
    /// The stable name of its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Launch(reason) => reason.into(),
            Self::Drain(reason) | Self::End(EndReason::Drained(reason)) => reason.into(),
            Self::End(EndReason::Disobeyed(how)) => how.into(),
            Self::End(reason) => reason.into(),
        }
    }
}

impl DrainReason {
    /// Whether something is wrong with the worker, that a person should look at.
    pub fn is_failure(&self) -> bool {
        match self {
            Self::LateBoot { .. }
            | Self::RunnerFailed
            | Self::Unfit { .. }
            | Self::JobUnknown { .. }
            | Self::TakesNothing { .. } => true,
            Self::Idle { .. }
            | Self::Emptiest { .. }
            | Self::Age { .. }
            | Self::JobsDone { .. }
            | Self::Drift { .. }
            | Self::Rebalance
            | Self::Interruption { .. }
            | Self::RunnerRemoved
            | Self::Paused
            | Self::Requested { .. }
            | Self::Yields { .. } => false,
        }
    }
}

impl EndReason {
    /// Whether it rests on the worker never having been ready, or being lost: then a sign of life refutes it.
    pub fn presumes_it_dead(&self) -> bool {
        match self {
            Self::BootTimeout { .. }
            | Self::BootFailed { .. }
            | Self::WrongHostKey
            | Self::Lost
            | Self::Unreachable { .. } => true,
            Self::JobUnknown { .. } | Self::RunnerDied | Self::FoundStopped | Self::Disobeyed(_) | Self::Drained(_) => {
                false
            }
        }
    }

    /// Whether an operator has ended it whatever it runs.
    pub fn is_forced(&self) -> bool {
        *self == Self::Drained(DrainReason::Requested { force: true })
    }
}

impl From<LaunchReason> for Reason {
    fn from(reason: LaunchReason) -> Self {
        Self::Launch(reason)
    }
}

impl From<DrainReason> for Reason {
    fn from(reason: DrainReason) -> Self {
        Self::Drain(reason)
    }
}

impl From<EndReason> for Reason {
    fn from(reason: EndReason) -> Self {
        Self::End(reason)
    }
}

/// A duration as people say it: the two largest units (`2h 5m`, `45s`).
pub struct Brief(pub Duration);

impl fmt::Display for Brief {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0.as_secs();
        let (days, hours, minutes, rest) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
        match (days, hours, minutes, rest) {
            (0, 0, 0, s) => write!(f, "{s}s"),
            (0, 0, m, 0) => write!(f, "{m}m"),
            (0, 0, m, s) => write!(f, "{m}m {s}s"),
            (0, h, 0, _) => write!(f, "{h}h"),
            (0, h, m, _) => write!(f, "{h}h {m}m"),
            (d, 0, _, _) => write!(f, "{d}d"),
            (d, h, _, _) => write!(f, "{d}d {h}h"),
        }
    }
}

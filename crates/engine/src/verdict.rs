//! The verdict: is anything wrong, since when, why, and what is to be done. As data; the sentences are in `words`.
//!
//! What is wrong for a moment is weather: a trouble is told when it has lasted, and is over when it has been away, each for
//! as long as [`TroubleReason::patience`] says.

mod patience;
mod words;

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray, VariantNames};

use super::explained::Explained;
use super::failure::Failure;
use super::ids::{JobId, RunnerName, Server, WorkerId};
use super::job::{Knowledge, TokenKind};
use super::json::seconds;
use super::ledger::Spending;
use super::prices::OverPriceCap;
use super::waits::{JobReason, Mismatch};

/// Is anything wrong?
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// That of its worst trouble.
    pub severity: Severity,
    /// What is wrong now: the worst first, then what has lasted longest.
    pub troubles: Vec<Trouble>,
}

/// How much it matters.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    IntoStaticStr,
    VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum Severity {
    /// Nothing is wrong; of no trouble.
    #[default]
    Ok,
    /// A person should look at it by day.
    Warning,
    /// Jobs wait, or will, for what only a person can mend or should know of now.
    Critical,
}

impl Severity {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trouble {
    /// How much it matters now: `warning` or `critical`.
    pub severity: Severity,
    /// The runner that has it; absent where it concerns all, or a whole GitLab server.
    pub runner: Option<RunnerName>,
    /// Since when; the same for as long as it lasts.
    pub since: Timestamp,
    /// Jobs that wait for this runner now, or for all of them where it concerns all; absent while nobody knows.
    pub jobs_waiting: Option<u32>,
    /// What is wrong.
    pub reason: Explained<TroubleReason>,
    /// What to do, in a sentence; a command in it stands between backticks.
    pub advice: String,
}

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, IntoStaticStr, VariantNames)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum TroubleReason {
    /// The service cannot begin: what it needs before anything else is missing.
    NotStarted {
        /// What.
        failure: Failure,
    },
    /// Workers in a row did not come up; the breaker has opened, and none has been of use since.
    BootsFail {
        /// How many.
        in_a_row: u32,
        /// How the last one failed.
        last: String,
        /// When one is tried again; absent where that may be at once.
        until: Option<Timestamp>,
    },
    /// Workers in a row came up, and jobs would have failed on them; the breaker has opened, as above.
    WorkersUnfit {
        /// How many.
        in_a_row: u32,
        /// What the last one said.
        last: String,
        /// When one is tried again; absent where that may be at once.
        until: Option<Timestamp>,
    },
    /// EC2 has none of the runner's instance types, in none of its zones.
    NoCapacity {
        /// When the first of its offerings is asked for again; absent when it has none.
        until: Option<Timestamp>,
        /// What EC2 said when it gave none the last time.
        said: Option<String>,
    },
    /// Every spot offer costs more than it may.
    OverPriceCap {
        /// The cheapest of them.
        cheapest: OverPriceCap,
    },
    /// EC2 refuses the runner's launches: a right, a quota or a parameter.
    LaunchesRefused {
        /// What it said last.
        last: String,
        /// The next try.
        until: Timestamp,
    },
    /// What the runner may cost in this day or month is used up, and jobs wait.
    BudgetSpent {
        /// USD so far.
        spent: f64,
        /// `budget`, in USD.
        limit: f64,
        /// What the budget is for.
        per: Spending,
        /// When the next day or month begins.
        until: Timestamp,
    },
    /// EC2 asks for patience with launches, again and again.
    Throttled {
        /// Nothing is launched before.
        until: Timestamp,
    },
    /// The queue of a server cannot be read: nothing is launched for jobs that wait there.
    QueueUnreadable {
        /// The server.
        server: Server,
        /// How its queue stands.
        queue: Knowledge,
    },
    /// GitLab does not accept the runner's own token: no worker can ask for jobs.
    TokenRefused {
        /// What it answers.
        failure: Failure,
    },
    /// A token of the runner ends soon, or has ended.
    TokenEnds {
        /// When.
        until: Timestamp,
        /// Which.
        token: TokenKind,
    },
    /// What GitLab knows of the runner could not be read, lately or ever.
    FactsUnknown {
        /// How they stand.
        facts: Knowledge,
    },
    /// The runner's launches (image, subnets, template) could not be prepared, lately or ever.
    LaunchPlanUnknown {
        /// How they stand.
        launch_plan: Knowledge,
    },
    /// The instances in EC2 cannot be listed: nothing is launched or retired.
    Ec2Unlisted {
        /// How the listing stands.
        ec2: Knowledge,
    },
    /// Another manager of this name launches workers.
    AnotherManager {
        /// When that one was started.
        started_at: Timestamp,
        /// It was there before, so that this one launches nothing.
        is_elder: bool,
    },
    /// Jobs wait that no runner here may take.
    JobsUnmatched {
        /// How many.
        jobs: u32,
        /// The one that has waited longest.
        oldest: JobId,
        /// For how long.
        #[serde(rename = "longest_seconds", with = "seconds")]
        longest: Duration,
        /// Why none may take that one.
        mismatches: Vec<Mismatch>,
    },
    /// Jobs wait longer than a launch and a boot may take, and nothing else above says why.
    JobsWait {
        /// How many.
        jobs: u32,
        /// The one that has waited longest.
        oldest: JobId,
        /// For how long.
        #[serde(rename = "longest_seconds", with = "seconds")]
        longest: Duration,
        /// How long a job may wait: `target_wait` and `boot_timeout`.
        #[serde(rename = "limit_seconds", with = "seconds")]
        limit: Duration,
        /// Why most of them wait.
        mostly: Box<JobReason>,
        /// How many those are.
        of_those: u32,
    },
    /// Workers cannot be reached: nobody knows what they run, and they cost on.
    WorkersUnreachable {
        /// How many.
        workers: u32,
        /// Of how many.
        of: u32,
        /// The one that has been silent longest.
        worker: WorkerId,
    },
    /// The engine has broken a law of its own: a bug.
    LawsBroken {
        /// How often since the start.
        times: u64,
        /// The last one.
        last: String,
    },
    /// Projects of a server are hidden from the api token: their jobs wait unseen.
    ProjectsBlind {
        /// The server.
        server: Server,
        /// How many.
        projects: u32,
    },
    /// An operator has paused the runner, and jobs wait for it.
    Paused,
    /// A ceiling of the configuration is reached, and jobs wait.
    Ceiling {
        /// Its key.
        key: CeilingKey,
        /// What it says now.
        value: u32,
    },
}

/// The ceilings that can keep jobs waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, IntoStaticStr)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case")]
pub enum CeilingKey {
    /// Workers of the runner.
    MaxWorkers,
    /// Jobs of the runner.
    Limit,
    /// Jobs of all runners.
    Concurrent,
}

impl TroubleReason {
    /// The stable name of its kind, as in JSON.
    pub fn kind(&self) -> &'static str {
        self.into()
    }

    /// The GitLab server that it concerns, where it concerns a whole one.
    pub fn server(&self) -> Option<&Server> {
        match self {
            Self::QueueUnreadable { server, .. } | Self::ProjectsBlind { server, .. } => Some(server),
            Self::NotStarted { .. }
            | Self::BootsFail { .. }
            | Self::WorkersUnfit { .. }
            | Self::NoCapacity { .. }
            | Self::OverPriceCap { .. }
            | Self::LaunchesRefused { .. }
            | Self::Throttled { .. }
            | Self::BudgetSpent { .. }
            | Self::TokenRefused { .. }
            | Self::TokenEnds { .. }
            | Self::FactsUnknown { .. }
            | Self::LaunchPlanUnknown { .. }
            | Self::Ec2Unlisted { .. }
            | Self::AnotherManager { .. }
            | Self::JobsUnmatched { .. }
            | Self::JobsWait { .. }
            | Self::WorkersUnreachable { .. }
            | Self::LawsBroken { .. }
            | Self::Paused
            | Self::Ceiling { .. } => None,
        }
    }
}

impl Verdict {
    /// Puts troubles in order, and judges by the worst.
    pub fn of(mut troubles: Vec<Trouble>) -> Self {
        troubles.sort_by(|one, other| {
            let order = other.severity.cmp(&one.severity).then(one.since.cmp(&other.since));
            order
                .then_with(|| (&one.runner, one.reason.reason.kind()).cmp(&(&other.runner, other.reason.reason.kind())))
        });
        let severity = troubles.first().map_or(Severity::Ok, |worst| worst.severity);
        Self { severity, troubles }
    }
}

impl fmt::Display for Trouble {
    /// Whose it is, and what is wrong.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(runner) = &self.runner {
            write!(f, "{runner}: ")?;
        }
        write!(f, "{}", self.reason)
    }
}

impl Trouble {
    /// Whether both are one trouble, at two times.
    pub fn is_the_same_as(&self, other: &Self) -> bool {
        let (one, another) = (&self.reason.reason, &other.reason.reason);
        self.runner == other.runner && one.kind() == another.kind() && one.server() == another.server()
    }

    /// A trouble of this kind, in words as of `now`.
    pub fn at(
        now: Timestamp,
        severity: Severity,
        runner: Option<RunnerName>,
        since: Timestamp,
        jobs_waiting: Option<u32>,
        reason: TroubleReason,
    ) -> Self {
        let advice = words::advice(&reason, runner.as_ref());
        Self { severity, runner, since, jobs_waiting, reason: Explained::at(now, reason), advice }
    }
}

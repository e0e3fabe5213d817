//! What the engine wants done. A command is complete: whoever carries it out makes no choice.

use std::collections::BTreeMap;
use std::net::IpAddr;

use strum::{EnumDiscriminants, IntoStaticStr, VariantNames};

use super::ids::{ConfigHash, JobId, LaunchToken, ProjectId, RunnerName, Server, SystemId, TemplateName, WorkerId};
use super::money::UsdPerHour;
use super::offering::{Market, Offering};
use super::reason::{Disobedience, DrainReason, EndReason, LaunchReason, Reason};

/// One thing to be done now.
#[derive(Clone, Debug, PartialEq, Eq, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "kebab-case")]
pub enum Command {
    /// List all instances with our tag; answered by [`Event::Instances`](super::Event::Instances).
    #[strum(serialize = "list")]
    ListInstances {
        /// Ask for the status checks too: some worker cannot be reached.
        with_health: bool,
    },
    /// One CreateFleet call; answered by [`Event::Launched`](super::Event::Launched).
    Launch(Launch),
    /// Open and keep a connection to this worker; answered by [`Event::Worker`](super::Event::Worker).
    Connect {
        /// Which.
        worker: WorkerId,
        /// Whose configuration it gets.
        runner: RunnerName,
        /// Where it listens.
        address: IpAddr,
        /// What is wanted of it; `None`: that it goes on as it is.
        want: Option<Want>,
    },
    /// Let the connection go: the worker has ended.
    Disconnect {
        /// Which.
        worker: WorkerId,
    },
    /// Let the worker be so from now on. Said once: whoever keeps the connection sees to it, again after a lost connection,
    /// until something else is wanted. Seen in the worker's reports.
    Want {
        /// Which.
        worker: WorkerId,
        /// How.
        want: Want,
    },
    /// One TerminateInstances call for all that are to end now.
    Terminate(Vec<Termination>),
    /// Delete the runner-manager row in GitLab; answered by [`Event::Forgotten`](super::Event::Forgotten).
    Forget {
        /// The worker that has ended.
        worker: WorkerId,
        /// Whose token is used.
        runner: RunnerName,
        /// The row's key.
        system_id: SystemId,
    },
    /// Look which jobs GitLab shows as running on this worker; answered by [`Event::JobsSeen`](super::Event::JobsSeen).
    #[strum(serialize = "look-for-jobs")]
    LookForJobs {
        /// Which.
        worker: WorkerId,
        /// Whose worker it is.
        runner: RunnerName,
        /// GitLab's id of that runner.
        runner_id: u64,
        /// The key of the worker's runner-manager row.
        system_id: SystemId,
    },
    /// Look at a job that ran on a worker which EC2 took back, and retry it if, and only if, GitLab shows that it failed for
    /// want of its worker and was not retried yet; answered by [`Event::Retried`](super::Event::Retried).
    ///
    /// The look belongs to the command because only GitLab knows how the job ended, and because it makes repetition
    /// harmless: GitLab retries no job twice.
    Retry {
        /// Where it ran.
        worker: WorkerId,
        /// Whose token is used.
        runner: RunnerName,
        /// GitLab's id of that runner: a job that ran elsewhere is none of ours, whatever a worker claims.
        runner_id: u64,
        /// The server.
        server: Server,
        /// The project.
        project: ProjectId,
        /// The job that failed.
        job: JobId,
    },
}

impl Command {
    /// The stable names of all kinds.
    pub fn kinds() -> impl Iterator<Item = &'static str> {
        let others = Self::VARIANTS.iter().filter(|name| **name != "want");
        others.chain(Want::VARIANTS).copied()
    }

    /// The stable name of its kind, as in `plan --json` and in metrics.
    pub fn kind(&self) -> &'static str {
        if let Self::Want { want, .. } = self { want.into() } else { self.into() }
    }
}

/// What is wanted of a worker's runner.
#[derive(Clone, Debug, PartialEq, Eq, EnumDiscriminants, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "kebab-case")]
#[strum_discriminants(name(Goal), doc = "What is wanted of a worker's runner, whyever.")]
pub enum Want {
    /// That it takes jobs again: the demand came back before it was empty.
    Serve,
    /// That it takes no more jobs, and finishes those that it has.
    Fence {
        /// Why.
        reason: DrainReason,
    },
    /// That it exits, fenced and empty as it is; its exit proves that nothing runs.
    Stop {
        /// Why.
        reason: DrainReason,
    },
    /// That its runner exits however it stands: it is asked to, and, as long as nothing shows a job of it, made to.
    HardStop {
        /// What it has not done before.
        reason: Disobedience,
    },
}

impl Want {
    /// Why; a worker that is to serve again needs no reason but the demand.
    pub fn reason(&self) -> Option<Reason> {
        match self {
            Self::Serve => None,
            Self::Fence { reason } | Self::Stop { reason } => Some(reason.clone().into()),
            Self::HardStop { reason } => Some(EndReason::Disobeyed(reason.clone()).into()),
        }
    }
}

/// A launch decision; the same one sent twice launches once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Launch {
    /// Makes a repetition harmless; derived from all the other fields and the attempt's number.
    pub token: LaunchToken,
    /// Whose workers.
    pub runner: RunnerName,
    /// How many, at least 1; EC2 may give fewer.
    pub count: u32,
    /// On which market.
    pub market: Market,
    /// At least one, in order of preference; all on `market`.
    pub offerings: Vec<Offering>,
    /// From which template.
    pub template: TemplateName,
    /// For the tag `runner-fleet:config`.
    pub config: ConfigHash,
    /// What one worker may cost at most; counts on the spot market only.
    pub spot_max_price: Option<UsdPerHour>,
    /// The user's own tags.
    pub tags: BTreeMap<String, String>,
    /// Why.
    pub reason: LaunchReason,
}

/// One worker of a Terminate command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Termination {
    /// Which.
    pub worker: WorkerId,
    /// Why.
    pub reason: EndReason,
}

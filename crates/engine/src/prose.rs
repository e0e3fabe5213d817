//! Every reason in words: the one place where what the engine knows becomes a sentence.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use super::event::ConnectionFailure;
use super::explained::Sentence;
use super::held_back::HeldBack;
use super::job::Knowledge;
use super::prices::{Limit, OverPriceCap};
use super::reason::{Brief, Disobedience, DrainReason, EndReason, LaunchReason, Reason};
use super::time::since;
use super::waits::{JobReason, Mismatch, MismatchKind, WorkerReason};
use super::worker::Unfit;

impl Sentence for HeldBack {
    fn sentence(&self, now: Timestamp) -> String {
        let left = |until: &Timestamp| Brief(since(*until, now));
        match self {
            Self::MaxWorkers { max_workers } => format!("all {max_workers} workers of max_workers exist"),
            Self::Concurrent { concurrent } => format!("the workers of all runners fill concurrent = {concurrent}"),
            Self::MaxBooting { max_booting } => format!("{max_booting} workers boot already (max_booting)"),
            Self::InFlight => "a launch is on its way".into(),
            Self::NoFacts { failure } | Self::NoLaunchPlan { failure } => format!("not ready to launch: {failure}"),
            Self::NoListing { failure } => format!("the instances in EC2 are not known: {failure}"),
            Self::Slow { until } => format!("EC2 is throttling or unwell, next launch in {}", left(until)),
            Self::Refused { until, last } => format!("EC2 refused the launch ({last}), next try in {}", left(until)),
            Self::AnotherManager { started_at, until } => {
                format!(
                    "another manager of this name, started at {started_at:.0}, launches; stop one of the two (next try in {})",
                    left(until)
                )
            }
            Self::Breaker { until, boots, last } => {
                format!("{boots} workers in a row were of no use (last: {last}), next try in {}", left(until))
            }
            Self::Probation { boots } => {
                format!("one boot at a time after {boots} workers in a row that were of no use")
            }
            Self::NoOffering { until: Some(until), said } => {
                let said = said.as_ref().map(|said| format!(" ({said})")).unwrap_or_default();
                format!("EC2 has none of its instance types now{said}, next try in {}", left(until))
            }
            Self::NoOffering { until: None, .. } => "no instance type and subnet is left to ask for".into(),
            Self::OverPriceCap { cheapest } => {
                format!("every spot offer costs more than it may, even the cheapest: {}", cheapest.sentence(now))
            }
            Self::Budget { spent, limit, per, until } => {
                let per = per.as_str();
                format!(
                    "its budget is used up: {spent:.2} of {limit:.2} USD this {per}, the next begins in {}",
                    left(until)
                )
            }
            Self::Paused => "an operator has paused it".into(),
            Self::PausedInGitlab => "it is paused in GitLab".into(),
            Self::Removed => "its section is gone from the configuration; its workers are being retired".into(),
        }
    }
}

impl Sentence for OverPriceCap {
    fn sentence(&self, _now: Timestamp) -> String {
        let Self { offering, usd_per_hour, limit } = self;
        let costs = format!("{offering} costs {usd_per_hour:.4} USD/h");
        match limit {
            Limit::Configured { usd_per_hour } => format!("{costs}, spot_max_price is {usd_per_hour}"),
            Limit::OnDemand { usd_per_hour } => format!("{costs}, on demand it is {usd_per_hour:.4}"),
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Launch(reason) => reason.fmt(f),
            Self::Drain(reason) => reason.fmt(f),
            Self::End(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for LaunchReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Demand { running, waiting, idle, slots } => write!(
                f,
                "{running} running and {waiting} waiting jobs and {idle} idle slots wanted, {slots} slots there or coming"
            ),
            Self::SpotMissing { missing } => write!(f, "spot could not give {missing}"),
            Self::Replacement { outdated } => {
                write!(f, "{outdated} outdated workers are to be replaced, and their successors come first")
            }
            Self::LaunchUnanswered => f.write_str("the launch got no answer and is repeated with the same token"),
        }
    }
}

impl fmt::Display for DrainReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Idle { idle, surplus } => {
                write!(f, "idle for {} and {surplus} free slots more than wanted", Brief(*idle))
            }
            Self::Emptiest { jobs, surplus } => {
                write!(f, "{surplus} free slots more than wanted, and it runs the fewest jobs ({jobs})")
            }
            Self::Age { age } => write!(f, "{} old and idle", Brief(*age)),
            Self::JobsDone { jobs } => write!(f, "has taken {jobs} jobs"),
            Self::Drift { has, wants } => write!(f, "made from {has}, a new one would be made from {wants}"),
            Self::Rebalance => f.write_str("EC2 says that it may be taken back soon"),
            Self::Interruption { at } => write!(f, "EC2 takes it back at {at:.0}"),
            Self::LateBoot { after, step } => write!(f, "not ready after {} (last step: {step})", Brief(*after)),
            Self::RunnerFailed => f.write_str("its gitlab-runner process has failed"),
            Self::RunnerRemoved => f.write_str("its runner is no longer configured"),
            Self::Paused => f.write_str("its runner is paused"),
            Self::Unfit { why } => write!(f, "unfit to run jobs: {why}"),
            Self::JobUnknown { after } => job_unknown(f, *after),
            Self::TakesNothing { job } => {
                write!(f, "it asks for jobs, and has left job {job} alone; another one tries")
            }
            Self::Requested { force: false } => f.write_str("an operator drains it"),
            Self::Requested { force: true } => f.write_str("an operator ends it by force"),
            Self::Yields { to } => write!(f, "jobs of {to} wait for room under concurrent"),
        }
    }
}

/// The same, whether it drains or ends for it.
fn job_unknown(f: &mut fmt::Formatter<'_>, after: Duration) -> fmt::Result {
    write!(f, "says that it runs a job, and GitLab has shown none of it for {}", Brief(after))
}

impl fmt::Display for EndReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BootTimeout { after, step, failure } => {
                let last = boot(step, failure.as_ref(), *after);
                write!(f, "not ready after {} (last step: {last})", Brief(*after))
            }
            Self::BootFailed { error } => write!(f, "its boot failed: {error}"),
            Self::WrongHostKey => f.write_str("answers with a host key that is not its own"),
            Self::Lost => f.write_str("unreachable, and EC2 says that its host is impaired"),
            Self::Unreachable { after } => {
                write!(f, "unreachable for {}, and nothing shows that it still runs a job", Brief(*after))
            }
            Self::JobUnknown { after } => job_unknown(f, *after),
            Self::RunnerDied => f.write_str("its gitlab-runner process has failed"),
            Self::FoundStopped => f.write_str("was stopped from outside"),
            Self::Disobeyed(how) => how.fmt(f),
            Self::Drained(reason) => reason.fmt(f),
        }
    }
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Docker => "Docker does not answer",
            Self::Disk => "its disk is nearly full (see disk_size)",
            Self::Inodes => "its disk has hardly any inode left (see disk_size)",
            Self::SystemFailures => "its last jobs have all failed for the runner's own reasons",
            Self::Other => "for a reason that only its agent knows",
        })
    }
}

impl fmt::Display for Disobedience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::FenceFailed { after } => {
                write!(f, "told to take no more jobs {} ago, and its runner goes on", Brief(*after))
            }
            Self::RequestStuck { after } => {
                write!(f, "a job request of its runner has been open for {}", Brief(*after))
            }
            Self::StopFailed { after } => {
                write!(f, "told to stop {} ago, and its runner has not exited", Brief(*after))
            }
        }
    }
}

impl Sentence for Reason {
    fn sentence(&self, _now: Timestamp) -> String {
        self.to_string()
    }
}

impl Sentence for JobReason {
    fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::NoMatch { mismatches } if mismatches.is_empty() => {
                "no runner here is configured for its server".into()
            }
            Self::NoMatch { mismatches } => {
                let mismatches: Vec<String> = mismatches.iter().map(|mismatch| mismatch.sentence(now)).collect();
                format!("no runner here may take it: {}", mismatches.join("; "))
            }
            Self::QueueUnknown { queue } => queue_unknown(queue),
            Self::Unassignable => "an idle worker asks for jobs, and GitLab does not hand it this one".into(),
            Self::FreeSlot { worker } => format!("{worker} has a free slot and takes it at its next request"),
            Self::Booting { worker, since: at, step, failure } => {
                let age = since(now, *at);
                format!("waits for {worker}, booting for {} ({})", Brief(age), boot(step, failure.as_ref(), age))
            }
            Self::InFlight { since: at } => format!("a launch has been on its way for {}", Brief(since(now, *at))),
            Self::HeldBack { held_back } => format!("no worker is launched: {}", held_back.sentence(now)),
            Self::NextStep => "a worker will be launched at the next step".into(),
            Self::Running { worker, runner } => format!("it runs on {worker}, a worker of {runner}"),
            Self::NoApiToken => "no runner here has an api_token for its server, so that no queue is seen".into(),
            Self::NotSeen => "it is not among the jobs that wait, and no worker here shows it: it has ended, is not \
                              pending yet, was taken a moment ago, runs elsewhere, or its project is not looked at"
                .into(),
        }
    }
}

/// How long nobody answers before it is more than a boot that has just begun.
const STRANGE_AFTER: Duration = Duration::from_secs(60);

/// How far a boot is, and, after a minute without a connection, what to look at.
fn boot(step: &str, failure: Option<&ConnectionFailure>, age: Duration) -> String {
    match failure {
        None => step.to_owned(),
        Some(ConnectionFailure::Unreachable(said)) if age >= STRANGE_AFTER => format!(
            "{step}: {said}; do security group, route and ssh_port let the manager in? `runner-fleet doctor` looks"
        ),
        Some(failure) => format!("{step}: {}", failure.said()),
    }
}

fn queue_unknown(queue: &Knowledge) -> String {
    match queue {
        Knowledge::Known => "the queue is known".into(),
        Knowledge::Stale { age, failure } => format!("the queue could not be read for {}: {failure}", Brief(*age)),
        Knowledge::Unknown { failure } => format!("the queue is not known: {failure}"),
    }
}

impl Sentence for Mismatch {
    fn sentence(&self, _now: Timestamp) -> String {
        let name = &self.runner;
        match &self.why {
            MismatchKind::Unknown { failure: Some(failure) } => format!("nothing is known of {name} yet ({failure})"),
            MismatchKind::Unknown { failure: None } => {
                format!("nothing is known of {name} yet (it has just been configured)")
            }
            MismatchKind::PausedInGitlab => format!("{name} is paused in GitLab"),
            MismatchKind::NotOffered => format!("GitLab does not count {name} among its runners"),
            MismatchKind::MissingTags { tags } => format!("{name} has no tag {}", tags.join(", ")),
            MismatchKind::Untagged => format!("{name} takes no jobs without tags"),
            MismatchKind::OutOfScope => format!("{name} does not serve its project"),
            MismatchKind::ProtectedOnly => format!("{name} takes jobs of protected refs only"),
        }
    }
}

impl Sentence for WorkerReason {
    fn sentence(&self, now: Timestamp) -> String {
        match self {
            Self::Booting { since: at, step, failure } => boot(step, failure.as_ref(), since(now, *at)),
            Self::NotLetIn { failure } => failure.said().to_owned(),
            Self::Draining { because } => because.to_string(),
            Self::Ending { because } => because.to_string(),
            Self::Silent { since: at, failure, healthy } => {
                let silent = format!(
                    "silent for {}: {}",
                    Brief(since(now, *at)),
                    failure.as_ref().map_or("no report", ConnectionFailure::said)
                );
                if *healthy {
                    format!("{silent}; EC2 calls it healthy, so that it is left alone; `drain --force` ends it")
                } else {
                    silent
                }
            }
        }
    }
}

//! What a step has measured: each a number with the names that it is counted under, once, as data. Whoever drives the engine
//! counts it.
//!
//! Names are bounded: runners and types of the configuration, and kinds that this program knows. Ids are there for traces,
//! never for counters.

use std::time::Duration;

use jiff::Timestamp;
use strum::{IntoStaticStr, VariantArray};

use super::ids::{InstanceType, JobId, RunnerName, WorkerId};

/// Something measured.
#[derive(Clone, Debug, PartialEq)]
pub enum Measure {
    /// Workers have taken so many jobs, by their runners' own counters.
    JobsTaken {
        /// Whose workers.
        runner: RunnerName,
        /// How many.
        count: u32,
    },
    /// A worker has begun a job whose id is known.
    JobBegan(JobBegan),
    /// A worker runs a job no more.
    JobEnded {
        /// The worker.
        worker: WorkerId,
        /// The job.
        job: JobId,
        /// When that was seen.
        at: Timestamp,
    },
    /// A phase of a boot is over.
    BootPhase {
        /// Whose worker.
        runner: RunnerName,
        /// Which.
        phase: BootPhase,
        /// How long it took. Zero: it was over before it could be seen.
        took: Duration,
    },
    /// A step of the bootstrap is over.
    BootStep {
        /// Whose worker.
        runner: RunnerName,
        /// Which.
        step: BootStep,
        /// How long it was seen: of the first one, what was left when the worker could be reached.
        took: Duration,
    },
    /// A worker is ready for jobs.
    Booted {
        /// Whose.
        runner: RunnerName,
        /// Its type.
        instance_type: InstanceType,
        /// Since its launch was decided.
        took: Duration,
    },
    /// A boot has failed.
    BootFailed {
        /// Whose worker.
        runner: RunnerName,
        /// Where it stood: the step of the bootstrap, or the phase that was under way.
        step: &'static str,
    },
    /// EC2 gave notice of an interruption.
    Interrupted {
        /// Whose worker.
        runner: RunnerName,
    },
    /// A worker is gone.
    Ended {
        /// Whose.
        runner: RunnerName,
        /// The kind of the reason for which it was terminated; `taken-back` or `by-itself` where nobody here has.
        reason: &'static str,
        /// Jobs that its last report showed, and that have ended with it.
        jobs_lost: u32,
    },
    /// A job that an interruption killed was queued again.
    JobRetried {
        /// Whose worker it ran on.
        runner: RunnerName,
    },
}

/// A job that a worker has begun.
#[derive(Clone, Debug, PartialEq)]
pub struct JobBegan {
    /// Whose worker.
    pub runner: RunnerName,
    /// The worker.
    pub worker: WorkerId,
    /// The job.
    pub job: JobId,
    /// When the worker's runner took it: its counter rose in the report of that time.
    pub at: Timestamp,
    /// How long it had been queued then; absent where nobody can tell.
    pub wait: Option<JobWait>,
    /// From the decision to launch its worker until that was ready, where this manager has watched it.
    pub boot: Option<(Timestamp, Timestamp)>,
}

/// How long a job was queued until it began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JobWait {
    /// From `queued_at` to the beginning; of a job that no look at the queue has shown, at most this.
    pub time: Duration,
    /// Whether that is within the runner's `target_wait`.
    pub is_kept: bool,
}

/// The phases of a boot, one after the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum BootPhase {
    /// From the decision until EC2 has named the worker.
    LaunchCall,
    /// Until a listing shows it running, with an address.
    Running,
    /// Until its sshd lets the manager in.
    Sshd,
    /// Until its bootstrap is done.
    Bootstrap,
    /// Until its runner is configured: it is ready.
    Configured,
    /// Until its runner has asked GitLab for a job.
    FirstRequest,
}

impl BootPhase {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }
}

/// The steps of the bootstrap, without the versions and packages that they name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, IntoStaticStr, VariantArray)]
#[strum(serialize_all = "kebab-case")]
pub enum BootStep {
    /// The system's own start, before our files are there.
    CloudInit,
    /// The bootstrap has begun.
    Starting,
    /// It installs what downloads the rest.
    InstallingCurl,
    /// It looks for gitlab-runner.
    CheckingGitlabRunner,
    /// It installs gitlab-runner.
    InstallingGitlabRunner,
    /// It installs Docker.
    InstallingDocker,
    /// It starts Docker.
    StartingDocker,
    /// It installs the helper for logins to ECR.
    InstallingTheEcrHelper,
    /// It writes Docker's logins.
    ConfiguringTheDockerLogin,
    /// It tries the login to ECR.
    CheckingTheEcrLogin,
    /// It runs the user's own script.
    RunningSetupScript,
    /// A step that this manager does not know.
    Other,
}

impl BootStep {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// The step that a worker names so: what it says beyond the known words is a version, and no more than that is believed.
    pub fn of(said: &str) -> Self {
        let known = |step: &&Self| {
            let words = step.as_str().split('-');
            let mut said = said.split([' ', '-', '_']).map(str::to_ascii_lowercase);
            words.into_iter().all(|word| said.next().is_some_and(|said| said == word))
        };
        Self::VARIANTS.iter().find(known).copied().unwrap_or(Self::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_known_by_its_words_whatever_follows() {
        for (said, step) in [
            ("cloud-init", BootStep::CloudInit),
            ("installing gitlab-runner 19.2.0", BootStep::InstallingGitlabRunner),
            ("installing the ECR helper 0.12", BootStep::InstallingTheEcrHelper),
            ("running setup_script", BootStep::RunningSetupScript),
            ("installing gitlab", BootStep::Other),
            ("", BootStep::Other),
            ("mining \"coins\"\n", BootStep::Other),
        ] {
            assert_eq!(BootStep::of(said), step, "{said:?}");
        }
    }
}

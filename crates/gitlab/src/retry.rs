//! Retrying a job that EC2 took away with its worker: `GET /projects/:id/jobs/:job_id`, then, if it needs that,
//! `POST …/retry`.
//!
//! GitLab itself retries no job whose machine went away, unless its YAML says so. The retry is a new job; the old one
//! stays as it failed. The look comes first because the job may have finished in its last minutes, or have been cancelled,
//! or have failed by its own script: none of these is ours to repeat. What happens between look and retry is settled by
//! GitLab: it retries no job twice, and says so with a 403.
//! Sources: GitLab docs, "Jobs API" (Get a single job, Retry a job); failure reasons: `lib/gitlab/ci/status/build/failed.rb`
//! and `app/models/concerns/enums/ci/commit_status.rb`.

use serde::Deserialize;

use super::client::GitLab;
use super::error::{ErrorKind, GitLabError};
use super::http::Request;
use runner_fleet_engine::{JobId, ProjectId, SystemId};

/// The reasons that a job can fail for when its worker goes away.
///
/// A runner that got its last word out says `runner_interrupted`, which a GitLab before 19.1 does not know and keeps as
/// `unknown_failure`; a runner before 19.1 says `runner_system_failure`. Where nobody said anything GitLab itself finds out
/// after an hour, as `stuck_or_timeout_failure`, from 19.1 on `no_updates_running`.
const LOST: [&str; 5] = [
    "runner_interrupted",
    "runner_system_failure",
    "unknown_failure",
    "stuck_or_timeout_failure",
    "no_updates_running",
];

/// Where we believe that the job ran.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RanOn {
    /// GitLab's id of the runner.
    pub runner_id: u64,
    /// The worker's key among the runner's managers.
    pub system_id: SystemId,
}

/// What the look showed, and what was done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Retried {
    /// It was lost, and is queued again as this job.
    As(JobId),
    /// It was not lost, or has been retried already; in an administrator's words.
    NotNeeded(String),
    /// GitLab has not been told yet that it ended.
    StillRuns,
}

#[derive(Deserialize)]
struct JobRow {
    id: u64,
    #[serde(default)]
    status: String,
    #[serde(default)]
    failure_reason: Option<String>,
    #[serde(default)]
    runner: Option<RunnerRow>,
    #[serde(default)]
    runner_manager: Option<ManagerRow>,
}

#[derive(Deserialize)]
struct RunnerRow {
    id: u64,
}

#[derive(Deserialize)]
struct ManagerRow {
    system_id: String,
}

impl GitLab {
    /// Looks at the job, and retries it if it failed for want of its worker. Needs an api token with scope `api` and the
    /// Developer role.
    ///
    /// # Errors
    /// `is_denied()` when the token may not do it; otherwise as any call.
    pub async fn retry_lost(&self, project: ProjectId, job: JobId, ran_on: &RanOn) -> Result<Retried, GitLabError> {
        let doing = format!("look at job {job} of project {project}");
        let credential = self.api(&doing)?;
        let url = self.http().api(&["projects", &project.to_string(), "jobs", &job.to_string()], &[]);
        let row: JobRow = self.http().send(Request::get(url, doing, credential)).await?.json()?;
        if let Some(verdict) = verdict(&row, ran_on) {
            return Ok(verdict);
        }
        match self.retry(project, job).await {
            Ok(new) => Ok(Retried::As(new)),
            Err(error) if is_not_retryable(&error) => {
                Ok(Retried::NotNeeded("GitLab says that it is not retryable, or no more".into()))
            }
            Err(error) => Err(error),
        }
    }

    /// Retries a job and returns the id of the new one.
    ///
    /// # Errors
    /// `is_denied()` when the token may not do it, or the job cannot be retried (any more).
    pub async fn retry(&self, project: ProjectId, job: JobId) -> Result<JobId, GitLabError> {
        let doing = format!("retry job {job} of project {project}");
        let credential = self.api(&doing)?;
        let url = self.http().api(&["projects", &project.to_string(), "jobs", &job.to_string(), "retry"], &[]);
        let answer =
            self.http().send(Request::post(url, doing, credential)).await.map_err(|error| match error.kind() {
                ErrorKind::Forbidden(_) | ErrorKind::ScopeTooSmall(_) => {
                    error.advise("retry_interrupted needs an api_token with scope api and the Developer role")
                }
                _ => error,
            })?;
        answer.json::<JobRow>().map(|row| JobId(row.id))
    }
}

/// What the look alone settles; `None`: it was lost, and is to be retried.
fn verdict(row: &JobRow, ran_on: &RanOn) -> Option<Retried> {
    let not_needed = |why: String| Some(Retried::NotNeeded(why));
    // A worker says which jobs it ran, and its jobs could make it lie. GitLab knows better; where it does not know either,
    // the job is not ours: the worker's row there is kept until all is asked.
    let here = row.runner.as_ref().is_some_and(|runner| runner.id == ran_on.runner_id)
        && row.runner_manager.as_ref().is_some_and(|manager| manager.system_id == ran_on.system_id.as_str());
    if !here {
        return not_needed("GitLab says that it ran elsewhere".into());
    }
    match (row.status.as_str(), row.failure_reason.as_deref()) {
        ("running" | "pending", _) => Some(Retried::StillRuns),
        ("failed", Some(reason)) if LOST.contains(&reason) => None,
        ("failed", reason) => not_needed(format!("it failed by itself ({})", reason.unwrap_or("no reason told"))),
        (status, _) => not_needed(format!("its status is {status}")),
    }
}

/// GitLab's answer to the retry of a job that is not over, is archived, or was retried before.
fn is_not_retryable(error: &GitLabError) -> bool {
    matches!(error.kind(), ErrorKind::Forbidden(says) if says.0.as_ref().is_some_and(|words| words.contains("not retryable")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(status: &str, reason: Option<&str>, runner: u64, system_id: Option<&str>) -> JobRow {
        JobRow {
            id: 7,
            status: status.into(),
            failure_reason: reason.map(str::to_owned),
            runner: Some(RunnerRow { id: runner }),
            runner_manager: system_id.map(|id| ManagerRow { system_id: id.into() }),
        }
    }

    #[test]
    fn only_a_job_that_failed_for_want_of_its_worker_is_retried() {
        let ran_on = RanOn { runner_id: 3, system_id: SystemId::new("r_a") };
        // status, reason, what the look settles: "retry", "wait" or "no"
        let table = [
            ("failed", Some("runner_interrupted"), "retry"),
            ("failed", Some("runner_system_failure"), "retry"),
            ("failed", Some("unknown_failure"), "retry"),
            ("failed", Some("stuck_or_timeout_failure"), "retry"),
            ("failed", Some("no_updates_running"), "retry"),
            ("failed", Some("script_failure"), "no"),
            ("failed", Some("job_execution_timeout"), "no"),
            ("failed", None, "no"),
            ("success", None, "no"),
            ("canceled", None, "no"),
            ("canceling", None, "no"),
            ("running", None, "wait"),
            ("pending", None, "wait"),
            ("something_new", None, "no"),
        ];
        for (status, reason, expected) in table {
            let said = match verdict(&row(status, reason, 3, Some("r_a")), &ran_on) {
                None => "retry",
                Some(Retried::StillRuns) => "wait",
                Some(Retried::NotNeeded(_) | Retried::As(_)) => "no",
            };
            assert_eq!(said, expected, "{status} {reason:?}");
        }
    }

    #[test]
    fn only_what_gitlab_says_ran_here_is_retried() {
        let ran_on = RanOn { runner_id: 3, system_id: SystemId::new("r_a") };
        let lost = |runner, system_id| verdict(&row("failed", Some("runner_interrupted"), runner, system_id), &ran_on);
        assert!(lost(3, Some("r_a")).is_none());
        assert!(matches!(lost(3, None), Some(Retried::NotNeeded(_))));
        assert!(matches!(lost(3, Some("r_b")), Some(Retried::NotNeeded(_))));
        assert!(matches!(lost(4, Some("r_a")), Some(Retried::NotNeeded(_))));
    }
}

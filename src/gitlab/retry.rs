//! Retrying a job that an interruption killed: `POST /projects/:id/jobs/:job_id/retry`.
//!
//! GitLab itself retries no job whose machine went away. The retry is a new job; the old one stays as it failed. Asking
//! twice is harmless: the second time GitLab answers that the job is not retryable.
//! Source: GitLab docs, "Jobs API", Retry a job.

use serde::Deserialize;

use super::client::GitLab;
use super::error::{ErrorKind, GitLabError};
use super::http::Request;
use crate::engine::{JobId, ProjectId};

#[derive(Deserialize)]
struct JobRow {
    id: u64,
}

impl GitLab {
    /// Retries a job and returns the id of the new one. Needs an api token with scope `api`, role Developer or above.
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

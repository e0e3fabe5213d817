//! The jobs that run on one worker, as GitLab knows them: `GET /runners/:id/jobs?status=running&system_id=…`.
//!
//! It shows the jobs of projects in which the api token has the Reporter role, and none that a runner has claimed and not
//! yet acknowledged. A server that does not know the filter shows all jobs of the runner, so that it shows rather too many.
//! Source: GitLab docs, "Runners API", List jobs processed by a runner; `lib/api/ci/runners.rb`.

use serde::Deserialize;

use super::client::GitLab;
use super::error::GitLabError;
use super::http::Request;
use runner_fleet_engine::SystemId;

/// A worker runs few jobs at once, and whether it runs any is what matters.
const ROWS: &str = "20";

#[derive(Deserialize)]
struct Row {
    status: String,
}

impl GitLab {
    /// How many jobs GitLab shows as running on the worker of this runner-manager row; at most 20. Needs an api token with
    /// scope `read_api`; of an instance runner, an administrator's.
    ///
    /// # Errors
    /// `is_denied()` when the token may not see the runner's jobs; otherwise as any call.
    pub async fn running_jobs(&self, runner_id: u64, system_id: &SystemId) -> Result<u32, GitLabError> {
        let doing = format!("look for the running jobs of {system_id}");
        let credential = self.api(&doing)?;
        let query = [("status", "running"), ("system_id", system_id.as_str()), ("per_page", ROWS)];
        let url = self.http().api(&["runners", &runner_id.to_string(), "jobs"], &query);
        let rows: Vec<Row> = self.http().send(Request::get(url, doing, credential)).await?.json()?;
        let running = rows.iter().filter(|row| row.status == "running").count();
        Ok(u32::try_from(running).unwrap_or(u32::MAX))
    }
}

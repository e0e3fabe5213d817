//! Jobs of the past, for simulations: `GET /projects/:id/jobs`, newest first, page by page, until they are too old.
//!
//! Every page takes a token from the budget. A server that is throttling or unwell is asked again, a few times, ever later:
//! a recording of thousands of pages must not end for one 502.
//! Source: GitLab docs, "Jobs API", List project jobs.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::client::GitLab;
use super::error::{ErrorKind, GitLabError};
use super::http::{Answer, Request};
use super::page::next_page;
use runner_fleet_engine::ProjectId;

/// Pages of 100 jobs of one project: a million jobs.
const PAGES_MAX: usize = 10_000;
/// Before a page is asked for again; GitLab's fixed minute has passed after the third.
const PAUSES: [Duration; 4] =
    [Duration::from_secs(5), Duration::from_secs(20), Duration::from_secs(60), Duration::from_secs(60)];

/// What a simulation needs of a job, in GitLab's own names; everything else of it (people, commits) is left behind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PastJob {
    /// GitLab's id.
    pub id: u64,
    /// `success`, `failed`, `canceled`.
    pub status: String,
    /// When its pipeline was created.
    pub created_at: Timestamp,
    /// When a runner began with it, if one did.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub finished_at: Option<Timestamp>,
    /// Seconds from start to end.
    pub duration: Option<f64>,
    /// Seconds from pending to start.
    pub queued_duration: Option<f64>,
    /// The tags that it asks for.
    #[serde(default)]
    pub tag_list: Vec<String>,
    /// Says the project.
    pub pipeline: PastPipeline,
    /// The runner that took it; not kept in recordings.
    #[serde(default, skip_serializing)]
    pub runner: Option<PastRunner>,
}

/// The part of a job's runner that is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub struct PastRunner {
    /// GitLab's number of it.
    pub id: u64,
}

/// The part of a job's pipeline that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastPipeline {
    /// The project's id.
    pub project_id: u64,
}

impl PastJob {
    /// When it became pending; when it was created, where it never started.
    pub fn queued_at(&self) -> Timestamp {
        let waited = Duration::try_from_secs_f64(self.queued_duration.unwrap_or_default()).unwrap_or_default();
        self.started_at.map_or(self.created_at, |at| at.saturating_sub(waited).unwrap_or(at))
    }
}

impl GitLab {
    /// The ended jobs of a project whose pipelines were created at or after `since`, newest first. `heard` is told after
    /// every page how many there are so far. `with_running` adds the jobs that run now, which have no end yet. Needs an api
    /// token with scope `read_api`, role Reporter or above.
    ///
    /// # Errors
    /// A page cannot be read, also after some tries where trying again may help.
    pub async fn past_jobs(
        &self,
        project: ProjectId,
        since: Timestamp,
        with_running: bool,
        heard: &mut dyn FnMut(usize),
    ) -> Result<Vec<PastJob>, GitLabError> {
        let doing = format!("list the past jobs of project {project}");
        let scopes = ["success", "failed", "canceled"].into_iter().chain(with_running.then_some("running"));
        let pages = [("pagination", "keyset"), ("per_page", "100"), ("order_by", "id"), ("sort", "desc")];
        let query: Vec<(&str, &str)> = scopes.map(|scope| ("scope[]", scope)).chain(pages).collect();
        let mut next = Some(self.http().api(&["projects", &project.to_string(), "jobs"], &query));
        let mut jobs = Vec::new();
        for _ in 0..PAGES_MAX {
            let Some(url) = next else { return Ok(jobs) };
            let answer = self.patiently(&url, &doing).await?;
            let page: Vec<PastJob> = answer.json()?;
            let is_last = page.iter().any(|job| job.created_at < since);
            jobs.extend(page.into_iter().filter(|job| job.created_at >= since));
            heard(jobs.len());
            if is_last {
                return Ok(jobs);
            }
            next = next_page(&answer.headers, self.http().base()).map_err(|kind| answer.error(kind))?;
        }
        Err(self.http().error(&doing, ErrorKind::TooManyPages(PAGES_MAX)))
    }

    async fn patiently(&self, url: &Url, doing: &str) -> Result<Answer, GitLabError> {
        let mut pauses = PAUSES.iter();
        loop {
            self.budget().take().await;
            let error = match self.http().send(Request::get(url.clone(), doing, self.api(doing)?)).await {
                Ok(answer) => return Ok(answer),
                Err(error) => error,
            };
            match pauses.next() {
                Some(pause) if error.is_throttled() || error.is_transient() => tokio::time::sleep(*pause).await,
                Some(_) | None => return Err(error),
            }
        }
    }
}

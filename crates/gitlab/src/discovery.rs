//! What a runner is and which projects it serves, read with the api token.
//!
//! `GET /runners/:id` tells tags, access level, pause and type. A project runner names its projects; a group runner
//! serves its group's tree (but no project that is only shared into it); an instance runner serves every project, of
//! which those are looked at that the token's user is a member of. `projects` and `groups` of the configuration narrow
//! that down. The lists change slowly: the service repeats this every 10 to 30 minutes.
//! Source: GitLab docs, "Runners API", "Groups API", "Projects API"; `app/services/ci/register_job_service.rb`.

use std::collections::BTreeSet;

use serde::Deserialize;
use serde::de::IgnoredAny;

use super::client::GitLab;
use super::error::{ErrorKind, GitLabError};
use super::http::Request;
use super::page;
use runner_fleet_engine::{ProjectId, RunnerFacts, Scope};

/// Pages of 100 projects: 20,000. A fleet that watches more would need half an hour for a round of looks.
const PROJECT_PAGES_MAX: usize = 200;

const NEEDS_MAINTAINER: &str = "the api_token's user needs the Maintainer role in the runner's project or group \
    (an instance runner can be read by anyone); without it the runner's tags are unknown";

const NAME_THEM: &str = "the api_token's user needs the Maintainer role in the runner's project or group \
    (an instance runner can be read by anyone), or set projects or groups";

const CONFIGURED: &str =
    "check the paths in projects and groups, and that the api_token's user is at least Reporter there";

/// What the administrator wrote under `projects` and `groups`: full paths or ids. Empty: no restriction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Restriction {
    /// `group/subgroup/project`, or an id.
    pub projects: Vec<String>,
    /// `group/subgroup`, or an id; with all subgroups.
    pub groups: Vec<String>,
}

impl Restriction {
    fn is_empty(&self) -> bool {
        self.projects.is_empty() && self.groups.is_empty()
    }
}

/// What was found out about a runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Discovered {
    /// What GitLab knows about it; an error when the token may not read it but `projects` or `groups` say where to look.
    pub facts: Result<RunnerFacts, GitLabError>,
    /// The projects whose queues are looked at.
    pub projects: BTreeSet<ProjectId>,
    /// Whether `projects` or `groups` narrow the runner's own reach.
    pub restricted: bool,
    /// Sentences for the log: nothing is broken, but a person may have meant something else.
    pub notes: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
enum RunnerType {
    #[serde(rename = "instance_type")]
    Instance,
    #[serde(rename = "group_type")]
    Group,
    #[serde(rename = "project_type")]
    Project,
}

#[derive(Deserialize)]
struct RunnerRow {
    id: u64,
    runner_type: RunnerType,
    tag_list: Vec<String>,
    run_untagged: bool,
    #[serde(default)]
    access_level: Option<String>,
    #[serde(default)]
    paused: Option<bool>,
    /// The older name of the opposite.
    #[serde(default)]
    active: Option<bool>,
    #[serde(default)]
    projects: Option<Vec<IdRow>>,
    #[serde(default)]
    groups: Option<Vec<IdRow>>,
}

#[derive(Deserialize)]
struct IdRow {
    id: u64,
}

/// A project with the switches that keep its jobs from runners; servers leave out what they do not have.
#[derive(Deserialize)]
struct ProjectRow {
    id: u64,
    #[serde(default)]
    archived: Option<bool>,
    #[serde(default)]
    jobs_enabled: Option<bool>,
    #[serde(default)]
    builds_access_level: Option<String>,
    #[serde(default)]
    shared_runners_enabled: Option<bool>,
    #[serde(default)]
    group_runners_enabled: Option<bool>,
    #[serde(default)]
    marked_for_deletion_on: Option<IgnoredAny>,
}

impl ProjectRow {
    /// Whether a runner of this type (`None`: unknown) may get jobs from it.
    fn serves(&self, runner: Option<RunnerType>) -> bool {
        let builds = self.jobs_enabled != Some(false) && self.builds_access_level.as_deref() != Some("disabled");
        let alive = self.archived != Some(true) && self.marked_for_deletion_on.is_none();
        let open_to_runner = match runner {
            Some(RunnerType::Instance) => self.shared_runners_enabled != Some(false),
            Some(RunnerType::Group) => self.group_runners_enabled != Some(false),
            Some(RunnerType::Project) | None => true,
        };
        builds && alive && open_to_runner
    }
}

impl GitLab {
    /// Reads the runner and lists its projects. `runner_id` comes from [`GitLab::verify`].
    ///
    /// # Errors
    /// The runner or its projects cannot be listed and nothing is configured instead; or a configured project or group
    /// cannot be read.
    pub async fn discover(&self, runner_id: u64, restriction: &Restriction) -> Result<Discovered, GitLabError> {
        let row = match self.runner(runner_id).await {
            Ok(row) => row,
            Err(error) if error.is_denied() || error.is_not_found() => {
                if restriction.is_empty() {
                    return Err(error.advise(NAME_THEM));
                }
                let projects = self.configured_projects(restriction, None).await?;
                let facts = Err(error.advise(NEEDS_MAINTAINER));
                return Ok(Discovered { facts, projects, restricted: true, notes: Vec::new() });
            }
            Err(error) => return Err(error),
        };
        let reach = self.projects_of(&row, restriction).await?;
        Ok(describe(row, reach, restriction))
    }

    async fn runner(&self, id: u64) -> Result<RunnerRow, GitLabError> {
        let doing = format!("read runner {id}");
        let url = self.http().api(&["runners", &id.to_string()], &[]);
        self.http().send(Request::get(url, &doing, self.api(&doing)?)).await?.json()
    }

    /// The projects that the runner may serve and the administrator wants.
    async fn projects_of(
        &self,
        row: &RunnerRow,
        restriction: &Restriction,
    ) -> Result<BTreeSet<ProjectId>, GitLabError> {
        let own = match row.runner_type {
            RunnerType::Instance if restriction.is_empty() => return self.member_projects().await,
            RunnerType::Instance => return self.configured_projects(restriction, Some(row.runner_type)).await,
            RunnerType::Project => {
                row.projects.iter().flatten().map(|project| ProjectId(project.id)).collect::<BTreeSet<_>>()
            }
            RunnerType::Group => {
                let mut projects = BTreeSet::new();
                for group in row.groups.iter().flatten() {
                    projects.extend(self.group_projects(&group.id.to_string(), Some(RunnerType::Group)).await?);
                }
                projects
            }
        };
        if restriction.is_empty() {
            return Ok(own);
        }
        let wanted = self.configured_projects(restriction, Some(row.runner_type)).await?;
        Ok(own.intersection(&wanted).copied().collect())
    }

    async fn configured_projects(
        &self,
        restriction: &Restriction,
        runner: Option<RunnerType>,
    ) -> Result<BTreeSet<ProjectId>, GitLabError> {
        let Restriction { projects, groups } = restriction;
        let mut found = BTreeSet::new();
        for project in projects {
            let doing = format!("read the project \"{project}\" of the configuration");
            let url = self.http().api(&["projects", project.trim_matches('/')], &[]);
            let answer = self.http().send(Request::get(url, &doing, self.api(&doing)?)).await.map_err(configured)?;
            let row: ProjectRow = answer.json()?;
            found.extend(row.serves(runner).then_some(ProjectId(row.id)));
        }
        for group in groups {
            found.extend(self.group_projects(group.trim_matches('/'), runner).await.map_err(configured)?);
        }
        Ok(found)
    }

    async fn group_projects(
        &self,
        group: &str,
        runner: Option<RunnerType>,
    ) -> Result<BTreeSet<ProjectId>, GitLabError> {
        let query = [
            ("include_subgroups", "true"),
            ("with_shared", "false"),
            ("archived", "false"),
            ("per_page", "100"),
            ("order_by", "id"),
            ("sort", "asc"),
        ];
        let url = self.http().api(&["groups", group, "projects"], &query);
        self.projects_at(url, &format!("list the projects of group {group}"), runner).await
    }

    async fn member_projects(&self) -> Result<BTreeSet<ProjectId>, GitLabError> {
        let query = [
            ("membership", "true"),
            ("archived", "false"),
            ("pagination", "keyset"),
            ("per_page", "100"),
            ("order_by", "id"),
            ("sort", "asc"),
        ];
        let url = self.http().api(&["projects"], &query);
        self.projects_at(url, "list the api_token's projects", Some(RunnerType::Instance)).await
    }

    async fn projects_at(
        &self,
        url: reqwest::Url,
        doing: &str,
        runner: Option<RunnerType>,
    ) -> Result<BTreeSet<ProjectId>, GitLabError> {
        let rows: Vec<ProjectRow> = page::all(self.http(), url, doing, self.api(doing)?, PROJECT_PAGES_MAX).await?;
        Ok(rows.iter().filter(|row| row.serves(runner)).map(|row| ProjectId(row.id)).collect())
    }
}

fn configured(error: GitLabError) -> GitLabError {
    match error.kind() {
        ErrorKind::NotFound(_) | ErrorKind::Forbidden(_) => error.advise(CONFIGURED),
        _ => error,
    }
}

/// The facts in the engine's words, and what a person should know about them.
fn describe(row: RunnerRow, projects: BTreeSet<ProjectId>, restriction: &Restriction) -> Discovered {
    let restricted = !restriction.is_empty();
    let mut notes = Vec::new();
    if projects.is_empty() {
        notes.push(match (row.runner_type, restricted) {
            (_, true) => "none of the configured projects and groups can give this runner a job".to_owned(),
            (RunnerType::Instance, false) => {
                "the api_token's user is member of no project: no queue is visible".to_owned()
            }
            (RunnerType::Group | RunnerType::Project, false) => {
                format!("runner {} serves no project: no queue is visible", row.id)
            }
        });
    }
    let scope = match row.runner_type {
        RunnerType::Instance if !restricted => Scope::Everything,
        _ => Scope::Projects(projects.clone()),
    };
    let facts = RunnerFacts {
        id: row.id,
        tags: row.tag_list.into_iter().collect(),
        run_untagged: row.run_untagged,
        protected_only: row.access_level.as_deref() == Some("ref_protected"),
        paused: row.paused.unwrap_or(row.active == Some(false)),
        scope,
        token_end: None,
    };
    Discovered { facts: Ok(facts), projects, restricted, notes }
}

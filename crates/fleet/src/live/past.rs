//! The jobs of a past time, from all projects that the configured runners serve.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use runner_fleet_config::Config;
use runner_fleet_engine::{ProjectId, RunnerName, Server};
use runner_fleet_gitlab::history::PastJob;
use runner_fleet_gitlab::{GitLab, GitLabError, Restriction, manager_system_id};

use super::regions::Regions;
use super::setup::{Setup, SetupError};

/// The longest time from the creation of a pipeline to the queueing of its job: stages before it, people who start it by hand.
const QUEUED_LATER_MAX: SignedDuration = SignedDuration::from_hours(24);

/// Why a past time cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum PastError {
    /// The configuration cannot be acted on.
    #[error("prepare the configuration")]
    Setup(#[from] SetupError),
    /// GitLab does not tell.
    #[error("ask GitLab about runner {runner}")]
    GitLab {
        /// Whose projects were asked for.
        runner: RunnerName,
        /// Why.
        source: Box<GitLabError>,
    },
    /// Nobody may look.
    #[error("no runner has an api_token, and without one past jobs cannot be seen; give one with scope read_api")]
    NoApiToken,
}

/// What GitLab calls the configured runners.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RunnerIds {
    /// Each is asked for with its token, which GitLab takes as a sign of life; all their projects' ended jobs are read.
    Asked,
    /// Known beforehand, so that nothing but read requests is sent; read are their jobs alone, those that run now as well.
    Given(BTreeMap<RunnerName, u64>),
}

/// Reads the jobs that were queued from `from` (included) to `to` (excluded), by id. `heard` is told the project, which of
/// how many it is, and how many of its jobs were read so far.
///
/// # Errors
/// Any project of any runner cannot be read to its end: half a past would be another past.
pub async fn read(
    config: Config,
    ids: &RunnerIds,
    from: Timestamp,
    to: Timestamp,
    heard: &mut dyn FnMut(ProjectId, (usize, usize), usize),
) -> Result<Vec<PastJob>, PastError> {
    let manager = manager_system_id(&config.fleet.manager);
    let setup = Setup::prepare(config, None, &Regions::default(), 0).await?;
    let mut projects: BTreeMap<(Server, ProjectId), (RunnerName, GitLab)> = BTreeMap::new();
    for runner in setup.runners.iter().filter(|runner| runner.api_token.is_some()) {
        let name = &runner.runner.name;
        let failed = |source| PastError::GitLab { runner: name.clone(), source: Box::new(source) };
        let id = match ids {
            RunnerIds::Asked => runner.gitlab.verify(&runner.token, &manager).await.map_err(failed)?.id,
            RunnerIds::Given(ids) => match ids.get(name) {
                Some(id) => *id,
                None => continue,
            },
        };
        let fleet = &runner.runner.fleet;
        let restriction = Restriction { projects: fleet.projects.clone(), groups: fleet.groups.clone() };
        let found = runner.gitlab.discover(id, &restriction).await.map_err(failed)?;
        for project in found.projects {
            // Two runners, or two api tokens, may see the same project.
            let seen = (runner.runner.server.clone(), project);
            projects.entry(seen).or_insert_with(|| (name.clone(), runner.gitlab.clone()));
        }
    }
    if !setup.runners.iter().any(|runner| runner.api_token.is_some()) {
        return Err(PastError::NoApiToken);
    }
    let since = from.saturating_sub(QUEUED_LATER_MAX).unwrap_or(Timestamp::MIN);
    let count = projects.len();
    let mut jobs = BTreeMap::new();
    for (number, ((server, project), (name, gitlab))) in projects.into_iter().enumerate() {
        let mut told = |so_far| heard(project, (number + 1, count), so_far);
        let past = gitlab.past_jobs(project, since, matches!(ids, RunnerIds::Given(_)), &mut told).await;
        let past = past.map_err(|source| PastError::GitLab { runner: name, source: Box::new(source) })?;
        let is_theirs = |job: &PastJob| match ids {
            RunnerIds::Asked => true,
            RunnerIds::Given(ids) => job.runner.is_some_and(|runner| ids.values().any(|id| *id == runner.id)),
        };
        let within = past.into_iter().filter(|job| (from..to).contains(&job.queued_at()) && is_theirs(job));
        jobs.extend(within.map(|job| ((server.clone(), job.id), job)));
    }
    Ok(jobs.into_values().collect())
}

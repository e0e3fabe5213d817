//! GitLab's rule of matching as a table: which runner may take which job. `tests/recorded/matching.csv` is read by a test of
//! everyone who implements the rule, so that no two of them can differ.
//!
//! Source: GitLab's `lib/gitlab/ci/matching/runner_matcher.rb` and `app/services/ci/register_job_service.rb`.

use std::collections::BTreeSet;
use std::fs;

/// A runner, a job, and what comes of it.
#[derive(Clone, Debug)]
pub struct Case {
    /// What it is about.
    pub name: String,
    /// The runner's tags.
    pub runner_tags: BTreeSet<String>,
    /// Whether the runner takes jobs that have no tags.
    pub run_untagged: bool,
    /// Whether the runner takes jobs of protected refs only.
    pub protected_only: bool,
    /// Whether the runner is paused. (Whether it is locked is no criterion, and no one here knows of it.)
    pub paused: bool,
    /// The projects that it serves; `None`: all.
    pub projects: Option<BTreeSet<u64>>,
    /// The job's tags.
    pub job_tags: BTreeSet<String>,
    /// The job's project.
    pub project: u64,
    /// Whether its ref is protected; `None`: not known.
    pub protected: Option<bool>,
    /// Whether the runner may take the job.
    pub taken: bool,
}

/// All cases.
///
/// # Errors
/// The file is missing, or a line of it is not as its first one says.
pub fn cases() -> Result<Vec<Case>, String> {
    let file = super::repository().join("tests/recorded/matching.csv");
    let text = fs::read_to_string(&file).map_err(|error| format!("{}: {error}", file.display()))?;
    let rows: Vec<[&str; 11]> = text
        .lines()
        .skip(1)
        .map(|line| line.split(',').collect::<Vec<_>>().try_into().map_err(|_| format!("not 11 fields: {line}")))
        .collect::<Result<_, String>>()?;
    let paths: BTreeSet<&str> = rows.iter().map(|[.., project, _, _]| *project).collect();
    rows.into_iter().map(|row| case(row, &paths)).collect()
}

fn case(row: [&str; 11], paths: &BTreeSet<&str>) -> Result<Case, String> {
    let [name, runner_tags, run_untagged, protected_only, paused, _locked, scope, job_tags, project, protected, taken] =
        row;
    let is = |word: &str| match word {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("{name}: neither yes nor no: {other}")),
    };
    Ok(Case {
        name: name.to_owned(),
        runner_tags: words(runner_tags),
        run_untagged: is(run_untagged)?,
        protected_only: is(protected_only)?,
        paused: is(paused)?,
        projects: projects(scope, paths).map_err(|other| format!("{name}: no scope: {other}"))?,
        job_tags: words(job_tags),
        project: number(project, paths),
        protected: if protected == "unknown" { None } else { Some(is(protected)?) },
        taken: is(taken)?,
    })
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

/// The projects of a scope: all, some, or those of a group and of the groups below it.
fn projects<'s>(scope: &'s str, paths: &BTreeSet<&str>) -> Result<Option<BTreeSet<u64>>, &'s str> {
    let (kind, of) = scope.split_once(' ').unwrap_or((scope, ""));
    match kind {
        "everything" => Ok(None),
        "projects" => Ok(Some(of.split_whitespace().map(|path| number(path, paths)).collect())),
        "group" => {
            let within = |path: &&&str| path.strip_prefix(of).is_some_and(|rest| rest.starts_with('/'));
            Ok(Some(paths.iter().filter(within).map(|path| number(path, paths)).collect()))
        }
        _ => Err(scope),
    }
}

/// The id of a project; 0: of none that has a job.
fn number(path: &str, paths: &BTreeSet<&str>) -> u64 {
    paths.iter().position(|other| *other == path).map_or(0, |at| at as u64 + 1)
}

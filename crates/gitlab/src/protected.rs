//! Which refs are protected, for runners that take jobs of protected refs only.
//!
//! A job's JSON does not say it, so the project's protected branches and tags are read and matched, and kept for a while.
//! What cannot be known (a merge request's ref, a project whose rules we may not read) stays unknown, and the engine
//! counts such a job as eligible. Source: GitLab docs, "Protected branches API", "Protected tags API"; a `*` in a name
//! matches any characters, slashes too.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use super::client::GitLab;
use super::error::GitLabError;
use super::page;
use runner_fleet_engine::ProjectId;

/// For how long the rules of a project are believed: they change by hand, a few times a year.
const FRESH: Duration = Duration::from_secs(600);

/// When a project whose rules could not be read is asked again.
const AGAIN: Duration = Duration::from_secs(60);

/// Projects asked in one poll: two requests each, so that a full round of cold rules takes a small part of the budget.
const PROJECTS_PER_LOOK_MAX: usize = 5;

/// Pages of rules read: 1,000 rules are more than a person keeps in order.
const PAGES_MAX: usize = 10;

/// The rules of one project.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Rules {
    branches: Vec<String>,
    tags: Vec<String>,
}

/// What a job runs on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ref {
    /// Its name without `refs/heads/` or `refs/tags/`.
    pub(crate) name: String,
    /// A tag, else a branch.
    pub(crate) tag: bool,
    /// Of a merge request pipeline, whose protection follows rules of its own.
    pub(crate) merge_request: bool,
}

impl Rules {
    /// Whether jobs on this ref are protected; `None` where the rules do not tell.
    fn protect(&self, on: &Ref) -> Option<bool> {
        if on.merge_request || on.name.is_empty() || on.name.starts_with("refs/") {
            return None;
        }
        let patterns = if on.tag { &self.tags } else { &self.branches };
        Some(patterns.iter().any(|pattern| matches(pattern, &on.name)))
    }
}

/// Rules read so far.
#[derive(Debug, Default)]
pub(crate) struct Protections {
    known: BTreeMap<ProjectId, Known>,
}

#[derive(Debug)]
struct Known {
    rules: Option<Rules>,
    until: Timestamp,
}

#[derive(Deserialize)]
struct RuleRow {
    name: String,
}

impl Protections {
    /// Whether jobs on this ref of this project are protected, as far as is known.
    pub(crate) fn of(&self, project: ProjectId, on: &Ref) -> Option<bool> {
        self.known.get(&project)?.rules.as_ref()?.protect(on)
    }

    /// Reads what is missing or old. A failure leaves the old rules, or none; only throttling is the caller's business.
    pub(crate) async fn refresh(
        &mut self,
        gitlab: &GitLab,
        projects: impl Iterator<Item = ProjectId>,
        now: Timestamp,
    ) -> Result<(), GitLabError> {
        let due = projects.filter(|project| self.known.get(project).is_none_or(|known| known.until <= now));
        for project in due.take(PROJECTS_PER_LOOK_MAX).collect::<Vec<_>>() {
            let read = rules(gitlab, project).await;
            let throttled = read.as_ref().err().filter(|error| error.is_throttled()).cloned();
            let (rules, fresh) = match read {
                Ok(rules) => (Some(rules), FRESH),
                Err(_) => (self.known.remove(&project).and_then(|old| old.rules), AGAIN),
            };
            let until = now.checked_add(fresh).unwrap_or(Timestamp::MAX);
            self.known.insert(project, Known { rules, until });
            if let Some(error) = throttled {
                return Err(error);
            }
        }
        Ok(())
    }

    /// Lets go of projects that are no longer looked at.
    pub(crate) fn keep(&mut self, wanted: impl Fn(&ProjectId) -> bool) {
        self.known.retain(|project, _| wanted(project));
    }
}

async fn rules(gitlab: &GitLab, project: ProjectId) -> Result<Rules, GitLabError> {
    Ok(Rules {
        branches: names(gitlab, project, "protected_branches").await?,
        tags: names(gitlab, project, "protected_tags").await?,
    })
}

async fn names(gitlab: &GitLab, project: ProjectId, kind: &str) -> Result<Vec<String>, GitLabError> {
    let doing = format!("read the {} of project {project}", kind.replace('_', " "));
    let credential = gitlab.api(&doing)?;
    let url = gitlab.http().api(&["projects", &project.to_string(), kind], &[("per_page", "100")]);
    gitlab.budget().take().await;
    let rows: Vec<RuleRow> = page::all(gitlab.http(), url, &doing, credential, PAGES_MAX).await?;
    Ok(rows.into_iter().map(|row| row.name).collect())
}

/// Whether `name` fits `pattern`, in which `*` stands for any characters; in time proportional to the product of their
/// lengths at worst, so that no pattern can hang us.
fn matches(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else { return false };
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut middle: Vec<&str> = parts.collect();
    let Some(last) = middle.pop() else { return rest.is_empty() };
    for part in middle {
        match rest.split_once(part) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn on(name: &str, tag: bool) -> Ref {
        Ref { name: name.into(), tag, merge_request: false }
    }

    #[test]
    fn branches_and_tags_have_rules_of_their_own() {
        let rules = Rules { branches: vec!["main".into(), "*-stable".into()], tags: vec!["v*".into()] };
        for (at, wanted) in [
            (on("main", false), Some(true)),
            (on("Main", false), Some(false)),
            (on("main2", false), Some(false)),
            (on("1-0-stable", false), Some(true)),
            (on("release/1-stable", false), Some(true)),
            (on("main", true), Some(false)),
            (on("v1.0", true), Some(true)),
            (on("v1.0", false), Some(false)),
            (on("refs/merge-requests/1/head", false), None),
            (Ref { merge_request: true, ..on("main", false) }, None),
        ] {
            assert_eq!(rules.protect(&at), wanted, "{at:?}");
        }
    }

    /// The obvious rule, exponential and all.
    fn oracle(pattern: &[char], name: &[char]) -> bool {
        match pattern.split_first() {
            None => name.is_empty(),
            Some(('*', rest)) => (0..=name.len()).any(|skip| oracle(rest, &name[skip..])),
            Some((c, rest)) => name.split_first().is_some_and(|(first, name)| first == c && oracle(rest, name)),
        }
    }

    proptest! {
        #[test]
        fn stars_match_as_the_oracle_says(pattern in "[ab*/]{0,7}", name in "[ab/]{0,8}") {
            let chars = |text: &str| text.chars().collect::<Vec<_>>();
            prop_assert_eq!(matches(&pattern, &name), oracle(&chars(&pattern), &chars(&name)));
        }
    }
}

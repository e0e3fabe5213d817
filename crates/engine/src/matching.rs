//! May this runner take this job? GitLab's own rule, for jobs whose queue we read.
//!
//! Source: GitLab `lib/gitlab/ci/matching/runner_matcher.rb` and `app/services/ci/register_job_service.rb`:
//! `(run_untagged || has_tags) && (job.tags - runner.tags).empty?`, protected runners take builds of protected refs only,
//! a paused runner takes nothing. `locked`, versions and contact times are no criteria.

use std::collections::BTreeSet;

use super::ids::RunnerName;
use super::job::{PendingJob, RunnerFacts, Scope};

/// Whether GitLab would hand `job` to the runner when it asks.
pub(crate) fn may_take(runner: &RunnerName, facts: &RunnerFacts, job: &PendingJob) -> bool {
    match &job.offered_to {
        Some(runners) => !facts.paused && runners.contains(runner),
        None => tags_fit(facts, &job.tags) && is_open_to(facts, job),
    }
}

/// The part of the rule that looks at tags alone: the same for all jobs with the same tags.
pub(crate) fn tags_fit(facts: &RunnerFacts, tags: &BTreeSet<String>) -> bool {
    (facts.run_untagged || !tags.is_empty()) && tags.is_subset(&facts.tags)
}

/// The rest of the rule.
pub(crate) fn is_open_to(facts: &RunnerFacts, job: &PendingJob) -> bool {
    let in_scope = match &facts.scope {
        Scope::Everything => true,
        Scope::Projects(projects) => projects.contains(&job.project),
    };
    !facts.paused && in_scope && !(facts.protected_only && job.protected == Some(false))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use crate::{JobId, ProjectId};

    fn tags(text: &str) -> BTreeSet<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    fn job(tagged: &str) -> PendingJob {
        PendingJob {
            id: JobId(1),
            project: ProjectId(7),
            project_path: None,
            name: "test".into(),
            tags: tags(tagged),
            protected: None,
            offered_to: None,
            queued_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
        }
    }

    fn runner(tagged: &str) -> RunnerFacts {
        RunnerFacts {
            id: 1,
            tags: tags(tagged),
            run_untagged: false,
            protected_only: false,
            paused: false,
            scope: Scope::Everything,
            token_end: None,
        }
    }

    fn taken(facts: &RunnerFacts, job: &PendingJob) -> bool {
        may_take(&RunnerName::new("r"), facts, job)
    }

    #[test]
    fn the_recorded_table_holds() {
        let cases = runner_fleet_testing::matching::cases().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let scope = case.projects.clone().map(|ids| Scope::Projects(ids.into_iter().map(ProjectId).collect()));
            let facts = RunnerFacts {
                id: 1,
                tags: case.runner_tags.clone(),
                run_untagged: case.run_untagged,
                protected_only: case.protected_only,
                paused: case.paused,
                scope: scope.unwrap_or(Scope::Everything),
                token_end: None,
            };
            let (tags, project) = (case.job_tags.clone(), ProjectId(case.project));
            let job = PendingJob { tags, project, protected: case.protected, ..job("") };
            assert_eq!(taken(&facts, &job), case.taken, "{case:#?}");
        }
    }

    #[test]
    fn what_gitlab_itself_offers_needs_no_matching() {
        let offered = PendingJob { offered_to: Some([RunnerName::new("r")].into()), ..job("no-such-tag") };
        assert!(taken(&runner("a"), &offered));
        let elsewhere = PendingJob { offered_to: Some([RunnerName::new("s")].into()), ..job("a") };
        assert!(!taken(&runner("a"), &elsewhere));
    }
}

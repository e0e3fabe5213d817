//! Waiting jobs by reason: a thousand jobs wait for a handful of reasons.

use std::time::Duration;

use runner_fleet_engine::snapshot::JobSnapshot;
use runner_fleet_engine::{JobId, JobReason, RunnerName};

/// Jobs of one runner that wait for the same.
#[derive(Debug, PartialEq)]
pub(super) struct Group {
    pub(super) runner: Option<RunnerName>,
    /// In queue order.
    pub(super) jobs: Vec<JobId>,
    /// The longest wait of one of them.
    pub(super) longest: Duration,
    /// What they wait for, in a sentence that names no job's own worker unless there is one job.
    pub(super) why: String,
    kind: &'static str,
}

/// The groups, in the order of their first jobs.
pub(super) fn groups(jobs: &[JobSnapshot]) -> Vec<Group> {
    let mut groups: Vec<Group> = Vec::new();
    for job in jobs {
        let (kind, shared) = match &job.reason.reason {
            JobReason::Booting { .. } => ("booting", true),
            JobReason::FreeSlot { .. } => ("free-slot", true),
            JobReason::InFlight { .. } => ("in-flight", true),
            JobReason::NoMatch { .. }
            | JobReason::QueueUnknown { .. }
            | JobReason::Unassignable
            | JobReason::HeldBack { .. }
            | JobReason::NextStep
            | JobReason::Running { .. }
            | JobReason::NoApiToken
            | JobReason::NotSeen => ("", false),
        };
        let same = |group: &&mut Group| {
            group.runner == job.runner && group.kind == kind && (shared || group.why == job.reason.text)
        };
        match groups.iter_mut().find(same) {
            Some(group) => {
                group.jobs.push(job.id);
                group.longest = group.longest.max(job.waited);
                group.why = match kind {
                    "booting" if group.jobs.len() == 2 => format!("the first {}", group.why),
                    "free-slot" => "workers with free slots take them at their next requests".to_owned(),
                    _ => std::mem::take(&mut group.why),
                };
            }
            None => groups.push(Group {
                runner: job.runner.clone(),
                jobs: vec![job.id],
                longest: job.waited,
                why: job.reason.text.clone(),
                kind,
            }),
        }
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;
    use runner_fleet_engine::{Explained, HeldBack, ProjectId, WorkerId};

    fn job(id: u64, reason: JobReason) -> JobSnapshot {
        JobSnapshot {
            id: JobId(id),
            project: ProjectId(1),
            project_path: None,
            url: None,
            name: "build".into(),
            waited: Duration::from_secs(id),
            runner: Some(RunnerName::new("spot")),
            reason: Explained::at(Timestamp::UNIX_EPOCH, reason),
        }
    }

    #[test]
    fn jobs_that_wait_for_the_same_are_one_group() {
        let boots = |worker: &str| JobReason::Booting {
            worker: WorkerId::new(worker),
            since: Timestamp::UNIX_EPOCH,
            step: "docker".into(),
            failure: None,
        };
        let full = || JobReason::HeldBack { held_back: HeldBack::MaxWorkers { max_workers: 2 } };
        let found = groups(&[job(1, boots("i-1")), job(2, boots("i-2")), job(3, full()), job(9, full())]);

        let told: Vec<(usize, u64, &str)> =
            found.iter().map(|group| (group.jobs.len(), group.longest.as_secs(), group.why.as_str())).collect();
        assert_eq!(
            told,
            [
                (2, 2, "the first waits for i-1, booting for 0s (docker)"),
                (2, 9, "no worker is launched: all 2 workers of max_workers exist"),
            ]
        );
    }
}

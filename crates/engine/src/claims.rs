//! What a worker says of itself is a claim with a budget. Jobs run there as root, and any of them can speak in its agent's
//! place: so its word reaches no further into what belongs to others than the jobs that it may run.
//!
//! Within its budget a worker is believed, for nobody else knows better; what it says beyond is cut off where it comes in,
//! before it enters any sum.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::ids::JobId;
use super::time::since;
use super::worker::Report;

/// No runner takes jobs faster, for each slot: it asks, prepares, runs and reports.
const JOB_MIN: Duration = Duration::from_secs(2);

/// A job that GitLab shows as waiting so long after a worker has first claimed to run it is not run there.
const CONTRADICTED: Duration = Duration::from_secs(30);

/// How far one worker is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    /// Jobs that it may run at one time, at least 1.
    pub(crate) slots: u32,
    /// The longest queue that can matter: `concurrent`.
    pub(crate) queue: u32,
}

impl Budget {
    /// The report, as far as it is believed. One id more than slots: the labels of a job that has just ended may linger.
    pub(crate) fn believed(self, mut report: Report) -> Report {
        let ids = usize::try_from(self.slots).unwrap_or(usize::MAX).saturating_add(1);
        report.jobs_by_metrics = report.jobs_by_metrics.min(self.slots);
        report.jobs_by_docker = report.jobs_by_docker.min(self.slots);
        report.queue_size = report.queue_size.map(|size| size.min(self.queue));
        if let Some(beyond) = report.job_ids.iter().nth(ids).copied() {
            report.job_ids.split_off(&beyond);
        }
        report.projects.retain(|job, _| report.job_ids.contains(job));
        report
    }

    /// Jobs that it has taken in this time, between the reports `before` and `now`.
    pub(crate) fn taken(self, before: &Report, now: &Report, within: Duration) -> u32 {
        let claimed = now.jobs_started.saturating_sub(before.jobs_started);
        let turns = within.as_secs() / JOB_MIN.as_secs() + 1;
        u32::try_from(claimed.min(turns.saturating_mul(u64::from(self.slots)))).unwrap_or(u32::MAX)
    }
}

/// A worker's claim that it runs a job: since when it makes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Claimed(Timestamp);

impl Claimed {
    /// Since when it is made.
    pub(crate) fn since(self) -> Timestamp {
        self.0
    }

    /// Whether to believe it, although a poll of that time shows the job waiting.
    pub(crate) fn outweighs(self, seen_at: Timestamp) -> bool {
        since(seen_at, self.0) < CONTRADICTED
    }
}

/// Takes in the jobs that the newest report names.
pub(crate) fn note_running(running: &mut BTreeMap<JobId, Claimed>, report: &Report, now: Timestamp) {
    running.retain(|job, _| report.job_ids.contains(job));
    for job in &report.job_ids {
        running.entry(*job).or_insert(Claimed(now));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ids::ProjectId;
    use crate::worker::{Phase, RunnerState};
    use proptest::prelude::*;

    fn report(jobs: u32, ids: BTreeSet<JobId>, started: u64, queue: Option<u32>) -> Report {
        Report {
            phase: Phase::Ready,
            runner: RunnerState::Serving,
            jobs_by_metrics: jobs,
            jobs_by_docker: jobs,
            projects: ids.iter().map(|id| (*id, ProjectId(1))).collect(),
            job_ids: ids,
            open_requests: 1,
            jobs_started: started,
            idle_seconds: 0,
            queue_size: queue,
            disk_free_mib: None,
            unfit: None,
            interruption: None,
            rebalance: false,
            ecr_error: None,
        }
    }

    proptest! {
        #[test]
        fn no_report_reaches_beyond_its_budget(
            jobs in any::<u32>(), ids in proptest::collection::btree_set(any::<u64>().prop_map(JobId), 0..20),
            started in any::<(u64, u64)>(), queue in any::<Option<u32>>(), slots in 1_u32..9, gap in 0_u64..100,
        ) {
            let budget = Budget { slots, queue: 10 };
            let before = report(0, BTreeSet::new(), started.0, None);
            let raw = report(jobs, ids.clone(), started.1, queue);

            let taken = budget.taken(&before, &raw, Duration::from_secs(gap));
            let believed = budget.believed(raw);

            prop_assert_eq!(believed.jobs(), jobs.min(slots));
            prop_assert!(believed.job_ids.is_subset(&ids));
            prop_assert_eq!(believed.job_ids.len(), ids.len().min(slots as usize + 1));
            prop_assert!(believed.projects.keys().all(|job| believed.job_ids.contains(job)));
            prop_assert_eq!(believed.queue_size, queue.map(|size| size.min(10)));
            prop_assert!(u64::from(taken) <= (gap / 2 + 1) * u64::from(slots));
            prop_assert!(u64::from(taken) <= started.1.saturating_sub(started.0));
        }
    }

    #[test]
    fn a_claim_holds_until_gitlab_contradicts_it() {
        let at = |seconds| Timestamp::from_second(seconds).unwrap();
        let mut running = BTreeMap::new();
        note_running(&mut running, &report(1, BTreeSet::from([JobId(7)]), 1, None), at(100));
        note_running(&mut running, &report(1, BTreeSet::from([JobId(7)]), 1, None), at(130));

        let claim = running[&JobId(7)];
        assert!(claim.outweighs(at(90)) && claim.outweighs(at(129)));
        assert!(!claim.outweighs(at(130)), "GitLab has shown it waiting half a minute after the claim");
    }
}

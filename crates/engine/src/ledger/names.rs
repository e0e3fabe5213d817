//! The names of jobs that have left the queue a moment ago: a worker that says which job it runs knows only its number.

use std::collections::{BTreeMap, VecDeque};

use super::account::Label;
use crate::ids::{JobId, Server};
use crate::job::PendingJob;

/// Jobs that are remembered: those that a thousand workers take in some minutes.
const JOBS_MAX: usize = 4_096;

/// See the module.
#[derive(Clone, Debug, Default)]
pub(crate) struct JobNames {
    names: BTreeMap<(Server, JobId), Label>,
    /// In order of their leaving.
    order: VecDeque<(Server, JobId)>,
}

impl JobNames {
    /// One look at the queue is followed by another; both are in order of ids.
    pub(crate) fn followed<'a>(
        &mut self,
        server: &Server,
        before: impl Iterator<Item = &'a PendingJob>,
        after: &[PendingJob],
    ) {
        let mut after = after.iter().peekable();
        for job in before {
            while after.next_if(|other| other.id < job.id).is_some() {}
            if after.peek().is_none_or(|other| other.id != job.id) {
                self.left(server, job);
            }
        }
    }

    /// What is known of a job that has left the queue.
    pub(crate) fn find(&self, server: &Server, job: JobId) -> Option<&Label> {
        self.names.get(&(server.clone(), job))
    }

    fn left(&mut self, server: &Server, job: &PendingJob) {
        let key = (server.clone(), job.id);
        if self.names.insert(key.clone(), Label::of(job.project, &job.name)).is_none() {
            self.order.push_back(key);
        }
        if self.order.len() > JOBS_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jiff::Timestamp;

    use super::*;
    use crate::ids::ProjectId;

    fn job(id: u64) -> PendingJob {
        PendingJob {
            id: JobId(id),
            project: ProjectId(7),
            project_path: None,
            name: format!("test {id}"),
            tags: BTreeSet::new(),
            protected: None,
            offered_to: None,
            queued_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
        }
    }

    #[test]
    fn who_left_between_two_looks_keeps_its_name() {
        let mut names = JobNames::default();
        let server = Server::new("https://gitlab.example.com");
        let looks = [[1, 2, 5].map(job).to_vec(), [2, 3].map(job).to_vec(), Vec::new()];
        let found =
            |names: &JobNames| -> Vec<u64> { (1..=6).filter(|id| names.find(&server, JobId(*id)).is_some()).collect() };
        names.followed(&server, looks[0].iter(), &looks[1]);
        assert_eq!(found(&names), vec![1, 5]);
        names.followed(&server, looks[1].iter(), &looks[2]);
        assert_eq!(found(&names), vec![1, 2, 3, 5]);
        assert_eq!(names.find(&server, JobId(5)), Some(&Label::of(ProjectId(7), "test 5")));
        assert_eq!(names.find(&Server::new("https://other.example.com"), JobId(5)), None);
    }

    #[test]
    fn old_names_go_first() {
        let mut names = JobNames::default();
        let server = Server::new("https://gitlab.example.com");
        let all: Vec<PendingJob> = (0..5_000).map(job).collect();
        names.followed(&server, all.iter(), &[]);
        assert_eq!((names.names.len(), names.order.len()), (JOBS_MAX, JOBS_MAX));
        assert!(names.find(&server, JobId(0)).is_none() && names.find(&server, JobId(4_999)).is_some());
    }
}

//! Who came: jobs counted once each, whether the queue showed them or a worker took them before anybody looked.
//!
//! A job that finds a free slot is taken within seconds and often never seen waiting: a forecast that only looked at the
//! queue would learn that its own slots keep all jobs away. So the starts that workers report count too, and the two are
//! matched by number: each start uses up one job that was seen waiting for this runner, and one that finds none was a
//! job that nobody has seen. Numbers and not ids, because a start is reported before its id is known.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;

use crate::ids::{JobId, RunnerName, Server};
use crate::job::{PendingJob, QueueSnapshot};
use crate::time::since;

/// How long the start of a job that has left the queue may take to be reported; after that it was cancelled.
const START_SEEN: Duration = Duration::from_secs(60);
/// A poll's answer may be so much older than the reports that came before it.
const LOOK_LAG: Duration = Duration::from_secs(30);
/// How long a job that an incomplete look does not show is believed to wait still.
const UNSEEN_KEPT: Duration = Duration::from_secs(600);
/// After a pause of this length in which nobody looked, jobs that were queued meanwhile are not counted.
const BLIND_AFTER: Duration = Duration::from_secs(60);

/// All jobs on their way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Arrivals {
    servers: BTreeMap<Server, Watched>,
    by_runner: BTreeMap<RunnerName, Flow>,
}

/// What is known of one server's queue.
#[derive(Clone, Debug)]
struct Watched {
    /// Since when it has been watched without a break.
    from: Timestamp,
    /// The newest poll.
    until: Timestamp,
    /// Jobs that were seen waiting.
    jobs: BTreeMap<JobId, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    /// Whose forecast counts it; `None`: nobody's.
    runner: Option<RunnerName>,
    seen_at: Timestamp,
}

/// Jobs on their way from the queue to a worker.
#[derive(Clone, Debug, Default)]
struct Flow {
    /// Jobs that were seen waiting and have not been seen to leave.
    waiting: usize,
    /// Of those, how many have been reported as started.
    started: usize,
    /// When jobs left the queue whose start has not been reported.
    left: VecDeque<Timestamp>,
    /// Starts of jobs that the queue never showed; a poll that was on its way may still do so.
    unseen: VecDeque<Timestamp>,
}

/// A job that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Arrival {
    pub(crate) runner: RunnerName,
    pub(crate) at: Timestamp,
}

impl Arrivals {
    /// A good poll of a server's queue; `whose` says for whom a job counts that has not been seen before. In the order of
    /// their times.
    pub(crate) fn polled<'a>(
        &mut self,
        server: &Server,
        snapshot: &'a QueueSnapshot,
        now: Timestamp,
        mut whose: impl FnMut(&'a PendingJob) -> Option<RunnerName>,
    ) -> Vec<Arrival> {
        let watched = self.servers.entry(server.clone()).or_insert_with(|| Watched {
            from: snapshot.as_of,
            until: snapshot.as_of,
            jobs: BTreeMap::new(),
        });
        if since(snapshot.as_of, watched.until) > BLIND_AFTER {
            watched.from = snapshot.as_of;
        }
        watched.until = snapshot.as_of;
        let mut arrivals = Vec::new();
        for job in &snapshot.jobs {
            if let Some(known) = watched.jobs.get_mut(&job.id) {
                known.seen_at = now;
                continue;
            }
            let mut runner = whose(job);
            if let Some(name) = &runner {
                let flow = self.by_runner.entry(name.clone()).or_default();
                if flow.was_started_meanwhile(job.seen_at) {
                    // Counted when its start was reported.
                    runner = None;
                } else {
                    flow.waiting += 1;
                    if job.queued_at >= watched.from {
                        arrivals.push(Arrival { runner: name.clone(), at: job.queued_at.min(now) });
                    }
                }
            }
            watched.jobs.insert(job.id, Known { runner, seen_at: now });
        }
        self.leave(server, snapshot.complete, now);
        arrivals.sort_by_key(|arrival| arrival.at);
        arrivals
    }

    /// Jobs that the poll did not show any more have left the queue.
    fn leave(&mut self, server: &Server, complete: bool, now: Timestamp) {
        let Self { servers, by_runner } = self;
        let Some(watched) = servers.get_mut(server) else { return };
        watched.jobs.retain(|_, known| {
            let stays = known.seen_at == now || !complete && since(now, known.seen_at) < UNSEEN_KEPT;
            if !stays && let Some(flow) = known.runner.as_ref().and_then(|runner| by_runner.get_mut(runner)) {
                flow.left_the_queue(now);
            }
            stays
        });
    }

    /// A worker of this runner has taken a job. Whether it is one that nobody has counted yet.
    pub(crate) fn started(&mut self, runner: &RunnerName, now: Timestamp) -> bool {
        let flow = self.by_runner.entry(runner.clone()).or_default();
        while flow.left.front().is_some_and(|at| since(now, *at) > START_SEEN) {
            flow.left.pop_front();
        }
        if flow.left.pop_front().is_some() {
            return false;
        }
        if flow.waiting > flow.started {
            flow.started += 1;
            return false;
        }
        while flow.unseen.front().is_some_and(|at| since(now, *at) > LOOK_LAG) {
            flow.unseen.pop_front();
        }
        flow.unseen.push_back(now);
        true
    }

    /// Runners without a forecast are forgotten, with their jobs' whereabouts.
    pub(crate) fn keep(&mut self, runners: &dyn Fn(&RunnerName) -> bool, servers: &dyn Fn(&Server) -> bool) {
        self.by_runner.retain(|name, _| runners(name));
        self.servers.retain(|server, watched| {
            for known in watched.jobs.values_mut() {
                known.runner = known.runner.take().filter(|name| runners(name));
            }
            servers(server)
        });
    }
}

impl Flow {
    /// A job that was seen waiting waits no more.
    fn left_the_queue(&mut self, now: Timestamp) {
        self.waiting = self.waiting.saturating_sub(1);
        if self.started > 0 {
            self.started -= 1;
        } else {
            self.left.push_back(now);
        }
    }

    /// Whether a start that was reported after the poll had begun was this job's.
    fn was_started_meanwhile(&mut self, seen_at: Timestamp) -> bool {
        let later = self.unseen.iter().position(|started| *started >= seen_at);
        later.and_then(|index| self.unseen.remove(index)).is_some()
    }
}

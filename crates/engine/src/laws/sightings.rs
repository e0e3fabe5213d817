//! What GitLab has shown of each worker's jobs, in the observer's own books; and the part of law 10 that rests on it: what
//! claims a job for ever, and has none, does not stay for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{Laws, Violation};
use crate::ids::{Server, WorkerId};
use crate::job::QueueSnapshot;
use crate::time::since;
use crate::worker::Report;

/// Looks with longer pauses between them prove nothing of what was in between.
const PAUSE_MAX: Duration = Duration::from_secs(720);
/// Told to go, claiming a job, and unknown to GitLab by every look for so long: it must have been terminated.
const GONE_MAX: Duration = Duration::from_secs(80 * 60);
/// A report is no older than this.
const HEARD: Duration = Duration::from_secs(60);

/// Looks that showed no job of a worker, in a row.
#[derive(Clone, Copy, Debug)]
struct Run {
    first: Timestamp,
    last: Timestamp,
    /// From when on the times are those of one clock.
    certain_since: Timestamp,
}

/// The runs that go on.
#[derive(Clone, Debug, Default)]
pub(super) struct Sightings {
    none: BTreeMap<WorkerId, Run>,
    /// When a poll last failed, or did not see every project of the server.
    doubted_at: BTreeMap<Server, Timestamp>,
}

impl Sightings {
    /// Takes in how many jobs a look showed; `None`: it failed.
    pub(super) fn looked(&mut self, now: Timestamp, worker: &WorkerId, asked_at: Timestamp, jobs: Option<&u32>) {
        match jobs {
            None => {}
            _ if asked_at > now => {}
            Some(0) => {
                let fresh = Run { first: asked_at, last: asked_at, certain_since: asked_at };
                let run = self.none.entry(worker.clone()).or_insert(fresh);
                if since(asked_at, run.last) > PAUSE_MAX {
                    *run = fresh;
                }
                run.last = run.last.max(asked_at);
            }
            Some(_) => drop(self.none.remove(worker)),
        }
    }

    /// Takes in what a poll of the queue shows: what it does not see, a look does not see either.
    pub(super) fn polled(&mut self, now: Timestamp, server: &Server, snapshot: Option<&QueueSnapshot>) {
        if snapshot.is_none_or(|snapshot| !snapshot.complete || snapshot.blind > 0) {
            self.doubted_at.insert(server.clone(), now);
        }
    }

    /// The end of this worker was asked for.
    pub(super) fn ended(&mut self, worker: &WorkerId) {
        self.none.remove(worker);
    }

    /// A worker that says itself that it has no job is judged by that.
    pub(super) fn reported(&mut self, worker: &WorkerId, report: &Report) {
        if report.jobs() == 0 {
            self.none.remove(worker);
        }
    }

    /// Somebody has set the clock back: nobody can tell how long ago a look was, and whoever is judged gets the benefit.
    pub(super) fn forget_times(&mut self, now: Timestamp) {
        for run in self.none.values_mut() {
            (run.first, run.certain_since) = (Timestamp::MIN, now);
        }
    }

    /// Keeps the books of these workers.
    pub(super) fn retain(&mut self, keep: impl Fn(&WorkerId) -> bool) {
        self.none.retain(|worker, _| keep(worker));
    }

    /// Whether all looks for at least so long, the last one a short while ago, have shown no job of it.
    pub(super) fn show_none_for(&self, now: Timestamp, worker: &WorkerId, least: Duration) -> bool {
        let run = self.none.get(worker).filter(|run| since(now, run.last) <= PAUSE_MAX);
        run.is_some_and(|run| since(run.last, run.first) >= least)
    }
}

impl Laws {
    /// Who claims a job for ever, was told to go for long, and is unknown to GitLab; and was not asked to end.
    pub(super) fn judge_claims(&self, now: Timestamp) -> Vec<Violation> {
        let lingers = |(worker, run): &(&WorkerId, &Run)| {
            let told_for = |told_at: Timestamp| since(run.last, run.certain_since.max(told_at)) >= GONE_MAX;
            let section = self.owner(worker).and_then(|owner| self.section(owner));
            let was_seen =
                |server: &Server| self.sightings.doubted_at.get(server).is_none_or(|at| *at < run.certain_since);
            let instance = self.instances.get(*worker).and_then(Option::as_ref);
            since(now, run.last) <= PAUSE_MAX
                && self.obedience.told_to_go_at(worker).is_some_and(told_for)
                && section.is_some_and(|section| section.sees_queue && was_seen(&section.server))
                && instance.is_some_and(|instance| !instance.hold && !instance.state.is_ending())
                && self.heard_at.get(*worker).is_some_and(|at| since(now, *at) < HEARD)
        };
        let what =
            |worker| format!("{worker} was told to go, claims a job that GitLab does not know, and is still there");
        let lingering = self.sightings.none.iter().filter(lingers);
        lingering.map(|(worker, _)| Violation { law: 10, what: what(worker) }).collect()
    }
}

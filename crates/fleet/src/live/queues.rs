//! Watches the queue of one GitLab server: a poll every check interval, merged over the api tokens in use there.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::future::join_all;
use tokio::sync::{mpsc, watch};
use tracing::warn;

use runner_fleet_engine::failure::chain;
use runner_fleet_engine::{Event, Failure, JobId, PendingJob, ProjectId, QueueSnapshot, RunnerName, Server};
use runner_fleet_gitlab::{QueueReader, QueueScope, RunnerInQueue};

use super::clock::Clock;
use super::complaint::Complaint;
use super::facts::{Findings, Found};
use super::setup::RunnerSetup;
use crate::in_time::in_time;

/// A backstop: a poll lasts as long as its slowest request, and the client has its own, shorter time-outs.
const POLL_MAX: Duration = Duration::from_secs(120);

/// Looks at one server for as long as the configuration stands.
pub(super) async fn run(
    server: Server,
    runners: Vec<Arc<RunnerSetup>>,
    findings: watch::Receiver<Findings>,
    every: Duration,
    events: mpsc::Sender<Event>,
    clock: Clock,
) {
    let mut views = views(&runners, &findings);
    if views.is_empty() {
        return;
    }
    loop {
        let began = clock.now();
        let polls = join_all(views.iter_mut().map(|view| view.poll(clock))).await;
        if let Some(snapshot) = merge(polls.into_iter().flatten().collect())
            && events.send(Event::Queue { server: server.clone(), snapshot }).await.is_err()
        {
            return;
        }
        let took = Duration::try_from(clock.now().duration_since(began)).unwrap_or_default();
        // After a poll that took longer than the interval there is still a breath.
        clock.sleep(every.saturating_sub(took).max(every / 10)).await;
    }
}

/// Looks at one server until every queue there was seen, nobody but a person can mend what fails, or `patience` is over;
/// `None`: nobody may look.
pub(super) async fn once(
    runners: &[Arc<RunnerSetup>],
    findings: &watch::Receiver<Findings>,
    every: Duration,
    patience: Duration,
    clock: Clock,
) -> Option<Result<QueueSnapshot, Failure>> {
    let mut views = views(runners, findings);
    let began = clock.now();
    loop {
        let polls = join_all(views.iter_mut().map(|view| view.poll(clock))).await;
        let merged = merge(polls.into_iter().flatten().collect())?;
        let looked_for = Duration::try_from(clock.now().duration_since(began)).unwrap_or_default();
        let is_final = match &merged {
            Ok(snapshot) => snapshot.complete,
            Err(failure) => !failure.class.may_heal(),
        };
        if is_final || looked_for >= patience {
            return Some(merged);
        }
        clock.sleep(every).await;
    }
}

/// The queue as one api token sees it.
struct TokensView {
    runners: Vec<RunnerName>,
    findings: watch::Receiver<Findings>,
    reader: QueueReader,
    is_first: bool,
    complaint: Complaint,
    blind: BTreeSet<ProjectId>,
}

/// One view for each client that has an api token.
fn views(runners: &[Arc<RunnerSetup>], findings: &watch::Receiver<Findings>) -> Vec<TokensView> {
    let mut clients: Vec<Vec<&Arc<RunnerSetup>>> = Vec::new();
    for setup in runners.iter().filter(|setup| setup.api_token.is_some()) {
        let shared = |sharing: &&mut Vec<&Arc<RunnerSetup>>| {
            sharing.first().is_some_and(|first| first.gitlab.is_shared_with(&setup.gitlab))
        };
        match clients.iter_mut().find(shared) {
            Some(sharing) => sharing.push(setup),
            None => clients.push(vec![setup]),
        }
    }
    let view = |sharing: Vec<&Arc<RunnerSetup>>| {
        let first = sharing.first()?;
        Some(TokensView {
            runners: sharing.iter().map(|setup| setup.runner.name.clone()).collect(),
            findings: findings.clone(),
            reader: QueueReader::new(first.gitlab.clone(), QueueScope::default()),
            is_first: true,
            complaint: Complaint::default(),
            blind: BTreeSet::new(),
        })
    };
    clients.into_iter().filter_map(view).collect()
}

impl TokensView {
    /// `None` until GitLab has told where to look.
    async fn poll(&mut self, clock: Clock) -> Option<Result<QueueSnapshot, Failure>> {
        if self.is_first || self.findings.has_changed().unwrap_or(false) {
            let scope = scope(&self.runners, &self.findings.borrow_and_update());
            self.reader.set_scope(scope);
            self.is_first = false;
        }
        let known = self.runners.iter().filter(|name| self.findings.borrow().contains_key(name)).count();
        if known == 0 {
            return None;
        }
        let outcome = in_time(POLL_MAX, self.reader.poll(&|| clock.now())).await;
        let names = self.runners.iter().map(RunnerName::as_str).collect::<Vec<_>>().join(", ");
        self.complaint.about(&format!("looking at the queue of {names}"), &outcome);
        self.tell_blind_spots();
        // Where a runner's projects are not known yet, nobody can say that nothing waits for it.
        let all_known = known == self.runners.len();
        Some(outcome.map(|snapshot| QueueSnapshot { complete: snapshot.complete && all_known, ..snapshot }))
    }

    /// Projects that the token is not shown: told once each.
    fn tell_blind_spots(&mut self) {
        let mut blind = BTreeSet::new();
        for (project, error) in self.reader.blind_spots() {
            if !self.blind.contains(&project) {
                warn!(project.id = project.0, "jobs of project {project} are not seen: {}", chain(error));
            }
            blind.insert(project);
        }
        self.blind = blind;
    }
}

/// Where these runners' jobs are looked for.
fn scope(runners: &[RunnerName], findings: &Findings) -> QueueScope {
    let found: Vec<(&RunnerName, &Found)> =
        runners.iter().filter_map(|name| findings.get(name).map(|found| (name, found))).collect();
    let all_facts_known = found.len() == runners.len() && found.iter().all(|(_, f)| f.protected_only.is_some());
    let in_queue = |(name, found): &(&RunnerName, &Found)| {
        let restricted_to = found.restricted.then(|| found.projects.clone());
        ((*name).clone(), RunnerInQueue { id: found.id, restricted_to })
    };
    QueueScope {
        projects: found.iter().flat_map(|(_, found)| found.projects.iter().copied()).collect(),
        runners: if all_facts_known { found.iter().map(in_queue).collect() } else { BTreeMap::new() },
        needs_protection: found.iter().any(|(_, found)| found.protected_only == Some(true)),
    }
}

/// All views as one. A view that failed makes the poll incomplete; when all failed, so has the poll. `None`: nobody has
/// looked yet.
fn merge(polls: Vec<Result<QueueSnapshot, Failure>>) -> Option<Result<QueueSnapshot, Failure>> {
    let mut merged: Option<QueueSnapshot> = None;
    let mut last = None;
    for snapshot in polls {
        match snapshot {
            Err(failure) => last = Some(failure),
            Ok(snapshot) => merged = Some(merged.map_or(snapshot.clone(), |merged| both(merged, snapshot))),
        }
    }
    match (merged, last) {
        (None, None) => None,
        (None, Some(failure)) => Some(Err(failure)),
        (Some(snapshot), None) => Some(Ok(snapshot)),
        (Some(snapshot), Some(_)) => Some(Ok(QueueSnapshot { complete: false, ..snapshot })),
    }
}

fn both(one: QueueSnapshot, two: QueueSnapshot) -> QueueSnapshot {
    let mut jobs: BTreeMap<JobId, PendingJob> = BTreeMap::new();
    for job in one.jobs.into_iter().chain(two.jobs) {
        match jobs.get_mut(&job.id) {
            None => drop(jobs.insert(job.id, job)),
            Some(known) => {
                // Both tokens see it: what either knows counts.
                known.protected = known.protected.or(job.protected);
                known.seen_at = known.seen_at.max(job.seen_at);
                known.project_path = known.project_path.take().or(job.project_path);
                known.offered_to = match (known.offered_to.take(), job.offered_to) {
                    (Some(one), Some(two)) => Some(one.union(&two).cloned().collect()),
                    // The other view knows no names: then we must match.
                    (_, None) | (None, _) => None,
                };
            }
        }
    }
    QueueSnapshot {
        as_of: one.as_of.min(two.as_of),
        jobs: jobs.into_values().collect(),
        complete: one.complete && two.complete,
        blind: one.blind.max(two.blind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    fn denied() -> Failure {
        Failure::new(runner_fleet_engine::FailureClass::Denied, "denied")
    }

    fn poll(ids: &[u64], complete: bool) -> QueueSnapshot {
        let job = |id: &u64| PendingJob {
            id: JobId(*id),
            project: ProjectId(1),
            project_path: None,
            name: "build".into(),
            tags: BTreeSet::new(),
            protected: None,
            offered_to: None,
            queued_at: Timestamp::UNIX_EPOCH,
            seen_at: Timestamp::UNIX_EPOCH,
        };
        QueueSnapshot { as_of: Timestamp::UNIX_EPOCH, jobs: ids.iter().map(job).collect(), complete, blind: 0 }
    }

    fn ids(snapshot: &QueueSnapshot) -> Vec<u64> {
        snapshot.jobs.iter().map(|job| job.id.0).collect()
    }

    #[test]
    fn looks_through_two_tokens_become_one() {
        let merged = merge(vec![Ok(poll(&[3, 1], true)), Ok(poll(&[2, 3], true))]).unwrap().unwrap();
        assert_eq!((ids(&merged), merged.complete), (vec![1, 2, 3], true));
    }

    #[test]
    fn a_failed_view_is_not_taken_for_an_empty_one() {
        let merged = merge(vec![Ok(poll(&[1], true)), Err(denied())]).unwrap().unwrap();
        assert_eq!((ids(&merged), merged.complete), (vec![1], false));
        assert_eq!(merge(vec![Err(denied())]), Some(Err(denied())));
        assert_eq!(merge(Vec::new()), None);
    }

    #[test]
    fn unknown_facts_make_the_one_request_queue_unusable() {
        let found = |protected_only| Found {
            id: 7,
            projects: BTreeSet::from([ProjectId(1)]),
            restricted: false,
            protected_only,
        };
        let names = [RunnerName::new("a"), RunnerName::new("b")];
        let mut findings = Findings::from([(names[0].clone(), found(Some(true)))]);
        assert!(scope(&names, &findings).runners.is_empty());
        assert!(scope(&names, &findings).needs_protection);
        findings.insert(names[1].clone(), found(Some(false)));
        assert_eq!(scope(&names, &findings).runners.len(), 2);
        findings.insert(names[1].clone(), found(None));
        assert!(scope(&names, &findings).runners.is_empty());
    }
}

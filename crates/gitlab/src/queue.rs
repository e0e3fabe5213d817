//! What waits on a GitLab server: one [`QueueReader`] per server and api token, merged over all projects.
//!
//! No REST endpoint lists the pending jobs of a group or an instance, so projects are asked one by one, within the
//! budget: `project_poll` says whose turn it is, `row` reads the answer. Where the token may, one GraphQL request per runner
//! replaces all that (`graphql`). A project that fails keeps its older jobs, with their older `seen_at`, and makes
//! the poll incomplete; it is never taken for empty.
//!
//! Nothing is decided here: whether a job is ours is the engine's business.

mod project_poll;
mod row;
mod shown_at;

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use jiff::Timestamp;

use self::project_poll::{Last, ProjectPoll};
use self::row::{Asked, JobRow};
use super::backoff::Backoff;
use super::client::GitLab;
use super::error::{ErrorKind, GitLabError};
use super::graphql::{self, Shortcut};
use super::page;
use super::protected::Protections;
use runner_fleet_engine::{JobId, PendingJob, ProjectId, QueueSnapshot, RunnerName};

/// Requests under way at one time: enough for 25 projects in a second at 200 ms each, little enough for any server.
const CONCURRENCY: usize = 8;

/// Pages of 100 jobs of one project: 2,000 waiting jobs ask for more workers than any fleet has, more need not be counted.
const PAGES_MAX: usize = 20;

/// The present, read whenever a request is sent or answered.
pub type ReadClock<'a> = &'a (dyn Fn() -> Timestamp + Sync);

/// The jobs on a page of `GET /projects/:id/jobs` that wait for a runner, as [`QueueReader`] reads them; without the
/// projects' paths, for which one must know the server.
///
/// # Errors
///
/// When the body is no such page.
pub fn pending_jobs(page: &[u8], project: ProjectId, answered_at: Timestamp) -> serde_json::Result<Vec<PendingJob>> {
    let rows: Vec<JobRow> = serde_json::from_slice(page)?;
    let asked = Asked { at: answered_at, answered_at, base: None };
    Ok(row::waiting(rows, project, asked).into_values().map(|waiting| waiting.job).collect())
}

/// Where to look, from the [`Discovered`](super::Discovered) of all runners that share this server and token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct QueueScope {
    /// The projects of all runners.
    pub projects: BTreeSet<ProjectId>,
    /// The runners, for the one-request queue; one whose facts are unknown makes it unusable: leave all out then.
    pub runners: BTreeMap<RunnerName, RunnerInQueue>,
    /// Whether some runner takes jobs of protected refs only, so that protection must be looked up.
    pub needs_protection: bool,
}

/// What the one-request queue needs to know of a runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunnerInQueue {
    /// GitLab's id.
    pub id: u64,
    /// The projects that `projects` and `groups` restrict it to; `None`: not restricted.
    pub restricted_to: Option<BTreeSet<ProjectId>>,
}

/// Reads the queue, poll by poll. Dropping a poll midway loses nothing but that poll's remaining requests.
#[derive(Debug)]
pub struct QueueReader {
    gitlab: GitLab,
    scope: QueueScope,
    polls: BTreeMap<ProjectId, ProjectPoll>,
    rest: Backoff,
    shortcut: Shortcut,
    protections: Protections,
}

impl QueueReader {
    /// A reader that has seen nothing: its polls are incomplete until every project had a turn.
    pub fn new(gitlab: GitLab, scope: QueueScope) -> Self {
        let rest = Backoff::new(gitlab.seed());
        let (polls, shortcut, protections) = Default::default();
        let mut reader = Self { gitlab, scope: QueueScope::default(), polls, rest, shortcut, protections };
        reader.set_scope(scope);
        reader
    }

    /// A newer discovery; what is known of projects that stay is kept.
    pub fn set_scope(&mut self, scope: QueueScope) {
        self.polls.retain(|project, _| scope.projects.contains(project));
        self.protections.keep(|project| scope.projects.contains(project));
        for project in &scope.projects {
            self.polls.entry(*project).or_default();
        }
        self.scope = scope;
    }

    /// Projects that GitLab does not show to this token (no access, too small a role, deleted since), and what it says.
    /// They count neither as empty nor as failed: tell the administrator.
    pub fn blind_spots(&self) -> impl Iterator<Item = (ProjectId, &GitLabError)> {
        self.polls.iter().filter_map(|(project, poll)| match &poll.last {
            Last::Blind(error) => Some((*project, error)),
            _ => None,
        })
    }

    /// Looks once: asks as many projects as the budget allows, and tells what is known of all.
    ///
    /// Call it every check interval. It lasts as long as its slowest request, at most some time-outs.
    ///
    /// # Errors
    /// No request of this look was answered, or none was sent because GitLab wants to be left alone; what was known
    /// before is not repeated then.
    pub async fn poll(&mut self, clock: ReadClock<'_>) -> Result<QueueSnapshot, GitLabError> {
        let now = clock();
        self.rest.check(now)?;
        if self.shortcut.is_trusted(&self.scope.runners, now)
            && let Some(snapshot) = self.poll_by_shortcut(clock).await?
        {
            return Ok(snapshot);
        }
        self.ask_projects(clock).await?;
        self.look_up_protection(clock).await;
        self.probe_shortcut(clock).await;
        Ok(self.merged(now))
    }

    async fn ask_projects(&mut self, clock: ReadClock<'_>) -> Result<(), GitLabError> {
        let now = clock();
        // After a failure a few are asked first: a server that is still down costs little of the budget.
        let wanted = if self.rest.is_recovering() { CONCURRENCY } else { usize::MAX };
        let places = self.gitlab.budget().take_up_to(project_poll::open(&self.polls, now).min(wanted));
        let chosen = project_poll::choose(&self.polls, now, places);
        let gitlab = self.gitlab.clone();
        let mut answers = futures::stream::iter(chosen.into_iter().map(|project| ask(&gitlab, project, clock)))
            .buffer_unordered(CONCURRENCY);
        let mut tally = Tally::default();
        // Every answer is taken in before the next is awaited: a poll that is dropped here leaves all in order.
        while let Some((project, asked_at, answer)) = answers.next().await {
            let Some(poll) = self.polls.get_mut(&project) else { continue };
            match answer {
                Ok(page) => {
                    tally.answered += 1;
                    poll.answered(asked_at, page.waiting, page.any, page.whole);
                }
                Err(error) if matches!(error.kind(), ErrorKind::Forbidden(_) | ErrorKind::NotFound(_)) => {
                    tally.blind += 1;
                    poll.blind(asked_at, error);
                }
                Err(error) => {
                    poll.failed(asked_at, error.clone());
                    tally.failed.push((project, error));
                    if tally.is_hopeless() {
                        break;
                    }
                }
            }
        }
        drop(answers);
        self.judge(tally, clock())
    }

    /// What follows from the answers as a whole.
    fn judge(&mut self, tally: Tally, now: Timestamp) -> Result<(), GitLabError> {
        let Tally { answered, blind, failed } = tally;
        let worst = failed.iter().map(|(_, error)| error).max_by_key(|error| (error.is_throttled(), error.is_denied()));
        match worst {
            Some(error) if answered == 0 || error.is_throttled() => self.rest.failed(now, error),
            _ if answered + blind > 0 => self.rest.succeeded(),
            _ => {}
        }
        if let Some(error) = worst.filter(|_| answered == 0) {
            return Err(error.clone());
        }
        for (project, error) in &failed {
            if let Some(poll) = self.polls.get_mut(project).filter(|_| !error.is_throttled()) {
                poll.pause(now);
            }
        }
        self.something_is_known()
    }

    /// Looks that asked nobody (no budget left, all paused) still repeat what was known; if nothing was, they say why.
    fn something_is_known(&self) -> Result<(), GitLabError> {
        let mut why = None;
        for poll in self.polls.values() {
            match &poll.last {
                Last::Whole | Last::Part => return Ok(()),
                Last::Failed(error) | Last::Blind(error) => why = Some(error),
                Last::Never => {}
            }
        }
        why.map_or(Ok(()), |error| Err(error.clone()))
    }

    async fn look_up_protection(&mut self, clock: ReadClock<'_>) {
        if !self.scope.needs_protection {
            return;
        }
        let with_jobs = self.polls.iter().filter(|(_, poll)| !poll.waiting.is_empty()).map(|(project, _)| *project);
        if let Err(throttled) = self.protections.refresh(&self.gitlab, with_jobs, clock()).await {
            self.rest.failed(clock(), &throttled);
        }
    }

    /// All that is known of the projects, as one poll.
    fn merged(&self, now: Timestamp) -> QueueSnapshot {
        let mut jobs = BTreeMap::new();
        for (project, poll) in &self.polls {
            for (id, waiting) in &poll.waiting {
                let protected = self.protections.of(*project, &waiting.on).filter(|_| self.scope.needs_protection);
                jobs.insert(*id, PendingJob { protected, ..waiting.job.clone() });
            }
        }
        let complete = self.polls.values().all(|poll| matches!(poll.last, Last::Whole | Last::Blind(_)));
        let blind = u32::try_from(self.blind_spots().count()).unwrap_or(u32::MAX);
        finished(jobs, complete, blind, now)
    }

    /// The queue by GraphQL; `None` when GitLab now refuses it, so that the projects are asked instead.
    async fn poll_by_shortcut(&mut self, clock: ReadClock<'_>) -> Result<Option<QueueSnapshot>, GitLabError> {
        let now = clock();
        let mut jobs: BTreeMap<JobId, PendingJob> = BTreeMap::new();
        let mut complete = true;
        for (name, runner) in &self.scope.runners {
            let queue = match graphql::queue_of(&self.gitlab, runner.id, clock).await {
                Ok(queue) => queue,
                Err(error) if error.is_transient() => {
                    self.rest.failed(clock(), &error);
                    if !error.is_throttled() {
                        self.shortcut.stumbled(now);
                    }
                    return Err(error);
                }
                Err(_) => {
                    self.shortcut.refused(now);
                    return Ok(None);
                }
            };
            if queue.shows_something {
                self.shortcut.proved(name, now);
            }
            complete &= queue.whole;
            for offered in queue.jobs {
                if runner.restricted_to.as_ref().is_some_and(|projects| !projects.contains(&offered.project)) {
                    continue;
                }
                let job = jobs.entry(offered.id).or_insert_with(|| offered.into_job());
                job.offered_to.get_or_insert_default().insert(name.clone());
            }
        }
        self.rest.succeeded();
        self.shortcut.walked();
        // What the projects once showed is old by now: when they are asked again, they start afresh.
        self.polls.values_mut().for_each(|poll| *poll = ProjectPoll::default());
        Ok(Some(finished(jobs, complete, 0, now)))
    }

    /// Finds out whether the one-request queue shows what the projects show.
    async fn probe_shortcut(&mut self, clock: ReadClock<'_>) {
        let now = clock();
        if self.scope.runners.is_empty() || !self.shortcut.wants_probe(now) || self.rest.check(now).is_err() {
            return;
        }
        self.shortcut.probing(now);
        for (name, runner) in &self.scope.runners {
            match graphql::queue_of(&self.gitlab, runner.id, clock).await {
                Ok(queue) if queue.shows_something => self.shortcut.proved(name, now),
                Ok(_) => {}
                Err(error) if error.is_throttled() => return self.rest.failed(clock(), &error),
                Err(error) if error.is_transient() => return self.shortcut.probe_failed(now),
                Err(_) => return self.shortcut.refused(now),
            }
        }
    }
}

/// The answers of one poll.
#[derive(Default)]
struct Tally {
    answered: usize,
    /// Answered too, but with "not for you".
    blind: usize,
    failed: Vec<(ProjectId, GitLabError)>,
}

impl Tally {
    /// Asking on would only make it worse: GitLab wants to be left alone, does not know the token, or answers nobody.
    fn is_hopeless(&self) -> bool {
        let Some((_, last)) = self.failed.last() else { return false };
        last.is_throttled() || last.is_denied() || (self.answered == 0 && self.failed.len() >= CONCURRENCY)
    }
}

/// A project's answer.
struct Page {
    waiting: BTreeMap<JobId, row::Waiting>,
    /// Whether it showed any job, claimed ones too.
    any: bool,
    whole: bool,
}

/// Asks for a project's pending jobs; also tells when the first request was sent.
async fn ask(
    gitlab: &GitLab,
    project: ProjectId,
    clock: ReadClock<'_>,
) -> (ProjectId, Timestamp, Result<Page, GitLabError>) {
    let at = clock();
    (project, at, pending(gitlab, project, at, clock).await)
}

async fn pending(
    gitlab: &GitLab,
    project: ProjectId,
    at: Timestamp,
    clock: ReadClock<'_>,
) -> Result<Page, GitLabError> {
    let doing = format!("list the pending jobs of project {project}");
    let credential = gitlab.api(&doing)?;
    let query =
        [("scope[]", "pending"), ("pagination", "keyset"), ("per_page", "100"), ("order_by", "id"), ("sort", "desc")];
    let url = gitlab.http().api(&["projects", &project.to_string(), "jobs"], &query);
    let list: page::List<JobRow> =
        page::up_to(gitlab.http(), url, &doing, credential, PAGES_MAX, Some(gitlab.budget())).await?;
    let any = !list.rows.is_empty();
    let waiting =
        row::waiting(list.rows, project, Asked { at, answered_at: clock(), base: Some(gitlab.http().base()) });
    Ok(Page { waiting, any, whole: list.whole })
}

fn finished(jobs: BTreeMap<JobId, PendingJob>, complete: bool, blind: u32, now: Timestamp) -> QueueSnapshot {
    let jobs: Vec<_> = jobs.into_values().collect();
    let as_of = jobs.iter().map(|job| job.seen_at).min().unwrap_or(now);
    QueueSnapshot { as_of, jobs, complete, blind }
}

//! The queue of one runner in one request: GraphQL `jobs(statuses: [PENDING], compatibleRunnerId:)`.
//!
//! An experiment of GitLab 18.1, for administrators: to others, and to older servers, it answers with an error or,
//! silently, with nothing. [`Shortcut`] therefore believes an empty answer only after a full one, and not for long.
//! Ids are global ids (`gid://gitlab/Ci::Build/7231`). Source: GitLab docs, "GraphQL API reference", `Query.jobs`;
//! `app/graphql/resolvers/ci/all_jobs_resolver.rb`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::json;

use super::answer;
use super::client::GitLab;
use super::error::{ErrorKind, GitLabError, Says};
use super::http::{Answer, Request};
use runner_fleet_engine::{JobId, PendingJob, ProjectId, ProjectPath, RunnerName};

/// Pages of 100 jobs: as many as of one project.
const PAGES_MAX: usize = 20;

const QUERY: &str = "query($runner: CiRunnerID!, $after: String) { \
    jobs(statuses: [PENDING], compatibleRunnerId: $runner, first: 100, after: $after) { \
    pageInfo { hasNextPage endCursor } \
    nodes { id name tags queuedAt runner { id } project { id fullPath } } } }";

/// How long an error is taken for "not on this server, not for this token": an upgrade or a new role comes rarely.
const REFUSED_FOR: Duration = Duration::from_secs(3600);

/// Between two probes that proved nothing.
const PROBE_EVERY: Duration = Duration::from_secs(60);

/// After a probe that was not answered: a probe that hangs holds up the poll that it is part of.
const PROBE_AFTER_FAILURE: Duration = Duration::from_secs(600);

/// How many polls in a row may fail before the projects are asked instead: a server that is down is down for both, but a
/// query that always times out, or a proxy that blocks it, must not blind us.
const STUMBLES_MAX: u32 = 3;

/// For how long empty answers are believed after the last one that showed a job. A token that loses its rights gets
/// empty answers too, so an idle fleet goes back to asking project by project, which it can afford.
const BELIEVED_FOR: Duration = Duration::from_secs(900);

/// A job as one runner's queue shows it.
#[derive(Debug)]
pub(crate) struct Offered {
    pub(crate) project: ProjectId,
    pub(crate) id: JobId,
    project_path: Option<ProjectPath>,
    name: String,
    tags: BTreeSet<String>,
    queued_at: Timestamp,
    seen_at: Timestamp,
}

impl Offered {
    /// The engine's job, offered to nobody yet.
    pub(crate) fn into_job(self) -> PendingJob {
        let Self { project, id, project_path, name, tags, queued_at, seen_at } = self;
        let offered_to = Some(BTreeSet::new());
        PendingJob { id, project, project_path, name, tags, protected: None, offered_to, queued_at, seen_at }
    }
}

/// One runner's queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    pub(crate) jobs: Vec<Offered>,
    /// Whether GitLab showed anything at all, claimed jobs included: proof that this token may ask.
    pub(crate) shows_something: bool,
    /// Whether the end was reached.
    pub(crate) whole: bool,
}

/// Asks for the queue of one runner.
pub(crate) async fn queue_of(
    gitlab: &GitLab,
    runner_id: u64,
    clock: &(dyn Fn() -> Timestamp + Sync),
) -> Result<Queue, GitLabError> {
    let doing = format!("read the queue of runner {runner_id} by GraphQL");
    let credential = gitlab.api(&doing)?;
    let mut queue = Queue::default();
    let mut after: Option<String> = None;
    for _ in 0..PAGES_MAX {
        gitlab.budget().take().await;
        let seen_at = clock();
        let variables = json!({ "runner": format!("gid://gitlab/Ci::Runner/{runner_id}"), "after": after });
        let body = json!({ "query": QUERY, "variables": variables });
        let answer = gitlab.http().send(Request::post(gitlab.http().graphql(), &doing, credential).json(&body)).await?;
        let page = read(&answer)?;
        queue.shows_something |= !page.nodes.is_empty();
        queue.jobs.extend(page.nodes.into_iter().filter_map(|node| node.offered(seen_at)));
        match page.page_info.next() {
            Some(cursor) if after.as_ref() != Some(&cursor) => after = Some(cursor),
            _ => {
                queue.whole = true;
                break;
            }
        }
    }
    Ok(queue)
}

#[derive(Deserialize)]
struct Envelope {
    #[serde(default)]
    data: Option<Data>,
    #[serde(default)]
    errors: Option<Vec<Problem>>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(default)]
    jobs: Option<Page>,
}

#[derive(Deserialize)]
struct Problem {
    #[serde(default)]
    message: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Page {
    page_info: PageInfo,
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct PageInfo {
    has_next_page: bool,
    #[serde(default)]
    end_cursor: Option<String>,
}

impl PageInfo {
    fn next(self) -> Option<String> {
        self.end_cursor.filter(|_| self.has_next_page)
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Node {
    id: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    tags: Option<Vec<String>>,
    #[serde(default)]
    queued_at: Option<Timestamp>,
    #[serde(default)]
    runner: Option<IgnoredAny>,
    project: ProjectNode,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ProjectNode {
    id: String,
    #[serde(default)]
    full_path: Option<String>,
}

impl Node {
    /// `None` for what no runner takes: a claimed job, or a bridge to another pipeline.
    fn offered(self, seen_at: Timestamp) -> Option<Offered> {
        if self.runner.is_some() {
            return None;
        }
        Some(Offered {
            id: JobId(number(&self.id, "gid://gitlab/Ci::Build/")?),
            project: ProjectId(number(&self.project.id, "gid://gitlab/Project/")?),
            project_path: self.project.full_path.and_then(|path| ProjectPath::new(&path)),
            name: self.name.unwrap_or_default(),
            tags: self.tags.into_iter().flatten().collect(),
            // The server's clock: never let it run ahead of ours.
            queued_at: self.queued_at.unwrap_or(seen_at).min(seen_at),
            seen_at,
        })
    }
}

fn number(gid: &str, prefix: &str) -> Option<u64> {
    gid.strip_prefix(prefix)?.parse().ok()
}

/// GraphQL reports errors with status 200; a missing list is one too.
fn read(answer: &Answer) -> Result<Page, GitLabError> {
    page(answer.json()?).map_err(|kind| answer.error(kind))
}

fn page(Envelope { data, errors }: Envelope) -> Result<Page, ErrorKind> {
    if let Some(problem) = errors.into_iter().flatten().next() {
        let words = problem.message.map(|message| answer::quotable(&message, None));
        return Err(ErrorKind::Refused { status: 200, says: Says(words) });
    }
    let words = "no list of jobs for this token".to_owned();
    data.and_then(|data| data.jobs).ok_or(ErrorKind::Refused { status: 200, says: Says(Some(words)) })
}

/// Whether the one-request queue may be used instead of asking project by project.
#[derive(Debug, Default)]
pub(crate) struct Shortcut {
    /// Runners whose queue showed a job at least once.
    proven: BTreeSet<RunnerName>,
    last_job: Option<Timestamp>,
    refused_until: Option<Timestamp>,
    next_probe: Option<Timestamp>,
    stumbles: u32,
}

impl Shortcut {
    /// Every one of these runners has shown a job, one of them a short while ago, and nothing was refused since.
    pub(crate) fn is_trusted<T>(&self, runners: &BTreeMap<RunnerName, T>, now: Timestamp) -> bool {
        let renewed = self.last_job.is_some_and(|at| now.duration_since(at).unsigned_abs() < BELIEVED_FOR);
        renewed && !runners.is_empty() && runners.keys().all(|name| self.proven.contains(name))
    }

    /// Whether a probe may tell something new.
    pub(crate) fn wants_probe(&self, now: Timestamp) -> bool {
        self.refused_until.is_none_or(|until| until <= now) && self.next_probe.is_none_or(|at| at <= now)
    }

    /// A probe begins; the next one not too soon.
    pub(crate) fn probing(&mut self, now: Timestamp) {
        self.next_probe = now.checked_add(PROBE_EVERY).ok();
    }

    /// A probe was not answered.
    pub(crate) fn probe_failed(&mut self, now: Timestamp) {
        self.next_probe = now.checked_add(PROBE_AFTER_FAILURE).ok();
    }

    /// A poll was not answered; too many in a row are a refusal.
    pub(crate) fn stumbled(&mut self, now: Timestamp) {
        self.stumbles += 1;
        if self.stumbles >= STUMBLES_MAX {
            self.refused(now);
        }
    }

    /// A poll was answered.
    pub(crate) fn walked(&mut self) {
        self.stumbles = 0;
    }

    /// A queue showed something.
    pub(crate) fn proved(&mut self, runner: &RunnerName, now: Timestamp) {
        self.proven.insert(runner.clone());
        self.last_job = Some(now);
    }

    /// The server said no: not on this server, or not for this token.
    pub(crate) fn refused(&mut self, now: Timestamp) {
        *self = Self { refused_until: now.checked_add(REFUSED_FOR).ok(), ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_700_000_000 + second).unwrap()
    }

    #[test]
    fn bridges_and_claimed_jobs_are_not_offered() {
        let body = r#"{"data":{"jobs":{"pageInfo":{"hasNextPage":false},"nodes":[
            {"id":"gid://gitlab/Ci::Build/3","project":{"id":"gid://gitlab/Project/4"},"queuedAt":"2099-01-01T00:00:00Z"},
            {"id":"gid://gitlab/Ci::Bridge/2","project":{"id":"gid://gitlab/Project/4"}},
            {"id":"gid://gitlab/Ci::Build/1","project":{"id":"gid://gitlab/Project/4"},"runner":{"id":"x"}}]}}}"#;
        let page = page(answer::json(body.as_bytes()).unwrap()).unwrap();
        let offered: Vec<_> = page.nodes.into_iter().filter_map(|node| node.offered(at(0))).collect();
        assert_eq!(offered.len(), 1);
        assert_eq!((offered[0].id, offered[0].project, offered[0].queued_at), (JobId(3), ProjectId(4), at(0)));
    }

    #[test]
    fn errors_and_missing_lists_are_refusals() {
        for body in [
            r#"{"errors":[{"message":"Field 'jobs' doesn't accept argument 'compatibleRunnerId'"}]}"#,
            r#"{"data":{"jobs":null}}"#,
            r#"{"data":null}"#,
            "{}",
        ] {
            let refused = page(answer::json(body.as_bytes()).unwrap());
            assert!(matches!(refused, Err(ErrorKind::Refused { .. })), "{body}");
        }
    }

    #[test]
    fn trust_must_be_earned_by_all_and_renewed() {
        let (a, b) = (RunnerName::new("a"), RunnerName::new("b"));
        let runners = BTreeMap::from([(a.clone(), ()), (b.clone(), ())]);
        let mut shortcut = Shortcut::default();
        shortcut.proved(&a, at(0));
        assert!(!shortcut.is_trusted(&runners, at(0)), "b has shown nothing");
        shortcut.proved(&b, at(1));
        assert!(shortcut.is_trusted(&runners, at(900)));
        assert!(!shortcut.is_trusted(&runners, at(901)), "nothing was shown for a quarter of an hour");
        shortcut.proved(&a, at(902));
        assert!(shortcut.is_trusted(&runners, at(902)));
        shortcut.refused(at(903));
        assert!(!shortcut.is_trusted(&runners, at(903)));
        assert!(!shortcut.wants_probe(at(4502)) && shortcut.wants_probe(at(4503)));
        assert!(!Shortcut::default().is_trusted(&BTreeMap::<RunnerName, ()>::new(), at(0)));
    }

    proptest! {
        #[test]
        fn no_bytes_panic(body in proptest::collection::vec(any::<u8>(), 0..300), id in ".{0,30}") {
            let _ = answer::json::<Envelope>(&body).map(page);
            let body = json!({"data":{"jobs":{"pageInfo":{"hasNextPage":true},"nodes":[{"id":id,"project":{"id":id}}]}}});
            let page = page(serde_json::from_value(body).unwrap()).unwrap();
            prop_assert!(page.nodes.into_iter().filter_map(|node| node.offered(at(0))).count() == 0);
        }
    }
}

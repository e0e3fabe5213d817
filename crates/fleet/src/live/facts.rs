//! What GitLab says about each runner: its token is verified (which also keeps the runner alive for GitLab while the fleet
//! is empty), and its tags, scope and projects are read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tracing::info;

use jiff::tz::TimeZone;
use runner_fleet_engine::{
    Event, Failure, FailureClass, ProjectId, RunnerFacts, RunnerName, Scope, SystemId, TokenEnd, TokenKind,
};
use runner_fleet_gitlab::{Discovered, GitLabError};

use super::clock::Clock;
use super::complaint::{Complaint, Pauses};
use super::setup::RunnerSetup;
use crate::in_time::in_time;

/// Between two reads of a runner. GitLab takes a runner for offline after two hours, and writes a contact to its database
/// at most every 40 minutes: verifying at every read is well inside both.
const EVERY: Duration = Duration::from_secs(600);
/// 200 pages of projects at a second each.
const DISCOVERY_MAX: Duration = Duration::from_secs(200);

/// Where each runner's jobs are looked for; empty until GitLab has told.
pub(super) type Findings = BTreeMap<RunnerName, Found>;

/// What the queue's reader needs to know of a runner.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// GitLab's id.
    pub(super) id: u64,
    /// The projects whose queues are looked at.
    pub(super) projects: BTreeSet<ProjectId>,
    /// Whether the configuration narrows the runner's own reach.
    pub(super) restricted: bool,
    /// Takes jobs of protected refs only; `None`: its facts are not known.
    pub(super) protected_only: Option<bool>,
}

/// Looks at one runner for as long as it is configured.
pub(super) async fn run(
    setup: Arc<RunnerSetup>,
    manager: SystemId,
    findings: watch::Sender<Findings>,
    events: mpsc::Sender<Event>,
    clock: Clock,
) {
    let name = setup.runner.name.clone();
    let (mut complaint, mut pauses, mut notes) = (Complaint::default(), Pauses::default(), Vec::new());
    loop {
        let outcome = look_in_time(&setup, &manager).await;
        complaint.about(&format!("reading runner {name} from GitLab"), &outcome);
        setup.notes_refusal(outcome.as_ref().err());
        let (facts, pause) = match outcome {
            Ok(Asked { id, discovered }) => {
                pauses.reset();
                let found = Found::of(id, &discovered);
                if discovered.notes != notes {
                    discovered.notes.iter().for_each(|note| info!(runner.name = %name, "{note}"));
                    notes = discovered.notes;
                }
                findings.send_if_modified(|findings| findings.insert(name.clone(), found.clone()) != Some(found));
                (discovered.facts.map_err(Failure::from), EVERY)
            }
            Err(failure) => (Err(failure), pauses.next()),
        };
        if events.send(Event::Runner { runner: name.clone(), facts }).await.is_err() {
            return;
        }
        clock.sleep(pause).await;
    }
}

impl Found {
    fn of(id: u64, discovered: &Discovered) -> Self {
        Self {
            id,
            projects: discovered.projects.clone(),
            restricted: discovered.restricted,
            protected_only: discovered.facts.as_ref().ok().map(|facts| facts.protected_only),
        }
    }
}

/// Looks at one runner once.
pub(super) async fn once(setup: &RunnerSetup, manager: &SystemId) -> (Option<Found>, Result<RunnerFacts, Failure>) {
    match look_in_time(setup, manager).await {
        Ok(Asked { id, discovered }) => (Some(Found::of(id, &discovered)), discovered.facts.map_err(Failure::from)),
        Err(failure) => (None, Err(failure)),
    }
}

struct Asked {
    id: u64,
    discovered: Discovered,
}

async fn look_in_time(setup: &RunnerSetup, manager: &SystemId) -> Result<Asked, Failure> {
    in_time(DISCOVERY_MAX, ask(setup, manager)).await
}

async fn ask(setup: &RunnerSetup, manager: &SystemId) -> Result<Asked, Failure> {
    let verified = setup.gitlab.verify(&setup.token, manager).await.map_err(of_the_token)?;
    let token = verified.expires_at.map(|at| TokenEnd { at, token: TokenKind::Token });
    if setup.api_token.is_none() {
        return Ok(Asked { id: verified.id, discovered: ending(unseen(verified.id), token) });
    }
    let discovered = setup.gitlab.discover(verified.id, &setup.restriction()).await?;
    let end = token.into_iter().chain(api_token_end(setup).await).min();
    Ok(Asked { id: verified.id, discovered: ending(discovered, end) })
}

/// That GitLab does not know the runner's own token is worse than that it denies something.
fn of_the_token(error: GitLabError) -> Failure {
    let is_refused = error.is_denied();
    let failure = Failure::from(error);
    if is_refused { Failure { class: FailureClass::TokenRefused, ..failure } } else { failure }
}

/// When the api token ends, if GitLab tells; older servers do not, and nothing depends on it.
async fn api_token_end(setup: &RunnerSetup) -> Option<TokenEnd> {
    let own = setup.gitlab.own_token().await.ok()?;
    let at = own.expires_at?.at(0, 0, 0, 0).to_zoned(TimeZone::UTC).ok()?.timestamp();
    Some(TokenEnd { at, token: TokenKind::ApiToken })
}

fn ending(discovered: Discovered, token_end: Option<TokenEnd>) -> Discovered {
    Discovered { facts: discovered.facts.map(|facts| RunnerFacts { token_end, ..facts }), ..discovered }
}

/// Without an api token the token alone is proved. No job is ever seen, so that nothing is matched against these facts.
fn unseen(id: u64) -> Discovered {
    let facts = RunnerFacts {
        id,
        tags: BTreeSet::new(),
        run_untagged: true,
        protected_only: false,
        paused: false,
        scope: Scope::Everything,
        token_end: None,
    };
    Discovered { facts: Ok(facts), projects: BTreeSet::new(), restricted: false, notes: Vec::new() }
}

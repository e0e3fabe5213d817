//! GitLab: the runner token, the api token, and the queue as they show it.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::live::setup::RunnerSetup;
use runner_fleet_engine::{QueueSnapshot, RunnerFacts};
use runner_fleet_gitlab::{Discovered, OwnToken, QueueReader, QueueScope, Restriction, Verified, manager_system_id};

use super::context::CheckContext;
use super::finding::{Finding, Step};
use super::limit::{told, within, within_time};

/// 200 pages of projects would take longer; the service has that time.
const DISCOVERY_MAX: Duration = Duration::from_secs(60);
/// Renewing a token takes a person some days.
const EXPIRY_WARNING: SignedDuration = SignedDuration::from_hours(7 * 24);

/// Without its tokens GitLab cannot be asked.
pub(super) fn unseen() -> Vec<Finding> {
    vec![Finding::not_checked(Step::RunnerToken, "there is no token to try")]
}

/// All steps; the first that fails hides the later ones.
pub(super) async fn examine(context: &CheckContext<'_>, setup: &RunnerSetup) -> Vec<Finding> {
    let mut findings = Vec::new();
    let id = manager_system_id(&context.config.fleet.manager);
    let verified = match within(setup.gitlab.verify(&setup.token, &id)).await {
        Ok(Ok(verified)) => verified,
        Ok(Err(error)) => return vec![Finding::failed_as_told(Step::RunnerToken, told(&error))],
        Err(late) => return vec![Finding::failed(Step::RunnerToken, late, "check the network to GitLab")],
    };
    findings.push(judge_runner_token(&verified, setup.runner.server.as_str(), context.clock.now()));
    if setup.api_token.is_none() {
        let found = "no api_token: the queue is only known from what the workers' runners are told";
        let advice = "write an api_token with scope read_api, to launch workers when jobs wait";
        findings.push(Finding::warning(Step::ApiToken, found, advice));
        return findings;
    }
    if let Ok(Ok(own)) = within(setup.gitlab.own_token()).await {
        let retries = setup.runner.fleet.retry_interrupted;
        findings.push(judge_api_token(&own, retries, context.clock.now()));
    }
    findings.extend(queue(context, setup, verified.id).await);
    findings
}

fn judge_runner_token(verified: &Verified, server: &str, now: Timestamp) -> Finding {
    let found = format!("{server} accepts the token of runner {}", verified.id);
    match verified.expires_at {
        None => Finding::ok(Step::RunnerToken, found),
        Some(end) if end.duration_since(now) < EXPIRY_WARNING => {
            let advice = "reset the runner's token in GitLab, and write the new one where `token` says";
            Finding::warning(Step::RunnerToken, format!("{found}, until {end:.0}"), advice)
        }
        Some(end) => Finding::ok(Step::RunnerToken, format!("{found}, until {end:.0}")),
    }
}

fn judge_api_token(own: &OwnToken, retries: bool, now: Timestamp) -> Finding {
    let has = |scope: &str| own.scopes.iter().any(|other| other == scope);
    let scopes = own.scopes.join(", ");
    let until = own.expires_at.map(|day| format!("; until {day}")).unwrap_or_default();
    let found = format!("scope {scopes}{until}");
    if !has("read_api") && !has("api") {
        return Finding::failed(Step::ApiToken, found, "make a token with scope read_api");
    }
    if retries && !has("api") {
        return Finding::failed(
            Step::ApiToken,
            found,
            "retry_interrupted needs scope api; make such a token, or set it to false",
        );
    }
    let ends = own.expires_at.and_then(|day| day.to_zoned(jiff::tz::TimeZone::UTC).ok());
    if ends.is_some_and(|end| end.timestamp().duration_since(now) < EXPIRY_WARNING) {
        return Finding::warning(
            Step::ApiToken,
            found,
            "it ends soon: rotate it, and write the new one where `api_token` says",
        );
    }
    if has("api") && !retries {
        return Finding::warning(Step::ApiToken, found, "it may do more than it needs: scope read_api is enough");
    }
    Finding::ok(Step::ApiToken, found)
}

async fn queue(context: &CheckContext<'_>, setup: &RunnerSetup, runner_id: u64) -> Vec<Finding> {
    let fleet = &setup.runner.fleet;
    let restriction = Restriction { projects: fleet.projects.clone(), groups: fleet.groups.clone() };
    let found = match within_time(DISCOVERY_MAX, setup.gitlab.discover(runner_id, &restriction)).await {
        Ok(Ok(found)) => found,
        Ok(Err(error)) => return vec![Finding::failed_as_told(Step::Queue, told(&error))],
        Err(late) => return vec![Finding::failed(Step::Queue, late, "name `projects` or `groups`, to ask for less")],
    };
    let mut findings = judge_runner(&found);
    let protected = found.facts.as_ref().is_ok_and(|facts| facts.protected_only);
    let scope = QueueScope { projects: found.projects.clone(), needs_protection: protected, ..QueueScope::default() };
    let mut reader = QueueReader::new(setup.gitlab.clone(), scope);
    let clock = context.clock;
    match within(reader.poll(&|| clock.now())).await {
        Ok(Ok(snapshot)) => findings.push(judge_poll(&snapshot, found.projects.len())),
        Ok(Err(error)) if error.is_denied() => {
            let advice = "give the api_token's user at least the role Reporter in the runner's projects";
            findings.push(Finding::failed(Step::Queue, told(&error), advice));
        }
        Ok(Err(error)) => findings.push(Finding::failed_as_told(Step::Queue, told(&error))),
        Err(late) => findings.push(Finding::failed(Step::Queue, late, "check the network to GitLab")),
    }
    let blind: Vec<_> = reader.blind_spots().collect();
    if let Some((project, why)) = blind.first() {
        let more = blind.len() - 1;
        let found = format!("jobs of project {project} are not seen: {}{}", told(*why), and_more(more));
        findings.push(Finding::warning(Step::Queue, found, "give the api_token's user the role Reporter there"));
    }
    findings
}

fn and_more(count: usize) -> String {
    if count == 0 { String::new() } else { format!("; and {count} more projects") }
}

/// What GitLab says the runner is.
fn judge_runner(found: &Discovered) -> Vec<Finding> {
    let mut findings: Vec<_> = found
        .notes
        .iter()
        .map(|note| Finding::warning(Step::Queue, note, "check the runner's scope in GitLab"))
        .collect();
    match &found.facts {
        Err(error) => findings.push(Finding::warning(
            Step::Queue,
            told(error),
            "until then every waiting job of the configured projects is taken for ours",
        )),
        Ok(RunnerFacts { paused: true, .. }) => findings.push(Finding::warning(
            Step::Queue,
            "the runner is paused in GitLab: it gets no job",
            "resume it in GitLab, if that is not meant so",
        )),
        Ok(RunnerFacts { tags, run_untagged: false, .. }) if tags.is_empty() => findings.push(Finding::warning(
            Step::Queue,
            "the runner has no tags and does not run untagged jobs: it gets no job",
            "give it tags in GitLab, or let it run untagged jobs",
        )),
        Ok(_) => {}
    }
    findings
}

fn judge_poll(snapshot: &QueueSnapshot, projects: usize) -> Finding {
    let jobs = snapshot.jobs.len();
    let found = format!("{jobs} waiting job{} in {projects} project{}", s(jobs), s(projects));
    if snapshot.complete {
        Finding::ok(Step::Queue, found)
    } else {
        Finding::ok(Step::Queue, format!("{found}; not all could be asked in one poll, the service takes turns"))
    }
}

fn s(count: usize) -> &'static str {
    if count == 1 { "" } else { "s" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn own(scopes: &[&str], expires_at: Option<&str>) -> OwnToken {
        OwnToken {
            scopes: scopes.iter().map(|scope| (*scope).to_owned()).collect(),
            expires_at: expires_at.map(|day| day.parse().unwrap()),
        }
    }

    #[test]
    fn an_api_token_is_judged_by_scope_and_end() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let cases = [
            (own(&["read_api"], None), false, Verdict::Ok),
            (own(&["read_api"], Some("2026-06-01")), false, Verdict::Ok),
            (own(&["read_api"], Some("2026-01-05")), false, Verdict::Warning),
            (own(&["read_api"], None), true, Verdict::Failed),
            (own(&["api"], None), true, Verdict::Ok),
            (own(&["api"], None), false, Verdict::Warning),
            (own(&["read_user"], None), false, Verdict::Failed),
            (own(&[], None), false, Verdict::Failed),
        ];
        for (token, retries, verdict) in cases {
            assert_eq!(judge_api_token(&token, retries, now).verdict, verdict, "{token:?} {retries}");
        }
    }

    #[test]
    fn a_runner_token_that_ends_soon_is_a_warning() {
        let now: Timestamp = "2026-01-01T00:00:00Z".parse().unwrap();
        let until = |end: Option<&str>| Verified { id: 7, expires_at: end.map(|end| end.parse().unwrap()) };
        let verdict = |end| judge_runner_token(&until(end), "https://gitlab.example.com", now).verdict;
        assert_eq!(verdict(None), Verdict::Ok);
        assert_eq!(verdict(Some("2026-03-01T00:00:00Z")), Verdict::Ok);
        assert_eq!(verdict(Some("2026-01-03T00:00:00Z")), Verdict::Warning);
    }
}

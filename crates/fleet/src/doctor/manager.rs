//! The manager itself: its file, its running service.

use crate::control::{self, Answer, ClientError, Request};
use crate::live::systemd;
use runner_fleet_config::{Config, Warning};
use runner_fleet_engine::snapshot::Promise;
use runner_fleet_engine::{FleetSnapshot, Knowledge};

use super::finding::{Finding, Step};
use super::limit::within;

/// The file was read before the first step; what is left are its warnings.
pub(super) fn configuration(config: &Config, warnings: &[Warning]) -> Vec<Finding> {
    let count = config.runners.len();
    let good = format!("good; manager {}, {count} runner{}", config.fleet.manager, if count == 1 { "" } else { "s" });
    let warned =
        |warning: &Warning| Finding::warning(Step::Configuration, warning.to_string(), "nothing, if it is meant so");
    [Finding::ok(Step::Configuration, good)].into_iter().chain(warnings.iter().map(warned)).collect()
}

/// What the running service says of itself.
pub(super) async fn service(config: &Config) -> (Option<Box<FleetSnapshot>>, Vec<Finding>) {
    let socket = &config.fleet.control_socket;
    match within(control::ask(socket, &Request::Status)).await {
        Ok(Ok(Answer::Status { snapshot })) => {
            let findings = judge(&snapshot);
            (Some(snapshot), findings)
        }
        Ok(Ok(_)) => {
            let found = "it answers another question than was asked";
            (None, vec![Finding::failed(Step::Service, found, "restart it with this version of the program")])
        }
        Ok(Err(error @ ClientError::NotRunning { .. })) => {
            let advice = "start it when the other steps are well: systemctl start runner-fleet";
            (None, vec![Finding::warning(Step::Service, format!("cannot {error}"), advice)])
        }
        Ok(Err(error)) => (None, vec![Finding::failed_as_told(Step::Service, format!("cannot {error}"))]),
        Err(late) => {
            (None, vec![Finding::failed(Step::Service, late, "see its log: journalctl -u runner-fleet -n 50")])
        }
    }
}

/// What in the service's snapshot needs a person.
fn judge(snapshot: &FleetSnapshot) -> Vec<Finding> {
    let mut findings = vec![Finding::ok(Step::Service, format!("running; {}", systemd::sentence(snapshot)))];
    let log = "see its log: journalctl -u runner-fleet -n 50";
    findings.extend(unknown(&snapshot.ec2).map(|why| Finding::failed(Step::Service, format!("EC2: {why}"), log)));
    if snapshot.totals.laws_broken > 0 {
        let found = format!("{} of the engine's laws were seen broken: a bug", snapshot.totals.laws_broken);
        findings.push(Finding::warning(Step::Service, found, "report it, with the log"));
    }
    for runner in &snapshot.runners {
        let about = |finding: Finding| finding.of(&runner.name);
        findings.extend(
            unknown(&runner.queue).map(|why| about(Finding::failed(Step::Service, format!("queue: {why}"), log))),
        );
        findings.extend(runner.held_back.as_ref().map(|why| {
            about(Finding::warning(Step::Service, format!("launches nothing: {why}"), "the steps below may say why"))
        }));
        if runner.paused {
            let advice = format!("runner-fleet resume {}", runner.name);
            findings.push(about(Finding::warning(Step::Service, "paused by an operator", advice)));
        }
        if runner.forecast.is_some() {
            findings.extend(promised(runner.promise).map(about));
        }
    }
    findings
}

/// Of fewer jobs than this one that came late says nothing of the rest.
const JOBS_TOLD: u64 = 40;

/// Whether what was promised with `idle_count = "auto"` was kept: 95 of 100 jobs wait no longer than `target_wait`.
fn promised(promise: Promise) -> Option<Finding> {
    let reached = promise.reached().filter(|_| promise.jobs >= JOBS_TOLD)?;
    if promise.kept.saturating_mul(100) >= promise.jobs.saturating_mul(95) {
        return Some(Finding::ok(Step::Service, format!("idle_count = \"auto\": {reached}")));
    }
    let found = format!("idle_count = \"auto\" promises 95 %, but {reached}");
    let advice = "raise idle_count_min or target_wait: no pattern foretells the jobs that came late, or idle_count_max, \
                  max_workers or concurrent left no room for them";
    Some(Finding::warning(Step::Service, found, advice))
}

fn unknown(knowledge: &Knowledge) -> Option<String> {
    match knowledge {
        Knowledge::Known => None,
        Knowledge::Stale { age, failure } => Some(format!("last seen {} s ago: {failure}", age.as_secs())),
        Knowledge::Unknown { failure } => Some(format!("not known: {failure}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use runner_fleet_engine::Engine;

    #[test]
    fn a_service_that_does_not_see_ec2_is_not_well() {
        let mut snapshot = Engine::new("ci", 1, jiff::Timestamp::UNIX_EPOCH).snapshot();
        assert_eq!(judge(&snapshot).last().unwrap().verdict, Verdict::Failed);
        snapshot.ec2 = Knowledge::Known;
        assert_eq!(judge(&snapshot).last().unwrap().verdict, Verdict::Ok);
        snapshot.totals.laws_broken = 1;
        assert_eq!(judge(&snapshot).last().unwrap().verdict, Verdict::Warning);
    }

    #[test]
    fn a_promise_that_is_not_kept_is_told_with_the_share() {
        let target_wait = std::time::Duration::from_secs(30);
        let told = |jobs: u64, kept: u64| {
            promised(Promise { target_wait, jobs, kept, since: None }).map(|told| (told.verdict, told.found))
        };
        assert_eq!(told(JOBS_TOLD - 1, 0), None);
        assert_eq!(told(100, 95).unwrap().0, Verdict::Ok);
        let (verdict, found) = told(200, 188).unwrap();
        assert_eq!(verdict, Verdict::Warning);
        assert!(found.ends_with("of the last week's 200 jobs 94 % waited no longer than 30s"), "{found}");
    }
}

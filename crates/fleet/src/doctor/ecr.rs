//! The ECR login, tried where it happens: on a running worker, with its role, through the helper that Docker asks.

use crate::ssh::{Output, SshError};
use runner_fleet_config::{Ecr, EcrHost, HelperVersion};
use runner_fleet_engine::{Arch, EcrError};
use runner_fleet_worker::HELPER_PATH;
use runner_fleet_worker::helper_log::{last_error, scrubbed};

use super::context::CheckContext;
use super::finding::{Finding, Step, Verdict};
use super::limit::told;
use super::worker::SampleWorker;

/// The log of the host's own pulls; jobs log inside their containers.
const LOG: &str = "/root/.ecr/log/ecr-login.log";

/// Helper, then each registry. Nothing without the table, or when it is switched off.
pub(super) async fn examine(context: &CheckContext<'_>, worker: Option<&SampleWorker>) -> Vec<Finding> {
    let Some(ecr) = context.runner.fleet.active_ecr() else { return Vec::new() };
    let Some(worker) = worker else {
        return vec![Finding::not_checked(Step::EcrLogin, "needs a running worker: helper and login are tried there")];
    };
    let finding = helper(context, ecr, worker).await;
    let works = finding.verdict == Verdict::Ok;
    let mut findings = vec![finding];
    if works {
        for host in &ecr.registries {
            findings.push(login(host, worker).await);
        }
    }
    findings
}

async fn helper(context: &CheckContext<'_>, ecr: &Ecr, worker: &SampleWorker) -> Finding {
    let arch = worker.as_root("uname -m", "").await.map(|output| text(&output.stdout)).unwrap_or_default();
    if ecr.in_jobs && is_dynamic(worker).await {
        let found = format!("{HELPER_PATH} is dynamically linked: images without its libraries cannot run it in jobs");
        let advice = "drain the worker; if the next is the same, take the helper off the image, or see helper_url";
        return Finding::failed(Step::EcrHelper, found, advice);
    }
    match worker.as_root(&format!("{HELPER_PATH} -v"), "").await {
        Ok(output) => judge_helper(ecr, context.runner.fleet.arch, &arch, &output),
        Err(error) => Finding::failed_as_told(Step::EcrHelper, format!("{}: {}", worker.id, told(&error))),
    }
}

/// Whether what loads its libraries is named in the helper, as the bootstrap asks it.
async fn is_dynamic(worker: &SampleWorker) -> bool {
    let command = format!("grep -q -e /ld-linux -e /ld-musl {HELPER_PATH}");
    matches!(worker.as_root(&command, "").await, Ok(Output { status: Some(0), .. }))
}

fn judge_helper(ecr: &Ecr, arch: Arch, machine: &str, output: &Output) -> Finding {
    let said = scrubbed(&format!("{} {}", text(&output.stdout), text(&output.stderr)));
    match output.status {
        Some(0) => {}
        // The shell's codes for "not found" and "cannot be executed", which is how another architecture shows.
        Some(127) | Some(1) if said.contains("not found") || said.contains("No such file") => {
            let advice = "the worker was made without ECR, or its bootstrap failed: drain it; see its log";
            return Finding::failed(Step::EcrHelper, format!("there is no {HELPER_PATH}"), advice);
        }
        Some(_) | None => {
            let found = format!("{HELPER_PATH} does not run on this {machine} (the runner is {arch}): {said}");
            return Finding::failed(
                Step::EcrHelper,
                found,
                "check helper_url: it must be the binary for that architecture",
            );
        }
    }
    let version = said.split_whitespace().find_map(|word| HelperVersion::parse(word.trim_start_matches('v')));
    let Some(version) = version else {
        return Finding::ok(Step::EcrHelper, format!("runs on {machine}; says: {said}"));
    };
    match ecr.needs().into_iter().find(|(needed, _)| version < *needed) {
        Some((needed, why)) => {
            let found = format!("release {version} is on the image: {why} came with {needed}");
            Finding::failed(
                Step::EcrHelper,
                found,
                "take the helper off the image, so that the configured one is installed",
            )
        }
        None => Finding::ok(Step::EcrHelper, format!("release {version} runs on {machine}")),
    }
}

/// What the helper prints is a secret, and stays on the worker.
async fn login(host: &EcrHost, worker: &SampleWorker) -> Finding {
    // With the variables of gitlab-runner's unit, among them the proxy.
    let command = format!(
        "sh -c 'env HOME=/root $(systemctl show --property Environment --value runner-fleet-runner.service) \
         {HELPER_PATH} get >/dev/null'"
    );
    let outcome = worker.as_root(&command, &format!("{}\n", host.as_str())).await;
    let reason = match &outcome {
        Ok(Output { status: Some(0), .. }) => None,
        Ok(_) | Err(_) => worker.as_root(&format!("tail -c 16384 {LOG}"), "").await.ok(),
    };
    let reason = reason.and_then(|output| last_error(&text(&output.stdout)));
    judge_login(host, outcome, reason)
}

fn judge_login(host: &EcrHost, outcome: Result<Output, SshError>, reason: Option<EcrError>) -> Finding {
    let is_public = host.account_and_region().is_none();
    let host = host.as_str();
    match outcome {
        Ok(Output { status: Some(0), .. }) => {
            Finding::ok(Step::EcrLogin, format!("{host}: the worker gets credentials"))
        }
        Ok(_) => {
            let why = reason.map_or_else(|| "the helper's log says nothing".to_owned(), |error| error.text);
            let advice = advice(&why);
            if is_public {
                let found = format!("{host}: its images are pulled without a login: {why}");
                return Finding::warning(Step::EcrLogin, found, advice);
            }
            Finding::failed(Step::EcrLogin, format!("{host}: {why}"), advice)
        }
        Err(error) => {
            let found = format!("{host}: {}", told(&error));
            Finding::failed(
                Step::EcrLogin,
                found,
                "check the way from the workers to ECR: NAT, or the endpoints ecr.api and ecr.dkr",
            )
        }
    }
}

/// What to do about the helper's words.
fn advice(why: &str) -> &'static str {
    const KNOWN: [(&str, &str); 8] = [
        ("AccessDenied", "attach the policy that \"runner-fleet iam-policy --worker\" prints to the workers' role"),
        ("not authorized", "attach the policy that \"runner-fleet iam-policy --worker\" prints to the workers' role"),
        ("no EC2 IMDS role found", "give the workers a role: instance_profile = \"…\""),
        ("EC2 IMDS", "the metadata service does not answer: check metadata_hop_limit and the instance profile"),
        (
            "no such host",
            "the workers cannot resolve ECR's API: check DNS, and the endpoint ecr.api where there is no NAT",
        ),
        ("timeout", "check the way from the workers to ECR: NAT, or the endpoints ecr.api and ecr.dkr"),
        ("deadline exceeded", "check the way from the workers to ECR: NAT, or the endpoints ecr.api and ecr.dkr"),
        ("parsing", "the helper is too old for this host; see helper_version"),
    ];
    let known = KNOWN.iter().find(|(sign, _)| why.contains(sign));
    known.map_or("see docs/ecr.md, or the helper's log on the worker: /root/.ecr/log/ecr-login.log", |(_, advice)| {
        advice
    })
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_config as config;

    fn ecr() -> Ecr {
        let text = include_str!("../../../../config/complete.toml");
        let config = config::parse(text, "config.toml").unwrap().config;
        config.runners.into_iter().find_map(|runner| runner.fleet.ecr).unwrap()
    }

    fn output(status: u32, stdout: &str) -> Output {
        Output { status: Some(status), stdout: stdout.into(), stderr: Vec::new() }
    }

    #[test]
    fn a_helper_must_be_there_run_and_be_new_enough() {
        let verdict = |output: &Output| judge_helper(&ecr(), Arch::Arm64, "aarch64", output).verdict;
        assert_eq!(verdict(&output(0, "amazon-ecr-credential-helper 0.12.0 (abc)")), Verdict::Ok);
        assert_eq!(verdict(&output(0, "amazon-ecr-credential-helper 0.6.0")), Verdict::Failed);
        assert_eq!(verdict(&output(0, "a build of our own")), Verdict::Ok);
        assert_eq!(verdict(&output(127, "sh: docker-credential-ecr-login: not found")), Verdict::Failed);
        assert_eq!(verdict(&output(126, "Exec format error")), Verdict::Failed);
    }

    #[test]
    fn a_refused_login_says_why_and_what_to_do() {
        let registries = ecr().registries;
        let reason = |text: &str| Some(EcrError { at: None, text: text.into() });
        let denied = judge_login(&registries[0], Ok(output(1, "")), reason("api error AccessDeniedException: User: x"));
        assert_eq!(denied.verdict, Verdict::Failed);
        assert!(denied.found.contains("AccessDeniedException"), "{denied:?}");
        assert!(denied.advice.unwrap().contains("iam-policy --worker"));
        assert_eq!(judge_login(&registries[0], Ok(output(0, "")), None).verdict, Verdict::Ok);
        assert_eq!(judge_login(&registries[0], Ok(output(1, "")), None).verdict, Verdict::Failed);
        assert_eq!(
            judge_login(&registries[1], Ok(output(1, "")), None).verdict,
            Verdict::Warning,
            "what is public is pulled"
        );
    }
}

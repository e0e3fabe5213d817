//! All steps in their order: the manager first, then each runner from the ground up.

use crate::live::clock::Clock;
use crate::live::regions::Regions;
use crate::live::setup::RunnerSetup;
use runner_fleet_config::{Config, Warning};

use super::context::CheckContext;
use super::finding::{Diagnosis, Finding, Step};
use super::limit::{told, within_time};
use super::{cloud, ecr, gitlab, manager, role, ssh_key, worker};

/// Reading two parameters from SSM.
const SECRETS_MAX: std::time::Duration = std::time::Duration::from_secs(25);

/// Looks at everything that the runners of `names` need (all when empty); `tell` hears each finding at once.
pub async fn examine(
    config: &Config,
    warnings: &[Warning],
    names: &[String],
    clock: Clock,
    tell: &mut dyn FnMut(&Finding),
) -> Diagnosis {
    let mut notes = Notes { findings: Vec::new(), tell };
    notes.take(manager::configuration(config, warnings));
    let regions = Regions::default();
    let (key, finding) = ssh_key::ssh_key(config, &regions).await;
    notes.take([finding]);
    let (snapshot, findings) = manager::service(config).await;
    notes.take(findings);
    for runner in config.runners.iter().filter(|runner| names.is_empty() || names.contains(&runner.name.to_string())) {
        let context = CheckContext { config, runner, key: key.as_ref(), snapshot: snapshot.as_deref(), clock };
        context.examine(&regions, &mut notes).await;
    }
    Diagnosis { version: 1, manager: config.fleet.manager.clone(), findings: notes.findings }
}

/// Findings as they come.
struct Notes<'t> {
    findings: Vec<Finding>,
    tell: &'t mut dyn FnMut(&Finding),
}

impl Notes<'_> {
    fn take(&mut self, findings: impl IntoIterator<Item = Finding>) {
        for finding in findings {
            (self.tell)(&finding);
            self.findings.push(finding);
        }
    }
}

impl CheckContext<'_> {
    async fn examine(&self, regions: &Regions, notes: &mut Notes<'_>) {
        let name = self.runner.name.clone();
        let mut take = |findings: Vec<Finding>| notes.take(findings.into_iter().map(|finding| finding.of(&name)));
        match within_time(SECRETS_MAX, RunnerSetup::alone(self.runner, regions)).await {
            Ok(Ok(setup)) => {
                take(vec![Finding::ok(Step::Secrets, self.secrets_read())]);
                take(gitlab::examine(self, &setup).await);
            }
            Ok(Err(error)) => {
                let advice = "the secret must be readable where the configuration says, for this user, in this region";
                take(vec![Finding::failed(Step::Secrets, format!("cannot {}", told(&error)), advice)]);
                take(gitlab::unseen());
            }
            Err(late) => {
                take(vec![Finding::failed(Step::Secrets, late, "check the network and the endpoint of SSM")]);
                take(gitlab::unseen());
            }
        }
        let aws = match regions.of(self.runner.fleet.region.as_deref()).await {
            Ok(aws) => aws,
            Err(error) => return take(vec![Finding::failed_as_told(Step::Credentials, told(&error))]),
        };
        let (finding, may_go_on) = cloud::credentials(&aws).await;
        take(vec![finding]);
        if !may_go_on {
            return take(vec![Finding::not_checked(Step::Launch, "without credentials nothing of AWS can be seen")]);
        }
        take(cloud::examine(self, &aws).await);
        take(role::examine(self, &aws).await);
        let sample = worker::sample(self, &aws).await;
        take(sample.findings);
        take(ecr::examine(self, sample.session.as_ref()).await);
    }

    fn secrets_read(&self) -> String {
        let token = format!("token from {}", self.runner.token);
        match &self.runner.fleet.api_token {
            Some(api) => format!("{token}, api_token from {api}"),
            None => format!("{token}; no api_token"),
        }
    }
}

//! The manager's SSH key: on this host, and, where `ssh_key` names a parameter, in SSM. Looking makes none.

use crate::live::regions::Regions;
use crate::live::ssh_key::{Parameter, SshKeyError, in_state_dir};
use crate::ssh::{KeyError, ManagerKey};
use runner_fleet_config::Config;

use super::finding::{Finding, Step};
use super::limit::{told, within};

const AS_THE_SERVICE: &str = "call doctor as root or runner-fleet";

/// The key that workers can be reached with, if there is one that we may read, and how it stands.
pub(super) async fn ssh_key(config: &Config, regions: &Regions) -> (Option<ManagerKey>, Finding) {
    let folder = config.fleet.state_dir.display().to_string();
    let local = in_state_dir(&config.fleet.state_dir);
    let parameter = match within(Parameter::of(config, regions)).await {
        Ok(Ok(None)) => return on_this_host(local, &folder),
        Ok(Ok(Some(parameter))) => parameter,
        Ok(Err(error)) => return (local.ok().flatten(), Finding::failed_as_told(Step::SshKey, told(&error))),
        Err(late) => return (local.ok().flatten(), unanswered(late)),
    };
    match within(parameter.read()).await {
        Ok(shared) => shared_with_other_hosts(shared, local, &parameter.told(), &folder),
        Err(late) => (local.ok().flatten(), unanswered(late)),
    }
}

fn unanswered(late: String) -> Finding {
    Finding::failed(Step::SshKey, late, "check the network and the endpoint of SSM")
}

fn on_this_host(local: Result<Option<ManagerKey>, KeyError>, folder: &str) -> (Option<ManagerKey>, Finding) {
    match local {
        Ok(Some(key)) => {
            let found = format!("{}, fingerprint {}", key.path().display(), key.fingerprint());
            (Some(key), Finding::ok(Step::SshKey, found))
        }
        Ok(None) => {
            let found = format!("none in {folder} that this user can see");
            let advice = "the service makes it at its first start; if it has run, call doctor as root or runner-fleet";
            (None, Finding::warning(Step::SshKey, found, advice))
        }
        Err(error) => (None, Finding::failed(Step::SshKey, told(&error), AS_THE_SERVICE)),
    }
}

/// Of two keys the one of this host is what a running service works with, and the one in SSM what the next start brings.
fn shared_with_other_hosts(
    shared: Result<Option<ManagerKey>, SshKeyError>,
    local: Result<Option<ManagerKey>, KeyError>,
    parameter: &str,
    folder: &str,
) -> (Option<ManagerKey>, Finding) {
    match (shared, local) {
        (Err(error), local) => (local.ok().flatten(), Finding::failed_as_told(Step::SshKey, told(&error))),
        (Ok(shared), Err(error)) => (shared, Finding::failed(Step::SshKey, told(&error), AS_THE_SERVICE)),
        (Ok(Some(shared)), Ok(Some(local))) if shared.fingerprint() == local.fingerprint() => {
            let (fingerprint, path) = (local.fingerprint(), local.path().display());
            let found = format!("{parameter}, fingerprint {fingerprint}; {path} is the same");
            (Some(local), Finding::ok(Step::SshKey, found))
        }
        (Ok(Some(shared)), Ok(Some(local))) => {
            let (theirs, ours, path) = (shared.fingerprint(), local.fingerprint(), local.path().display());
            let found = format!("{parameter} holds {theirs}, and {path} is another key, {ours}");
            let advice = "the next start takes the one in SSM; workers that know only the other end after their jobs";
            (Some(local), Finding::warning(Step::SshKey, found, advice))
        }
        (Ok(Some(shared)), Ok(None)) => {
            let found = format!(
                "{parameter}, fingerprint {}; not in {folder} as far as this user can see",
                shared.fingerprint()
            );
            (Some(shared), Finding::ok(Step::SshKey, found))
        }
        (Ok(None), local) => {
            let local = local.ok().flatten();
            let advice = match &local {
                Some(_) => "the next start puts the key of this host there",
                None => "the service makes the key at its first start and puts it there",
            };
            (local, Finding::warning(Step::SshKey, format!("{parameter} does not exist yet"), advice))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    fn here(dir: &tempfile::TempDir) -> Result<Option<ManagerKey>, KeyError> {
        in_state_dir(dir.path())
    }

    fn judged(
        shared: Result<Option<ManagerKey>, SshKeyError>,
        local: Result<Option<ManagerKey>, KeyError>,
    ) -> (Option<String>, Verdict, String) {
        let (key, finding) =
            shared_with_other_hosts(shared, local, "the SSM parameter /ci/key in eu-central-1", "/state");
        let told = format!("{} -> {}", finding.found, finding.advice.unwrap_or_default());
        (key.map(|key| key.fingerprint()), finding.verdict, told)
    }

    #[test]
    fn where_the_key_lies_is_told_for_each_pair_of_places() {
        let (empty, full) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (own, other) = (ManagerKey::load_or_create(full.path()).unwrap(), ManagerKey::fresh());
        let (ours, theirs) = (Some(own.fingerprint()), Some(other.fingerprint()));
        let denied = || SshKeyError::NotAKey { name: "/ci/key".into(), region: "eu-central-1".into() };

        for (shared, local, key, verdict, words) in [
            (Ok(Some(own.clone())), here(&full), &ours, Verdict::Ok, "is the same"),
            (Ok(Some(other.clone())), here(&full), &ours, Verdict::Warning, "the next start takes the one in SSM"),
            (Ok(Some(other.clone())), here(&empty), &theirs, Verdict::Ok, "not in /state"),
            (Ok(None), here(&full), &ours, Verdict::Warning, "the next start puts the key of this host there"),
            (Ok(None), here(&empty), &None, Verdict::Warning, "does not exist yet -> the service makes the key"),
            (Err(denied()), here(&full), &ours, Verdict::Failed, "is not an ed25519 private key"),
            (Err(denied()), here(&empty), &None, Verdict::Failed, "/ci/key in eu-central-1 is not"),
        ] {
            let (found_key, found_verdict, told) = judged(shared, local);
            assert_eq!((&found_key, found_verdict), (key, verdict), "{told}");
            assert!(told.contains(words), "{told}");
        }
    }
}

//! What a job needs to reach ECR with the docker CLI: the helper, its configuration, and a writable copy of it.
//!
//! The configuration is not mounted over `~/.docker/config.json`: the docker CLI replaces that file when it saves a login,
//! and a mount point cannot be replaced. It is mounted elsewhere, read-only, and copied at the start of the script.
//! Nothing is doubled that the user's section already has.

use toml::{Table, Value};

use super::files::{DOCKER_SEED, HELPER_PATH, SEED_PATH};
use super::spec::WorkerSpec;

/// Below 0.9 of the helper this does nothing; from there on `docker login` to ECR in a job succeeds and stores nothing.
const IGNORE_STORAGE: &str = "AWS_ECR_IGNORE_CREDS_STORAGE";

/// Whether the worker has the files that jobs mount for ECR. One that was made before ECR was switched on does not, and
/// Docker would make directories in their place.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum EcrFiles {
    /// User-data and bootstrap have put them there.
    Present,
    /// They are not mounted; what else there is of the wiring does nothing without them.
    Missing,
}

/// Adds the wiring to a `[[runners]]` section, if ECR is to work in its jobs.
pub(super) fn wire(spec: &WorkerSpec, runner: &mut Table, files: EcrFiles) {
    let in_jobs = spec.active_ecr().is_some_and(|ecr| ecr.in_jobs);
    if !in_jobs || runner.get("executor").and_then(Value::as_str) != Some("docker") {
        return;
    }
    environment(runner);
    pre_build_script(runner);
    if let Value::Table(docker) = runner.entry("docker").or_insert_with(|| Value::Table(Table::new())) {
        volumes(docker, files);
    }
}

/// Of a wrong type, `environment` stays as it is: gitlab-runner then says so better than we can.
fn environment(runner: &mut Table) {
    let entry = runner.entry("environment").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(environment) = entry else { return };
    let is_set = |value: &Value| value.as_str().and_then(|text| text.split('=').next()) == Some(IGNORE_STORAGE);
    if !environment.iter().any(is_set) {
        environment.push(Value::from(format!("{IGNORE_STORAGE}=true")));
    }
}

/// There is only one such key: ours comes first, so that the user's own script can already use it, or undo it.
fn pre_build_script(runner: &mut Table) {
    let entry = runner.entry("pre_build_script").or_insert_with(|| Value::from(""));
    let Value::String(script) = entry else { return };
    if !script.contains(SEED_PATH) {
        script.insert_str(0, DOCKER_SEED);
    }
}

fn volumes(docker: &mut Table, files: EcrFiles) {
    let is_on = |key: &str| docker.get(key).and_then(Value::as_bool).unwrap_or(false);
    let privileged = is_on("privileged") || is_on("services_privileged");
    let entry = docker.entry("volumes").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(volumes) = entry else { return };
    let mut add = |volume: String| {
        let same = |other: &Value| other.as_str().is_some_and(|other| destination(other) == destination(&volume));
        if !volumes.iter().any(same) {
            volumes.push(Value::from(volume));
        }
    };
    if files == EcrFiles::Present {
        add(format!("{HELPER_PATH}:{HELPER_PATH}:ro"));
        add(format!("{SEED_PATH}:{SEED_PATH}:ro"));
    }
    if privileged {
        // docker:dind shares its TLS client certificates with the job through this volume.
        add("/certs/client".to_owned());
    }
}

/// Where a volume appears in the container: `/dst`, `/src:/dst` or `/src:/dst:mode`.
fn destination(volume: &str) -> &str {
    let mut parts = volume.split(':');
    let first = parts.next().unwrap_or_default();
    parts.next().unwrap_or(first).trim_end_matches('/')
}

#[cfg(test)]
mod tests {
    use super::destination;

    #[test]
    fn a_volume_is_known_by_where_it_appears() {
        assert_eq!(destination("/cache"), "/cache");
        assert_eq!(destination("/host/cache:/cache/"), "/cache");
        assert_eq!(destination("/host:/cache:ro"), "/cache");
        assert_eq!(destination(""), "");
    }
}

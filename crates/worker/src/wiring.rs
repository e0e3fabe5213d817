//! What a job needs to reach ECR with the docker CLI: the helper, its configuration, and a writable copy of it.
//!
//! The configuration is not mounted over `~/.docker/config.json`: the docker CLI replaces that file when it saves a login,
//! and a mount point cannot be replaced. It is mounted elsewhere, read-only, and copied at the start of the script.
//! Nothing is doubled that the user's section already has.
//!
//! `docker login` of a job goes before the worker's role: the copy names a helper of ours, which keeps what a login brings.

use toml::{Table, Value};

use super::files::{DOCKER_SEED, HELPER_PATH, JOB_HELPER_PATH, SEED_PATH};
use super::spec::WorkerSpec;

/// For images whose own configuration names `ecr-login`: below 0.9 of the helper this does nothing; from there on `docker
/// login` to ECR succeeds and stores nothing.
const IGNORE_STORAGE: &str = "AWS_ECR_IGNORE_CREDS_STORAGE";

/// At hop limit 1 each look for the worker's role would wait until it is given up, 19 s in the helper's SDK.
const NO_METADATA: &str = "AWS_EC2_METADATA_DISABLED";

/// The shells of GitLab Runner that read the seed; `pwsh` does not. Absent is the first. Source: its `shells` package.
const POSIX_SHELLS: [&str; 3] = ["", "sh", "bash"];

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
    let Some(ecr) = spec.active_ecr().filter(|ecr| ecr.in_jobs) else { return };
    if runner.get("executor").and_then(Value::as_str) != Some("docker") {
        return;
    }
    environment(runner, IGNORE_STORAGE);
    if ecr.metadata_hop_limit == 1 && !shares_the_network(runner) {
        environment(runner, NO_METADATA);
    }
    let shell = runner.get("shell").and_then(Value::as_str).unwrap_or_default();
    if POSIX_SHELLS.contains(&shell) {
        pre_build_script(runner);
    }
    if let Value::Table(docker) = runner.entry("docker").or_insert_with(|| Value::Table(Table::new())) {
        volumes(docker, files);
    }
}

/// Whether jobs are in the worker's own network, where the metadata service is one hop away.
fn shares_the_network(runner: &Table) -> bool {
    let mode = runner.get("docker").and_then(Value::as_table).and_then(|docker| docker.get("network_mode"));
    mode.and_then(Value::as_str) == Some("host")
}

/// Switches this on, unless the section says something about it. Of a wrong type, `environment` stays as it is:
/// gitlab-runner then says so better than we can.
fn environment(runner: &mut Table, name: &str) {
    let entry = runner.entry("environment").or_insert_with(|| Value::Array(Vec::new()));
    let Value::Array(environment) = entry else { return };
    let is_set = |value: &Value| value.as_str().and_then(|text| text.split('=').next()) == Some(name);
    if !environment.iter().any(is_set) {
        environment.push(Value::from(format!("{name}=true")));
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
        for path in [HELPER_PATH, JOB_HELPER_PATH, SEED_PATH] {
            add(format!("{path}:{path}:ro"));
        }
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

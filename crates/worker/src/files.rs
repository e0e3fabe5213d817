//! The files that user-data writes onto a worker.

use super::docker_config::{daemon_json, docker_config, pretty};
use super::environment::worker_env;
use super::proxy::drop_in;
use super::spec::WorkerSpec;

/// A file on the worker.
pub(super) struct File {
    pub(super) path: &'static str,
    pub(super) mode: &'static str,
    pub(super) content: String,
}

macro_rules! script {
    ($first:literal $(, $part:literal)*) => {
        concat!("#!/bin/sh\n", include_str!($first) $(, "\n", include_str!($part))*)
    };
}

/// The agent, as installed under [`super::AGENT_PATH`]: one script, of parts with one subject each. The settings come
/// before all that reads them, the choice of a command comes last; the order between is the reading order.
pub(super) const AGENT: &str = script!(
    "files/agent/settings.sh",
    "files/agent/common.sh",
    "files/agent/ask.sh",
    "files/agent/observe.sh",
    "files/agent/fit.sh",
    "files/agent/report.sh",
    "files/agent/configure.sh",
    "files/agent/host_key.sh",
    "files/agent/fence.sh",
    "files/agent/stop.sh",
    "files/agent/runner.sh",
    "files/agent/alone.sh",
    "files/agent/spot.sh",
    "files/agent/main.sh"
);
/// The bootstrap.
pub(super) const BOOTSTRAP: &str = include_str!("files/bootstrap.sh");
/// The beginning of a job's script: gives the job its own copy of the Docker configuration. Never fails, overwrites nothing
/// that says something.
pub(super) const DOCKER_SEED: &str = include_str!("files/docker-seed.sh");
/// The credential helper of jobs.
const JOB_HELPER: &str = include_str!("files/docker-credential-runner-fleet-ecr.sh");

/// Where the Docker configuration for jobs lies, on the worker and in every job container.
pub(super) const SEED_PATH: &str = "/etc/runner-fleet/docker-config.json";
/// Where the ECR helper lies, on the worker and in every job container.
pub const HELPER_PATH: &str = "/usr/local/bin/docker-credential-ecr-login";
/// Where the credential helper lies that jobs ask, on the worker and in every job container: it keeps what `docker login`
/// brings, and otherwise asks the one above.
pub(super) const JOB_HELPER_PATH: &str = "/usr/local/bin/docker-credential-runner-fleet-ecr";

/// Where the content of the manager's `tls-ca-file` lies on a worker.
pub(super) const TLS_CA_PATH: &str = "/etc/gitlab-runner/certs/runner-fleet-ca.pem";

/// What has to pass a proxy: image pulls, our downloads, gitlab-runner with the ECR helper that it runs.
const PROXIED: [&str; 3] = [
    "/etc/systemd/system/docker.service.d/runner-fleet-proxy.conf",
    "/etc/systemd/system/runner-fleet-bootstrap.service.d/runner-fleet-proxy.conf",
    "/etc/systemd/system/runner-fleet-runner.service.d/runner-fleet-proxy.conf",
];

/// The units that start with the machine; the runner's own waits for its configuration.
pub(super) const ENABLED_UNITS: [&str; 3] =
    ["runner-fleet-bootstrap.service", "runner-fleet-deadman.timer", "runner-fleet-spot.service"];

/// All files, in the order in which they are written.
pub(super) fn files(spec: &WorkerSpec) -> Vec<File> {
    let mut files = vec![
        File::new(super::AGENT_PATH, "0755", code_of(AGENT)),
        File::new("/usr/local/lib/runner-fleet/bootstrap", "0755", code_of(BOOTSTRAP)),
        File::new("/etc/runner-fleet/worker.env", "0644", worker_env(spec)),
    ];
    if let Some(daemon) = daemon_json(spec) {
        files.push(File::new("/etc/runner-fleet/daemon.json", "0644", pretty(&daemon)));
    }
    if let Some(ecr) = spec.active_ecr() {
        files.push(File::new(SEED_PATH, "0644", docker_config(spec)));
        if ecr.in_jobs {
            files.push(File::new(JOB_HELPER_PATH, "0755", code_of(JOB_HELPER)));
        }
    }
    if let Some(certificates) = &spec.tls_ca {
        files.push(File::new(TLS_CA_PATH, "0644", certificates.as_str()));
    }
    if let Some(script) = &spec.setup_script {
        files.push(File::new("/usr/local/lib/runner-fleet/setup", "0700", script.as_str()));
    }
    files.extend(units(spec));
    if let Some(drop_in) = drop_in(&spec.proxy) {
        files.extend(PROXIED.map(|path| File::new(path, "0644", drop_in.as_str())));
    }
    files
}

/// A script without its blank lines and its comments (but those for shellcheck, which reads what is rendered): user-data is
/// small, and the reasons are kept where the source is.
fn code_of(script: &str) -> String {
    let is_comment = |line: &str| line.starts_with("# ") && !line.starts_with("# shellcheck") || line == "#";
    let is_code = |line: &&str| !is_comment(line.trim_start()) && !line.is_empty();
    script.lines().filter(is_code).flat_map(|line| [line, "\n"]).collect()
}

fn units(spec: &WorkerSpec) -> [File; 7] {
    // A quarter of the time-out, so that the dead man is late by no more than that; not more often than is useful.
    let deadman = (spec.orphan_timeout.as_secs() / 4).clamp(5, 60);
    let boot = spec.boot_timeout.as_secs().max(1);
    macro_rules! unit {
        ($name:literal) => {
            File::new(
                concat!("/etc/systemd/system/", $name),
                "0644",
                include_str!(concat!("files/", $name))
                    .replace("@boot_seconds@", &boot.to_string())
                    .replace("@deadman_seconds@", &deadman.to_string()),
            )
        };
    }
    [
        unit!("runner-fleet-bootstrap.service"),
        unit!("runner-fleet-boot-failed.service"),
        unit!("runner-fleet-runner.service"),
        unit!("runner-fleet-deadman.service"),
        unit!("runner-fleet-deadman.timer"),
        unit!("runner-fleet-spot.service"),
        File::new(
            "/etc/systemd/system/poweroff.target.d/runner-fleet.conf",
            "0644",
            include_str!("files/runner-fleet-poweroff.conf"),
        ),
    ]
}

impl File {
    fn new(path: &'static str, mode: &'static str, content: impl Into<String>) -> Self {
        Self { path, mode, content: content.into() }
    }
}

#[cfg(test)]
mod tests {
    use runner_fleet_engine::BootStep;

    #[test]
    fn every_step_of_the_bootstrap_is_known_to_the_metrics() {
        let steps = super::BOOTSTRAP.lines().filter_map(|line| line.trim().strip_prefix("step "));
        let said: Vec<String> = steps.map(|step| step.trim_matches('"').replace("$runner_version", "19.2.0")).collect();
        let unknown: Vec<_> = said.iter().filter(|step| BootStep::of(step) == BootStep::Other).collect();
        assert!(said.len() >= 10 && unknown.is_empty(), "{unknown:?} of {said:?}");
        assert_eq!(BootStep::of("cloud-init"), BootStep::CloudInit, "before the bootstrap, agent/report.sh");
    }
}

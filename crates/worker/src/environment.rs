//! `/etc/runner-fleet/worker.env`: the settings that the agent and the bootstrap read, as shell assignments.

use std::fmt::Write as _;

use super::shell;
use super::spec::{Checksum, Download, WorkerSpec};

/// Renders the file. Every text is one word of the shell, so that no value can become a command.
pub(super) fn worker_env(spec: &WorkerSpec) -> String {
    let mut env = String::from("# Read by the agent and the bootstrap. Other values: /etc/default/runner-fleet.\n");
    let _ = writeln!(env, "single={}", spec.is_single_use());
    let _ = writeln!(env, "orphan_seconds={}", spec.orphan_timeout.as_secs());
    let _ = writeln!(env, "ecr={}", spec.active_ecr().is_some());
    download(&mut env, "runner", &spec.runner_binary);
    if let Some(ecr) = spec.active_ecr() {
        download(&mut env, "helper", &ecr.helper);
        let _ = writeln!(env, "in_jobs={}", ecr.in_jobs);
        let _ = writeln!(env, "helper_needed={}", shell::word(&ecr.helper_needed));
        let _ = writeln!(env, "ecr_hosts={}", shell::word(&ecr.registries.join(" ")));
    }
    env
}

fn download(env: &mut String, name: &str, download: &Download) {
    let Download { version, url, checksum } = download;
    let mut set = |key: &str, value: &str| {
        let _ = writeln!(env, "{name}_{key}={}", shell::word(value));
    };
    set("version", version);
    set("url", url);
    match checksum {
        Checksum::Binary(sha256) => set("sha256", sha256),
        Checksum::Listed { url, sha256, entry } => {
            set("list_url", url);
            set("list_sha256", sha256);
            set("list_entry", entry);
        }
    }
}

//! What the agent is sent. For `agent configure` every config.toml that the worker may need, whole, so that the agent only
//! picks one and puts it in place; for `agent host-key` the worker's own host key.

use std::fmt::Write as _;

use secrecy::{ExposeSecret, SecretString};

use super::runner_config::{config_without_ecr, fenced_config, runner_config, worker_name};
use super::spec::{HostKey, WorkerSpec};
use runner_fleet_engine::{SystemId, WorkerId};

/// The version of this format; the agent refuses another.
const VERSION: u32 = 2;

/// The version of that of the host key.
const HOST_KEY_VERSION: u32 = 1;

/// The stdin of `agent configure`: a header of a line for each field, then the files one after another.
///
/// - the config.toml;
/// - the same for a worker that lacks the ECR files, empty where there is no difference;
/// - the fenced form, which lies ready on the worker, so that a fence needs neither the manager nor room on the disk.
///
/// The lengths, in bytes, let the worker refuse a bundle that a lost connection has cut.
pub fn bundle(spec: &WorkerSpec, token: &SecretString, worker: &WorkerId) -> SecretString {
    let config = runner_config(spec, token, worker);
    let without_ecr = config_without_ecr(spec, token, worker).unwrap_or_default();
    let (config, without_ecr, fenced) = (config.expose_secret(), without_ecr.expose_secret(), fenced_config(spec));

    let mut text = String::with_capacity(config.len() + without_ecr.len() + fenced.len() + 256);
    let _ = writeln!(text, "runner-fleet-bundle {VERSION}");
    let _ = writeln!(text, "system-id {}", SystemId::of(worker));
    let _ = writeln!(text, "worker-name {}", worker_name(spec, worker));
    let _ = writeln!(text, "config-bytes {}", config.len());
    let _ = writeln!(text, "without-ecr-bytes {}", without_ecr.len());
    let _ = writeln!(text, "fenced-bytes {}", fenced.len());
    for file in [config, without_ecr, fenced.as_str()] {
        text.push_str(file);
    }
    SecretString::from(text)
}

/// The stdin of `agent host-key`: a header of a line for each field, then the private half.
pub fn host_key_bundle(key: &HostKey, worker: &WorkerId) -> SecretString {
    let private = key.private.expose_secret();
    let mut text = String::with_capacity(private.len() + 256);
    let _ = writeln!(text, "runner-fleet-host-key {HOST_KEY_VERSION}");
    let _ = writeln!(text, "system-id {}", SystemId::of(worker));
    let _ = writeln!(text, "public {}", key.public);
    let _ = writeln!(text, "private-bytes {}", private.len());
    text.push_str(private);
    SecretString::from(text)
}

//! The worker's config.toml: the user's `[[runners]]` section as it is, and what a worker needs around it. In three forms:
//! the full one, one for a worker that lacks the ECR files, and that of a fenced worker.
//!
//! Source: GitLab Runner, advanced configuration; `common/config.go`.

use secrecy::{ExposeSecret, SecretString};
use toml::{Table, Value};

use super::files::TLS_CA_PATH;
use super::masked::{MASK, masked};
use super::spec::WorkerSpec;
use super::wiring::{self, EcrFiles};
use runner_fleet_engine::WorkerId;

/// How long an aborted job may take to clean up and tell GitLab its end, in seconds. The spot watcher aborts 40 s before
/// EC2 takes the machine.
const SHUTDOWN_TIMEOUT_SECONDS: i64 = 35;

/// Where the worker's runner serves its metrics, for the agent.
const LISTEN_ADDRESS: &str = "127.0.0.1:9252";

/// These would make every worker rotate the shared token, and the first to do so would lock out all others; the manager
/// alone may rotate.
const NEVER: [&str; 2] = ["token_expires_at", "token_obtained_at"];

/// What people read who look into the config.toml of a fenced worker.
const FENCED: &str =
    "# Fenced by runner-fleet: without a runner no further job is asked for. The whole: config.toml.serving";

/// The config.toml of this worker.
pub fn runner_config(spec: &WorkerSpec, token: &SecretString, worker: &WorkerId) -> SecretString {
    SecretString::from(document(spec, &spec.section, token.expose_secret(), worker, EcrFiles::Present))
}

/// The same for a worker from before ECR was switched on, without the mounts of what it does not have; absent where no
/// such thing is mounted.
pub fn config_without_ecr(spec: &WorkerSpec, token: &SecretString, worker: &WorkerId) -> Option<SecretString> {
    let [full, without] = [EcrFiles::Present, EcrFiles::Missing]
        .map(|files| document(spec, &spec.section, token.expose_secret(), worker, files));
    (without != full).then(|| SecretString::from(without))
}

/// The same with every secret masked, for people.
pub(super) fn masked_runner_config(spec: &WorkerSpec, worker: &WorkerId) -> String {
    document(spec, &masked(&spec.section), MASK, worker, EcrFiles::Present)
}

/// The config.toml of a fenced worker: without `[[runners]]` the runner asks for nothing and finishes what it has.
pub fn fenced_config(spec: &WorkerSpec) -> String {
    format!("{FENCED}\n{}", globals(spec))
}

/// The runner's name on this worker: the user's, and the instance id, so that every job log says where it ran. One line.
pub fn worker_name(spec: &WorkerSpec, worker: &WorkerId) -> String {
    format!("{} {worker}", spec.runner).replace(char::is_control, " ")
}

fn document(spec: &WorkerSpec, section: &Table, token: &str, worker: &WorkerId, ecr_files: EcrFiles) -> String {
    let mut runner = Table::new();
    runner.insert("name".into(), Value::from(worker_name(spec, worker)));
    runner.insert("url".into(), section.get("url").cloned().unwrap_or_else(|| Value::from(spec.url.as_str())));
    runner.insert("token".into(), Value::from(token));
    runner.insert("limit".into(), Value::from(i64::from(spec.capacity.max(1))));
    let requests = section.get("request_concurrency").cloned().unwrap_or_else(|| Value::from(1));
    runner.insert("request_concurrency".into(), requests);
    if spec.tls_ca.is_some() {
        runner.insert("tls-ca-file".into(), Value::from(TLS_CA_PATH));
    }
    for (key, value) in section {
        if !runner.contains_key(key) && !NEVER.contains(&key.as_str()) {
            runner.insert(key.clone(), value.clone());
        }
    }
    wiring::wire(spec, &mut runner, ecr_files);

    let runners = Table::from_iter([("runners".to_owned(), Value::Array(vec![Value::Table(runner)]))]);
    format!("{}\n{runners}", globals(spec))
}

/// Ours, and what the user has at the top of the file for GitLab Runner; where both say something, the user's holds.
fn globals(spec: &WorkerSpec) -> String {
    let mut globals = Table::from_iter([
        ("concurrent".to_owned(), Value::from(i64::from(spec.capacity.max(1)))),
        ("check_interval".to_owned(), Value::from(i64::from(spec.check_interval))),
        ("shutdown_timeout".to_owned(), Value::from(SHUTDOWN_TIMEOUT_SECONDS)),
        ("listen_address".to_owned(), Value::from(LISTEN_ADDRESS)),
        ("log_format".to_owned(), Value::from("text")),
    ]);
    globals.extend(spec.globals.clone());
    globals.to_string()
}

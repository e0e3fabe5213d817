//! What Docker reads on a worker: the login configuration for ECR, and what is added to `daemon.json`.

use serde_json::{Map, Value, json};

use super::spec::WorkerSpec;

/// `/etc/runner-fleet/docker-config.json`: merged into root's own on the worker, and the seed for jobs.
///
/// `credHelpers` for exactly the configured hosts; never `credsStore`, with which `docker login` to any other registry
/// fails. Holds no secret and never expires: the helper asks ECR at each use.
pub fn docker_config(spec: &WorkerSpec) -> String {
    let hosts = spec.active_ecr().map(|ecr| ecr.registries.as_slice()).unwrap_or_default();
    docker_config_for(hosts.iter().map(String::as_str))
}

/// The same for these hosts: for who runs the manager itself from a private image.
pub fn docker_config_for<'h>(hosts: impl Iterator<Item = &'h str>) -> String {
    let helpers: Map<String, Value> = hosts.map(|host| (host.to_owned(), json!("ecr-login"))).collect();
    pretty(&json!({ "credHelpers": helpers }))
}

/// What is merged into `/etc/docker/daemon.json`; absent if there is nothing to merge.
pub(super) fn daemon_json(spec: &WorkerSpec) -> Option<Value> {
    let mut daemon = Map::new();
    if !spec.registry_mirrors.is_empty() {
        daemon.insert("registry-mirrors".into(), json!(spec.registry_mirrors));
    }
    daemon.extend(spec.docker_daemon.iter().map(|(key, value)| (key.clone(), to_json(value))));
    (!daemon.is_empty()).then_some(Value::Object(daemon))
}

fn to_json(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => json!(text),
        toml::Value::Integer(number) => json!(number),
        toml::Value::Float(number) => json!(number),
        toml::Value::Boolean(flag) => json!(flag),
        toml::Value::Datetime(time) => json!(time.to_string()),
        toml::Value::Array(values) => values.iter().map(to_json).collect(),
        toml::Value::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.clone(), to_json(value))).collect())
        }
    }
}

/// JSON for people: indented, with a newline at its end. A JSON value always has a text; the empty object is never used.
pub(super) fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

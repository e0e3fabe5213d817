//! Where a section says something about Docker's logins.

use serde_json::Value;

use super::super::ecr_host::EcrHost;
use super::super::node::{At, Item, Node, Table};

/// The variable in which GitLab Runner and newer docker CLIs look for logins first.
pub(super) const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";
/// The helper, as Docker's configuration names it.
pub(super) const ECR_LOGIN: &str = "ecr-login";
/// Its file.
pub(super) const HELPER: &str = "docker-credential-ecr-login";

/// `NAME=value` of `environment`.
pub(super) struct Variable<'t> {
    pub(super) at: &'t At,
    pub(super) name: &'t str,
    pub(super) value: &'t str,
}

/// The section's variables.
pub(super) fn environment(section: &Table) -> Vec<Variable<'_>> {
    let nodes = section.get("environment").and_then(Node::as_array).unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| {
            let (name, value) = node.as_str()?.split_once('=')?;
            Some(Variable { at: &node.at, name, value })
        })
        .collect()
}

/// What a `DOCKER_AUTH_CONFIG` says about ECR.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Auths {
    /// Registries that it has a token for.
    pub(super) tokens: Vec<String>,
    /// Registries that it names a helper for.
    pub(super) helped: Vec<String>,
    /// Whether it names `ecr-login`, for some registry or all.
    pub(super) names_helper: bool,
}

impl Auths {
    /// `None` where it is no JSON, as with a variable in it, or says nothing about ECR.
    pub(super) fn read(value: &str) -> Option<Self> {
        let json: Value = serde_json::from_str(value).ok()?;
        let keys = |key: &str| json.get(key).and_then(Value::as_object).into_iter().flatten();
        let host = |(key, _): (&String, &Value)| EcrHost::in_text(key).map(|host| host.as_str().to_owned());
        let is_login = |value: &Value| value.as_str() == Some(ECR_LOGIN);
        let store = json.get("credsStore").is_some_and(is_login);
        let auths = Self {
            tokens: keys("auths").filter_map(host).collect(),
            helped: keys("credHelpers").filter_map(host).collect(),
            names_helper: store
                || keys("credHelpers").any(|(key, value)| is_login(value) || EcrHost::in_text(key).is_some()),
        };
        (auths != Self::default()).then_some(auths)
    }

    /// All registries, each once.
    pub(super) fn hosts(&self) -> Vec<String> {
        let mut hosts = self.helped.clone();
        hosts.extend(self.tokens.iter().filter(|host| !self.helped.contains(host)).cloned());
        hosts
    }

    /// The same text without what it says about ECR; `None` where nothing else is in it.
    pub(super) fn rest(value: &str) -> Option<String> {
        let mut json: Value = serde_json::from_str(value).ok()?;
        let object = json.as_object_mut()?;
        for key in ["auths", "credHelpers"] {
            let Some(entries) = object.get_mut(key).and_then(Value::as_object_mut) else { continue };
            entries.retain(|name, value| value.as_str() != Some(ECR_LOGIN) && EcrHost::in_text(name).is_none());
            if entries.is_empty() {
                object.remove(key);
            }
        }
        if object.get("credsStore").and_then(Value::as_str) == Some(ECR_LOGIN) {
            object.remove("credsStore");
        }
        (!object.is_empty()).then(|| json.to_string())
    }
}

/// A volume that covers the Docker configuration of jobs.
pub(super) struct Mount<'t> {
    pub(super) at: &'t At,
    /// `config.json` itself rather than its directory.
    pub(super) is_file: bool,
    pub(super) is_read_only: bool,
}

/// The volumes that do, whatever the home is, and wherever `DOCKER_CONFIG` of the section points.
pub(super) fn mounts_over_the_configuration(section: &Table) -> Vec<Mount<'_>> {
    let variables = environment(section);
    let own = variables.iter().find(|variable| variable.name == "DOCKER_CONFIG").map(|variable| variable.value);
    let mount = |node: &'_ Node| {
        let text = node.as_str()?;
        let is_file = covers(destination(text), own)?;
        let is_read_only = text.split(':').nth(2).is_some_and(|mode| mode.split(',').any(|word| word == "ro"));
        Some((is_file, is_read_only))
    };
    volumes(section)
        .iter()
        .filter_map(|node| mount(node).map(|(is_file, is_read_only)| Mount { at: &node.at, is_file, is_read_only }))
        .collect()
}

/// `Some(true)`: a `config.json`; `Some(false)`: the directory that holds one.
pub(super) fn covers(path: &str, docker_config: Option<&str>) -> Option<bool> {
    let (directory, is_file) = path.strip_suffix("/config.json").map_or((path, false), |directory| (directory, true));
    let own = docker_config.map(|path| path.trim_end_matches('/'));
    (directory.ends_with("/.docker") || own == Some(directory)).then_some(is_file)
}

/// `volumes` of `[runners.docker]`.
pub(super) fn volumes(section: &Table) -> &[Node] {
    let docker = section.get("docker").and_then(Node::as_table);
    docker.and_then(|docker| docker.get("volumes")).and_then(Node::as_array).unwrap_or_default()
}

/// Where a volume appears in the container: `/dst`, `/src:/dst` or `/src:/dst:mode`.
pub(super) fn destination(volume: &str) -> &str {
    let mut parts = volume.split(':');
    let first = parts.next().unwrap_or_default();
    parts.next().unwrap_or(first).trim_end_matches('/')
}

/// The private registries in ECR that the section's own images lie in, each with the image's place.
pub(super) fn images(section: &Table) -> Vec<(&At, String)> {
    let Some(docker) = section.get("docker").and_then(Node::as_table) else { return Vec::new() };
    let services = docker.get("services").and_then(Node::as_array).unwrap_or_default();
    let names = services.iter().filter_map(|node| match node.as_table() {
        Some(service) => service.get("name"),
        None => Some(node),
    });
    ["image", "helper_image"]
        .iter()
        .filter_map(|key| docker.get(key))
        .chain(names)
        .filter_map(|node| {
            let host = EcrHost::in_text(node.as_str()?.split('/').next()?)?;
            host.account_and_region()?;
            Some((&node.at, host.as_str().to_owned()))
        })
        .collect()
}

/// Whether jobs are in the worker's own network, where the metadata service is one hop away.
pub(super) fn shares_the_network(section: &Table) -> bool {
    let docker = section.get("docker").and_then(Node::as_table);
    let mode = docker.and_then(|docker| docker.get("network_mode"));
    mode.is_some_and(|node| matches!(&node.item, Item::String(mode) if mode == "host"))
}

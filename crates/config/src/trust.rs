//! What a section gives away, and must not do so silently.

use super::ecr_host::EcrHost;
use super::node::{At, Item, Node, Table};
use super::problems::Report;
use super::values;

/// Where a job that reaches the worker's Docker is root of the worker.
const DOCKER_SOCKETS: [&str; 2] = ["/var/run/docker.sock", "/run/docker.sock"];

/// What being root of a worker means.
const JOBS_OWN_THE_WORKER: &str = "makes jobs root of their worker: they own it and the runner's token, so that whoever \
                                   writes a job can take the runner's other jobs; give each circle of trust a runner \
                                   of its own (docs/security.md)";

/// What to warn of in this section: a token that travels in clear; once, jobs that own their worker.
pub(crate) fn warnings(section: &Table) -> Vec<(&At, &'static str)> {
    let url = section.get("url").filter(|url| url.as_str().is_some_and(is_in_clear));
    let opening = section.get("docker").and_then(Node::as_table).and_then(opening);
    let url = url.map(|url| (&url.at, "the runner's token and its jobs' secrets travel in clear; write https"));
    url.into_iter().chain(opening.map(|opening| (&opening.at, JOBS_OWN_THE_WORKER))).collect()
}

/// Whether what is said to this server can be heard on the way.
pub(crate) fn is_in_clear(url: &str) -> bool {
    let Ok(url) = url::Url::parse(url.trim()) else { return false };
    let stays_here = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost",
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        None => true,
    };
    url.scheme() == "http" && !stays_here
}

/// By what jobs are root of their worker, if they are.
fn opening(docker: &Table) -> Option<&Node> {
    let privileged = docker.get("privileged").filter(|node| matches!(node.item, Item::Boolean(true)));
    privileged.or_else(|| {
        let volumes = docker.get("volumes").and_then(Node::as_array)?;
        volumes.iter().find(|volume| {
            let host = volume.as_str().and_then(|volume| volume.split(':').next());
            host.is_some_and(|host| DOCKER_SOCKETS.contains(&host))
        })
    })
}

/// A mirror's address. A login in it would come into user-data, which every job can read.
pub(crate) fn mirror(node: &Node) -> Result<String, String> {
    let address = values::web_address(node)?;
    if let Some(registry) = EcrHost::in_text(&address) {
        return Err(no_mirror(&registry));
    }
    if has_login(&address) {
        return Err("a mirror's address with a login would stand in user-data, where every job can read it; use a mirror that asks for none".into());
    }
    Ok(address)
}

/// Docker sends no credentials to a mirror, and asks it for paths that no registry in ECR has.
/// Source: <https://github.com/moby/moby/issues/30880>.
pub(crate) fn no_mirror(registry: &EcrHost) -> String {
    let host = registry.as_str();
    let name = if registry.account_and_region().is_some() {
        format!("\"{host}/docker-hub/library/alpine\", by a pull-through cache")
    } else {
        format!("\"{host}/docker/library/alpine\"")
    };
    format!(
        "{host} cannot be a mirror: Docker sends no login to mirrors; write the registry into the image's name: {name}"
    )
}

/// The same for those of `docker_daemon`.
pub(crate) fn check_daemon_mirrors(mirrors: &Node, report: &mut Report) {
    for node in mirrors.as_array().unwrap_or_default() {
        if node.as_str().is_some_and(|address| has_login(address) || EcrHost::in_text(address).is_some())
            && let Err(why) = mirror(node)
        {
            report.problem(&node.at, why);
        }
    }
}

pub(crate) fn has_login(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| !url.username().is_empty() || url.password().is_some())
}

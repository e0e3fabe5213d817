//! The login to ECR that a section has already, in the ways in which people set it up by hand: a `DOCKER_AUTH_CONFIG`, mounts
//! over the job's Docker configuration, scripts, variables of AWS, images of private registries. What stands beside
//! `[runners.fleet.ecr]` may undo it, and what stands without the table works only where somebody brings the rest.
//!
//! [`warnings`] has a word about each; [`take_over`] makes the table of what a translated section has. Both look at the
//! section as it stands, so that a translation is seen as the file that `migrate` writes.
//!
//! Sources: docker/cli, `cli/config/configfile`; gitlab-runner, `docs/configuration/advanced-configuration.md`;
//! awslabs/amazon-ecr-credential-helper, README.

mod found;
mod scripts;
mod taken_over;
mod variables;

use super::node::{At, Item, Node, Table};
use found::{Auths, Variable};

pub(crate) use scripts::setup_script;
pub(crate) use taken_over::take_over;

/// What the table says, read leniently: what is wrong with it is reported where it is read for good.
struct Ours {
    hosts: Vec<String>,
    in_jobs: bool,
    /// No job is to reach the metadata service: none can be taken away from the worker's role.
    hop_limit_one: bool,
}

impl Ours {
    /// Absent without the table, or when it is switched off.
    fn of(section: &Table) -> Option<Self> {
        let fleet = section.get("fleet").and_then(Node::as_table)?;
        let ecr = fleet.get("ecr").and_then(Node::as_table)?;
        let is_off = |key: &str| ecr.get(key).is_some_and(|node| matches!(node.item, Item::Boolean(false)));
        if is_off("enabled") {
            return None;
        }
        let hosts = ecr.get("registries").and_then(Node::as_array).unwrap_or_default();
        let hosts = hosts.iter().filter_map(Node::as_str).map(str::to_ascii_lowercase).collect();
        let one = fleet.get("metadata_hop_limit").is_some_and(|node| matches!(node.item, Item::Integer(1)));
        Some(Self { hosts, in_jobs: !is_off("in_jobs"), hop_limit_one: one && !found::shares_the_network(section) })
    }

    fn has(&self, host: &str) -> bool {
        self.hosts.iter().any(|listed| listed == host)
    }
}

/// What to say about the login to ECR in this section.
pub(crate) fn warnings(section: &Table) -> Vec<(&At, String)> {
    let ours = Ours::of(section);
    let mut warnings = Vec::new();
    let environment = found::environment(section);
    for variable in environment.iter().filter(|variable| variable.name == found::AUTH_CONFIG) {
        let told = Auths::read(variable.value).map(|auths| auth_config(&auths, ours.as_ref())).unwrap_or_default();
        warnings.extend(told.into_iter().map(|text| (variable.at, text)));
    }
    // One word about it is enough where nothing of it can work.
    if ours.is_some() || warnings.is_empty() {
        for mount in found::mounts_over_the_configuration(section) {
            warnings.push((mount.at, mounted(&mount, ours.as_ref())));
        }
    }
    for (at, host) in found::images(section) {
        if !ours.as_ref().is_some_and(|ours| ours.has(&host)) {
            warnings.push((at, unlisted_image(&host, ours.is_some())));
        }
    }
    if let Some(ours) = ours.filter(|ours| ours.in_jobs) {
        in_jobs(section, &ours, &environment, &mut warnings);
    }
    warnings
}

/// What is said of `DOCKER_AUTH_CONFIG`.
fn auth_config(auths: &Auths, ours: Option<&Ours>) -> Vec<String> {
    let mut told = Vec::new();
    if let Some(host) = auths.tokens.first() {
        let instead = match ours {
            Some(_) => String::new(),
            None => format!(", and write {}", table_of(&auths.tokens)),
        };
        told.push(format!(
            "a token for {host}: it counts before the worker's role, in jobs and for their images, and ECR's end after 12 \
             hours; remove it{instead}"
        ));
    }
    if !auths.names_helper {
        return told;
    }
    let unlisted: Vec<&String> = auths.helped.iter().filter(|host| ours.is_some_and(|ours| !ours.has(host))).collect();
    told.push(match ours {
        None if auths.helped.is_empty() => {
            "`ecr-login` is named here, and nothing brings it to the workers; write [runners.fleet.ecr] with the registries \
             instead"
                .to_owned()
        }
        None => format!(
            "`ecr-login` is named here, and nothing brings it to the workers; write {} instead",
            table_of(&auths.helped)
        ),
        Some(_) if unlisted.is_empty() => {
            "`ecr-login` is not needed here beside [runners.fleet.ecr], and newer docker CLIs complain of it at each \
             command; remove it"
                .to_owned()
        }
        Some(_) => format!(
            "`ecr-login` is not needed here beside [runners.fleet.ecr]: add {} to its registries, and remove it",
            unlisted.iter().map(|host| format!("{host:?}")).collect::<Vec<_>>().join(", ")
        ),
    });
    told
}

/// The table, as one would write it.
fn table_of(hosts: &[String]) -> String {
    format!("[runners.fleet.ecr] with registries = {hosts:?}")
}

fn mounted(mount: &found::Mount<'_>, ours: Option<&Ours>) -> String {
    let what = if ours.is_some_and(|ours| ours.in_jobs) {
        "hides the login that jobs get by [runners.fleet.ecr]; "
    } else {
        "is the jobs' Docker configuration; "
    };
    let why = match mount {
        found::Mount { is_file: true, .. } => "every `docker login` in a job ends with \"device or resource busy\"",
        found::Mount { is_read_only: true, .. } => "no `docker login` in a job can be saved",
        found::Mount { .. } => "what a job logs in to stays there for the next one",
    };
    let instead = if ours.is_some() { "remove it" } else { "for ECR write [runners.fleet.ecr] instead" };
    format!("{what}{why}; {instead}")
}

fn unlisted_image(host: &str, has_table: bool) -> String {
    let write = if has_table {
        format!("add {host:?} to registries of [runners.fleet.ecr]")
    } else {
        format!("write {}", table_of(&[host.to_owned()]))
    };
    format!("the image lies in a private registry, and nobody logs in to {host}; {write}")
}

/// What keeps the table from working in jobs.
fn in_jobs<'t>(section: &'t Table, ours: &Ours, environment: &[Variable<'t>], warnings: &mut Vec<(&'t At, String)>) {
    if let Some(shell) = section.get("shell")
        && !matches!(shell.as_str(), Some("" | "sh" | "bash"))
    {
        let text = format!(
            "jobs have no login to ECR with {}: what gives them one is a script for sh; images and services are pulled all \
             the same (in_jobs = false says so)",
            shell.shown()
        );
        warnings.push((&shell.at, text));
    }
    for key in ["pre_get_sources_script", "post_get_sources_script", "pre_build_script"] {
        let Some(node) = section.get(key) else { continue };
        if let Some(told) = node.as_str().and_then(scripts::in_each_job) {
            warnings.push((&node.at, told.to_owned()));
        }
    }
    if ours.hop_limit_one {
        let fleet = section.get("fleet").and_then(Node::as_table);
        if let Some(limit) = fleet.and_then(|fleet| fleet.get("metadata_hop_limit")) {
            let text =
                "at 1 no job reaches the worker's role: logins to ECR in jobs need one of their own (id_tokens, \
                        docs/ecr.md); write 2 for the worker's, or in_jobs = false"
                    .to_owned();
            warnings.push((&limit.at, text));
        }
    } else {
        warnings.extend(variables::warnings(environment));
    }
    for variable in environment.iter().filter(|variable| variable.name == "AWS_ECR_IGNORE_CREDS_STORAGE") {
        if variable.value != "true" {
            warnings.push((variable.at, "counts only as the word `true`; write it so, or leave it out".to_owned()));
        }
    }
}

//! `[runners.fleet.ecr]`: logging in to Amazon's registries without stored passwords.

use super::ecr_host::{self, EcrHost, HelperVersion};
use super::ecr_host::{partition_of, place_of};
use super::key::{Key, Kind};
use super::node::{At, Node, Table};
use super::problems::Report;
use super::reader::Reader;
use super::tool::{self, ToolKeys};
use super::{Tool, pins, values};
use runner_fleet_engine::Arch;

/// The keys of the table.
pub(crate) const KEYS: &[Key] = &[
    Key::required("registries", Kind::SomeOf(&Kind::Like("^[a-z0-9.-]+$"))),
    Key::optional("enabled", Kind::Boolean),
    Key::optional("in_jobs", Kind::Boolean),
    Key::optional("helper_version", tool::VERSION),
    Key::optional("helper_url", values::WEB_ADDRESS),
    Key::optional("helper_sha256", tool::SHA256),
];

const HELPER: ToolKeys = ToolKeys { version: "helper_version", url: "helper_url", sha256: "helper_sha256" };

/// The table, also when it is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecr {
    /// The exact hosts that the credential helper answers for; at least one, none twice.
    pub registries: Vec<EcrHost>,
    /// Default true.
    pub enabled: bool,
    /// Helper and Docker configuration are wired into job containers too. Default true.
    pub in_jobs: bool,
    /// `docker-credential-ecr-login`, for images that have none.
    pub helper: Tool,
}

impl Ecr {
    /// Whether the login needs a role: it is switched on, and some registry is private.
    pub fn needs_role(&self) -> bool {
        self.enabled && self.registries.iter().any(|host| host.account_and_region().is_some())
    }

    /// What is asked of the helper: the releases that it must not be older than, the newest first, each with the reason.
    ///
    /// Also for the helper that an image brings along, which is only seen on a worker.
    pub fn needs(&self) -> Vec<(HelperVersion, String)> {
        let hosts = self.registries.iter().map(|host| (host.needs_helper(), format!("support of {}", host.as_str())));
        let ignores = "that `docker login` to ECR does no harm in jobs (`in_jobs`)".to_owned();
        let jobs = self.in_jobs.then_some((HelperVersion::IGNORES_LOGIN, ignores));
        let mut needs: Vec<_> = hosts.chain(jobs).collect();
        needs.sort_by(|(a, _), (b, _)| b.cmp(a));
        needs
    }
}

/// Reads the table.
pub(crate) fn read(table: &Table, arch: Option<Arch>, region: Option<&str>, report: &mut Report) -> Option<Ecr> {
    let reader = Reader::new(table, KEYS);
    let example = "registries = [\"123456789012.dkr.ecr.eu-central-1.amazonaws.com\"]";
    let registries = reader.required_list("registries", example, report, ecr_host::read);
    let enabled = reader.or("enabled", true, report, values::boolean);
    let in_jobs = reader.or("in_jobs", true, report, values::boolean);
    let helper = tool::read(&reader, HELPER, &pins::ECR_HELPER, arch, report);
    let at = reader.at(HELPER.version);
    let nodes = reader.node("registries").and_then(Node::as_array).unwrap_or_default();
    reader.finish(report);
    let mut registries = registries?;
    check_partitions(nodes, &registries, region, report);
    let mut seen = std::collections::BTreeSet::new();
    registries.retain(|host| seen.insert(host.clone()));
    let ecr = Ecr { registries, enabled: enabled?, in_jobs: in_jobs?, helper: helper? };
    let before = report.problem_count();
    check_version(&ecr, &at, report);
    (report.problem_count() == before).then_some(ecr)
}

/// A role logs in to registries of its own part of AWS, and to ECR Public from the commercial one alone.
fn check_partitions(nodes: &[Node], registries: &[EcrHost], region: Option<&str>, report: &mut Report) {
    let Some(home) = region.map(partition_of).or_else(|| registries.iter().find_map(EcrHost::partition)) else {
        return;
    };
    for (node, host) in nodes.iter().zip(registries) {
        match host.partition() {
            Some(partition) if partition != home => report.problem(
                &node.at,
                format!(
                    "{} is in {}, and the role of workers in {} cannot log in to it; give it a runner of its own there, or \
                     copy the images",
                    host.as_str(),
                    place_of(partition),
                    place_of(home)
                ),
            ),
            Some(_) => {}
            None if home != "aws" => report.warn(
                &node.at,
                format!(
                    "no role in {} can log in to {}: its images are pulled without a login, after a try at each boot; leave it \
                     out",
                    place_of(home),
                    host.as_str()
                ),
            ),
            None => {}
        }
    }
}

/// An old helper is silent about a host that it does not know: the pull is simply anonymous. So it is told here.
fn check_version(ecr: &Ecr, at: &At, report: &mut Report) {
    let Some(version) = HelperVersion::parse(&ecr.helper.version) else { return };
    let mut wanting = ecr.needs().into_iter().filter(|(needed, _)| version < *needed);
    if let Some((needed, why)) = wanting.next() {
        report.problem(
            at,
            format!("release {version} of the helper is too old: {why} came with {needed}; write {needed} or newer"),
        );
    }
}

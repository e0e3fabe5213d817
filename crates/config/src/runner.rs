//! One `[[runners]]` section: GitLab Runner's keys that we need, our table, and the rest for the workers.

use std::path::Path;

use super::fleet::{self, Context};
use super::key::{Key, Kind};
use super::node::{Node, Table};
use super::problems::Report;
use super::s3_cache::{self, WrittenFor};
use super::secret::TokenOf;
use super::sizes::Around;
use super::{Runner, address, doubts, ecr_wiring, names, trust, values};
use runner_fleet_engine::RunnerName;

/// What does not go to a worker: our table, the tables that ours replaces, and the token, which is put in later.
const NOT_PASSED_ON: [&str; 4] = ["token", "fleet", "machine", "autoscaler"];

/// GitLab Runner's keys that are read here, and our table. All others are handed on.
pub(crate) const KEYS: &[Key] = &[
    Key::required("name", names::NAME),
    Key::required("url", values::WEB_ADDRESS),
    Key::required("token", Kind::Text),
    Key::required("executor", Kind::Word(&[&[DOCKER], &TRANSLATED])),
    Key::optional("limit", values::COUNT),
    Key::optional("tls-ca-file", Kind::AnyText),
    // Required with `executor = "docker"`; a translation may do without.
    Key::optional("fleet", Kind::Table(fleet::KEYS)),
];

/// The executor that needs no translation.
pub(crate) const DOCKER: &str = "docker";
const TRANSLATED: [&str; 2] = ["docker+machine", "docker-autoscaler"];

/// What a section is read with.
pub(crate) struct Outside<'a> {
    /// `None` when it could not be read.
    pub(crate) concurrent: Option<u32>,
    /// Where relative paths start.
    pub(crate) directory: &'a Path,
}

/// Reads one section, which is in our form or cannot be; `excused` are required keys of our table whose absence has been
/// told already.
pub(crate) fn read(
    section: &Table,
    excused: &[&'static str],
    written_for: WrittenFor,
    outside: &Outside<'_>,
    report: &mut Report,
) -> Option<Runner> {
    let is_known = executor(section, report);
    let name = required(section, "name", "name = \"…\"", report, |node| names::name(node, names::RUNNER_CHARS_MAX));
    let server = required(section, "url", "url = \"https://gitlab.example.com\"", report, address::server);
    let token = required(section, "token", "token = \"ssm:/…\", \"env:NAME\", \"file:/…\"", report, |node| {
        values::token(node, TokenOf::Runner)
    });
    // For GitLab Runner no text is no file.
    let tls_ca_file = match section.get("tls-ca-file").filter(|node| node.as_str() != Some("")) {
        Some(node) => parsed(node, report, |node| values::text(node).map(|path| Some(outside.directory.join(path)))),
        None => Some(None),
    };
    let limit = match section.get("limit") {
        Some(node) => parsed(node, report, values::count),
        None => Some(0),
    };
    trust::warnings(section).into_iter().for_each(|(at, warning)| report.warn(at, warning));
    s3_cache::warning(section, written_for).into_iter().for_each(|(at, warning)| report.warn(at, warning));
    ecr_wiring::warnings(section).into_iter().for_each(|(at, warning)| report.warn(at, warning));
    let around = Around { concurrent: outside.concurrent, limit, sees_queue: false };
    let context = Context { around, directory: outside.directory, excused };
    let fleet = match section.get("fleet").map(|node| (node, node.as_table())) {
        Some((_, Some(table))) => fleet::read(table, &context, report),
        Some((node, None)) => {
            report.problem(&node.at, "not a table; write [runners.fleet]");
            None
        }
        // One word about a section of another executor is enough.
        None if !is_known => None,
        None => {
            report.problem(
                &section.at.key("fleet"),
                "missing; write [runners.fleet] with ami, instance_types, subnets and security_groups; or, if its jobs run on \
                 the manager's own Docker, leave this section with gitlab-runner",
            );
            None
        }
    };
    if let Some(fleet) = &fleet {
        doubts::in_docker(section, fleet.arch, report);
    }
    Some(Runner {
        name: RunnerName::new(name?),
        server: server?,
        token: token?,
        tls_ca_file: tls_ca_file?,
        limit: limit?,
        section: section.to_toml_without(&NOT_PASSED_ON),
        fleet: fleet?,
    })
}

/// Looks at `executor`, of which only ours is left by now; whether the section is one that our table belongs into.
fn executor(section: &Table, report: &mut Report) -> bool {
    let Some(node) = section.get("executor") else {
        report.problem(&section.at.key("executor"), "missing; write executor = \"docker\"");
        return true;
    };
    match node.as_str() {
        Some(DOCKER) => {
            for key in ["machine", "autoscaler"] {
                if let Some(unused) = section.get(key) {
                    report.warn(&unused.at, "has no effect with executor = \"docker\"");
                }
            }
            true
        }
        Some("instance") => {
            report
                .problem(&node.at, "\"instance\" runs jobs on the worker itself, without containers; write \"docker\"");
            true
        }
        _ => {
            let known = "leave this section with gitlab-runner, or write \"docker\" (\"docker+machine\" and \
                         \"docker-autoscaler\" are translated)";
            report
                .problem(&node.at, format!("{} is not an executor that runner-fleet can scale; {known}", node.shown()));
            false
        }
    }
}

fn required<T>(
    section: &Table,
    key: &str,
    write: &str,
    report: &mut Report,
    parse: impl FnOnce(&Node) -> Result<T, String>,
) -> Option<T> {
    match section.get(key) {
        Some(node) => parsed(node, report, parse),
        None => {
            report.problem(&section.at.key(key), format!("missing; write {write}"));
            None
        }
    }
}

fn parsed<T>(node: &Node, report: &mut Report, parse: impl FnOnce(&Node) -> Result<T, String>) -> Option<T> {
    parse(node).map_err(|message| report.problem(&node.at, message)).ok()
}

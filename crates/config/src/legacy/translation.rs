//! What a translation gives: a section in our form, and a word about everything that could not be kept as it was.

use std::collections::BTreeMap;

use super::super::ecr_wiring;
use super::super::node::{At, Item, Node, Table};
use super::super::problems::Report;

/// What a translated section may depend on outside of the file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Environment of the manager service: docker-machine took defaults of options from it.
    pub environment: BTreeMap<String, String>,
    /// The manager's own time zone (IANA), for schedules that say "local".
    pub zone: Option<String>,
}

/// The variables that docker-machine reads options from.
/// Source: docker/machine, `drivers/amazonec2/amazonec2.go` and `commands/create.go`.
const VARIABLES: [&str; 27] = [
    "AWS_ACCESS_KEY_ID",
    "AWS_SECRET_ACCESS_KEY",
    "AWS_SESSION_TOKEN",
    "AWS_DEFAULT_REGION",
    "AWS_AMI",
    "AWS_VPC_ID",
    "AWS_ZONE",
    "AWS_SUBNET_ID",
    "AWS_SECURITY_GROUP",
    "AWS_SECURITY_GROUP_READONLY",
    "AWS_INSTANCE_TYPE",
    "AWS_ROOT_SIZE",
    "AWS_VOLUME_TYPE",
    "AWS_VOLUME_KMS_KEY",
    "AWS_DEVICE_NAME",
    "AWS_INSTANCE_PROFILE",
    "AWS_TAGS",
    "AWS_USERDATA",
    "AWS_SSH_USER",
    "AWS_SSH_KEYPATH",
    "AWS_KEYPAIR_NAME",
    "AWS_ENDPOINT",
    "AWS_INSECURE_TRANSPORT",
    "AWS_SSH_PORT",
    "ENGINE_REGISTRY_MIRROR",
    "MACHINE_DOCKER_INSTALL_URL",
    "MACHINE_SWARM_IMAGE",
];

impl Surroundings {
    /// This process's environment (only the variables that docker-machine knows) and time zone.
    #[expect(clippy::disallowed_methods, reason = "defaults of docker-machine's options stand in the environment")]
    pub fn of_this_process() -> Self {
        let environment =
            VARIABLES.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?))).collect();
        let zone = jiff::tz::TimeZone::try_system().ok().and_then(|zone| zone.iana_name().map(str::to_owned));
        Self { environment, zone }
    }
}

/// A word about an option.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) at: At,
    pub(crate) text: String,
}

/// A section in our form.
#[derive(Debug)]
pub(crate) struct Translation {
    /// The section with `executor = "docker"` and `[runners.fleet]`; the old tables are gone.
    pub(crate) section: Table,
    /// Refused: what docker-machine would refuse too, or what cannot work here.
    pub(crate) errors: Vec<Note>,
    /// Keys that only the administrator can fill in, each with why.
    pub(crate) missing: Vec<(&'static str, Note)>,
    /// Accepted, but not kept as it was.
    pub(crate) notes: Vec<Note>,
}

impl Translation {
    /// The keys in [`Translation::missing`].
    pub(crate) fn missing_keys(&self) -> Vec<&'static str> {
        self.missing.iter().map(|(key, _)| *key).collect()
    }

    /// Problems and warnings for a file that is loaded as it is.
    pub(crate) fn tell(&self, report: &mut Report) {
        for note in &self.errors {
            report.problem(&note.at, &note.text);
        }
        for (key, note) in &self.missing {
            report.problem(&note.at, format!("{}; write `{key}` in [runners.fleet]", note.text));
        }
        for note in &self.notes {
            report.warn(&note.at, &note.text);
        }
    }
}

/// Writes a translation, key by key.
pub(crate) struct Pen<'a> {
    section: &'a Table,
    made: Vec<(String, Node)>,
    errors: Vec<Note>,
    missing: Vec<(&'static str, Note)>,
    notes: Vec<Note>,
}

/// Connection settings that docker+machine filled in for each machine.
const DOCKER_CONNECTION: [&str; 3] = ["host", "tls_verify", "tls_cert_path"];

impl<'a> Pen<'a> {
    pub(crate) fn new(section: &'a Table) -> Self {
        Self { section, made: Vec::new(), errors: Vec::new(), missing: Vec::new(), notes: Vec::new() }
    }

    /// The section that is translated.
    pub(crate) fn section(&self) -> &'a Table {
        self.section
    }

    fn user(&self) -> Option<&'a Table> {
        self.section.get("fleet").and_then(Node::as_table)
    }

    /// Whether the user has written this key of `[runners.fleet]`.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.user().is_some_and(|fleet| fleet.get(key).is_some())
    }

    /// Writes a key of `[runners.fleet]`, unless the user has.
    pub(crate) fn set(&mut self, key: &str, at: &At, item: Item) {
        if !self.is_given(key) {
            self.made.push((key.to_owned(), Node::new(at, item)));
        }
    }

    /// The same, for text.
    pub(crate) fn set_text(&mut self, key: &str, at: &At, text: impl Into<String>) {
        self.set(key, at, Item::String(text.into()));
    }

    /// Refuses.
    pub(crate) fn error(&mut self, at: &At, text: impl Into<String>) {
        self.errors.push(Note { at: at.clone(), text: text.into() });
    }

    /// Says what was not kept, or not as it was, and why.
    pub(crate) fn note(&mut self, at: &At, text: impl Into<String>) {
        self.notes.push(Note { at: at.clone(), text: text.into() });
    }

    /// Says that a required key cannot be known from the file, unless the user has written it.
    pub(crate) fn missing(&mut self, key: &'static str, at: &At, why: impl Into<String>) {
        if !self.is_given(key) {
            self.missing.push((key, Note { at: at.clone(), text: why.into() }));
        }
    }

    /// The translated section: `fleet` stands where the old table stood.
    pub(crate) fn finish(mut self, old_table: &str) -> Translation {
        let at = self.section.get_any_case(old_table).map_or_else(|| self.section.at.clone(), |node| node.at.clone());
        if let Some(node) = self.section.get("fleet").filter(|node| node.as_table().is_none()) {
            self.error(&node.at, "not a table; write [runners.fleet]");
        }
        let mut fleet = self.user().cloned().unwrap_or_else(|| Table::empty(&at));
        fleet.entries.append(&mut self.made);
        let mut section = Table::empty(&self.section.at);
        for (key, node) in &self.section.entries {
            if key.eq_ignore_ascii_case("machine") || key.eq_ignore_ascii_case("autoscaler") || key == "fleet" {
                continue;
            }
            let node = match (key.to_ascii_lowercase().as_str(), node.as_table()) {
                ("executor", _) => Node::text(&node.at, "docker"),
                ("docker", Some(docker)) => Node::new(&node.at, Item::Table(self.without_connection(docker))),
                _ => node.clone(),
            };
            section.push(key, node);
        }
        section.push("fleet", Node { at: fleet.at.clone(), item: Item::Table(fleet) });
        for (at, text) in ecr_wiring::take_over(&mut section) {
            self.notes.push(Note { at, text });
        }
        Translation { section, errors: self.errors, missing: self.missing, notes: self.notes }
    }

    fn without_connection(&mut self, docker: &Table) -> Table {
        let mut kept = Table::empty(&docker.at);
        for (key, node) in &docker.entries {
            if DOCKER_CONNECTION.iter().any(|name| key.eq_ignore_ascii_case(name)) {
                self.note(&node.at, "left out: every worker's runner talks to the Docker of its own machine");
            } else {
                kept.push(key, node.clone());
            }
        }
        kept
    }
}

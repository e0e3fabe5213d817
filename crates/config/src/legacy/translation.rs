//! What a translation gives: a section in our form, and a word about everything that could not be kept as it was.

use std::collections::BTreeMap;
use std::path::Path;

use super::super::ecr_wiring;
use super::super::gitlab_keys::Keys;
use super::super::node::{At, Item, Node, Table};
use super::super::problems::{Note, Report};
use super::super::s3_cache::WrittenFor;

/// What a translated section may depend on outside of the file.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// Environment of the manager service: docker-machine took defaults of options from it.
    pub environment: BTreeMap<String, String>,
    /// The manager's own time zone (IANA), for schedules that say "local".
    pub zone: Option<String>,
}

/// What a translated section may depend on outside of itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outside<'a> {
    /// `None` when it could not be read.
    pub(crate) concurrent: Option<u32>,
    /// Where relative paths start: the directory of the old file.
    pub(crate) directory: &'a Path,
    pub(crate) surroundings: &'a Surroundings,
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

/// A key that only the administrator can fill in.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    /// In `[runners.fleet]`.
    pub(crate) key: &'static str,
    /// Why, at the option that said it otherwise.
    pub(crate) why: Note,
    /// What `migrate` writes in its place, so that `check` refuses the file until it is filled in; for a key that could be
    /// left out otherwise.
    pub(crate) stand_in: Option<String>,
}

/// A section in our form.
#[derive(Debug)]
pub(crate) struct Section {
    /// With `executor = "docker"` and `[runners.fleet]` where it was translated; the old tables are gone then.
    pub(crate) table: Table,
    /// Whether it was one of another executor.
    pub(crate) is_translated: bool,
    /// Refused: what docker-machine would refuse too, or what cannot work here.
    pub(crate) errors: Vec<Note>,
    /// Keys that only the administrator can fill in.
    pub(crate) missing: Vec<Missing>,
    /// Accepted, but not kept as it was.
    pub(crate) notes: Vec<Note>,
}

impl Section {
    /// A section that needs no translation.
    pub(crate) fn of_ours(table: &Table) -> Self {
        let (errors, missing, notes) = (Vec::new(), Vec::new(), Vec::new());
        Self { table: table.clone(), is_translated: false, errors, missing, notes }
    }

    /// Whose program read it so far.
    pub(crate) fn written_for(&self) -> WrittenFor {
        if self.is_translated { WrittenFor::GitLabRunner } else { WrittenFor::RunnerFleet }
    }

    /// The keys in [`Section::missing`].
    pub(crate) fn missing_keys(&self) -> Vec<&'static str> {
        self.missing.iter().map(|missing| missing.key).collect()
    }

    /// Problems and warnings for a file that is loaded as it is.
    pub(crate) fn tell(&self, report: &mut Report) {
        for note in &self.errors {
            report.problem(&note.at, &note.text);
        }
        for Missing { key, why, .. } in &self.missing {
            report.problem(&why.at, format!("{}; write `{key}` in [runners.fleet]", why.text));
        }
        for note in &self.notes {
            report.warn(&note.at, &note.text);
        }
    }
}

/// Writes a translation, key by key.
pub(crate) struct Pen<'a> {
    section: &'a Table,
    outside: &'a Outside<'a>,
    /// `[runners.fleet]`: what the user wrote there, and what was translated.
    fleet: Table,
    errors: Vec<Note>,
    missing: Vec<Missing>,
    notes: Vec<Note>,
}

/// Connection settings that docker+machine filled in for each machine.
const DOCKER_CONNECTION: [&str; 3] = ["host", "tls_verify", "tls_cert_path"];
/// What is replaced by our table, or belongs to another executor.
const OLD_TABLES: [&str; 3] = ["machine", "autoscaler", "instance"];
/// So deep is a table merged with what the user wrote: `docker_daemon.default-ulimits.nofile` is one value.
const MERGE_DEPTH: usize = 2;

impl<'a> Pen<'a> {
    /// For a section whose scaling stands in `old_table`.
    pub(crate) fn new(section: &'a Table, old_table: &str, outside: &'a Outside<'a>) -> Self {
        let mut errors = Vec::new();
        let at = section.get(old_table).map_or_else(|| section.at.clone(), |node| node.at.clone());
        let fleet = match section.get("fleet").map(|node| (node, node.as_table())) {
            Some((_, Some(table))) => table.clone(),
            Some((node, None)) => {
                errors.push(Note::new(&node.at, "not a table; write [runners.fleet]"));
                Table::empty(&at)
            }
            None => Table::empty(&at),
        };
        Self { section, outside, fleet, errors, missing: Vec::new(), notes: Vec::new() }
    }

    /// The section that is translated.
    pub(crate) fn section(&self) -> &'a Table {
        self.section
    }

    /// What stands outside of it.
    pub(crate) fn outside(&self) -> &'a Outside<'a> {
        self.outside
    }

    /// What the user has written in `[runners.fleet]`.
    pub(crate) fn user(&self) -> Option<&'a Table> {
        self.section.get("fleet").and_then(Node::as_table)
    }

    /// What the user has written for this key of `[runners.fleet]`.
    pub(crate) fn given(&self, key: &str) -> Option<&'a Node> {
        self.user()?.get(key)
    }

    /// Whether the user has written this key of `[runners.fleet]`.
    pub(crate) fn is_given(&self, key: &str) -> bool {
        self.given(key).is_some()
    }

    /// Writes a key of `[runners.fleet]`. What the user wrote there wins, in tables key by key; what gives way is told.
    pub(crate) fn set(&mut self, key: &str, at: &At, item: Item) {
        let mut lost = Vec::new();
        merge(&mut self.fleet, key, Node::new(at, item), MERGE_DEPTH, key, &mut lost);
        self.notes.append(&mut lost);
    }

    /// The same, for text.
    pub(crate) fn set_text(&mut self, key: &str, at: &At, text: impl Into<String>) {
        self.set(key, at, Item::String(text.into()));
    }

    /// Writes a key that nobody wrote in the old file: it gives way without a word.
    pub(crate) fn set_default(&mut self, key: &str, at: &At, item: Item) {
        if self.fleet.get(key).is_none() {
            self.fleet.push(key, Node::new(at, item));
        }
    }

    /// The same, for text.
    pub(crate) fn set_default_text(&mut self, key: &str, at: &At, text: impl Into<String>) {
        self.set_default(key, at, Item::String(text.into()));
    }

    /// Writes all values of a table into `[runners.fleet]`; those that stand at the table's own place are defaults.
    pub(crate) fn set_all(&mut self, values: Table) {
        for (key, node) in values.entries {
            if is_default(&node, &values.at) {
                self.set_default(&key, &node.at, node.item);
            } else {
                self.set(&key, &node.at, node.item);
            }
        }
    }

    /// A count of the old file: below 0 is 0, as for GitLab Runner. What is no whole number is left to the ordinary
    /// reading.
    pub(crate) fn not_below_zero(&mut self, node: &Node) -> Node {
        match node.item {
            Item::Integer(number) if number < 0 => {
                self.note(&node.at, format!("{number} is below 0: 0 counts"));
                Node::new(&node.at, Item::Integer(0))
            }
            _ => node.clone(),
        }
    }

    /// Refuses.
    pub(crate) fn error(&mut self, at: &At, text: impl Into<String>) {
        self.errors.push(Note::new(at, text));
    }

    /// Says what was not kept, or not as it was, and why.
    pub(crate) fn note(&mut self, at: &At, text: impl Into<String>) {
        self.notes.push(Note::new(at, text));
    }

    /// Says that what stands at `at` is not used, since the user wrote `key` of `[runners.fleet]`.
    pub(crate) fn gives_way(&mut self, at: &At, key: &str) {
        self.notes.push(lost(at, key));
    }

    /// Says that a required key cannot be known from the file, unless the user has written it.
    pub(crate) fn missing(&mut self, key: &'static str, at: &At, why: impl Into<String>) {
        if !self.is_given(key) {
            self.missing.push(Missing { key, why: Note::new(at, why), stand_in: None });
        }
    }

    /// The same for a key that need not be there, with what `migrate` writes so that it is not forgotten.
    pub(crate) fn missing_but(&mut self, key: &'static str, at: &At, why: impl Into<String>, stand_in: String) {
        if !self.is_given(key) {
            self.missing.push(Missing { key, why: Note::new(at, why), stand_in: Some(stand_in) });
        }
    }

    /// Says of the keys of a table that GitLab Runner does not read that they are left out.
    pub(super) fn leaves_out_unread(&mut self, table: &Table, keys: &Keys) {
        for (_, node) in table.entries.iter().filter(|(key, _)| keys.canonical(key).is_none()) {
            self.note(&node.at, "GitLab Runner does not read this key; left out");
        }
    }

    /// The translated section: `fleet` stands where the old table stood.
    pub(crate) fn finish(mut self) -> Section {
        let mut table = Table::empty(&self.section.at);
        for (key, node) in &self.section.entries {
            if OLD_TABLES.contains(&key.as_str()) || key == "fleet" {
                continue;
            }
            let node = match (key.as_str(), node.as_table()) {
                ("executor", _) => Node::text(&node.at, "docker"),
                ("limit", _) => self.not_below_zero(node),
                ("docker", Some(docker)) => Node::new(&node.at, Item::Table(self.without_connection(docker))),
                _ => node.clone(),
            };
            table.push(key, node);
        }
        table.push("fleet", Node { at: self.fleet.at.clone(), item: Item::Table(self.fleet) });
        for (at, text) in ecr_wiring::take_over(&mut table) {
            self.notes.push(Note { at, text });
        }
        Section { table, is_translated: true, errors: self.errors, missing: self.missing, notes: self.notes }
    }

    /// `[runners.fleet]` as it is so far.
    pub(super) fn fleet(&mut self) -> &mut Table {
        &mut self.fleet
    }

    fn without_connection(&mut self, docker: &Table) -> Table {
        let mut kept = Table::empty(&docker.at);
        for (key, node) in &docker.entries {
            if DOCKER_CONNECTION.contains(&key.as_str()) {
                self.note(&node.at, "left out: every worker's runner talks to the Docker of its own machine");
            } else {
                kept.push(key, node.clone());
            }
        }
        kept
    }
}

/// Writes a value; what is there already wins, in tables key by key, and what gives way is added to `told`.
fn merge(table: &mut Table, key: &str, new: Node, depth: usize, path: &str, told: &mut Vec<Note>) {
    let Some((_, old)) = table.entries.iter_mut().find(|(other, _)| other == key) else {
        table.push(key, new);
        return;
    };
    match (&mut old.item, new.item) {
        (Item::Table(old), Item::Table(new)) if depth > 0 => {
            for (key, node) in new.entries {
                if is_default(&node, &new.at) && old.get(&key).is_some() {
                    continue;
                }
                merge(old, &key, node, depth.saturating_sub(1), &format!("{path}.{key}"), told);
            }
        }
        // Each of several options is a loser of its own.
        (_, Item::Array(nodes)) if !nodes.is_empty() => told.extend(nodes.iter().map(|node| lost(&node.at, path))),
        _ => told.push(lost(&new.at, path)),
    }
}

/// What nobody wrote stands at the place of the table that it belongs to.
fn is_default(node: &Node, of: &At) -> bool {
    node.at.path() == of.path()
}

fn lost(at: &At, path: &str) -> Note {
    Note::new(at, format!("gives way to `{path}` in [runners.fleet]"))
}

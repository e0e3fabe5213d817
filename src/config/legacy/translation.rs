//! What a translation gives: a section in our form, and a word about everything that could not be kept as it was.

use std::collections::BTreeMap;

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
    /// Keys that only the administrator can fill in, each with what to write.
    pub(crate) missing: Vec<(&'static str, Note)>,
    /// Accepted, but not kept as it was.
    pub(crate) notes: Vec<Note>,
}

impl Translation {
    /// The section as it is, with an empty fleet table if it has none.
    pub(crate) fn start(section: &Table) -> Self {
        Self { section: section.clone(), errors: Vec::new(), missing: Vec::new(), notes: Vec::new() }
    }

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

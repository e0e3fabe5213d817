//! `iam-policy --aws-cli`: the policies as a shell script of `aws` commands, which also makes the roles, the instance
//! profiles and the tokens' parameters around them; and one that removes all of it. Pure.
//!
//! The commands stand in functions (`make.sh`, `remove.sh`); what is rendered here are the calls of them. Documents are
//! here-documents, words are quoted, and the value of a token is in neither.

use serde_json::{Value, json};

use runner_fleet_worker::shell;

const MAKE: &str = include_str!("make.sh");
const REMOVE: &str = include_str!("remove.sh");

/// All that the scripts make or remove.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Setup {
    /// `fleet.manager`: roles and profiles are tagged with it, and the policies named after it.
    pub(super) manager: String,
    /// `aws`, `aws-cn`, …: the name of the service EC2 depends on it.
    pub(super) partition: String,
    /// A region of that partition, if one is known: IAM's commands want one, although IAM has none, and in another
    /// partition they would ask the wrong IAM.
    pub(super) region: Option<String>,
    /// The manager's role first.
    pub(super) identities: Vec<Identity>,
    /// In the order in which their values are asked for.
    pub(super) parameters: Vec<Parameter>,
    /// `fleet.ssh_key`: the manager makes it itself, so that it is only removed.
    pub(super) ssh_key: Option<Parameter>,
}

/// A role in an instance profile.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Identity {
    /// Whose it is, for the comment.
    pub(super) whose: String,
    /// The role.
    pub(super) role: Named,
    /// The profile that holds it.
    pub(super) profile: Named,
    /// What the role may do; `None`: nothing.
    pub(super) policy: Option<Value>,
}

/// An IAM name with its path (`/`, `/ci/`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    path: String,
    name: String,
}

/// An SSM parameter with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Parameter {
    /// Where the manager reads it.
    pub(super) region: String,
    /// Its name.
    pub(super) name: String,
    /// What the person is asked for.
    pub(super) what: String,
}

impl Named {
    /// Reads a name, a name behind its path (`ci/worker`), or an ARN.
    pub(super) fn read(text: &str) -> Self {
        // arn:aws:iam::123456789012:instance-profile/ci/worker
        let full = match text.starts_with("arn:") {
            true => text.split_once('/').map_or(text, |(_, full)| full),
            false => text.trim_start_matches('/'),
        };
        match full.rsplit_once('/') {
            Some((path, name)) => Self { path: format!("/{path}/"), name: name.to_owned() },
            None => Self::of(full),
        }
    }

    /// A name without a path.
    pub(super) fn of(name: &str) -> Self {
        Self { path: "/".to_owned(), name: name.to_owned() }
    }

    /// The name alone, by which IAM's commands know it.
    pub(super) fn name(&self) -> &str {
        &self.name
    }
}

impl Setup {
    /// The script that makes everything.
    pub(super) fn script(&self) -> String {
        let mut script = format!("{MAKE}{}", self.settings());
        for Identity { whose, role, profile, policy } in &self.identities {
            script.push_str(&format!("\n# {whose}\n"));
            let call = format!("role {} {}", shell::word(&role.path), shell::word(&role.name));
            script.push_str(&with_document(&call, &self.trust()));
            if let Some(policy) = policy {
                script.push_str(&with_document(&format!("policy {}", shell::word(&role.name)), policy));
            }
            let words = [&profile.path, &profile.name, &role.name].map(|name| shell::word(name));
            script.push_str(&format!("profile {}\n", words.join(" ")));
        }
        if self.parameters.is_empty() {
            return script;
        }
        // A shell reads a group whole before it runs it: should the script itself come from standard input, no line of
        // it is taken for a token.
        script.push_str("\n# The tokens.\n{\n");
        for Parameter { region, name, what } in &self.parameters {
            let words = [region, name, what].map(|name| shell::word(name));
            script.push_str(&format!("    token {}\n", words.join(" ")));
        }
        script.push_str("    exit\n}\n");
        script
    }

    /// The script that removes everything again.
    pub(super) fn removal(&self) -> String {
        let mut script = format!("{REMOVE}{}\n", self.settings());
        for Identity { role, profile, .. } in &self.identities {
            script.push_str(&format!("profile {}\nrole {}\n", shell::word(&profile.name), shell::word(&role.name)));
        }
        for Parameter { region, name, .. } in self.parameters.iter().chain(&self.ssh_key) {
            script.push_str(&format!("parameter {} {}\n", shell::word(region), shell::word(name)));
        }
        script
    }

    /// What the functions read.
    fn settings(&self) -> String {
        let manager = format!("manager={}\n", shell::word(&self.manager));
        let export = |region| format!("export AWS_REGION={region} AWS_DEFAULT_REGION={region}\n");
        manager + &self.region.as_deref().map(shell::word).map(export).unwrap_or_default()
    }

    /// Who may assume the roles: EC2, for an instance.
    fn trust(&self) -> Value {
        let service = if self.partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
        let statement = json!({ "Effect": "Allow", "Principal": { "Service": service }, "Action": "sts:AssumeRole" });
        json!({ "Version": "2012-10-17", "Statement": [statement] })
    }
}

/// A call with a document on its standard input. No line of JSON is the word that ends it.
fn with_document(call: &str, document: &Value) -> String {
    format!("{call} <<'JSON'\n{document:#}\nJSON\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setup(partition: &str) -> Setup {
        let parameter = |name: &str, what: &str| Parameter {
            region: "eu-central-1".to_owned(),
            name: name.to_owned(),
            what: what.to_owned(),
        };
        Setup {
            manager: "ci".to_owned(),
            partition: partition.to_owned(),
            region: Some("eu-central-1".to_owned()),
            identities: vec![
                Identity {
                    whose: "The manager's host.".to_owned(),
                    role: Named::of("runner-fleet-ci"),
                    profile: Named::of("runner-fleet-ci"),
                    policy: Some(json!({ "Version": "2012-10-17", "Statement": [] })),
                },
                Identity {
                    whose: "The workers of spot.".to_owned(),
                    role: Named::of("ci-worker"),
                    profile: Named::read("arn:aws:iam::123456789012:instance-profile/ci/worker"),
                    policy: None,
                },
            ],
            parameters: vec![
                parameter("/ci/runner-token", "the runner authentication token of spot (glrt-…)"),
                parameter("/ci/it's; odd", "a name that needs quoting"),
            ],
            ssh_key: Some(parameter("/ci/ssh-key", "the manager's SSH key")),
        }
    }

    #[test]
    fn all_is_made_and_removed() {
        insta::assert_snapshot!("make", setup("aws").script());
        insta::assert_snapshot!("remove", setup("aws").removal());
    }

    #[test]
    fn china_has_its_own_name_for_ec2() {
        let script = setup("aws-cn").script();
        assert!(script.contains("\"ec2.amazonaws.com.cn\"") && !script.contains("\"ec2.amazonaws.com\""), "{script}");
    }

    #[test]
    fn names_are_read_with_their_paths() {
        let read = |text: &str| Named::read(text);
        assert_eq!(read("ci-worker"), Named::of("ci-worker"));
        assert_eq!(read("arn:aws:iam::123456789012:role/ci-worker"), Named::of("ci-worker"));
        let with_path = Named { path: "/ci/eu/".to_owned(), name: "worker".to_owned() };
        assert_eq!(read("arn:aws:iam::123456789012:role/ci/eu/worker"), with_path);
        assert_eq!(read("ci/eu/worker"), with_path);
    }
}

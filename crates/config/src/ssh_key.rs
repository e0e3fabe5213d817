//! `ssh_key`: where the manager's SSH key is kept for good.

use super::key::Kind;
use super::node::{Item, Node};
use super::values;

/// What SSM takes is 1,011 characters with the ARN before the name; the longest ARN that there is has some 70.
const NAME_LENGTH_MAX: usize = 900;
/// A limit of SSM.
const LEVELS_MAX: usize = 15;

/// What [`ssh_key`] takes.
pub(crate) const SSH_KEY: Kind = Kind::Like("^[ \\t]*ssm:/");

const EXAMPLE: &str = "\"ssm:/path/of/parameter\"";

/// Where the manager's SSH key is kept. Never the key itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SshKey {
    /// In a file of `state_dir`, and nowhere else: it is gone with its host.
    #[default]
    StateDir,
    /// In the SSM parameter of this name, from where every host of this manager copies it into its `state_dir`.
    Parameter(String),
}

/// An SSM parameter and where it is to be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SshKeyParameter<'c> {
    /// `None`: the manager's own region.
    pub region: Option<&'c str>,
    /// Its full name, beginning with `/`.
    pub name: &'c str,
}

/// `ssm:/…`; whatever else stands there may be a key, and is not repeated.
pub(crate) fn ssh_key(node: &Node) -> Result<SshKey, String> {
    let Item::String(text) = &node.item else {
        return Err(format!("not text; write {EXAMPLE}"));
    };
    let text = text.trim();
    if let Some(name) = text.strip_prefix("ssm:") {
        return parameter(name).map(SshKey::Parameter);
    }
    if text.starts_with("file:") || text.starts_with('/') {
        let told = "a file of this host is lost with it; write ssh_key = ";
        return Err(format!("{told}{EXAMPLE}, or leave ssh_key out: the key's file then lies in state_dir"));
    }
    if text.starts_with("env:") || text.starts_with('$') {
        return Err(format!("the manager makes this key itself and cannot keep it in a variable; write {EXAMPLE}"));
    }
    values::text(node)?;
    let told = "a private key does not belong into this file; write where the manager is to keep it: ";
    Err(format!("{told}{EXAMPLE}, or leave ssh_key out: it is then kept in state_dir alone"))
}

/// A name under which SSM lets a parameter be made.
///
/// Source: Systems Manager API Reference, PutParameter.
fn parameter(name: &str) -> Result<String, String> {
    let levels: Vec<&str> = name.strip_prefix('/').unwrap_or_default().split('/').collect();
    let letters = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if !levels.iter().all(|level| !level.is_empty() && level.bytes().all(letters)) {
        return Err(format!("`ssm:` needs the full name of a parameter; write {EXAMPLE}"));
    }
    let first = levels.first().map(|level| level.to_ascii_lowercase()).unwrap_or_default();
    if first.starts_with("aws") || first.starts_with("ssm") {
        return Err(format!("AWS keeps names that begin with /aws or /ssm to itself; write another, like {EXAMPLE}"));
    }
    if levels.len() > LEVELS_MAX || name.len() > NAME_LENGTH_MAX {
        let told = format!("SSM takes {LEVELS_MAX} levels and {NAME_LENGTH_MAX} characters at most");
        return Err(format!("{told}; write a shorter name, like {EXAMPLE}"));
    }
    Ok(name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::load::parse_in;
    use super::super::{Config, Surroundings};
    use super::*;

    const MINIMAL: &str = include_str!("../../../config/minimal.toml");

    fn config(key: &str) -> Result<Config, String> {
        let text = MINIMAL.replace("[fleet]\n", &format!("[fleet]\nssh_key = {key}\n"));
        let loaded = parse_in(&text, "config.toml", &Surroundings::default());
        loaded.map(|loaded| loaded.config).map_err(|problems| problems.to_string())
    }

    #[test]
    fn it_lies_in_the_region_of_the_first_runner() {
        let other = |region: &str| MINIMAL.replace("  ami =", &format!("  region = \"{region}\"\n  ami ="));
        let second = other("us-east-1").split_once("[[runners]]").unwrap().1.replace("\"spot\"", "\"other\"");
        let text = format!("{}\n[[runners]]{second}", other("eu-west-1"))
            .replace("[fleet]\n", "[fleet]\nssh_key = \"ssm:/ci/key\"\n");
        let two = parse_in(&text, "config.toml", &Surroundings::default()).unwrap().config;

        assert_eq!(two.runners.len(), 2);
        assert_eq!(two.ssh_key_parameter(), Some(SshKeyParameter { region: Some("eu-west-1"), name: "/ci/key" }));
        let own = config("'ssm:/ci/key'").unwrap();
        assert_eq!(own.ssh_key_parameter(), Some(SshKeyParameter { region: None, name: "/ci/key" }));
        let left_out = parse_in(MINIMAL, "config.toml", &Surroundings::default()).unwrap().config;
        assert_eq!(left_out.ssh_key_parameter(), None);
    }

    #[test]
    fn what_cannot_keep_a_key_is_refused_and_not_repeated() {
        let long = format!("'ssm:/{}'", "x".repeat(NAME_LENGTH_MAX));
        let deep = format!("'ssm:{}'", "/x".repeat(LEVELS_MAX + 1));
        let key = "'''-----BEGIN OPENSSH PRIVATE KEY-----\nverysecret\n-----END OPENSSH PRIVATE KEY-----\n'''";
        let cases = [
            ("'ssm:ci/key'", "needs the full name of a parameter; write \"ssm:/path/of/parameter\""),
            ("'ssm:/'", "needs the full name"),
            ("'ssm:/ci//key'", "needs the full name"),
            ("'ssm:/ci/key/'", "needs the full name"),
            ("'ssm:/ci/my key'", "needs the full name"),
            ("'ssm:/AWS/key'", "AWS keeps names that begin with /aws or /ssm to itself"),
            ("'ssm:/ssm-keys/one'", "AWS keeps names that begin with /aws or /ssm to itself"),
            (&long, "900 characters at most"),
            (&deep, "15 levels"),
            ("'file:/etc/verysecret'", "leave ssh_key out: the key's file then lies in state_dir"),
            ("'/etc/verysecret'", "leave ssh_key out: the key's file then lies in state_dir"),
            ("'env:VERYSECRET'", "cannot keep it in a variable; write \"ssm:/path/of/parameter\""),
            ("'$VERYSECRET'", "cannot keep it in a variable"),
            (key, "a private key does not belong into this file"),
            ("'verysecret'", "a private key does not belong into this file"),
            ("['verysecret']", "not text"),
            ("''", "the text is empty"),
        ];
        for (written, told) in cases {
            let problems = config(written).unwrap_err();
            assert!(problems.contains("fleet.ssh_key: ") && problems.contains(told), "{written}: {problems}");
            assert!(!problems.to_lowercase().contains("verysecret"), "{problems}");
        }
    }
}

//! `[runners.fleet.ecr]`: logging in to Amazon's registries without stored passwords.

use super::node::{Node, Table, shown_text};
use super::problems::Report;
use super::reader::Reader;
use super::tool::{self, ToolKeys};
use super::{Arch, Tool, pins, values};

/// The keys of the table.
pub(crate) const KEYS: &[&str] = &["registries", "enabled", "in_jobs", "helper_version", "helper_url", "helper_sha256"];

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

/// A registry host that the credential helper recognises.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcrHost(String);

impl EcrHost {
    /// The host name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The account and region of a private registry; `None` for the public ones.
    pub fn account_and_region(&self) -> Option<(&str, &str)> {
        split_private(&self.0)
    }
}

/// The public registries' hosts. Source: amazon-ecr-credential-helper, `ecr-login/api/client.go`.
const PUBLIC: [&str; 2] = ["public.ecr.aws", "ecr-public.aws.com"];

/// What may follow the region, from the helper's own pattern.
/// Source: amazon-ecr-credential-helper, `ecr-login/api/client.go`.
const SUFFIXES: [&str; 9] = [
    ".amazonaws.com",
    ".amazonaws.com.cn",
    ".amazonaws.eu",
    ".on.aws",
    ".on.amazonwebservices.com.cn",
    ".sc2s.sgov.gov",
    ".c2s.ic.gov",
    ".cloud.adc-e.uk",
    ".csp.hci.ic.gov",
];

/// Account and region of `<12 digits>.dkr.ecr[-fips].<region>.<suffix>`, also in its dual-stack form `dkr-ecr`.
fn split_private(host: &str) -> Option<(&str, &str)> {
    let (account, rest) = host.split_at_checked(12)?;
    if !account.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let rest = rest.strip_prefix(".dkr")?.strip_prefix(['.', '-'])?.strip_prefix("ecr")?;
    let rest = rest.strip_prefix("-fips").unwrap_or(rest).strip_prefix('.')?;
    let region = SUFFIXES.iter().filter_map(|suffix| rest.strip_suffix(suffix)).next()?;
    let first = region.bytes().next()?.is_ascii_alphanumeric();
    let all = region.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    (first && all).then_some((account, region))
}

/// One registry host.
fn host(node: &Node) -> Result<EcrHost, String> {
    let text = values::text(node)?;
    let host = text.to_ascii_lowercase();
    if PUBLIC.contains(&host.as_str()) || split_private(&host).is_some() {
        return Ok(EcrHost(host));
    }
    let bare = host.trim_start_matches("https://").trim_start_matches("http://");
    let bare = bare.split('/').next().unwrap_or_default();
    let shown = shown_text(&text);
    if PUBLIC.contains(&bare) || split_private(bare).is_some() {
        return Err(format!("{shown} is more than a host; write {bare:?}"));
    }
    if bare.contains('*') {
        return Err(format!("{shown}: Docker's credHelpers know no wildcards; write every host in full"));
    }
    Err(format!(
        "{shown} is no ECR host; write one like \"123456789012.dkr.ecr.eu-central-1.amazonaws.com\" or \"public.ecr.aws\""
    ))
}

/// Reads the table.
pub(crate) fn read(table: &Table, arch: Option<Arch>, report: &mut Report) -> Option<Ecr> {
    let reader = Reader::new(table, KEYS);
    let example = "registries = [\"123456789012.dkr.ecr.eu-central-1.amazonaws.com\"]";
    let registries = reader.required_list("registries", example, report, host);
    let enabled = reader.or("enabled", true, report, values::boolean);
    let in_jobs = reader.or("in_jobs", true, report, values::boolean);
    let helper = tool::read(&reader, HELPER, &pins::ECR_HELPER, arch, report);
    reader.finish(report);
    let mut registries = registries?;
    let mut seen = std::collections::BTreeSet::new();
    registries.retain(|host| seen.insert(host.clone()));
    Some(Ecr { registries, enabled: enabled?, in_jobs: in_jobs?, helper: helper? })
}

#[cfg(test)]
mod tests {
    use super::super::node::At;
    use super::*;

    #[test]
    fn hosts_are_those_that_the_helper_recognises() {
        let good = [
            ("123456789012.dkr.ecr.eu-central-1.amazonaws.com", Some("eu-central-1")),
            ("123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com", Some("us-gov-west-1")),
            ("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn", Some("cn-north-1")),
            ("123456789012.dkr-ecr.eu-central-1.on.aws", Some("eu-central-1")),
            ("123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu", Some("eusc-de-east-1")),
            ("public.ecr.aws", None),
            ("ecr-public.aws.com", None),
        ];
        for (text, region) in good {
            let host = host(&Node::text(&At::root(), text)).unwrap();
            assert_eq!(host.account_and_region().map(|(_, region)| region), region, "{text}");
        }
    }

    #[test]
    fn other_hosts_are_answered_with_the_right_form() {
        let cases = [
            (
                "https://123456789012.dkr.ecr.eu-central-1.amazonaws.com/v2",
                "write \"123456789012.dkr.ecr.eu-central-1.amazonaws.com\"",
            ),
            ("public.ecr.aws/alias", "write \"public.ecr.aws\""),
            ("*.dkr.ecr.eu-central-1.amazonaws.com", "write every host in full"),
            ("12345.dkr.ecr.eu-central-1.amazonaws.com", "is no ECR host"),
            ("123456789012.dkr.ecr.eu-central-1.example.com", "is no ECR host"),
            ("ghcr.io", "is no ECR host"),
            ("", "the text is empty"),
            ("äääääääääääää", "is no ECR host"),
        ];
        for (text, expected) in cases {
            let message = host(&Node::text(&At::root(), text)).unwrap_err();
            assert!(message.contains(expected), "{text}: {message}");
        }
    }
}

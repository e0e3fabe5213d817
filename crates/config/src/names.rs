//! Names that end up in tags, launch templates and host names.
//!
//! A launch template is named `runner-fleet-<manager>-<runner>-<hash>` in at most 128 characters of a small alphabet
//! (EC2 API Reference, "CreateLaunchTemplate"); the two limits below add up to that.

use std::collections::BTreeMap;

use super::key::Kind;
use super::node::{Item, Node, Table, shown_text};
use super::problems::Report;
use super::values;

/// Longest manager name.
pub(crate) const MANAGER_CHARS_MAX: usize = 32;
/// Longest runner name.
pub(crate) const RUNNER_CHARS_MAX: usize = 64;
/// EC2 allows 50 tags on a resource; four of them are ours.
const TAGS_MAX: u32 = 46;
/// What [`tags`] takes.
pub(crate) const TAGS: Kind = Kind::Texts(TAGS_MAX);
const TAG_KEY_CHARS_MAX: usize = 128;
const TAG_VALUE_CHARS_MAX: usize = 256;

/// Tags by which another system finds the instances that it ends: a name, or how a name begins, in small letters, and
/// whose. Sources: cattle-ops/terraform-aws-gitlab-runner, `modules/terminate-agent-hook`; Karpenter, "NodePools";
/// philips-labs/terraform-aws-github-runner, "scale-down"; AWS ParallelCluster, "tags"; Ray, "cluster YAML"; kOps,
/// OpenShift and Cluster API, which delete what a cluster owns.
const FOREIGN: [(&str, &str); 9] = [
    (
        "gitlab-runner-parent-id",
        "by it the Lambda of terraform-aws-gitlab-runner ends instances whose manager is gone, with their jobs",
    ),
    ("karpenter.sh/", "by it Karpenter ends instances that are no nodes of its own"),
    ("karpenter.k8s.aws/", "by it Karpenter ends instances that are no nodes of its own"),
    ("kubernetes.io/cluster/", "by it a Kubernetes cluster's installer deletes what the cluster owns"),
    ("sigs.k8s.io/cluster-api-provider-aws/", "by it Cluster API deletes what a cluster owns"),
    ("parallelcluster:", "by it AWS ParallelCluster ends instances that are no nodes of its own"),
    ("ray-cluster-name", "by it Ray's autoscaler ends instances that are no nodes of its own"),
    ("spotinst:", "by it Spot's Elastigroup knows the instances that are its own"),
    ("ghr:", "by it the Lambda of terraform-aws-github-runner ends instances that are no runners of its own"),
];

/// What [`name`] takes; that it is too long, the message tells better.
pub(crate) const NAME: Kind = Kind::Like("^[0-9A-Za-z._-]+$");

/// A manager's or runner's name.
pub(crate) fn name(node: &Node, chars_max: usize) -> Result<String, String> {
    let name = values::text(node)?;
    let usable = usable_name(&name, chars_max);
    if usable == name {
        return Ok(name);
    }
    let rule = format!("a name is made of letters, digits, `.`, `_` and `-`, at most {chars_max}");
    Err(format!("{} cannot be part of an EC2 name; {rule}: write {usable:?}", shown_text(&name)))
}

/// The nearest name that is allowed.
pub(crate) fn usable_name(name: &str, chars_max: usize) -> String {
    let mut usable = String::new();
    for c in name.chars() {
        let good = c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
        if good {
            usable.push(c);
        } else if !usable.ends_with('-') {
            usable.push('-');
        }
    }
    let usable: String = usable.trim_matches('-').chars().take(chars_max).collect();
    if usable.is_empty() { "runner".to_owned() } else { usable }
}

/// `tags`: what EC2 allows, without the keys that others own.
/// Source: EC2 User Guide, "Tag your Amazon EC2 resources", tag restrictions.
pub(crate) fn tags(table: &Table, report: &mut Report) -> Option<BTreeMap<String, String>> {
    let before = report.problem_count();
    let mut tags = BTreeMap::new();
    for (key, node) in &table.entries {
        if let Err(message) = tag(key, node).map(|value| tags.insert(key.clone(), value)) {
            report.problem(&node.at, message);
        }
        if let Some(whose) = foreign_tag(key) {
            report.warn(&node.at, format!("better left out: {whose}"));
        }
    }
    let count = u32::try_from(tags.len()).unwrap_or(u32::MAX);
    if count > TAGS_MAX {
        report.problem(
            &table.at,
            format!("{count} tags are too many: EC2 allows 50, and 4 are ours; write {TAGS_MAX} or fewer"),
        );
    }
    (report.problem_count() == before).then_some(tags)
}

/// Why a tag of the old workers must not be on ours: it says that they belong to somebody else.
pub(crate) fn whose_tag(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with("aws:") {
        return Some("EC2 keeps tags that begin with `aws:` for itself");
    }
    if lower.starts_with("runner-fleet:") {
        return Some("tags that begin with `runner-fleet:` say whose a worker is");
    }
    foreign_tag(&lower)
}

/// Whose tag that is, and what it does.
fn foreign_tag(key: &str) -> Option<&'static str> {
    let lower = key.to_ascii_lowercase();
    let is_it = |known: &str| {
        let begins = known.ends_with(['/', ':']) && lower.starts_with(known);
        begins || lower == known
    };
    FOREIGN.iter().find(|(known, _)| is_it(known)).map(|(_, whose)| *whose)
}

fn tag(key: &str, node: &Node) -> Result<String, String> {
    let lower = key.to_ascii_lowercase();
    if lower.starts_with("aws:") {
        return Err("EC2 keeps tags that begin with `aws:` for itself; choose another key".to_owned());
    }
    if lower.starts_with("runner-fleet:") {
        return Err("tags that begin with `runner-fleet:` say whose a worker is; choose another key".to_owned());
    }
    if key == "Name" {
        return Err("every worker gets its own `Name`; choose another key".to_owned());
    }
    if key.is_empty() || key.chars().count() > TAG_KEY_CHARS_MAX {
        return Err(format!("a tag key has 1 to {TAG_KEY_CHARS_MAX} characters"));
    }
    let value = match &node.item {
        Item::String(value) => value.clone(),
        Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            return Err(format!("{} is not text; write the value in quotes", node.shown()));
        }
    };
    if value.chars().count() > TAG_VALUE_CHARS_MAX || value.chars().any(char::is_control) {
        return Err(format!(
            "a tag value has at most {TAG_VALUE_CHARS_MAX} characters, none of them a control character"
        ));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_cannot_be_used_is_answered_with_one_that_can() {
        let cases = [
            ("eu spot #1", "eu-spot-1"),
            ("läufer", "l-ufer"),
            ("", "runner"),
            ("###", "runner"),
            ("a.b_c-d", "a.b_c-d"),
        ];
        for (given, expected) in cases {
            assert_eq!(usable_name(given, 64), expected, "{given}");
        }
        assert_eq!(usable_name(&"x".repeat(80), 64).len(), 64);
    }
}

//! Things that AWS names: images, instance types, subnets, groups, profiles, regions.
//!
//! The shapes are checked, not the existence: that is for `doctor` and the service.

use super::key::Kind;
use super::node::{Node, shown_text};
use super::problems::Report;
use super::values;
use runner_fleet_engine::{Arch, InstanceType, SubnetId};

/// What [`ami`] takes.
pub(crate) const AMI: Kind = Kind::Like("^(ami-[0-9A-Za-z-]+|ssm:/[0-9A-Za-z/._-]*)$");
/// What [`subnet`] takes.
pub(crate) const SUBNET: Kind = Kind::Like("^subnet-[0-9A-Za-z-]+$");
/// What [`security_group`] takes.
pub(crate) const SECURITY_GROUP: Kind = Kind::Like("^sg-[0-9A-Za-z-]+$");
/// What [`region`] takes.
pub(crate) const REGION: Kind = Kind::Like("^[a-z]+(-[a-z]+)+-[0-9]+$");

/// The image that workers boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ami {
    /// `ami-…`
    Id(String),
    /// `ssm:/…`: the name of a public or own SSM parameter, without the `ssm:`.
    Parameter(String),
}

/// `ami-…` or `ssm:/…`.
pub(crate) fn ami(node: &Node) -> Result<Ami, String> {
    let text = values::text(node)?;
    if let Some(name) = text.strip_prefix("ssm:") {
        let good = name.starts_with('/')
            && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'/' | b'.' | b'_' | b'-'));
        return if good {
            Ok(Ami::Parameter(name.to_owned()))
        } else {
            Err(format!("{} is no parameter name; write \"ssm:/path/of/parameter\"", shown_text(&text)))
        };
    }
    prefixed(&text, "ami-").map(Ami::Id).map_err(|message| format!("{message}, or \"ssm:/path/of/parameter\""))
}

/// `subnet-…`
pub(crate) fn subnet(node: &Node) -> Result<SubnetId, String> {
    prefixed(&values::text(node)?, "subnet-").map(SubnetId::new)
}

/// `sg-…`
pub(crate) fn security_group(node: &Node) -> Result<String, String> {
    prefixed(&values::text(node)?, "sg-")
}

fn prefixed(text: &str, prefix: &str) -> Result<String, String> {
    let rest = text.strip_prefix(prefix).unwrap_or_default();
    if !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
        Ok(text.to_owned())
    } else {
        Err(format!("{} is not an id; write one like \"{prefix}0123456789abcdef0\"", shown_text(text)))
    }
}

/// A name or an ARN.
pub(crate) fn instance_profile(node: &Node) -> Result<String, String> {
    let text = values::text(node)?;
    let name = match text.strip_prefix("arn:") {
        Some(arn) => match arn.split_once(":instance-profile/") {
            Some((_, path)) => path.rsplit('/').next().unwrap_or_default(),
            None => "",
        },
        None => &text,
    };
    let letters = |b: u8| b.is_ascii_alphanumeric() || b"+=,.@_-".contains(&b);
    if !name.is_empty() && name.len() <= 128 && name.bytes().all(letters) {
        return Ok(text);
    }
    let hint =
        if text.contains(":role/") { " (that is a role; its instance profile often has the same name)" } else { "" };
    Err(format!(
        "{} is neither the name nor the ARN of an instance profile{hint}; write \"ci-worker\" or \
         \"arn:aws:iam::123456789012:instance-profile/ci-worker\"",
        shown_text(&text)
    ))
}

/// `eu-central-1`
pub(crate) fn region(node: &Node) -> Result<String, String> {
    let text = values::text(node)?;
    if is_region(&text) {
        Ok(text)
    } else {
        let of_zone = text.strip_suffix(|c: char| c.is_ascii_lowercase()).filter(|region| is_region(region));
        Err(match of_zone {
            Some(region) => format!("{} is a zone; write its region, {region:?}", shown_text(&text)),
            None => format!("{} is not a region; write one like \"eu-central-1\"", shown_text(&text)),
        })
    }
}

/// Whether a text has the shape of a region's name: at least two words and a number.
pub fn is_region(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let number = parts.last().is_some_and(|last| !last.is_empty() && last.bytes().all(|b| b.is_ascii_digit()));
    let words = parts.iter().rev().skip(1).all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase()));
    parts.len() >= 3 && number && words
}

/// `c8g.large`, with its architecture.
pub(crate) fn instance_type(node: &Node) -> Result<(InstanceType, Arch), String> {
    let name = InstanceType::new(values::text(node)?);
    match Arch::of(&name) {
        Some(arch) => Ok((name, arch)),
        None => Err(format!("{} is not an instance type; write one like \"c8g.large\"", node.shown())),
    }
}

/// All types of one architecture, none twice.
pub(crate) fn one_architecture(
    node: &Node,
    types: Vec<(InstanceType, Arch)>,
    report: &mut Report,
) -> Option<(Vec<InstanceType>, Arch)> {
    let (first, arch) = types.first().map(|(name, arch)| (name.clone(), *arch))?;
    let mut names: Vec<InstanceType> = Vec::with_capacity(types.len());
    for (index, (name, other)) in types.into_iter().enumerate() {
        let at = node.as_array().and_then(|nodes| nodes.get(index)).map_or(&node.at, |element| &element.at);
        if other != arch {
            report.problem(at, format!("{name} is {other}, but {first} is {arch}; one runner has one architecture: write the other types in a runner of their own"));
            return None;
        }
        if names.contains(&name) {
            report.problem(at, format!("{name} is listed twice; write it once"));
            return None;
        }
        names.push(name);
    }
    Some((names, arch))
}

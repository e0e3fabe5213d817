//! A program that a worker downloads when its image does not have it.

use super::key::Kind;
use super::node::Node;
use super::pins::Pin;
use super::problems::Report;
use super::reader::Reader;
use super::{Checksum, values};
use runner_fleet_engine::Arch;

/// gitlab-runner or the ECR helper, for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Without a leading `v` (`19.4.0`).
    pub version: String,
    /// Where the binary for this runner's architecture lies (http or https; the checksum protects it).
    pub url: String,
    /// What the binary must match; nothing unverified is ever run.
    pub checksum: Checksum,
}

/// What [`version`] takes.
pub(crate) const VERSION: Kind = Kind::Like(r"^v?[0-9]+\.[0-9]+\.[0-9]+(-[0-9A-Za-z.]+)?$");
/// What [`sha256`] takes.
pub(crate) const SHA256: Kind = Kind::Like("^[0-9A-Fa-f]{64}$");

/// The names of the three keys in their table.
#[derive(Clone, Copy)]
pub(crate) struct ToolKeys {
    pub(crate) version: &'static str,
    pub(crate) url: &'static str,
    pub(crate) sha256: &'static str,
}

/// Reads the three keys over the pinned release.
///
/// A version or address without a checksum is refused, unless it is exactly what is pinned: what is not verified is not
/// run.
pub(crate) fn read(
    reader: &Reader<'_>,
    keys: ToolKeys,
    pin: &Pin,
    arch: Option<Arch>,
    report: &mut Report,
) -> Option<Tool> {
    let pinned_version = pin.version.to_owned();
    let version = reader.or(keys.version, pinned_version, report, version);
    let url = reader.or(keys.url, None, report, |node| values::web_address(node).map(Some));
    let given = reader.or(keys.sha256, None, report, |node| sha256(node).map(Some));
    let (version, given) = (version?, given?);
    let arch_or_any = arch.unwrap_or(Arch::Arm64);
    let default_url = pin.url(&version, arch_or_any);
    let url = url?.unwrap_or_else(|| default_url.clone());
    let as_pinned = version == pin.version && url == default_url;
    let checksum = match given {
        Some(sha256) => Checksum::Binary(sha256),
        None if as_pinned => pin.checksum(arch_or_any),
        None => {
            let key = if reader.has(keys.url) { keys.url } else { keys.version };
            report.problem(&reader.at(key), unverified(keys, pin, &version, key));
            return None;
        }
    };
    Some(Tool { version, url, checksum })
}

fn unverified(keys: ToolKeys, pin: &Pin, version: &str, key: &str) -> String {
    let (sha256, program, pinned, published) = (keys.sha256, pin.program, pin.version, pin.checksums_at);
    format!(
        "{sha256} must be given, because this build pins no checksum for {program} {version} from there (published at \
         {published}); or leave `{key}` out: {program} {pinned} is pinned"
    )
}

/// `19.4.0`, also with a `v`.
fn version(node: &Node) -> Result<String, String> {
    let text = values::text(node)?;
    let version = text.strip_prefix('v').unwrap_or(&text);
    let (numbers, suffix) =
        version.split_once('-').map_or((version, None), |(numbers, suffix)| (numbers, Some(suffix)));
    let number = |part: &str| !part.is_empty() && part.len() <= 6 && part.bytes().all(|b| b.is_ascii_digit());
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'.');
    if numbers.split('.').count() == 3 && numbers.split('.').all(number) && suffix.is_none_or(word) {
        Ok(version.to_owned())
    } else {
        Err(format!("{} is not a version; write one like \"19.4.0\"", node.shown()))
    }
}

/// 64 hex digits.
fn sha256(node: &Node) -> Result<String, String> {
    let text = values::text(node)?;
    if text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err(format!("{} is not a SHA-256; write its 64 hex digits", node.shown()))
    }
}

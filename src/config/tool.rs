//! A program that a worker downloads when its image does not have it.

use super::node::Node;
use super::pins::Pin;
use super::problems::Report;
use super::reader::Reader;
use super::{Arch, values};

/// gitlab-runner or the ECR helper, for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Without a leading `v` (`19.4.0`).
    pub version: String,
    /// Where the binary for this runner's architecture lies (http or https; the checksum protects it).
    pub url: String,
    /// 64 lower-case hex digits. `None`: nobody gave a checksum and this build pins none, so nothing is downloaded; the
    /// image must already have the program, and the boot fails closed when it does not.
    pub sha256: Option<String>,
}

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
    let pinned = pin.sha256(arch_or_any).filter(|_| as_pinned).map(str::to_owned);
    let sha256 = given.or(pinned);
    if sha256.is_none() {
        let (program, published) = (pin.program, pin.checksums_at);
        let Some(key) = [keys.url, keys.version].into_iter().find(|key| reader.has(key)) else {
            report.warn(
                &reader.at(keys.sha256),
                format!(
                    "this build pins no checksum for {program} {version}, so it downloads none: the image must have \
                     {program}, or write {} (published at {published})",
                    keys.sha256
                ),
            );
            return Some(Tool { version, url, sha256 });
        };
        report.problem(
            &reader.at(key),
            format!(
                "{} must be given, because this build pins no checksum for {program} {version} from there (published at \
                 {published}); or leave `{key}` out and use an image that has {program}",
                keys.sha256
            ),
        );
        return None;
    }
    Some(Tool { version, url, sha256 })
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

//! What proves that a downloaded program is the released one.

/// A proof by SHA-256; every digest is 64 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// The binary must have this digest.
    Binary(String),
    /// The binary must have the digest that the release's own list gives it.
    Listed(ChecksumList),
}

/// The list of checksums that is published with a release, in the format of `sha256sum`: one digest pins the binaries of
/// all architectures.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChecksumList {
    /// Where the list lies.
    pub url: String,
    /// The digest of the list itself.
    pub sha256: String,
    /// The binary's path in the list (`binaries/gitlab-runner-linux-arm64`).
    pub entry: String,
}

//! A program that a worker downloads when its image does not have it.

/// gitlab-runner or the ECR helper, for one architecture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tool {
    /// Without a leading `v` (`19.4.0`).
    pub version: String,
    /// Where the binary for this runner's architecture lies (https).
    pub url: String,
    /// 64 lower-case hex digits. `None`: nobody gave a checksum and this build pins none, so nothing is downloaded; the
    /// image must already have the program, and the boot fails closed when it does not.
    pub sha256: Option<String>,
}

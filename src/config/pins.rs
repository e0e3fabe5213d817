//! Which releases a worker downloads when its image lacks them, and what their bytes must hash to.
//!
//! A checksum here must come from a release that somebody looked at, never from the download itself: GitLab publishes
//! `release.sha256` (signed) beside every gitlab-runner release, AWS publishes `docker-credential-ecr-login.sha256`
//! beside every binary. Where none is pinned, nothing is downloaded until the configuration gives one.

use super::Arch;

/// One released program.
pub(crate) struct Pin {
    /// For messages.
    pub(crate) program: &'static str,
    /// Where the release's checksums are published, for messages.
    pub(crate) checksums_at: &'static str,
    /// Without a leading `v`.
    pub(crate) version: &'static str,
    /// Of the arm64 and the amd64 binary of that version.
    sha256: Option<[&'static str; 2]>,
    address: fn(version: &str, arch: Arch) -> String,
}

impl Pin {
    /// The pinned checksum, if this build pins one.
    pub(crate) fn sha256(&self, arch: Arch) -> Option<&'static str> {
        self.sha256.map(|[arm64, amd64]| match arch {
            Arch::Arm64 => arm64,
            Arch::Amd64 => amd64,
        })
    }

    /// Where the binary of a version lies.
    pub(crate) fn url(&self, version: &str, arch: Arch) -> String {
        (self.address)(version, arch)
    }
}

/// Source of the address: GitLab docs, "Install GitLab Runner manually on GNU/Linux".
///
/// No checksum is pinned: this build was made without access to the signed `release.sha256`, and a number that nobody
/// has checked is worse than none.
pub(crate) const GITLAB_RUNNER: Pin = Pin {
    program: "gitlab-runner",
    checksums_at: "https://s3.dualstack.us-east-1.amazonaws.com/gitlab-runner-downloads/v<version>/release.sha256",
    version: "19.4.0",
    sha256: None,
    address: |version, arch| {
        format!(
            "https://s3.dualstack.us-east-1.amazonaws.com/gitlab-runner-downloads/v{version}/binaries/gitlab-runner-linux-{arch}"
        )
    },
};

/// Source of the address: release notes of awslabs/amazon-ecr-credential-helper. Source of the checksums:
/// `amazon-ecr-credential-helper.hcl` in github.com/cashapp/hermit-packages, recorded on 2026-02-28, two days after the
/// release.
pub(crate) const ECR_HELPER: Pin = Pin {
    program: "docker-credential-ecr-login",
    checksums_at: "https://amazon-ecr-credential-helper-releases.s3.us-east-2.amazonaws.com/<version>/linux-<arch>/docker-credential-ecr-login.sha256",
    version: "0.12.0",
    sha256: Some([
        "5bdd30fb6c7a92462f5b454cce1aa906ca7926a6c2e39efad9613a7bf7661fac",
        "a22ab6d59dbac777b8fb31984709461da00a4c778b6ae14c8d3729e8d5ded1a6",
    ]),
    address: |version, arch| {
        format!(
            "https://amazon-ecr-credential-helper-releases.s3.us-east-2.amazonaws.com/{version}/linux-{arch}/docker-credential-ecr-login"
        )
    },
};

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pinned_checksums_are_sha256_and_differ_by_architecture() {
        for pin in [GITLAB_RUNNER, ECR_HELPER] {
            let Some(sums) = pin.sha256 else { continue };
            for sum in sums {
                assert_eq!(sum.len(), 64, "{}", pin.program);
                assert!(sum.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{}", pin.program);
            }
            assert_ne!(sums[0], sums[1], "{}", pin.program);
        }
    }
}

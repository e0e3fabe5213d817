//! Which releases a worker downloads when its image lacks them, and what their bytes must hash to.
//!
//! A checksum here must come from a release that somebody looked at, never from the download itself: GitLab publishes
//! `release.sha256` (signed) beside every gitlab-runner release, AWS publishes `docker-credential-ecr-login.sha256`
//! beside every binary. A wrong number here lets no wrong program run: the boot fails, and says what it found.

use super::{Checksum, ChecksumList};
use runner_fleet_engine::Arch;

/// One released program.
pub(crate) struct Pin {
    /// For messages.
    pub(crate) program: &'static str,
    /// Where the release's checksums are published, for messages.
    pub(crate) checksums_at: &'static str,
    /// Without a leading `v`.
    pub(crate) version: &'static str,
    checksum: Pinned,
    address: fn(version: &str, arch: Arch) -> String,
}

/// The digests of the pinned version.
enum Pinned {
    /// Of the binaries themselves.
    Binaries { arm64: &'static str, amd64: &'static str },
    /// Of the list that the release is published with.
    List { url: &'static str, sha256: &'static str, entry: fn(arch: Arch) -> String },
}

impl Pin {
    /// What proves the pinned version's binary.
    pub(crate) fn checksum(&self, arch: Arch) -> Checksum {
        match &self.checksum {
            Pinned::Binaries { arm64, amd64 } => Checksum::Binary(String::from(match arch {
                Arch::Arm64 => *arm64,
                Arch::Amd64 => *amd64,
            })),
            Pinned::List { url, sha256, entry } => Checksum::Listed(ChecksumList {
                url: String::from(*url),
                sha256: String::from(*sha256),
                entry: entry(arch),
            }),
        }
    }

    /// Where the binary of a version lies.
    pub(crate) fn url(&self, version: &str, arch: Arch) -> String {
        (self.address)(version, arch)
    }
}

/// Source of the address: GitLab docs, "Install GitLab Runner manually on GNU/Linux".
///
/// Source of the digest of its `release.sha256`: github.com/faleious-ai/gitlab-runner_ynh, which recorded it on
/// 2026-07-16 and again on 2026-07-17, each time after verifying the list's signature with GitLab's release key
/// (fingerprint 931D A69C FA3A FEBB C97D AA8C 6C57 C29C 6BA7 5A4E).
pub(crate) const GITLAB_RUNNER: Pin = Pin {
    program: "gitlab-runner",
    checksums_at: "https://s3.dualstack.us-east-1.amazonaws.com/gitlab-runner-downloads/v<version>/release.sha256",
    version: "19.2.0",
    checksum: Pinned::List {
        url: "https://s3.dualstack.us-east-1.amazonaws.com/gitlab-runner-downloads/v19.2.0/release.sha256",
        sha256: "fa973abe3dedf3dd8a2670e497d99b2e58c79fb76678a0fd6bba6d0c3849a32b",
        entry: |arch| format!("binaries/gitlab-runner-linux-{arch}"),
    },
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
    checksum: Pinned::Binaries {
        arm64: "5bdd30fb6c7a92462f5b454cce1aa906ca7926a6c2e39efad9613a7bf7661fac",
        amd64: "a22ab6d59dbac777b8fb31984709461da00a4c778b6ae14c8d3729e8d5ded1a6",
    },
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
            let checksums = [Arch::Arm64, Arch::Amd64].map(|arch| pin.checksum(arch));
            for checksum in &checksums {
                let (Checksum::Binary(digest) | Checksum::Listed(ChecksumList { sha256: digest, .. })) = checksum;
                assert_eq!(digest.len(), 64, "{}", pin.program);
                assert!(digest.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')), "{}", pin.program);
            }
            assert_ne!(checksums[0], checksums[1], "{}", pin.program);
        }
    }

    #[test]
    fn the_list_of_checksums_is_that_of_the_pinned_version() {
        let Checksum::Listed(list) = GITLAB_RUNNER.checksum(Arch::Arm64) else { panic!("not a list") };
        let binary = GITLAB_RUNNER.url(GITLAB_RUNNER.version, Arch::Arm64);
        assert_eq!(list.url, GITLAB_RUNNER.checksums_at.replace("<version>", GITLAB_RUNNER.version));
        assert_eq!(binary, list.url.replace("release.sha256", &list.entry));
    }
}

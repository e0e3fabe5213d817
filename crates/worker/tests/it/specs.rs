//! Specifications with dull defaults.

use std::time::Duration;

use runner_fleet_engine::{Arch, RunnerName, WorkerId};
use runner_fleet_worker::{Checksum, Download, EcrSpec, HostKey, Proxy, WorkerSpec};
use secrecy::SecretString;

pub(super) const TOKEN: &str = "glrt-t1_verysecrettoken";
pub(super) const HOST_KEY: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\n\
    b3BlbnNzaC1rZXktdjEAAAAABG5vbmUAAAAEbm9uZQAAAAAAAAABAAAAMwAAAAtzc2gtZWQy\n\
    -----END OPENSSH PRIVATE KEY-----\n";

pub(super) fn worker() -> WorkerId {
    WorkerId::new("i-0123456789abcdef0")
}

pub(super) fn token() -> SecretString {
    SecretString::from(TOKEN)
}

pub(super) fn sha(digit: char) -> Checksum {
    Checksum::Binary(digit.to_string().repeat(64))
}

/// As the pinned gitlab-runner is verified: by the list that its release is published with.
pub(super) fn listed() -> Checksum {
    Checksum::Listed {
        url: "https://downloads.example.com/v19.4.0/release.sha256".into(),
        sha256: "a".repeat(64),
        entry: "binaries/gitlab-runner-linux-arm64".into(),
    }
}

/// As little as a user can write.
pub(super) fn minimal() -> WorkerSpec {
    WorkerSpec {
        manager: "ci-eu".into(),
        runner: RunnerName::new("graviton-spot"),
        section: toml::from_str(
            "url = \"https://gitlab.example.com\"\nexecutor = \"docker\"\n[docker]\nimage = \"alpine\"",
        )
        .unwrap(),
        globals: toml::Table::new(),
        tls_ca: None,
        url: "https://gitlab.example.com".into(),
        arch: Arch::Arm64,
        capacity: 1,
        max_jobs: 0,
        ssh_user: "admin".into(),
        boot_timeout: Duration::from_secs(300),
        orphan_timeout: Duration::from_secs(1800),
        ecr: None,
        runner_binary: Download {
            version: "19.4.0".into(),
            url: "https://downloads.example.com/v19.4.0/gitlab-runner-linux-arm64".into(),
            checksum: listed(),
        },
        registry_mirrors: Vec::new(),
        docker_daemon: toml::Table::new(),
        proxy: Proxy::default(),
        setup_script: None,
        host_key: HostKey {
            private: SecretString::from(HOST_KEY),
            public: "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIExample ci-eu".into(),
        },
        check_interval: 3,
    }
}

/// Everything that a user can write.
pub(super) fn complete() -> WorkerSpec {
    let section = r#"
        name = "graviton-spot"
        limit = 20
        request_concurrency = 2
        url = "https://gitlab.example.com"
        token_expires_at = 2027-01-01T00:00:00Z
        executor = "docker"
        environment = ["LANG=C.UTF-8", "DEPLOY_TOKEN=hunter2", "HTTP_PROXY=http://me:hunter2@proxy:3128"]
        pre_build_script = """
        echo "user's own"
        """
        some_future_key = { answer = 42, list = [1.5, true] }
        [feature_flags]
        FF_USE_FASTZIP = true
        [docker]
        image = "alpine:latest"
        privileged = true
        volumes = ["/cache", "/srv/certs:/certs/client"]
        [[docker.services]]
        name = "docker:dind"
        environment = ["REGISTRY_PASSWORD=hunter2"]
        [cache]
        Type = "s3"
        [cache.s3]
        ServerAddress = "s3.amazonaws.com"
        AccessKey = "AKIAHUNTER2"
        SecretKey = "hunter2"
        BucketName = "cache"
    "#;
    WorkerSpec {
        section: toml::from_str(section).unwrap(),
        capacity: 4,
        ecr: Some(EcrSpec {
            helper_needed: "0.9.0".into(),
            registries: vec!["123456789012.dkr.ecr.eu-central-1.amazonaws.com".into(), "public.ecr.aws".into()],
            enabled: true,
            in_jobs: true,
            metadata_hop_limit: 2,
            helper: Download {
                version: "0.12.0".into(),
                url: "https://downloads.example.com/0.12.0/linux-arm64/docker-credential-ecr-login".into(),
                checksum: sha('b'),
            },
        }),
        registry_mirrors: vec!["https://mirror.example.com".into()],
        docker_daemon: toml::from_str("log-driver = \"local\"\n[log-opts]\nmax-size = \"10m\"").unwrap(),
        setup_script: Some("#!/bin/sh\nset -e\n\nsysctl -w vm.max_map_count=262144\n".into()),
        ..minimal()
    }
}

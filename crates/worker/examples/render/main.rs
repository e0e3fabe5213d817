//! What a worker receives: `cargo run -p runner-fleet-worker --example render`.
//!
//! Two things reach a worker. User-data, from EC2, makes a stock image a worker; whoever may look at the instance can read
//! it, so that it holds no token. The bundle, over SSH once the worker is ready, is the configuration of its gitlab-runner.
//! All of it is rendered from one `WorkerSpec`, without I/O. What is printed stands in `render.txt`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use runner_fleet_engine::{Arch, RunnerName, WorkerId};
use runner_fleet_worker::{Checksum, Download, HostKey, Proxy, WorkerSpec, bundle, render, user_data};
use secrecy::{ExposeSecret, SecretString};

/// As little as a user can write; the service fills this in from the configuration (`fleet/src/live/recipe.rs`).
fn spec() -> Result<WorkerSpec, Box<dyn Error>> {
    Ok(WorkerSpec {
        manager: "ci".into(),
        runner: RunnerName::new("graviton"),
        // The user's `[[runners]]` section goes to the worker as it is.
        section: "executor = \"docker\"\n[docker]\nimage = \"alpine\"".parse()?,
        globals: toml::Table::new(),
        tls_ca: None,
        url: "https://gitlab.example.com".into(),
        arch: Arch::Arm64,
        capacity: 2,
        max_jobs: 0,
        ssh_user: "admin".into(),
        boot_timeout: Duration::from_secs(300),
        orphan_timeout: Duration::from_secs(1800),
        ecr: None,
        runner_binary: Download {
            version: "19.2.0".into(),
            url: "https://downloads.example.com/gitlab-runner-linux-arm64".into(),
            checksum: Checksum::Binary("0".repeat(64)),
        },
        registry_mirrors: Vec::new(),
        docker_daemon: toml::Table::new(),
        proxy: Proxy::default(),
        setup_script: None,
        host_key: HostKey { private: SecretString::from("a private key"), public: "ssh-ed25519 AAAA".into() },
        check_interval: 3,
    })
}

fn story() -> Result<String, Box<dyn Error>> {
    let (spec, worker) = (spec()?, WorkerId::new("i-0123456789abcdef0"));
    let mut told = String::from("User-data writes these files, and starts the units among them:\n\n");
    // The same for all workers of a runner. EC2 takes 16 KB of it, and `user_data` refuses more.
    user_data(&spec)?;
    for path in render(&spec, &worker).user_data.lines().filter_map(|line| line.strip_prefix("- path: ")) {
        writeln!(told, "  {path}")?;
    }
    // The agent on the worker lays the files down as they come, and picks the one that counts: `show` in agent/fence.sh.
    told.push_str("\nThe bundle, on the stdin of `agent configure`:\n\n");
    for line in bundle(&spec, &SecretString::from("glrt-secret"), &worker).expose_secret().lines() {
        writeln!(told, "{}", format!("  {line}").trim_end())?;
    }
    Ok(told)
}

fn main() -> Result<(), Box<dyn Error>> {
    Ok(std::io::stdout().write_all(story()?.as_bytes())?)
}

#[test]
fn what_is_rendered_is_what_stands_beside_it() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/render/render.txt");
    runner_fleet_testing::golden::compare(&path, &story().unwrap()).unwrap_or_else(|difference| panic!("{difference}"));
}

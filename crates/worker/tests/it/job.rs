//! A job's container in a directory: the lines before its script as they are rendered, the helper that is mounted into it,
//! and a stand-in for the worker's own, which answers with the worker's token and notes what it was asked.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use runner_fleet_testing::tools::found;
use runner_fleet_worker::runner_config;
use secrecy::ExposeSecret;

use super::machine::shells;
use super::rendered::written_files;
use super::specs::{complete, token, worker};

pub(super) const REGISTRY: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const SEED: &str = "/etc/runner-fleet/docker-config.json";
const JOB_HELPER: &str = "docker-credential-runner-fleet-ecr";

/// What the worker's helper answers: as the real one, with a token, and a call in `calls`.
const ANSWERS: &str = "#!/bin/sh\n[ \"$1\" = get ] || { echo not implemented; exit 1; }\nread -r host\necho \"$host\" >>\"${0%/*}/../calls\"\n\
                       printf '{\"ServerURL\":\"%s\",\"Username\":\"AWS\",\"Secret\":\"token-of-the-worker\"}\\n' \"$host\"\n";

/// A container's files.
pub(super) struct Job {
    dir: tempfile::TempDir,
}

/// What a script said.
pub(super) struct Said {
    pub(super) success: bool,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Said {
    /// The lines of ours in the job's log.
    pub(super) fn ours(&self) -> Vec<&str> {
        self.stderr.lines().filter_map(|line| line.strip_prefix("runner-fleet: ")).collect()
    }
}

/// The shells in which GitLab Runner may run a job's script.
pub(super) fn job_shells() -> Vec<Vec<String>> {
    let mut shells = shells();
    if found("bash", "a job's beginning under bash").is_some() {
        shells.push(vec!["bash".into(), "-o".into(), "pipefail".into()]);
    }
    shells
}

impl Job {
    /// A job on a worker with ECR, in whose image everybody can read this.
    pub(super) fn new() -> Self {
        let job = Self { dir: tempfile::tempdir().unwrap() };
        std::fs::set_permissions(job.dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        let files = written_files(&complete());
        job.write("seed.json", &files[SEED].1);
        job.program(&format!("bin/{JOB_HELPER}"), &files[&format!("/usr/local/bin/{JOB_HELPER}")].1);
        job.program("bin/docker-credential-ecr-login", ANSWERS);
        std::fs::create_dir(job.path("home")).unwrap();
        job
    }

    pub(super) fn path(&self, path: &str) -> PathBuf {
        self.dir.path().join(path)
    }

    pub(super) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    pub(super) fn program(&self, path: &str, text: &str) {
        self.write(path, text);
        std::fs::set_permissions(self.path(path), PermissionsExt::from_mode(0o755)).unwrap();
    }

    pub(super) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.path(path)).unwrap_or_default()
    }

    /// The rendered `pre_build_script`, with the paths of this directory.
    pub(super) fn seed(&self) -> String {
        let config: toml::Table =
            toml::from_str(runner_config(&complete(), &token(), &worker()).expose_secret()).unwrap();
        let script = config["runners"][0]["pre_build_script"].as_str().unwrap();
        assert!(script.contains(SEED) && script.ends_with("echo \"user's own\"\n        "), "{script}");
        let here = |path: &str| self.path(path).display().to_string();
        script.replace(SEED, &here("seed.json")).replace("/usr/local/bin", &here("bin"))
    }

    /// `HOME`, and the mounted programs first in `PATH`.
    pub(super) fn variables(&self) -> Vec<(&'static str, String)> {
        let bin = self.path("bin");
        vec![("HOME", self.path("home").display().to_string()), ("PATH", format!("{}:/usr/bin:/bin", bin.display()))]
    }

    /// Runs a script in a shell, strictly as GitLab Runner does, after the lines that come before each job's.
    pub(super) fn script(&self, shell: &[String], variables: &[(&str, String)], script: &str) -> Said {
        let text = format!("set -eu\n[ -n \"${{HOME-}}\" ] || unset HOME\n{}\n{script}", self.seed());
        self.plain(shell, variables, &text)
    }

    /// The same without these lines.
    pub(super) fn plain(&self, shell: &[String], variables: &[(&str, String)], script: &str) -> Said {
        said(Command::new(&shell[0]).args(&shell[1..]).args(["-c", script]), "", variables)
    }

    /// Calls the helper that is mounted into jobs, read by this shell.
    pub(super) fn helper(&self, shell: &[String], command: &str, stdin: &str, variables: &[(&str, String)]) -> Said {
        let helper = self.path(&format!("bin/{JOB_HELPER}")).display().to_string();
        let mut words: Vec<&str> = shell.iter().map(String::as_str).collect();
        words.extend([helper.as_str(), command]);
        said(Command::new(words[0]).args(&words[1..]), stdin, variables)
    }
}

fn said(command: &mut Command, stdin: &str, variables: &[(&str, String)]) -> Said {
    use std::io::Write;
    use std::process::Stdio;
    command.env_clear().envs(variables.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    let output = child.wait_with_output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Said { success: output.status.success(), stdout: text(&output.stdout), stderr: text(&output.stderr) }
}

/// Root could write everywhere, so it becomes somebody else.
pub(super) fn as_nobody(shell: &[String]) -> Vec<String> {
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let prefix: &[&str] =
        if is_root { &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] } else { &[] };
    prefix.iter().map(|&word| word.to_owned()).chain(shell.iter().cloned()).collect()
}

/// A directory, for a variable.
pub(super) fn shown(path: &Path) -> String {
    path.display().to_string()
}

//! The beginning of every job's script: gives the job its own, writable copy of the Docker configuration, and never fails
//! the job.

use std::path::Path;
use std::process::Command;

use runner_fleet_worker::runner_config;
use secrecy::ExposeSecret;

use super::machine::shells;
use super::specs::{complete, token, worker};
use runner_fleet_testing::tools::found;

const SEED: &str = "/etc/runner-fleet/docker-config.json";

/// The rendered `pre_build_script`, with the seed in this directory.
fn script(dir: &Path) -> String {
    let config: toml::Table = toml::from_str(runner_config(&complete(), &token(), &worker()).expose_secret()).unwrap();
    let script = config["runners"][0]["pre_build_script"].as_str().unwrap();
    assert!(script.contains(SEED) && script.ends_with("echo \"user's own\"\n        "), "{script}");
    script.replace(SEED, &dir.join("seed.json").display().to_string())
}

/// Runs a job with these variables under each shell (strict, as GitLab Runner does) and gives its output.
fn job(dir: &Path, variables: &[(&str, &Path)], prefix: &[&str], check: impl Fn(&str)) {
    let mut shells = shells();
    if found("bash", "a job's beginning under bash").is_some() {
        shells.push(vec!["bash".into(), "-o".into(), "pipefail".into()]);
    }
    for shell in shells {
        let mut words: Vec<String> = prefix.iter().map(|&word| word.to_owned()).collect();
        words.extend(shell);
        let text = format!("set -eu\nHOME=${{HOME-}}\n[ -n \"$HOME\" ] || unset HOME\n{}", script(dir));
        let mut command = Command::new(&words[0]);
        command
            .args(&words[1..])
            .arg("-c")
            .arg(text + "\necho \"config at ${DOCKER_CONFIG-}\"\necho went on\n")
            .env_clear()
            .env("PATH", "/usr/bin:/bin");
        let output = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && text.contains("user's own\nconfig at ") && text.ends_with("\nwent on\n"),
            "{words:?}: {text}"
        );
        check(&text);
    }
}

fn seeded() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    std::fs::write(dir.path().join("seed.json"), "{\"credHelpers\":{}}").unwrap();
    dir
}

#[test]
fn a_job_gets_its_own_copy_in_its_docker_config() {
    use std::os::unix::fs::PermissionsExt;
    let dir = seeded();
    for (variable, at) in [("HOME", "home/.docker"), ("DOCKER_CONFIG", "elsewhere")] {
        let value = dir.path().join(at.trim_end_matches("/.docker"));
        let config = dir.path().join(at).join("config.json");
        job(dir.path(), &[(variable, &value)], &[], |_| {
            assert_eq!(std::fs::read_to_string(&config).unwrap(), "{\"credHelpers\":{}}");
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&config), mode(config.parent().unwrap())), (0o600, 0o700));
            assert_eq!(std::fs::read_dir(config.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
            std::fs::remove_dir_all(config.parent().unwrap()).unwrap();
        });
    }
}

#[test]
fn a_configuration_that_the_image_brings_is_left_alone() {
    let dir = seeded();
    let config = dir.path().join(".docker/config.json");
    std::fs::create_dir(config.parent().unwrap()).unwrap();
    std::fs::write(&config, "mine").unwrap();
    job(dir.path(), &[("HOME", dir.path())], &[], |_| assert_eq!(std::fs::read_to_string(&config).unwrap(), "mine"));
}

#[test]
fn a_job_goes_on_without_a_seed_and_with_an_unusable_home() {
    let empty = tempfile::tempdir().unwrap();
    job(empty.path(), &[("HOME", empty.path())], &[], |_| assert!(!empty.path().join(".docker").exists()));

    let dir = seeded();
    job(dir.path(), &[("HOME", Path::new("/proc/nowhere"))], &[], |_| {});
    std::fs::write(dir.path().join("file"), "").unwrap();
    job(dir.path(), &[("HOME", &dir.path().join("file"))], &[], |_| {});
}

/// A job's user is seldom the owner of its home. Root could write everywhere, so it becomes somebody else for this.
#[test]
fn a_job_of_another_user_gets_its_copy_or_goes_on() {
    use std::os::unix::fs::PermissionsExt;
    let is_root = Command::new("id").arg("-u").output().unwrap().stdout == b"0\n";
    let nobody: &[&str] =
        if is_root { &["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] } else { &[] };
    let dir = seeded();
    // A home that is not writable: the copy goes elsewhere, and the CLI is told.
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o555)).unwrap();
    job(dir.path(), &[("HOME", dir.path())], nobody, |text| {
        assert!(!dir.path().join(".docker").exists());
        let place = text.lines().find_map(|line| line.strip_prefix("config at ")).unwrap();
        assert_eq!(std::fs::read_to_string(Path::new(place).join("config.json")).unwrap(), "{\"credHelpers\":{}}");
        std::fs::remove_dir_all(place).unwrap();
    });
    std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let home = dir.path().join("home");
    std::fs::create_dir(&home).unwrap();
    if is_root {
        std::os::unix::fs::chown(&home, Some(65534), Some(65534)).unwrap();
    }
    job(dir.path(), &[("HOME", &home)], nobody, |_| assert!(home.join(".docker/config.json").exists()));
}

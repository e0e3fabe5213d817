//! The beginning of every job's script: gives the job its own, writable copy of the Docker configuration, says in one line
//! what is not the plain case, and never fails the job.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::Value;

use super::job::{Job, REGISTRY, Said, as_nobody, job_shells, shown};

/// Prints where Docker's configuration is, and that the script goes on.
const SCRIPT: &str = "echo \"config at ${DOCKER_CONFIG-}\"\necho went on\n";

/// Runs a job in each shell, and looks at what it said and left.
fn on_each_shell(job: &Job, variables: &[(&str, String)], check: impl Fn(&Said)) {
    for shell in job_shells() {
        check(&run(job, &shell, variables, SCRIPT));
    }
}

fn run(job: &Job, shell: &[String], variables: &[(&str, String)], script: &str) -> Said {
    let mut all = job.variables();
    for (name, value) in variables {
        all.retain(|(known, _)| known != name);
        all.push((static_name(name), value.clone()));
    }
    let said = job.script(shell, &all, script);
    assert!(said.success && said.stdout.starts_with("user's own\n"), "{shell:?}: {} {}", said.stdout, said.stderr);
    said
}

fn static_name(name: &str) -> &'static str {
    ["HOME", "PATH", "DOCKER_CONFIG", "TMPDIR", "DOCKER_AUTH_CONFIG"].into_iter().find(|known| *known == name).unwrap()
}

/// Where the script's Docker configuration is.
fn place(said: &Said) -> &Path {
    Path::new(said.stdout.lines().find_map(|line| line.strip_prefix("config at ")).unwrap())
}

/// Whether this file gives the login of ours.
fn is_wired(config: &Path) -> bool {
    let Ok(text) = std::fs::read_to_string(config) else { return false };
    let json: Value = serde_json::from_str(&text).unwrap();
    json["credHelpers"][REGISTRY] == "runner-fleet-ecr" && json["credHelpers"]["public.ecr.aws"] == "runner-fleet-ecr"
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
}

#[test]
fn a_job_gets_its_own_copy_in_its_docker_config() {
    for (variable, at) in [("HOME", "home/.docker"), ("DOCKER_CONFIG", "elsewhere")] {
        let job = Job::new();
        let value = shown(&job.path(at.trim_end_matches("/.docker")));
        let config = job.path(at).join("config.json");
        on_each_shell(&job, &[(variable, value)], |said| {
            assert!(said.stderr.is_empty(), "the plain case needs no word: {}", said.stderr);
            assert!(is_wired(&config));
            let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!((mode(&config), mode(config.parent().unwrap())), (0o600, 0o700));
            assert_eq!(std::fs::read_dir(config.parent().unwrap()).unwrap().count(), 1, "no temporary file is left");
            std::fs::remove_dir_all(config.parent().unwrap()).unwrap();
        });
    }
}

#[test]
fn without_the_jobs_helper_the_workers_answers() {
    let job = Job::new();
    std::fs::remove_file(job.path("bin/docker-credential-runner-fleet-ecr")).unwrap();
    // What Docker makes of a mount whose source is not there.
    std::fs::create_dir(job.path("bin/docker-credential-runner-fleet-ecr")).unwrap();
    on_each_shell(&job, &[], |_| {
        let config: Value = serde_json::from_str(&job.read("home/.docker/config.json")).unwrap();
        assert_eq!(config["credHelpers"][REGISTRY], "ecr-login");
        std::fs::remove_dir_all(job.path("home/.docker")).unwrap();
    });
}

#[test]
fn an_empty_configuration_is_filled() {
    for content in ["", "{}", " {\n\t}\n\n"] {
        let job = Job::new();
        for shell in job_shells() {
            job.write("home/.docker/config.json", content);
            let said = run(&job, &shell, &[], SCRIPT);
            assert!(said.stderr.is_empty() && is_wired(&job.path("home/.docker/config.json")), "{content:?}");
        }
        // A script that brings these lines itself runs them again.
        on_each_shell(&job, &[], |said| assert!(said.stderr.is_empty(), "{}", said.stderr));
    }
}

#[test]
fn a_configuration_that_the_image_brings_is_left_alone() {
    for content in ["mine", "{\"auths\":{\"r.example.com\":{}}}", "{\"credHelpers\":{\"x\":\"ecr-login\"}}", "[]"] {
        let job = Job::new();
        job.write("home/.docker/config.json", content);
        on_each_shell(&job, &[], |said| {
            assert_eq!(job.read("home/.docker/config.json"), content);
            let [line] = said.ours()[..] else { panic!("{}", said.stderr) };
            assert!(line.contains("home/.docker/config.json is not ours") && line.contains("credHelpers"), "{line}");
        });
    }
    let job = Job::new();
    std::fs::create_dir_all(job.path("home/.docker/config.json")).unwrap();
    on_each_shell(&job, &[], |said| {
        assert_eq!(said.ours().len(), 1);
        assert_eq!(std::fs::read_dir(job.path("home/.docker/config.json")).unwrap().count(), 0);
    });
}

#[test]
fn a_job_goes_on_without_a_seed_and_with_an_unusable_home() {
    let job = Job::new();
    std::fs::remove_file(job.path("seed.json")).unwrap();
    on_each_shell(&job, &[], |said| {
        assert!(said.ours()[0].starts_with("no ECR login for docker in this job"), "{}", said.stderr);
        assert!(!job.path("home/.docker").exists());
    });

    let job = Job::new();
    job.write("file", "");
    for home in ["/proc/nowhere".to_owned(), shown(&job.path("file"))] {
        on_each_shell(&job, &[("HOME", home.clone())], |said| {
            assert_eq!(said.ours().len(), 1, "{}", said.stderr);
            assert!(is_wired(&place(said).join("config.json")));
            std::fs::remove_dir_all(place(said)).unwrap();
        });
    }
}

/// A job's user is seldom the owner of its home, nor of what `DOCKER_CONFIG` names.
#[test]
fn a_place_that_cannot_be_written_is_left_for_another() {
    let job = Job::new();
    for variable in ["HOME", "DOCKER_CONFIG"] {
        let value = shown(&job.path("home"));
        set_mode(&job.path("home"), 0o555);
        for shell in job_shells() {
            let said = run(&job, &as_nobody(&shell), &[(variable, value.clone())], SCRIPT);
            assert!(is_wired(&place(&said).join("config.json")), "{variable}: {}", said.stderr);
            let [line] = said.ours()[..] else { panic!("{}", said.stderr) };
            assert!(line.contains("cannot be written: DOCKER_CONFIG is "), "{line}");
            std::fs::remove_dir_all(place(&said)).unwrap();
        }
        set_mode(&job.path("home"), 0o755);
        assert_eq!(std::fs::read_dir(job.path("home")).unwrap().count(), 0);
    }
    std::os::unix::fs::chown(job.path("home"), Some(65534), Some(65534)).ok();
    for shell in job_shells() {
        run(&job, &as_nobody(&shell), &[], SCRIPT);
        assert!(job.path("home/.docker/config.json").exists());
    }
}

#[test]
fn where_nothing_can_be_written_the_job_is_told() {
    let job = Job::new();
    let nowhere = job.seed().replace(" /tmp /dev/shm;", " /proc/tmp /proc/shm;");
    for shell in job_shells() {
        let mut variables = job.variables();
        variables.retain(|(name, _)| *name != "HOME");
        variables.extend([("HOME", "/proc/home".to_owned()), ("TMPDIR", "/proc/t".to_owned())]);
        let text = format!("set -eu\n{nowhere}\n{SCRIPT}");
        let said = job.plain(&shell, &variables, &text);
        assert!(said.success && place(&said) == Path::new(""), "{}", said.stderr);
        assert!(said.ours()[0].ends_with("no ECR login for docker in this job"), "{}", said.stderr);
    }
}

/// The whole of it moves but the logins: plugins, contexts, certificates; of buildx a copy, as it writes there.
#[test]
fn another_place_keeps_what_docker_has_beside_its_logins() {
    let job = Job::new();
    job.program("home/.docker/cli-plugins/docker-hello", "#!/bin/sh\n");
    for file in ["contexts/meta/x/meta.json", "ca.pem", ".token_seed", "buildx/instances/mine"] {
        job.write(&format!("home/.docker/{file}"), "kept");
    }
    set_mode(&job.path("home/.docker"), 0o555);
    for shell in job_shells() {
        let said = run(&job, &as_nobody(&shell), &[], SCRIPT);
        let at = place(&said);
        for file in ["contexts/meta/x/meta.json", "ca.pem", ".token_seed", "buildx/instances/mine"] {
            assert_eq!(std::fs::read_to_string(at.join(file)).unwrap(), "kept", "{shell:?}: {file}");
        }
        assert!(at.join("cli-plugins/docker-hello").exists() && is_wired(&at.join("config.json")));
        assert!(!at.join("buildx").is_symlink());
        std::fs::remove_dir_all(at).unwrap();
    }
    set_mode(&job.path("home/.docker"), 0o755);
}

#[test]
fn a_path_without_the_helper_is_completed() {
    let job = Job::new();
    let found = "command -v docker-credential-ecr-login\ncommand -v docker-credential-runner-fleet-ecr\n";
    for shell in job_shells() {
        let said = run(&job, &shell, &[("PATH", "/usr/bin:/bin".to_owned())], found);
        assert_eq!(said.stdout.matches(&shown(&job.path("bin"))).count(), 2, "{} {}", said.stdout, said.stderr);
        let [line] = said.ours()[..] else { panic!("{}", said.stderr) };
        assert!(line.contains("PATH"), "{line}");

        let said = run(&job, &shell, &[], "echo \"$PATH\"\n");
        assert_eq!(said.stdout.matches(&shown(&job.path("bin"))).count(), 1, "{}", said.stdout);
    }
}

#[test]
fn a_variable_that_counts_before_the_role_is_told() {
    let job = Job::new();
    let secret = "QVdTOmludmVudGVk";
    let config = format!("{{\"auths\":{{\"{REGISTRY}\":{{\"auth\":\"{secret}\"}}}}}}");
    on_each_shell(&job, &[("DOCKER_AUTH_CONFIG", config)], |said| {
        let [line] = said.ours()[..] else { panic!("{}", said.stderr) };
        assert!(line.starts_with("DOCKER_AUTH_CONFIG ") && !said.stderr.contains(secret), "{line}");
    });
    let other = "{\"auths\":{\"registry.example.com\":{}}}".to_owned();
    on_each_shell(&job, &[("DOCKER_AUTH_CONFIG", other)], |said| assert!(said.stderr.is_empty(), "{}", said.stderr));
}

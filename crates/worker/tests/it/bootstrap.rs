//! The bootstrap ends in `ready`, or in a reason that an administrator understands; nothing unverified is ever run.

use runner_fleet_worker::WorkerSpec;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::machine::{Machine, on_each_shell};
use super::specs::{complete, minimal};

const PROGRAM: &str = "#!/bin/sh\necho downloaded\n";

/// A stock image whose programs are all there: Docker, gitlab-runner, the ECR helper.
pub(super) fn full_image(machine: &Machine) {
    machine.with_runner();
    machine.docker(&[]);
    machine.program("/bin/dockerd", "#!/bin/sh\n");
    machine.program("/usr/local/bin/docker-credential-ecr-login", "#!/bin/sh\necho Version: 0.12.0\n");
    machine.program("/bin/sysctl", "#!/bin/sh\necho \"$*\" >>\"$RUNNER_FLEET_ROOT/setup.ran\"\n");
}

pub(super) fn phase(machine: &Machine) -> String {
    machine.read("/run/runner-fleet/phase").trim_end().to_owned()
}

pub(super) fn json_of(machine: &Machine, path: &str) -> Value {
    serde_json::from_str(&machine.read(path)).unwrap()
}

pub(super) fn boot(machine: &Machine) -> bool {
    machine.bootstrap().status.success()
}

/// Points the downloads at the machine's own server, with this checksum.
pub(super) fn downloads(machine: &Machine, name: &str, sha256: &str) {
    let mut env = machine.read("/etc/default/runner-fleet");
    env.push_str(&format!("{name}_url={}\n{name}_sha256={sha256}\n", machine.url("/program")));
    machine.write("/etc/default/runner-fleet", &env);
}

pub(super) fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn an_image_that_has_everything_is_only_configured() {
    on_each_shell(&complete(), |machine| {
        full_image(machine);
        machine.write(
            "/root/.docker/config.json",
            r#"{"auths":{"r.example.com":{"auth":"eA=="}},"credHelpers":{"gcr.io":"gcloud"}}"#,
        );
        machine.write("/etc/docker/daemon.json", r#"{"live-restore":true,"log-opts":{"max-file":"3"}}"#);

        let output = machine.bootstrap();
        assert!(output.status.success(), "{output:?}");

        assert_eq!((phase(machine).as_str(), machine.read("/run/runner-fleet/ready").as_str()), ("ready", "100\n"));
        assert_eq!(
            json_of(machine, "/root/.docker/config.json"),
            json!({
                "auths": {"r.example.com": {"auth": "eA=="}},
                "credHelpers": {
                    "gcr.io": "gcloud",
                    "123456789012.dkr.ecr.eu-central-1.amazonaws.com": "ecr-login",
                    "public.ecr.aws": "ecr-login",
                },
            })
        );
        assert_eq!(
            json_of(machine, "/etc/docker/daemon.json"),
            json!({
                "live-restore": true,
                "registry-mirrors": ["https://mirror.example.com"],
                "log-driver": "local",
                "log-opts": {"max-file": "3", "max-size": "10m"},
            })
        );
        assert_eq!(machine.read("/setup.ran"), "-w vm.max_map_count=262144\n");
        let calls = machine.read("/systemctl.calls");
        assert!(calls.contains("restart docker.service") && calls.contains("disable --now gitlab-runner.service"));

        // Again, as after a reboot: nothing is changed, so Docker is not restarted.
        machine.write("/systemctl.calls", "");
        assert!(boot(machine));
        assert!(!machine.read("/systemctl.calls").contains("restart"));
    });
}

#[test]
fn missing_programs_are_downloaded_and_verified() {
    on_each_shell(&complete(), |machine| {
        full_image(machine);
        machine.page("/program", PROGRAM);
        std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
        // A helper of another architecture.
        machine.program("/usr/local/bin/docker-credential-ecr-login", "#!/bin/sh\nexit 126\n");
        downloads(machine, "runner", &sha256(PROGRAM));
        downloads(machine, "helper", &sha256(PROGRAM));

        assert!(boot(machine), "{}", phase(machine));

        for name in ["gitlab-runner", "docker-credential-ecr-login"] {
            let path = format!("/usr/local/bin/{name}");
            assert_eq!((machine.read(&path).as_str(), machine.mode(&path)), (PROGRAM, 0o755));
        }
    });
}

#[test]
fn a_wrong_checksum_is_never_installed() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        machine.page("/program", "something else");
        std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
        downloads(machine, "runner", &sha256(PROGRAM));

        assert!(!boot(machine));

        let expected = format!(
            "failed installing gitlab-runner 19.4.0: {} has sha256 {}, expected is {}",
            machine.url("/program"),
            sha256("something else"),
            sha256(PROGRAM)
        );
        assert_eq!(phase(machine), expected);
        assert!(!machine.exists("/usr/local/bin/gitlab-runner") && !machine.exists("/usr/local/bin/gitlab-runner.new"));
    });
}

/// Points the runner's list of checksums at the machine's own server; returns the list.
fn lists(machine: &Machine, list: &str) -> String {
    machine.page("/release.sha256", list);
    let mut env = machine.read("/etc/default/runner-fleet");
    env.push_str(&format!(
        "runner_url={}\nrunner_list_url={}\n",
        machine.url("/program"),
        machine.url("/release.sha256")
    ));
    env.push_str(&format!("runner_list_sha256={}\n", sha256(list)));
    machine.write("/etc/default/runner-fleet", &env);
    list.to_owned()
}

/// As `sha256sum` writes it, in text mode, in binary mode, and with the path as `find` prints it.
fn list_of(program: &str, before_the_path: &str) -> String {
    let (other, program) = (sha256("another"), sha256(program));
    format!(
        "{other} {before_the_path}binaries/gitlab-runner-linux-amd64\n{program} {before_the_path}binaries/gitlab-runner-linux-arm64\n\
         {other} {before_the_path}deb/binaries/gitlab-runner-linux-arm64\n"
    )
}

#[test]
fn the_runner_is_verified_by_the_list_of_its_release() {
    for before_the_path in [" ", "*", " ./"] {
        on_each_shell(&minimal(), |machine| {
            full_image(machine);
            machine.page("/program", PROGRAM);
            std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
            lists(machine, &list_of(PROGRAM, before_the_path));

            assert!(boot(machine), "{}", phase(machine));

            let path = "/usr/local/bin/gitlab-runner";
            assert_eq!((machine.read(path).as_str(), machine.mode(path)), (PROGRAM, 0o755));
        });
    }
}

#[test]
fn a_list_that_is_not_the_pinned_one_proves_nothing() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        machine.page("/program", PROGRAM);
        std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
        let pinned = lists(machine, &list_of("the released program", " "));
        machine.page("/release.sha256", list_of(PROGRAM, " "));

        assert!(!boot(machine));

        let expected = format!(
            "failed installing gitlab-runner 19.4.0: {} has sha256 {}, expected is {}",
            machine.url("/release.sha256"),
            sha256(&list_of(PROGRAM, " ")),
            sha256(&pinned)
        );
        assert_eq!(phase(machine), expected);
        assert!(!machine.exists("/usr/local/bin/gitlab-runner"));
    });
}

#[test]
fn a_program_that_its_release_does_not_list_is_not_installed() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        machine.page("/program", PROGRAM);
        std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
        lists(machine, &format!("{} *deb/gitlab-runner_arm64.deb\n", sha256(PROGRAM)));

        assert!(!boot(machine));

        let list = machine.url("/release.sha256");
        let expected =
            format!("failed installing gitlab-runner 19.4.0: {list} does not list binaries/gitlab-runner-linux-arm64");
        assert_eq!(phase(machine), expected);
        assert!(!machine.exists("/usr/local/bin/gitlab-runner"));
    });
}

#[test]
fn a_silent_address_is_named_after_five_attempts() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
        downloads(machine, "runner", &sha256(PROGRAM));

        assert!(!boot(machine));

        assert!(
            phase(machine).starts_with("failed installing gitlab-runner 19.4.0: exit code 22: curl: (22)"),
            "{}",
            phase(machine)
        );
        assert_eq!(machine.read("/var/log/runner-fleet-bootstrap.log").matches("curl: (22)").count(), 5);
    });
}

/// A package manager that fails as often as /failures says, then installs a dockerd.
const PACKAGE_MANAGER: &str = r#"#!/bin/sh
echo "$0 $*" | sed 's|.*/||' >>"$RUNNER_FLEET_ROOT/packages.calls"
read -r left <"$RUNNER_FLEET_ROOT/failures"
if [ "$left" -gt 0 ]; then
    echo $((left - 1)) >"$RUNNER_FLEET_ROOT/failures"
    echo "E: could not get lock" >&2
    exit 100
fi
case "$*" in *install*) cp "$RUNNER_FLEET_ROOT/bin/systemctl" "$RUNNER_FLEET_ROOT/bin/dockerd" ;; esac
"#;

#[test]
fn docker_is_installed_from_the_distribution_with_patience() {
    for (manager, package) in [("apt-get", "docker.io"), ("dnf", "docker")] {
        on_each_shell(&minimal(), |machine| {
            full_image(machine);
            std::fs::remove_file(machine.path("/bin/dockerd")).unwrap();
            machine.program(&format!("/bin/{manager}"), PACKAGE_MANAGER);
            machine.write("/failures", "3\n");

            assert!(boot(machine), "{}", phase(machine));

            let calls = machine.read("/packages.calls");
            assert!(calls.lines().last().unwrap().ends_with(&format!(" {package}")), "{calls}");
        });
    }
}

#[test]
fn a_package_manager_that_keeps_failing_is_quoted() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        std::fs::remove_file(machine.path("/bin/dockerd")).unwrap();
        machine.program("/bin/apt-get", PACKAGE_MANAGER);
        machine.write("/failures", "99\n");

        assert!(!boot(machine));

        assert_eq!(phase(machine), "failed installing docker: exit code 100: E: could not get lock");
    });
}

#[test]
fn an_image_without_package_manager_says_what_it_lacks() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        std::fs::remove_file(machine.path("/bin/dockerd")).unwrap();
        assert!(!boot(machine));
        assert_eq!(
            phase(machine),
            "failed installing docker: this image has neither apt-get nor dnf; use an image that has docker.io"
        );
    });
}

#[test]
fn a_failing_setup_script_is_quoted() {
    let script = |text: &str| WorkerSpec { setup_script: Some(text.into()), ..minimal() };
    for text in ["echo no space left >&2\nexit 3\n", "#!/bin/sh\necho no space left\necho\nexit 3\n"] {
        on_each_shell(&script(text), |machine| {
            full_image(machine);
            assert!(!boot(machine));
            assert_eq!(phase(machine), "failed running setup_script: exit code 3: no space left");
        });
    }
}

#[test]
fn a_broken_docker_configuration_of_the_image_is_named() {
    on_each_shell(&complete(), |machine| {
        full_image(machine);
        machine.write("/etc/docker/daemon.json", "{,}");
        assert!(!boot(machine));
        assert!(
            phase(machine).starts_with("failed configuring docker: /etc/docker/daemon.json: json."),
            "{}",
            phase(machine)
        );
        assert_eq!(machine.read("/etc/docker/daemon.json"), "{,}");
    });
}

#[test]
fn ecr_off_touches_nothing_of_docker() {
    let mut spec = complete();
    spec.ecr.as_mut().unwrap().enabled = false;
    on_each_shell(&spec, |machine| {
        full_image(machine);
        std::fs::remove_file(machine.path("/usr/local/bin/docker-credential-ecr-login")).unwrap();
        assert!(boot(machine), "{}", phase(machine));
        assert!(!machine.exists("/root/.docker/config.json"));
        assert!(!machine.exists("/usr/local/bin/docker-credential-ecr-login"));
    });
}

/// The ECR helper, as far as the bootstrap asks it.
pub(super) fn helper(version: &str, get: &str) -> String {
    format!(
        "#!/bin/sh\n[ \"$1\" != -v ] || {{ echo helper; echo 'Version:    {version}'; exit 0; }}\nread -r host\n{get}\n"
    )
}

//! ECR in the boot: a helper that serves, credentials for each private registry, and nothing that waits for what is optional.

use runner_fleet_worker::{Proxy, WorkerSpec};
use serde_json::json;

use super::bootstrap::{boot, downloads, full_image, helper, json_of, phase, sha256};
use super::machine::{Machine, on_each_shell};
use super::specs::{complete, minimal};

const HOST: &str = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
const HELPER: &str = "/usr/local/bin/docker-credential-ecr-login";
const LOG: &str = "/var/log/runner-fleet-bootstrap.log";

#[test]
fn a_helper_that_is_too_old_is_not_used() {
    on_each_shell(&complete(), |machine| {
        for (packaged, local) in [("0.10.1", "0.6.0"), ("0.9.0", "")] {
            full_image(machine);
            machine.program("/usr/bin/docker-credential-ecr-login", &helper(packaged, "exit 0"));
            machine.program("/usr/local/bin/docker-credential-ecr-login", &helper(local, "exit 0"));
            assert!(boot(machine), "{}", phase(machine));
            let used = machine.read("/usr/local/bin/docker-credential-ecr-login");
            assert!(used.contains(packaged), "the image's own is new enough: {used}");
        }

        machine.program("/usr/bin/docker-credential-ecr-login", &helper("0.6.0", "exit 0"));
        machine.program("/usr/local/bin/docker-credential-ecr-login", &helper("0.8.0", "exit 0"));
        machine.page("/program", helper("0.12.0", "exit 0"));
        let sum = sha256(&helper("0.12.0", "exit 0"));
        downloads(machine, "helper", &sum);
        assert!(boot(machine), "{}", phase(machine));
        assert!(machine.read("/usr/local/bin/docker-credential-ecr-login").contains("0.12.0"));
    });
}

#[test]
fn without_credentials_for_its_registry_none_gets_ready() {
    let denied = "mkdir -p \"$HOME/.ecr/log\"\necho 'time=2026-02-25T10:11:13Z level=ERROR msg=\"Error retrieving credentials\" \
                  error=\"ecr: not authorized\"' >>\"$HOME/.ecr/log/ecr-login.log\"\necho credentials not found\nexit 1";
    let host = "123456789012.dkr.ecr.eu-central-1.amazonaws.com";
    on_each_shell(&complete(), |machine| {
        full_image(machine);
        machine.program("/usr/local/bin/docker-credential-ecr-login", &helper("0.12.0", denied));
        assert!(!boot(machine));
        let reason = format!("failed checking the ECR login: no credentials for {host}: ecr: not authorized");
        assert_eq!(phase(machine), reason);

        // The setup script may prepare the way, so it has run before.
        assert!(machine.exists("/setup.ran"));

        let mut env = machine.read("/etc/default/runner-fleet");
        env.push_str("ecr_seconds=1\n");
        machine.write("/etc/default/runner-fleet", &env);
        machine.program("/usr/local/bin/docker-credential-ecr-login", &helper("0.12.0", "exec sleep 5"));
        assert!(!boot(machine));
        assert!(phase(machine).contains("has not answered in 1 s"), "{}", phase(machine));
    });
}

#[test]
fn public_images_need_no_credentials_and_a_role_may_come_late() {
    let late = "case $host in public.ecr.aws) exit 1 ;; esac\necho . >>\"$RUNNER_FLEET_ROOT/asked\"\n\
                [ \"$(wc -l <\"$RUNNER_FLEET_ROOT/asked\")\" -ge 3 ] && echo secret-token";
    on_each_shell(&complete(), |machine| {
        full_image(machine);
        machine.program("/usr/local/bin/docker-credential-ecr-login", &helper("0.12.0", late));
        assert!(boot(machine), "{}", phase(machine));
        assert!(!machine.read("/var/log/runner-fleet-bootstrap.log").contains("secret-token"));
    });
}

/// As a distribution builds it: what loads its libraries is named in the file.
fn dynamic(version: &str) -> String {
    helper(version, "exit 0").replacen('\n', "\n# /lib64/ld-linux-x86-64.so.2\n", 1)
}

/// Offers the pinned release for download.
fn offer(machine: &Machine, text: &str) {
    machine.page("/program", text);
    downloads(machine, "helper", &sha256(text));
}

#[test]
fn what_goes_into_jobs_is_static() {
    for place in ["/usr/bin/docker-credential-ecr-login", HELPER] {
        on_each_shell(&complete(), |machine| {
            full_image(machine);
            std::fs::remove_file(machine.path(HELPER)).unwrap();
            machine.program(place, &dynamic("0.12.0"));
            offer(machine, &helper("0.12.0", "exit 0"));
            assert!(boot(machine), "{}", phase(machine));
            assert!(!machine.read(HELPER).contains("ld-linux"), "{place}");
        });
    }
    let mut for_the_worker_alone = complete();
    for_the_worker_alone.ecr.as_mut().unwrap().in_jobs = false;
    on_each_shell(&for_the_worker_alone, |machine| {
        full_image(machine);
        machine.program(HELPER, &dynamic("0.12.0"));
        assert!(boot(machine), "{}", phase(machine));
        assert!(machine.read(HELPER).contains("ld-linux"));
    });
    on_each_shell(&complete(), |machine| {
        full_image(machine);
        std::fs::remove_file(machine.path(HELPER)).unwrap();
        offer(machine, &helper("0.12.0", "exit 0").replace("echo helper", "echo helper # /lib/ld-musl-aarch64.so.1"));
        assert!(!boot(machine));
        assert!(phase(machine).ends_with("is dynamically linked, and would not run in every job's image"));
    });
}

/// Refuses the public host as the real helper does, or hangs; notes each call.
fn refuses_public(then: &str) -> String {
    let get =
        "echo \"$host\" >>\"$RUNNER_FLEET_ROOT/calls\"\ncase $host in public.ecr.aws) THEN ;; esac\necho secret-token";
    helper("0.12.0", &get.replace("THEN", then))
}

#[test]
fn what_is_public_gets_one_try_and_is_left_out() {
    for (then, limit) in [("exit 1", ""), ("exec sleep 100", "public_seconds=1\n")] {
        on_each_shell(&complete(), |machine| {
            full_image(machine);
            machine.program(HELPER, &refuses_public(then));
            let env = machine.read("/etc/default/runner-fleet");
            machine.write("/etc/default/runner-fleet", &format!("{env}{limit}"));
            assert!(boot(machine), "{}", phase(machine));

            assert_eq!(machine.read("/calls"), format!("{HOST}\npublic.ecr.aws\n"));
            let only = json!({"credHelpers": {HOST: "ecr-login"}});
            for file in ["/root/.docker/config.json", "/etc/runner-fleet/docker-config.json"] {
                assert_eq!(json_of(machine, file), only, "{file}");
            }
            assert_eq!(machine.mode("/etc/runner-fleet/docker-config.json"), 0o644, "every job's user reads it");
            assert!(machine.read(LOG).contains("no login to public.ecr.aws on this worker"), "{}", machine.read(LOG));
            assert!(!machine.read(LOG).contains("secret-token"));

            // After a reboot it is asked again, and has its place if it answers.
            machine.program(HELPER, &helper("0.12.0", "echo secret-token"));
            assert!(boot(machine), "{}", phase(machine));
            let both = json!({"credHelpers": {HOST: "ecr-login", "public.ecr.aws": "ecr-login"}});
            for file in ["/root/.docker/config.json", "/etc/runner-fleet/docker-config.json"] {
                assert_eq!(json_of(machine, file), both, "{file}");
            }
        });
    }
}

/// What people had before the table: the script that sets all of it up by itself.
const OLD_SETUP: &str = r#"#!/bin/sh
set -e
B=${RUNNER_FLEET_ROOT}/usr/local/bin
printf '%s\n' '#!/bin/sh' '[ "$1" = -v ] && { printf "amazon-ecr-credential-helper\nVersion:    0.7.1\n"; exit 0; }' 'echo x' > $B/docker-credential-ecr-login
chmod +x $B/docker-credential-ecr-login
mkdir -p ${RUNNER_FLEET_ROOT}/root/.docker
echo '{ "credHelpers": { "public.ecr.aws": "other", "gcr.io": "gcloud" }}' >> ${RUNNER_FLEET_ROOT}/root/.docker/config.json
"#;

#[test]
fn what_a_setup_script_breaks_is_put_back() {
    let spec = WorkerSpec { setup_script: Some(OLD_SETUP.into()), ..complete() };
    on_each_shell(&spec, |machine| {
        full_image(machine);
        let ours = helper("0.12.0", "echo secret-token");
        machine.program(HELPER, &ours);
        for _ in 0..2 {
            assert!(boot(machine), "{}", phase(machine));
            assert_eq!(phase(machine), "ready");
            assert_eq!((machine.read(HELPER), machine.mode(HELPER)), (ours.clone(), 0o755));
            assert_eq!(
                json_of(machine, "/root/.docker/config.json"),
                json!({"credHelpers": {HOST: "ecr-login", "public.ecr.aws": "ecr-login", "gcr.io": "gcloud"}})
            );
            let log = machine.read(LOG);
            assert!(log.contains("an ECR helper that does not serve (0.7.1): put back"), "{log}");
            assert!(log.contains("/root/.docker/config.json: the ECR hosts were put back"), "{log}");
            assert_eq!(
                machine.names("/usr/local/lib/runner-fleet"),
                ["agent", "bootstrap", "setup"],
                "no copy is left"
            );
        }
    });
    // One that leaves it alone, or brings a newer one, has the last word.
    let spec = WorkerSpec { setup_script: Some(OLD_SETUP.replace("0.7.1", "0.13.0")), ..complete() };
    on_each_shell(&spec, |machine| {
        full_image(machine);
        assert!(boot(machine), "{}", phase(machine));
        assert!(machine.read(HELPER).contains("0.13.0"));
    });
}

#[test]
fn a_docker_that_runs_already_is_told_of_the_proxy_once() {
    let https = Some("http://proxy.example.com:3128".to_owned());
    let proxy = Proxy { https, no_proxy: vec![".amazonaws.com".into()], ..Proxy::default() };
    on_each_shell(&WorkerSpec { proxy, ..minimal() }, |machine| {
        full_image(machine);
        for (boots, restarts) in [(1, true), (2, false)] {
            machine.write("/systemctl.calls", "");
            assert!(boot(machine), "{}", phase(machine));
            assert_eq!(machine.read("/systemctl.calls").contains("restart docker.service"), restarts, "boot {boots}");
        }
    });
}

/// Package managers and curl read the small letters alone.
#[test]
fn the_boot_downloads_through_the_proxy() {
    on_each_shell(&minimal(), |machine| {
        full_image(machine);
        std::fs::remove_file(machine.path("/bin/gitlab-runner")).unwrap();
        let program = "#!/bin/sh\n";
        // The machine's own server is the proxy, and knows the page by its whole address.
        machine.page("http://downloads.example.com/runner", program);
        machine.set(&format!("runner_url=http://downloads.example.com/runner\nrunner_sha256={}", sha256(program)));
        let variables = [("HTTP_PROXY", machine.url("")), ("NO_PROXY", "169.254.169.254".to_owned())];
        assert!(machine.bootstrap_with(&variables).status.success(), "{}", phase(machine));
        assert_eq!(machine.read("/usr/local/bin/gitlab-runner"), program);
    });
}

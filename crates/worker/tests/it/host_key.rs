//! A worker takes a host key of its own whole or not at all, and is never left without one. The real script, under each POSIX
//! shell at hand.

use runner_fleet_engine::WorkerId;
use runner_fleet_worker::{AgentExit, HostKey, host_key_bundle};
use secrecy::{ExposeSecret, SecretString};

use super::machine::{Machine, on_each_shell};
use super::specs::{HOST_KEY, minimal, worker};

const FILE: &str = "/etc/ssh/ssh_host_ed25519_key";
const OWN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----\nits own\n-----END OPENSSH PRIVATE KEY-----\n";
const OWN_PUBLIC: &str = "ssh-ed25519 AAAAitsOwn";

fn bundle() -> String {
    let own = HostKey { private: SecretString::from(OWN), public: OWN_PUBLIC.into() };
    host_key_bundle(&own, &worker()).expose_secret().to_owned()
}

/// As cloud-init leaves it.
fn booted(machine: &Machine) {
    machine.write(FILE, HOST_KEY);
    machine.write(&format!("{FILE}.pub"), "ssh-ed25519 AAAAtheTemplates\n");
    machine.write("/var/lib/cloud/data/instance-id", &format!("{}\n", worker()));
}

fn told(machine: &Machine, input: &str) -> (AgentExit, String) {
    let (code, text) = machine.agent_with(&["host-key"], input.as_bytes());
    (AgentExit::of(code.unsigned_abs()), text)
}

fn keeps_the_templates(machine: &Machine) {
    assert_eq!(machine.read(FILE), HOST_KEY);
    assert_eq!(machine.names("/etc/ssh"), ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"], "something is left");
}

fn has_its_own(machine: &Machine) {
    assert_eq!((machine.read(FILE), machine.mode(FILE)), (OWN.to_owned(), 0o600));
    assert_eq!(machine.read(&format!("{FILE}.pub")), format!("{OWN_PUBLIC}\n"));
    assert_eq!(machine.names("/etc/ssh"), ["ssh_host_ed25519_key", "ssh_host_ed25519_key.pub"], "the old one is left");
}

#[test]
fn its_own_host_key_replaces_the_templates_and_sshd_reads_it() {
    on_each_shell(&minimal(), |machine| {
        booted(machine);
        for times in 1..=2 {
            assert_eq!(told(machine, &bundle()).0, AgentExit::Done);
            has_its_own(machine);
            assert_eq!(machine.read("/systemctl.calls").matches("reload ssh.service").count(), times);
        }
    });
}

#[test]
fn sshd_is_found_under_both_of_its_names() {
    on_each_shell(&minimal(), |machine| {
        booted(machine);
        machine.write("/only-sshd", "");
        assert_eq!(told(machine, &bundle()).0, AgentExit::Done);
        assert!(machine.read("/systemctl.calls").contains("reload sshd.service"));
    });
}

#[test]
fn a_cut_or_foreign_host_key_changes_nothing() {
    on_each_shell(&minimal(), |machine| {
        booted(machine);
        let good = bundle();
        let version = good.replacen("host-key 1", "host-key 2", 1);
        let length = good.replacen("private-bytes ", "private-bytes $(reboot)", 1);
        let id = good.replacen("system-id r_", "system-id ../", 1);
        for bad in ["", "garbage\n", &good[..good.len() - 5], &version, &length, &id] {
            let (exit, text) = told(machine, bad);
            assert_eq!(exit, AgentExit::BadBundle, "{bad:?}: {text}");
            keeps_the_templates(machine);
        }
        let another = host_key_bundle(
            &HostKey { private: SecretString::from(OWN), public: OWN_PUBLIC.into() },
            &WorkerId::new("i-0fedcba9876543210"),
        );
        let (exit, text) = told(machine, another.expose_secret());
        assert!(exit == AgentExit::BadBundle && text.contains("another instance's"), "{text}");
        keeps_the_templates(machine);
        assert_eq!(machine.read("/systemctl.calls"), "");
    });
}

/// A worker that nobody can reach would be worse than one with the template's key.
#[test]
fn a_full_disk_leaves_the_host_key_that_was_there() {
    on_each_shell(&minimal(), |machine| {
        for tool in ["cat() { return 1; }", "ln() { return 1; }", "mv() { return 1; }"] {
            booted(machine);
            machine.set(tool);
            let (exit, text) = told(machine, &bundle());
            assert_eq!(exit, AgentExit::Failed(1), "{tool}: {text}");
            assert!(text.contains("cannot") && !text.contains("its own"), "{text}");
            assert_eq!(machine.read(FILE), HOST_KEY, "{tool}");
            let name = tool.split('(').next().unwrap();
            machine.set(&format!("unset -f {name}"));
        }
        // And when there is room again:
        assert_eq!(told(machine, &bundle()).0, AgentExit::Done);
        has_its_own(machine);
    });
}

#[test]
fn an_sshd_that_does_not_read_it_keeps_the_old_one() {
    on_each_shell(&minimal(), |machine| {
        booted(machine);
        machine.write("/broken-sshd", "");
        let (exit, text) = told(machine, &bundle());
        assert!(exit == AgentExit::Failed(1) && text.contains("cannot be reloaded"), "{text}");
        keeps_the_templates(machine);
        std::fs::remove_file(machine.path("/broken-sshd")).unwrap();
        assert_eq!(told(machine, &bundle()).0, AgentExit::Done);
        has_its_own(machine);
    });
}

/// The agent was killed after the key was in place, and before sshd read it.
#[test]
fn an_exchange_that_was_cut_short_is_carried_to_its_end() {
    on_each_shell(&minimal(), |machine| {
        booted(machine);
        machine.write(FILE, OWN);
        machine.write(&format!("{FILE}.old"), HOST_KEY);
        std::fs::set_permissions(machine.path(FILE), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        assert_eq!(told(machine, &bundle()).0, AgentExit::Done);
        has_its_own(machine);
        assert!(machine.read("/systemctl.calls").contains("reload ssh.service"));
    });
}

//! An operator's shell on a worker: the system's own `ssh`, with the manager's key and the pinned host key.
//!
//! Nothing of the operator's SSH configuration takes part, so that the answer does not depend on whose home this is.

use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use super::host::HostPublicKey;
use super::session::Target;
use runner_fleet_worker::shell;

/// What `ssh` is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shell {
    /// Its arguments, without the program's name.
    pub arguments: Vec<OsString>,
    /// What stands in the known-hosts file.
    pub known_hosts: String,
}

impl Shell {
    /// Pure: the arguments and the known-hosts lines for one worker.
    ///
    /// `name` is the worker's id, under which its key is known whatever its address. Of `command`, a single word is handed
    /// to the worker's shell as it is (`'ls | wc -l'`); several are quoted one by one, because `ssh` itself would only
    /// join them with spaces.
    pub fn new(name: &str, target: &Target, key: &Path, known_hosts: &Path, command: &[String]) -> Self {
        let mut arguments: Vec<OsString> = Vec::new();
        let mut option = |name: &str, value: OsString| {
            let mut text = OsString::from(name);
            text.push("=");
            text.push(value);
            arguments.extend(["-o".into(), text]);
        };
        option("IdentityFile", quoted_path(key));
        option("IdentitiesOnly", "yes".into());
        option("IdentityAgent", "none".into());
        option("UserKnownHostsFile", quoted_path(known_hosts));
        option("GlobalKnownHostsFile", "/dev/null".into());
        option("StrictHostKeyChecking", "yes".into());
        option("UpdateHostKeys", "no".into());
        option("HostKeyAlgorithms", "ssh-ed25519".into());
        option("HostKeyAlias", name.into());
        option("PreferredAuthentications", "publickey".into());
        option("ForwardAgent", "no".into());
        option("ConnectTimeout", "10".into());
        arguments.extend(["-F".into(), "/dev/null".into()]);
        arguments.extend(["-p".into(), target.address.port().to_string().into()]);
        arguments.extend(["-l".into(), target.user.clone().into()]);
        arguments.extend(["--".into(), target.address.ip().to_string().into()]);
        match command {
            [] => {}
            [line] => arguments.push(line.into()),
            words => arguments.push(words.iter().map(|word| shell::word(word)).collect::<Vec<_>>().join(" ").into()),
        }
        let known_hosts = target.host_keys.iter().map(|key| known_hosts_line(name, key)).collect();
        Self { arguments, known_hosts }
    }

    /// Runs `ssh` on this terminal until it ends. Blocks.
    ///
    /// # Errors
    /// When the known-hosts file cannot be written to `known_hosts`, or there is no `ssh`.
    pub fn run(&self, known_hosts: &Path) -> io::Result<ExitStatus> {
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(known_hosts)?
            .write_all(self.known_hosts.as_bytes())?;
        let status = Command::new("ssh").args(&self.arguments).status();
        let _ = fs::remove_file(known_hosts); // a public key that stays behind harms nobody
        status
    }
}

/// A fresh place for the known-hosts file.
pub fn known_hosts_path(temporary: &Path) -> PathBuf {
    temporary.join(format!("runner-fleet-known-hosts-{:016x}", rand::random::<u64>()))
}

fn known_hosts_line(name: &str, key: &HostPublicKey) -> String {
    format!("{name} {}\n", key.to_openssh())
}

/// `ssh -o` splits values at blanks, and expands `%`.
fn quoted_path(path: &Path) -> OsString {
    let text = path.to_string_lossy().replace('%', "%%").replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{text}\"").into()
}

#[cfg(test)]
mod tests {
    use super::super::host::HostKey;
    use super::*;

    fn shell(command: &[&str]) -> Shell {
        let keys = [HostKey::of_worker(&[7; 32], "a", "i-0abc"), HostKey::of_template(&[7; 32], "a")];
        let host_keys = keys.iter().map(|key| HostPublicKey::parse(&key.public_openssh).unwrap()).collect();
        let target = Target { address: ([10, 0, 0, 7], 2222).into(), user: "admin".into(), host_keys };
        let command: Vec<_> = command.iter().map(|word| (*word).to_owned()).collect();
        Shell::new("i-0abc", &target, Path::new("/var/lib/a b/key"), Path::new("/tmp/kh"), &command)
    }

    fn last(shell: &Shell) -> &str {
        shell.arguments.last().unwrap().to_str().unwrap()
    }

    #[test]
    fn the_arguments_pin_key_and_host() {
        let shell = shell(&[]);

        let lines: Vec<_> = shell.arguments.iter().map(|word| word.to_string_lossy()).collect();
        insta::assert_snapshot!(format!("{}\n---\n{}", lines.join("\n"), shell.known_hosts));
    }

    #[test]
    fn one_word_is_a_shell_line_and_several_are_quoted() {
        assert_eq!(last(&shell(&["docker ps | wc -l"])), "docker ps | wc -l");
        assert_eq!(last(&shell(&["echo", "it's", "", "$HOME", "a=b"])), r#"echo "it's" '' '$HOME' 'a=b'"#);
    }
}

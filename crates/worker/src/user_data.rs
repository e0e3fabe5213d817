//! User-data: a `#cloud-config` that writes our files, sets the SSH host key and starts the bootstrap.
//!
//! The YAML is written by hand, as it needs only two kinds of text: a literal block where a text reads well as one, and a
//! JSON string everywhere else (JSON strings are YAML, once what YAML does not print is escaped).
//! Sources: cloud-init's module reference (`bootcmd`, `ssh_keys`, `write_files`, `runcmd`); EC2's limit of 16 KB for
//! user-data before base64, in which a gzip stream counts as it is.

use std::fmt::{self, Write as _};
use std::io::{self, Write as _};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use secrecy::ExposeSecret;

use super::files::{ENABLED_UNITS, files};
use super::spec::WorkerSpec;
use runner_fleet_engine::{Failure, FailureClass};

/// What EC2 takes, in bytes before base64.
pub const USER_DATA_MAX: usize = 16 * 1024;

/// How long after `boot_timeout` a machine that is not ready ends, if nothing else has ended it.
const GUARD_AFTER: Duration = Duration::from_secs(10 * 60);

/// Rendered user-data, gzipped. Holds the workers' private SSH host key, hence the silent `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct UserData(Vec<u8>);

impl UserData {
    /// The bytes as cloud-init gets them; the same specification always gives the same bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// As EC2's API takes it.
    pub fn to_base64(&self) -> String {
        STANDARD.encode(&self.0)
    }
}

impl fmt::Debug for UserData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "UserData({} bytes)", self.0.len())
    }
}

/// The rendered user-data exceeds what EC2 takes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a worker's user-data has {bytes} bytes after gzip, EC2 takes less than {USER_DATA_MAX}; \
     shorten setup_script ({setup_script_bytes} bytes) or put its content into the image"
)]
pub struct UserDataTooLarge {
    /// Its size.
    pub bytes: usize,
    /// The size of the one part that the user can shorten, before gzip.
    pub setup_script_bytes: usize,
}

impl From<UserDataTooLarge> for Failure {
    fn from(error: UserDataTooLarge) -> Self {
        Self::of(FailureClass::Invalid, &error)
    }
}

/// Renders the user-data of all workers of this specification. It holds no token.
pub fn user_data(spec: &WorkerSpec) -> Result<UserData, UserDataTooLarge> {
    let bytes = gzip(cloud_config(spec, spec.host_key.private.expose_secret()).as_bytes()).unwrap_or_default();
    if bytes.len() >= USER_DATA_MAX {
        let setup_script_bytes = spec.setup_script.as_ref().map_or(0, String::len);
        return Err(UserDataTooLarge { bytes: bytes.len(), setup_script_bytes });
    }
    Ok(UserData(bytes))
}

/// Without a time stamp or a file name, so that equal content gives equal bytes. Writing to memory cannot fail.
fn gzip(bytes: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The text before gzip, with this as the private host key.
pub(super) fn cloud_config(spec: &WorkerSpec, host_key: &str) -> String {
    let mut yaml = String::from("#cloud-config\n");
    let about = format!("A worker of runner {} for runner-fleet manager {}.", spec.runner, spec.manager);
    let _ = writeln!(yaml, "# {}", about.replace(char::is_control, " "));
    yaml.push_str("bootcmd:\n- 'mkdir -p /run/runner-fleet && echo booting cloud-init >/run/runner-fleet/phase'\n");
    let _ = writeln!(yaml, "- '{}'", guard(spec));
    if spec.ssh_user == "root" {
        yaml.push_str("disable_root: false\n");
    }
    yaml.push_str("ssh_deletekeys: true\nssh_keys:\n  ed25519_private: ");
    text(&mut yaml, &format!("{}\n", host_key.trim_end()), "    ");
    yaml.push_str("  ed25519_public: ");
    text(&mut yaml, spec.host_key.public.trim_end(), "    ");
    yaml.push_str("write_files:\n");
    for file in files(spec) {
        let _ = write!(yaml, "- path: {}\n  permissions: '{}'\n  content: ", file.path, file.mode);
        text(&mut yaml, &file.content, "    ");
    }
    let _ = write!(
        yaml,
        "runcmd:\n- systemctl daemon-reload\n- systemctl enable --now --no-block {}\n",
        ENABLED_UNITS.join(" ")
    );
    yaml
}

/// Ends a machine whose boot breaks before our units are there: the dead man and the bootstrap's time limit come with them.
fn guard(spec: &WorkerSpec) -> String {
    let seconds = (spec.boot_timeout + GUARD_AFTER).as_secs();
    format!(
        "setsid sh -c \"sleep {seconds}; grep -q ^ready /run/runner-fleet/phase || systemctl poweroff\" </dev/null >/dev/null 2>&1 &"
    )
}

/// Writes a text as a YAML value, with a newline after it.
fn text(yaml: &mut String, text: &str, indent: &str) {
    if !is_block(text) {
        let _ = writeln!(yaml, "{}", json_string(text));
        return;
    }
    yaml.push_str("|\n");
    for line in text.lines() {
        if !line.is_empty() {
            yaml.push_str(indent);
        }
        yaml.push_str(line);
        yaml.push('\n');
    }
}

/// Whether the text survives as a literal block: plain ASCII, one newline at its end, its first line not indented.
fn is_block(text: &str) -> bool {
    text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\t', '\n'])
        && text.bytes().all(|byte| matches!(byte, b'\n' | b'\t' | b' '..=b'~'))
        && text.lines().all(|line| line.is_empty() || !line.trim().is_empty())
}

fn json_string(text: &str) -> String {
    let json = serde_json::Value::from(text).to_string();
    let mut escaped = String::with_capacity(json.len());
    for c in json.chars() {
        match u32::from(c) {
            // JSON leaves these as they are; YAML does not print some of them, so all of them are escaped.
            code @ 0x7f..=0xffff => {
                let _ = write!(escaped, "\\u{code:04x}");
            }
            _ => escaped.push(c),
        }
    }
    escaped
}

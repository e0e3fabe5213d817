//! The manager's SSH key: one ed25519 pair, the only secret that the service keeps.
//!
//! It may be lost without losing workers' jobs: a new pair is made, workers that only know the old one cannot be
//! reached, drain by themselves after their orphan time, and are replaced. Its file is in [`super::key_file`].

use runner_fleet_engine::text::short_hex;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use secrecy::{ExposeSecret, SecretBox, SecretString};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::host::HostKey;

/// The key's file in the state directory.
pub const KEY_FILE: &str = "manager_ed25519";

/// Stands in the key, for people who look at it.
const COMMENT: &str = "runner-fleet";

/// The manager's key pair.
#[derive(Clone)]
pub struct ManagerKey {
    pair: Arc<PrivateKey>,
    seed: Arc<SecretBox<[u8; 32]>>,
    path: PathBuf,
}

impl std::fmt::Debug for ManagerKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ManagerKey").field("fingerprint", &self.fingerprint()).finish_non_exhaustive()
    }
}

impl ManagerKey {
    /// A new key, which lies nowhere yet.
    pub fn fresh() -> Self {
        let ed25519 = Ed25519Keypair::from_seed(&rand::random());
        let seed = seed(&ed25519);
        let mut pair = PrivateKey::from(ed25519);
        pair.set_comment(COMMENT);
        Self { pair: Arc::new(pair), seed: Arc::new(seed), path: PathBuf::new() }
    }

    /// Reads a key as `ssh-keygen -t ed25519` writes it; it lies nowhere yet.
    ///
    /// `None`: it is something else, or has a passphrase.
    pub fn from_openssh(text: &SecretString) -> Option<Self> {
        // Whoever pastes a key loses its last line break; OpenSSH's own reader wants one.
        let pair = PrivateKey::from_openssh(format!("{}\n", text.expose_secret().trim())).ok()?;
        // One with a passphrase has no pair in it that could be read.
        let KeypairData::Ed25519(ed25519) = pair.key_data() else { return None };
        let seed = seed(ed25519);
        Some(Self { pair: Arc::new(pair), seed: Arc::new(seed), path: PathBuf::new() })
    }

    /// The private half, as [`Self::from_openssh`] reads it.
    pub fn to_openssh(&self) -> SecretString {
        // A pair that was read or made can be written.
        self.pair.to_openssh(LineEnding::LF).map(|text| SecretString::from(text.as_str())).unwrap_or_default()
    }

    /// The public half as one line of `authorized_keys`, and as EC2's ImportKeyPair takes it.
    pub fn public_openssh(&self) -> String {
        let mut public = self.pair.public_key().clone();
        public.set_comment(COMMENT);
        public.to_openssh().unwrap_or_default()
    }

    /// 16 hex digits of the public half's SHA-256: short, and safe in tags, names and paths.
    pub fn fingerprint(&self) -> String {
        let blob = self.pair.public_key().to_bytes().unwrap_or_default();
        short_hex(&Sha256::digest(&blob), 16)
    }

    /// Where the private half lies, for an operator's own `ssh -i`; empty where it lies nowhere.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The host key that the launch template of a runner gives its workers, derived from this key: see [`HostKey`].
    pub fn host_key(&self, runner: &str) -> HostKey {
        HostKey::of_template(self.seed.expose_secret(), runner)
    }

    /// The host key of one worker alone, which replaces that one at the first contact.
    pub fn worker_host_key(&self, runner: &str, worker: &str) -> HostKey {
        HostKey::of_worker(self.seed.expose_secret(), runner, worker)
    }

    /// For authentication only.
    pub(super) fn pair(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.pair)
    }

    /// The same key, which lies there now.
    pub(super) fn at(self, path: PathBuf) -> Self {
        Self { path, ..self }
    }
}

/// What the workers' host keys are derived from.
fn seed(pair: &Ed25519Keypair) -> SecretBox<[u8; 32]> {
    SecretBox::new(Box::new(pair.private.to_bytes()))
}

/// Why there is no key.
#[derive(Debug, Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("cannot read the SSH key {}", path.display())]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The directory or file cannot be made.
    #[error("cannot create {what} {}", path.display())]
    Write {
        /// What of the two.
        what: &'static str,
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others than the owner may read it.
    #[error(
        "refusing the SSH key {}: others may read it (mode {mode:04o}); if you are sure that nobody has, run `chmod 600 {}`, otherwise remove it, and the parameter of `ssh_key` if there is one, and a new one is made",
        path.display(), path.display()
    )]
    OthersMayRead {
        /// Which file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is something else.
    #[error(
        "{} is not an ed25519 private key without a passphrase; move it away and a new one is made",
        path.display()
    )]
    NotAKey {
        /// Which file.
        path: PathBuf,
    },
}

impl KeyError {
    /// Whether there is no key yet.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

#[cfg(test)]
mod tests {
    use russh::keys::{Algorithm, EcdsaCurve};

    use super::*;

    #[test]
    fn the_public_half_and_the_fingerprint_have_their_shapes() {
        let key = ManagerKey::fresh();

        assert!(key.public_openssh().starts_with("ssh-ed25519 AAAA"), "{}", key.public_openssh());
        assert!(key.public_openssh().ends_with(" runner-fleet"));
        assert_eq!(key.fingerprint().len(), 16);
        assert!(key.fingerprint().chars().all(|c| c.is_ascii_hexdigit()));
        assert!(!format!("{key:?}").contains("PrivateKey"), "{key:?}");
    }

    #[test]
    fn what_is_written_is_read_and_gives_the_same_host_keys() {
        let key = ManagerKey::fresh();
        let text = key.to_openssh();

        let pasted = SecretString::from(text.expose_secret().trim());
        for text in [&text, &pasted] {
            let read = ManagerKey::from_openssh(text).unwrap();
            assert_eq!(read.public_openssh(), key.public_openssh());
            assert_eq!(read.host_key("a").public_openssh, key.host_key("a").public_openssh);
        }
        assert!(text.expose_secret().len() < 4096, "SSM's standard tier takes no more");
        assert!(!format!("{text:?}").contains("OPENSSH"));
    }

    #[test]
    fn what_is_no_ed25519_key_is_none() {
        let curve = EcdsaCurve::NistP256;
        let other = PrivateKey::random(&mut rand::rng(), Algorithm::Ecdsa { curve }).unwrap();
        let other = other.to_openssh(LineEnding::LF).unwrap();
        for text in ["", "glrt-abc", "-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n", &other] {
            assert!(ManagerKey::from_openssh(&SecretString::from(text)).is_none(), "{text}");
        }
    }
}

//! The manager's SSH key: one ed25519 pair, the only secret that the service keeps on disk.
//!
//! It may be lost without losing workers' jobs: a new pair is made, workers that only know the old one cannot be
//! reached, drain by themselves after their orphan time, and are replaced.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use russh::keys::PrivateKey;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::{Ed25519Keypair, KeypairData};
use secrecy::{ExposeSecret, SecretBox};
use sha2::{Digest, Sha256};
use thiserror::Error;

use super::host::HostKey;

/// The key's file in the state directory.
pub const KEY_FILE: &str = "manager_ed25519";

/// An OpenSSH ed25519 key file has about 400 bytes; more than this is something else.
const KEY_FILE_BYTES_MAX: u64 = 16 * 1024;

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
    /// Reads the key from `state_dir`, or makes one there: directory 0700, file 0600.
    ///
    /// Two managers that start at once end with the same key: the file is linked into place complete, and whoever comes
    /// second reads it.
    ///
    /// # Errors
    /// When the directory or file cannot be made or read, is not an unencrypted ed25519 key, or may be read by others:
    /// such a key is refused rather than repaired, because nobody knows who has read it.
    pub fn load_or_create(state_dir: &Path) -> Result<Self, KeyError> {
        DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(|source| KeyError::Write {
            what: "the state directory",
            path: state_dir.into(),
            source,
        })?;
        let path = state_dir.join(KEY_FILE);
        if !path.exists() {
            create(state_dir, &path)?;
        }
        Self::load(state_dir)
    }

    /// Reads the key from `state_dir`, and never makes one: for commands that an operator may run as somebody else than
    /// the service, before the service has ever run.
    ///
    /// # Errors
    /// As [`Self::load_or_create`]; also when there is no key yet.
    pub fn load(state_dir: &Path) -> Result<Self, KeyError> {
        let path = state_dir.join(KEY_FILE);
        match File::open(&path) {
            Ok(file) => Self::read(file, path),
            Err(source) => Err(KeyError::Read { path, source }),
        }
    }

    /// A key that lives in memory only: for showing what a manager would do that has never run.
    pub fn never_kept() -> Self {
        let ed25519 = Ed25519Keypair::from_seed(&rand::random());
        let seed = Arc::new(SecretBox::new(Box::new(ed25519.private.to_bytes())));
        let pair = Arc::new(PrivateKey::from(ed25519));
        Self { pair, seed, path: PathBuf::new() }
    }

    /// The public half as one line of `authorized_keys`, and as EC2's ImportKeyPair takes it.
    pub fn public_openssh(&self) -> String {
        let mut public = self.pair.public_key().clone();
        public.set_comment("runner-fleet");
        public.to_openssh().unwrap_or_default()
    }

    /// 16 hex digits of the public half's SHA-256: short, and safe in tags, names and paths.
    pub fn fingerprint(&self) -> String {
        let blob = self.pair.public_key().to_bytes().unwrap_or_default();
        Sha256::digest(&blob).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
    }

    /// Where the private half lies, for an operator's own `ssh -i`.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The host key of the workers that share `label`, derived from this key: see [`HostKey`].
    pub fn host_key(&self, label: &str) -> HostKey {
        HostKey::derive(self.seed.expose_secret(), label)
    }

    /// For authentication only.
    pub(super) fn pair(&self) -> Arc<PrivateKey> {
        Arc::clone(&self.pair)
    }

    fn read(file: File, path: PathBuf) -> Result<Self, KeyError> {
        let failed = |source| KeyError::Read { path: path.clone(), source };
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::OthersMayRead { path, mode });
        }
        let mut text = String::new();
        file.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        let pair = PrivateKey::from_openssh(&text).map_err(|_| KeyError::NotAKey { path: path.clone() })?;
        let KeypairData::Ed25519(ed25519) = pair.key_data() else {
            return Err(KeyError::NotAKey { path });
        };
        let seed = Arc::new(SecretBox::new(Box::new(ed25519.private.to_bytes())));
        Ok(Self { pair: Arc::new(pair), seed, path })
    }
}

/// Writes a new key beside its place and links it there, so that no reader ever sees half a key.
fn create(state_dir: &Path, path: &Path) -> Result<(), KeyError> {
    let pair = Ed25519Keypair::from_seed(&rand::random());
    let text = PrivateKey::new(KeypairData::Ed25519(pair), "runner-fleet")
        .and_then(|key| key.to_openssh(LineEnding::LF))
        .map_err(|_| KeyError::NotAKey { path: path.into() })?;
    let draft = state_dir.join(format!(".{KEY_FILE}.{:016x}", rand::random::<u64>()));
    let failed = |source| KeyError::Write { what: "the SSH key", path: path.into(), source };
    let written = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&draft)
        .and_then(|mut file| file.write_all(text.as_bytes()).and_then(|()| file.sync_all()))
        .and_then(|()| match fs::hard_link(&draft, path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()), // another manager was faster
            linked => linked,
        });
    let _ = fs::remove_file(&draft); // a draft that stays behind is harmless, and 0600
    written.map_err(failed)
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
        "refusing the SSH key {}: others may read it (mode {mode:04o}); if you are sure that nobody has, run `chmod 600 {}`, otherwise remove it and a new one is made",
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
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");

        let made = ManagerKey::load_or_create(&state).unwrap();
        let read = ManagerKey::load_or_create(&state).unwrap();

        assert_eq!(made.public_openssh(), read.public_openssh());
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!((mode(&state), mode(&state.join(KEY_FILE))), (0o700, 0o600));
        assert_eq!(fs::read_dir(&state).unwrap().count(), 1, "no draft stays behind");
    }

    #[test]
    fn the_public_half_and_the_fingerprint_have_their_shapes() {
        let dir = tempfile::tempdir().unwrap();
        let key = ManagerKey::load_or_create(dir.path()).unwrap();

        assert!(key.public_openssh().starts_with("ssh-ed25519 AAAA"), "{}", key.public_openssh());
        assert!(key.public_openssh().ends_with(" runner-fleet"));
        assert_eq!(key.fingerprint().len(), 16);
        assert!(key.fingerprint().chars().all(|c| c.is_ascii_hexdigit()));
        assert!(!format!("{key:?}").contains("PrivateKey"), "{key:?}");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        ManagerKey::load_or_create(dir.path()).unwrap();
        fs::set_permissions(dir.path().join(KEY_FILE), fs::Permissions::from_mode(0o640)).unwrap();

        let error = ManagerKey::load_or_create(dir.path()).unwrap_err();

        assert!(matches!(error, KeyError::OthersMayRead { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }

    #[test]
    fn garbage_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for garbage in [&b""[..], b"\xff\xfe\x00", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"] {
            let path = dir.path().join(KEY_FILE);
            fs::write(&path, garbage).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

            assert!(ManagerKey::load_or_create(dir.path()).is_err(), "{garbage:?}");
        }
    }

    #[test]
    fn two_managers_that_start_at_once_end_with_one_key() {
        let dir = tempfile::tempdir().unwrap();
        let keys: Vec<_> = std::thread::scope(|scope| {
            let starts: Vec<_> = (0..8).map(|_| scope.spawn(|| ManagerKey::load_or_create(dir.path()))).collect();
            starts.into_iter().map(|start| start.join().unwrap().unwrap().public_openssh()).collect()
        });

        assert!(keys.windows(2).all(|pair| pair[0] == pair[1]), "{keys:?}");
    }
}

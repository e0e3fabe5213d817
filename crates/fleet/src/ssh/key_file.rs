//! The file of the manager's SSH key: `manager_ed25519` in the state directory, which is 0700; the file is 0600.
//!
//! No reader ever sees half a key, and no key is lost: a file is written beside its place and then linked or renamed to
//! it, and one that must make room is kept under another name.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::keys::{KEY_FILE, KeyError, ManagerKey};

/// An OpenSSH ed25519 key file has about 400 bytes; more than this is something else.
const BYTES_MAX: u64 = 16 * 1024;

/// What [`ManagerKey::settle`] came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The key was there.
    Already,
    /// There was none.
    Written,
    /// There was another one.
    Instead {
        /// The fingerprint of the other one.
        of: String,
        /// Where it is kept now.
        kept: PathBuf,
    },
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
        make(state_dir)?;
        let path = state_dir.join(KEY_FILE);
        if !path.exists() {
            let draft = Draft::write(&Self::fresh(), &path)?;
            match fs::hard_link(&draft.path, &path) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // another manager was faster
                linked => linked.map_err(|source| cannot_write(&path, source))?,
            }
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
        let failed = |source| KeyError::Read { path: path.clone(), source };
        let file = File::open(&path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(KeyError::OthersMayRead { path, mode });
        }
        let mut text = String::new();
        file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
        match Self::from_openssh(&SecretString::from(text)) {
            Some(key) => Ok(key.at(path)),
            None => Err(KeyError::NotAKey { path }),
        }
    }

    /// Makes this the key of `state_dir`. Another one that lies there is kept beside it, under its fingerprint.
    ///
    /// # Errors
    /// As [`Self::load_or_create`]. A file there that is not a key, or that others may read, is refused, not replaced.
    pub fn settle(self, state_dir: &Path) -> Result<(Self, Settled), KeyError> {
        make(state_dir)?;
        let path = state_dir.join(KEY_FILE);
        let settled = match Self::load(state_dir) {
            Ok(same) if same.fingerprint() == self.fingerprint() => return Ok((self.at(path), Settled::Already)),
            Ok(other) => other.keep_aside(state_dir)?,
            Err(error) if error.is_absent() => Settled::Written,
            Err(error) => return Err(error),
        };
        let draft = Draft::write(&self, &path)?;
        fs::rename(&draft.path, &path).map_err(|source| cannot_write(&path, source))?;
        Ok((self.at(path), settled))
    }

    /// A second name for this key's file.
    fn keep_aside(&self, state_dir: &Path) -> Result<Settled, KeyError> {
        let of = self.fingerprint();
        let kept = state_dir.join(format!("{KEY_FILE}.{of}"));
        match fs::hard_link(self.path(), &kept) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {} // kept by a start before this one
            linked => linked.map_err(|source| cannot_write(&kept, source))?,
        }
        Ok(Settled::Instead { of, kept })
    }
}

fn make(state_dir: &Path) -> Result<(), KeyError> {
    DirBuilder::new().recursive(true).mode(0o700).create(state_dir).map_err(|source| KeyError::Write {
        what: "the state directory",
        path: state_dir.into(),
        source,
    })
}

fn cannot_write(path: &Path, source: io::Error) -> KeyError {
    KeyError::Write { what: "the SSH key", path: path.into(), source }
}

/// A complete key beside its place, until it is linked or renamed to it.
struct Draft {
    path: PathBuf,
}

impl Draft {
    fn write(key: &ManagerKey, place: &Path) -> Result<Self, KeyError> {
        let draft = Self { path: place.with_file_name(format!(".{KEY_FILE}.{:016x}", rand::random::<u64>())) };
        OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&draft.path)
            .and_then(|mut file| {
                file.write_all(key.to_openssh().expose_secret().as_bytes())?;
                file.sync_all()
            })
            .map_err(|source| cannot_write(place, source))?;
        Ok(draft)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // a draft that stays behind is harmless, and 0600
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Everything that lies there, by name.
    fn names(state_dir: &Path) -> Vec<String> {
        let entries = fs::read_dir(state_dir).unwrap();
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_key_is_made_once_and_read_again() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");

        let made = ManagerKey::load_or_create(&state).unwrap();
        let read = ManagerKey::load_or_create(&state).unwrap();

        assert_eq!(made.public_openssh(), read.public_openssh());
        assert_eq!(made.fingerprint(), read.fingerprint());
        assert_eq!(read.path(), state.join(KEY_FILE));
        assert_eq!((mode(&state), mode(&state.join(KEY_FILE))), (0o700, 0o600));
        assert_eq!(names(&state), [KEY_FILE], "no draft stays behind");
    }

    #[test]
    fn a_key_that_others_may_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        ManagerKey::load_or_create(dir.path()).unwrap();
        fs::set_permissions(dir.path().join(KEY_FILE), fs::Permissions::from_mode(0o640)).unwrap();

        let error = ManagerKey::load_or_create(dir.path()).unwrap_err();

        assert!(matches!(error, KeyError::OthersMayRead { mode: 0o640, .. }), "{error}");
        assert!(error.to_string().contains("chmod 600"), "{error}");
        assert!(matches!(ManagerKey::fresh().settle(dir.path()), Err(KeyError::OthersMayRead { .. })));
    }

    #[test]
    fn garbage_is_refused_and_stays() {
        let dir = tempfile::tempdir().unwrap();
        for garbage in [&b""[..], b"\xff\xfe\x00", b"-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n"] {
            let path = dir.path().join(KEY_FILE);
            fs::write(&path, garbage).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();

            assert!(ManagerKey::load_or_create(dir.path()).is_err(), "{garbage:?}");
            assert!(ManagerKey::fresh().settle(dir.path()).is_err(), "{garbage:?}");
            assert_eq!(fs::read(&path).unwrap(), garbage);
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

    #[test]
    fn a_key_from_elsewhere_settles_once() {
        let dir = tempfile::tempdir().unwrap();
        let state = dir.path().join("state");
        let key = ManagerKey::fresh();

        let (settled, first) = key.clone().settle(&state).unwrap();
        let (_, second) = key.clone().settle(&state).unwrap();

        assert_eq!((first, second), (Settled::Written, Settled::Already));
        assert_eq!(settled.path(), state.join(KEY_FILE));
        assert_eq!(ManagerKey::load(&state).unwrap().fingerprint(), key.fingerprint());
        assert_eq!((mode(&state), mode(&state.join(KEY_FILE))), (0o700, 0o600));
        assert_eq!(names(&state), [KEY_FILE], "no draft stays behind");
    }

    #[test]
    fn the_key_that_makes_room_is_not_lost() {
        let dir = tempfile::tempdir().unwrap();
        let (own, other) = (ManagerKey::load_or_create(dir.path()).unwrap(), ManagerKey::fresh());
        let before = fs::read(dir.path().join(KEY_FILE)).unwrap();

        let (_, settled) = other.clone().settle(dir.path()).unwrap();

        let kept = dir.path().join(format!("{KEY_FILE}.{}", own.fingerprint()));
        assert_eq!(settled, Settled::Instead { of: own.fingerprint(), kept: kept.clone() });
        assert_eq!((fs::read(&kept).unwrap(), mode(&kept)), (before, 0o600));
        assert_eq!(ManagerKey::load(dir.path()).unwrap().fingerprint(), other.fingerprint());
        // There and back again: it is kept already.
        let (_, back) = own.clone().settle(dir.path()).unwrap();
        let (_, there) = other.settle(dir.path()).unwrap();
        assert!(matches!(back, Settled::Instead { .. }) && there == settled, "{back:?} {there:?}");
        assert_eq!(names(dir.path()).len(), 3);
    }
}

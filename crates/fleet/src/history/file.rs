//! The copy of the past on disk: one file of redb, whose every write is whole or not at all, whatever ends the machine.

mod error;
mod tables;

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use redb::Database;

use super::past::{Batch, Kept};
use tables::{Names, Unread, VERSION};

pub use error::FileError;

/// In the state directory.
const NAME: &str = "history.redb";
/// What could not be read is renamed to this, in case somebody wants to look at it; the one before it is gone.
const ASIDE: &str = "history.redb.aside";
/// But not when it is larger than this: what lies there counts as well.
const ASIDE_MAX: u64 = 8 * 1024 * 1024;
/// A file that has grown beyond this is made dense: what is written anew leaves holes behind.
const DENSE_ABOVE: u64 = 16 * 1024 * 1024;
/// redb would take a gigabyte.
const CACHE: usize = 512 * 1024;

/// The file, open or not.
#[derive(Debug)]
pub struct HistoryFile {
    dir: PathBuf,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    database: Database,
    names: Names,
    /// Which file it is, to notice when another one, or none, lies in its place.
    identity: (u64, u64),
    /// How large it was when it was made dense last.
    dense: u64,
}

/// What the file had when it was opened.
#[derive(Debug)]
pub struct Opened {
    /// All of it.
    pub kept: Kept,
    /// What was wrong with the file that lay there, and was set aside for a new one.
    pub set_aside: Option<FileError>,
}

impl HistoryFile {
    /// In this directory; nothing is opened yet.
    pub fn in_dir(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), open: None }
    }

    /// Whether it is open, and still where it was.
    pub fn is_open(&self) -> bool {
        self.open.as_ref().is_some_and(|open| identity(&self.path()).is_ok_and(|there| there == open.identity))
    }

    /// Opens it, or begins a new one where there is none that can be read.
    ///
    /// # Errors
    /// The place cannot be used.
    pub fn open(&mut self) -> Result<Opened, FileError> {
        self.open = None;
        fs::create_dir_all(&self.dir).map_err(|source| FileError::System { path: self.dir.clone(), source })?;
        match self.try_open() {
            Ok(kept) => Ok(Opened { kept, set_aside: None }),
            Err(error) if error.is_content() => {
                self.set_aside()?;
                let kept = self.try_open()?;
                Ok(Opened { kept, set_aside: Some(error) })
            }
            Err(error) => Err(error),
        }
    }

    /// Has this from now on.
    ///
    /// # Errors
    /// It could not be written. The file is closed then, and has all of it or nothing.
    pub fn write(&mut self, batch: &Batch) -> Result<(), FileError> {
        let path = self.path();
        let Some(open) = &mut self.open else {
            return Err(FileError::System { path, source: io::ErrorKind::NotConnected.into() });
        };
        let written = tables::write(&open.database, &mut open.names, batch).and_then(|()| open.make_dense(&path));
        written.map_err(|source| {
            self.open = None;
            FileError::Database { path, source: Box::new(source) }
        })
    }

    fn path(&self) -> PathBuf {
        self.dir.join(NAME)
    }

    fn try_open(&mut self) -> Result<Kept, FileError> {
        let path = self.path();
        let failed = |source: redb::Error| FileError::Database { path: path.clone(), source: Box::new(source) };
        let mut builder = Database::builder();
        // A file that is damaged is an error then, never a panic.
        builder.set_cache_size(CACHE).set_check_integrity_on_open(true);
        let database = builder.create(&path).map_err(|error| failed(error.into()))?;
        let version = tables::prepare(&database).map_err(failed)?;
        if version != VERSION {
            return Err(FileError::Version { path, version });
        }
        let (kept, names) = match tables::read(&database) {
            Ok(read) => read,
            Err(Unread::Database(source)) => return Err(failed(source)),
            Err(Unread::Nonsense(why)) => return Err(FileError::Nonsense { path, why }),
        };
        let identity = identity(&path).map_err(|source| FileError::System { path: path.clone(), source })?;
        self.open = Some(Open { database, names, identity, dense: 0 });
        Ok(kept)
    }

    fn set_aside(&self) -> Result<(), FileError> {
        let (path, aside) = (self.path(), self.dir.join(ASIDE));
        let size = fs::metadata(&path).map_or(0, |there| there.len());
        let moved = if size > ASIDE_MAX { fs::remove_file(&path) } else { fs::rename(&path, &aside) };
        moved.map_err(|source| FileError::System { path, source })
    }
}

impl Open {
    /// Gives back what the file has more than it needs, when that has become much.
    fn make_dense(&mut self, path: &Path) -> Result<(), redb::Error> {
        let size = fs::metadata(path)?.len();
        if size > DENSE_ABOVE && size > self.dense + self.dense / 8 {
            self.database.compact()?;
            self.dense = fs::metadata(path)?.len();
        }
        Ok(())
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::metadata(path).map(|there| (there.dev(), there.ino()))
}

#[cfg(test)]
mod tests;

//! The copy of the past on disk: one file of redb, whose every write is whole or not at all, whatever ends the machine.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use runner_fleet_engine::RunnerName;

use super::event::PastEvent;
use super::past::{Batch, Kept};
use super::ring::Rows;
use super::row::{Row, WIDTH};
use super::sample::Scope;

/// In the state directory.
const NAME: &str = "history.redb";
/// What could not be read is renamed to this, in case somebody wants to look at it; the one before it is gone.
const ASIDE: &str = "history.redb.aside";
/// But not when it is larger than this: what lies there counts as well.
const ASIDE_MAX: u64 = 8 * 1024 * 1024;
/// Of the tables below. Another number means that they have changed: the file is set aside then.
const VERSION: u32 = 1;
/// A file that has grown beyond this is made dense: what is written anew leaves holes behind.
const DENSE_ABOVE: u64 = 16 * 1024 * 1024;
/// redb would take a gigabyte.
const CACHE: usize = 512 * 1024;

/// Under the key "version".
const SCHEMA: TableDefinition<'_, &str, u32> = TableDefinition::new("schema");
/// The runners' numbers in the rows; 0 stands for all of them together.
const NAMES: TableDefinition<'_, u16, &str> = TableDefinition::new("names");
/// By the second in which the span begins.
const MINUTES: SpanTable = TableDefinition::new("minutes");
const QUARTERS: SpanTable = TableDefinition::new("quarters");
/// By id, as JSON.
const EVENTS: TableDefinition<'_, u64, &str> = TableDefinition::new("events");

type SpanTable = TableDefinition<'static, i64, Vec<(u16, [f32; WIDTH])>>;

/// Why the past is not on disk.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The state directory cannot be used.
    #[error("use {path}")]
    System {
        /// The directory, or the file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file cannot be read or written.
    #[error("use {path}")]
    Database {
        /// The file.
        path: PathBuf,
        /// What the library said.
        source: Box<redb::Error>,
    },
    /// Another version of this program has written it.
    #[error("{path} is of version {version} of its form, and this program writes {VERSION}")]
    Version {
        /// The file.
        path: PathBuf,
        /// What it says; 0: nothing.
        version: u32,
    },
    /// What lies in it is not what was written.
    #[error("{path} holds something that is no history: {why}")]
    Nonsense {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
}

impl FileError {
    /// Whether trying again can bring nothing: the content is at fault, not the place.
    fn is_content(&self) -> bool {
        match self {
            Self::Version { .. } | Self::Nonsense { .. } => true,
            Self::System { .. } => false,
            Self::Database { source, .. } => match source.as_ref() {
                redb::Error::Io(error) => {
                    matches!(error.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof)
                }
                redb::Error::Corrupted(_)
                | redb::Error::UpgradeRequired(_)
                | redb::Error::TableTypeMismatch { .. }
                | redb::Error::TypeDefinitionChanged { .. }
                | redb::Error::TableIsMultimap(_)
                | redb::Error::RepairAborted => true,
                _ => false,
            },
        }
    }
}

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
        let written = write(&open.database, &mut open.names, batch).and_then(|()| open.make_dense(&path));
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
        let version = prepare(&database).map_err(failed)?;
        if version != VERSION {
            return Err(FileError::Version { path, version });
        }
        let (kept, names) = match read(&database) {
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

/// Which version wrote it; a new file is of ours.
fn prepare(database: &Database) -> Result<u32, redb::Error> {
    let transaction = database.begin_write()?;
    let is_new = transaction.list_tables()?.next().is_none();
    let version = {
        let mut schema = transaction.open_table(SCHEMA)?;
        if is_new {
            schema.insert("version", VERSION)?;
            transaction.open_table(NAMES)?;
            transaction.open_table(MINUTES)?;
            transaction.open_table(QUARTERS)?;
            transaction.open_table(EVENTS)?;
        }
        schema.get("version")?.map_or(0, |version| version.value())
    };
    transaction.commit()?;
    Ok(version)
}

/// Why a file that is open was not read.
enum Unread {
    Database(redb::Error),
    Nonsense(String),
}

impl<E: Into<redb::Error>> From<E> for Unread {
    fn from(error: E) -> Self {
        Self::Database(error.into())
    }
}

fn read(database: &Database) -> Result<(Kept, Names), Unread> {
    let transaction = database.begin_read()?;
    let mut names = Names::default();
    for entry in transaction.open_table(NAMES)?.iter()? {
        let (number, name) = entry?;
        names.learn(number.value(), RunnerName::new(name.value()));
    }
    let spans = |definition: SpanTable| -> Result<Vec<(i64, Rows)>, Unread> {
        let mut spans = Vec::new();
        for entry in transaction.open_table(definition)?.iter()? {
            let (at, rows) = entry?;
            let named = |(number, row): &(u16, [f32; WIDTH])| Some((names.name(*number)?, Row::of_array(row)));
            spans.push((at.value(), rows.value().iter().filter_map(named).collect()));
        }
        Ok(spans)
    };
    let (minutes, quarters) = (spans(MINUTES)?, spans(QUARTERS)?);
    let mut events = Vec::new();
    for entry in transaction.open_table(EVENTS)?.iter()? {
        let (_, event) = entry?;
        let event: PastEvent =
            serde_json::from_str(event.value()).map_err(|error| Unread::Nonsense(error.to_string()))?;
        events.push(event);
    }
    Ok((Kept { minutes, quarters, events }, names))
}

fn write(database: &Database, names: &mut Names, batch: &Batch) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut named = transaction.open_table(NAMES)?;
        for (definition, spans, oldest) in
            [(MINUTES, &batch.new.minutes, batch.oldest_minute), (QUARTERS, &batch.new.quarters, batch.oldest_quarter)]
        {
            let mut table = transaction.open_table(definition)?;
            for (at, rows) in spans {
                let mut numbered = Vec::new();
                for (scope, row) in rows {
                    let Some((number, is_new)) = names.number(scope) else { continue };
                    if let (Some(name), true) = (scope, is_new) {
                        named.insert(number, name.as_str())?;
                    }
                    numbered.push((number, row.to_array()));
                }
                table.insert(at, numbered)?;
            }
            if let Some(oldest) = oldest {
                table.retain_in(..oldest, |_, _| false)?;
            }
        }
        let mut events = transaction.open_table(EVENTS)?;
        for event in &batch.new.events {
            // What cannot be written as JSON does not exist: numbers are finite, names are text.
            let Ok(text) = serde_json::to_string(event) else { continue };
            events.insert(event.id, text.as_str())?;
        }
        if let Some(oldest) = batch.oldest_event {
            events.retain_in(..oldest, |_, _| false)?;
        }
    }
    transaction.commit()?;
    Ok(())
}

/// The runners' numbers.
#[derive(Debug, Default)]
struct Names(std::collections::BTreeMap<RunnerName, u16>);

impl Names {
    fn learn(&mut self, number: u16, name: RunnerName) {
        self.0.insert(name, number);
    }

    /// Whose rows have this number; `None`: nobody's.
    fn name(&self, number: u16) -> Option<Scope> {
        if number == 0 {
            return Some(None);
        }
        self.0.iter().find(|(_, known)| **known == number).map(|(name, _)| Some(name.clone()))
    }

    /// The number of this scope, and whether it was given just now; `None`: all are given.
    fn number(&mut self, scope: &Scope) -> Option<(u16, bool)> {
        let Some(name) = scope else { return Some((0, false)) };
        if let Some(number) = self.0.get(name) {
            return Some((*number, false));
        }
        let number = self.0.values().max().copied().unwrap_or_default().checked_add(1)?;
        self.0.insert(name.clone(), number);
        Some((number, true))
    }
}

#[cfg(test)]
mod tests;

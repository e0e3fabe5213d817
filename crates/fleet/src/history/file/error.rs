//! Why the past is not on disk.

use std::io;
use std::path::PathBuf;

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
    #[error("{path} is of version {version} of its form, and this program writes another")]
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
    pub(super) fn is_content(&self) -> bool {
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

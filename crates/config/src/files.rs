//! Small files that the configuration refers to: regular ones only (a pipe could block for ever), up to a size.

use std::io::Read as _;
use std::path::Path;

use runner_fleet_engine::failure::said_by_system;

/// Why a file was not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReadError {
    #[error("{}", said_by_system(.0))]
    Io(#[from] std::io::Error),
    #[error("it is not a regular file")]
    NotAFile,
    #[error("it is larger than {0} bytes")]
    TooLarge(u64),
}

/// The UTF-8 text of a file of at most `bytes_max`.
pub(crate) fn read_small(path: &Path, bytes_max: u64) -> Result<String, ReadError> {
    if !std::fs::metadata(path)?.is_file() {
        return Err(ReadError::NotAFile);
    }
    let file = std::fs::File::open(path)?;
    let mut bytes = Vec::new();
    file.take(bytes_max + 1).read_to_end(&mut bytes)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > bytes_max {
        return Err(ReadError::TooLarge(bytes_max));
    }
    let not_text = |_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8 text");
    Ok(String::from_utf8(bytes).map_err(not_text)?)
}

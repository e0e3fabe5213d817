//! A file of the state directory: of a version, and written whole and beside its place first, so that a crash, or a full disk,
//! leaves the former file or the new one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tracing::warn;

/// The version of a file, whatever else it holds.
#[derive(Deserialize)]
struct Version {
    version: u32,
}

/// What the file of this name holds; nothing where there is none, or none that can be read. Then the log is told, with what
/// that costs.
pub(super) fn load<T: DeserializeOwned>(dir: &Path, name: &str, version: u32, cost: &str) -> Option<T> {
    let path = dir.join(name);
    let read = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => Err(error.to_string()),
        Ok(bytes) => parse(&bytes, version),
    };
    read.inspect_err(|why| warn!("cannot read {}: {why}; {cost}", path.display())).ok()
}

/// What such a file holds.
///
/// # Errors
/// It is of another version, or makes no sense: why.
pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8], version: u32) -> Result<T, String> {
    match serde_json::from_slice::<Version>(bytes) {
        Ok(kept) if kept.version != version => Err(format!("it is of version {}, and not {version}", kept.version)),
        Ok(_) => serde_json::from_slice(bytes).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    }
}

/// Puts these bytes in the place of the file of this name.
///
/// # Errors
/// The file is as it was.
pub(crate) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let (path, beside) = (dir.join(name), dir.join(format!("{name}.new")));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    // The name, too, is to survive the loss of power.
    File::open(dir)?.sync_all()
}

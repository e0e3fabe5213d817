//! A file of the state directory, written whole and beside its place first: a crash, or a full disk, leaves the former file or
//! the new one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Puts these bytes in the place of the file of this name.
///
/// # Errors
/// The file is as it was.
pub(super) fn replace(dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let (path, beside) = (dir.join(name), dir.join(format!("{name}.new")));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    // The name, too, is to survive the loss of power.
    File::open(dir)?.sync_all()
}

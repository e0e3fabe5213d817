//! A small file of state, written whole and beside its place first: a crash leaves the former file or the new one.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

/// Puts `bytes` into the file `name` of the state directory.
pub(super) fn write(state_dir: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    std::fs::create_dir_all(state_dir)?;
    let (path, beside) = (state_dir.join(name), state_dir.join(format!("{name}.new")));
    let mut file = File::create(&beside)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    std::fs::rename(&beside, &path)?;
    // The name, too, is to survive the loss of power.
    File::open(state_dir)?.sync_all()
}

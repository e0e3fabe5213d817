//! The file as it is written: its text, and the tree that the text makes. What it means is read from the tree.

use std::io::Read as _;
use std::path::Path;

use super::node::{self, Table};
use super::problems::{Problems, Report};

/// Far above any real file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The text of a configuration file of at most 1 MiB.
pub fn read_file(path: &Path) -> Result<String, Problems> {
    let origin = path.display().to_string();
    let unreadable = |error: std::io::Error| Problems::whole_file(&origin, format!("cannot read the file: {error}"));
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// The text as a tree, or its syntax errors.
pub(crate) fn tree(text: &str, origin: &str) -> Result<Table, Problems> {
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(Problems::whole_file(
            origin,
            format!("the file is larger than {FILE_BYTES_MAX} bytes; is it the right one?"),
        ));
    }
    node::read(text).map_err(|errors| {
        let mut report = Report::default();
        for (line, message) in errors {
            report.problem_in_line(line, message);
        }
        let nothing_told = || Problems::whole_file(origin, "not TOML".to_owned());
        report.finish(origin).err().unwrap_or_else(nothing_told)
    })
}

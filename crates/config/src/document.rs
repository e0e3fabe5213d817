//! The file as it is written: its text, and the tree that the text makes. What it means is read from the tree.

use std::io::Read as _;
use std::path::Path;

use runner_fleet_engine::failure::said_by_system;

use super::node::{self, Read, Table, Twins};
use super::problems::{Problems, Report};

/// Far above any real file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// The text of a configuration file of at most 1 MiB.
pub fn read_file(path: &Path) -> Result<String, Problems> {
    let origin = path.display().to_string();
    let unreadable = |error: std::io::Error| {
        Problems::whole_file(&origin, format!("cannot read the file: {}", said_by_system(&error)))
    };
    let file = std::fs::File::open(path).map_err(unreadable)?;
    let mut text = String::new();
    file.take(FILE_BYTES_MAX + 1).read_to_string(&mut text).map_err(unreadable)?;
    Ok(text)
}

/// The text as a tree, its keys in GitLab Runner's spelling; or its first syntax error, or each key that stands twice
/// in two spellings.
pub(crate) fn tree(text: &str, origin: &str) -> Result<Table, Problems> {
    let mut report = Report::default();
    let tree = tree_with_twins(text, origin, &mut report)?;
    report.finish(origin).map(|_| tree)
}

/// The same; keys that stand twice are reported, and the first of them counts.
pub(crate) fn tree_with_twins(text: &str, origin: &str, report: &mut Report) -> Result<Table, Problems> {
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > FILE_BYTES_MAX {
        return Err(Problems::whole_file(
            origin,
            format!("the file is larger than {FILE_BYTES_MAX} bytes; is it the right one?"),
        ));
    }
    let Read { tree, twins } = node::read_with_twins(text).map_err(|error| Problems::syntax(origin, error))?;
    for Twins { at, first, first_line, key } in twins {
        report.problem(
            &at,
            format!(
                "already written as `{first}` in line {first_line}: GitLab Runner takes both for one key, and which of \
                 them counts is chance at every start; write it once, as `{key}`"
            ),
        );
    }
    Ok(tree)
}

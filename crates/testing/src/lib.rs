//! What the tests of several crates share: where the repository is, golden files, the table of GitLab's
//! matching, another value for every key, and the programs that a machine may lack.

use std::path::PathBuf;

pub mod golden;
pub mod matching;
pub mod other_values;
pub mod tools;

/// The repository's root: documents and examples are named from there.
pub fn repository() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).map(PathBuf::from).unwrap_or_default()
}

//! Golden files: what is made today, kept to be compared with tomorrow's.

use std::fs;
use std::path::Path;

/// Compares `made` with the file. With `UPDATE_GOLDEN` in the environment (`make golden`) it is written instead.
///
/// # Errors
/// They differ: what was expected, and what was made.
#[expect(clippy::disallowed_methods, reason = "whether to rewrite is the caller's choice")]
pub fn compare(path: &Path, made: &str) -> Result<(), String> {
    let name = path.display();
    if std::env::var("UPDATE_GOLDEN").is_ok() {
        return fs::write(path, made).map_err(|error| format!("{name}: {error}"));
    }
    let expected = fs::read_to_string(path).unwrap_or_default();
    if made == expected {
        return Ok(());
    }
    Err(format!(
        "{name} differs; if that is right: make golden, and read the difference\n--- expected\n{expected}--- made\n{made}"
    ))
}

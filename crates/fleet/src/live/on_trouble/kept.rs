//! Which troubles were told, on disk, so that a restart does not tell them again. Its loss is harmless: then it does.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use runner_fleet_engine::Trouble;

use super::super::state_file;
use super::told::Told;

/// In the state directory.
const NAME: &str = "troubles.json";
/// Of this form.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    told: Vec<Trouble>,
}

/// What was told when the service ended; nothing where that is not known, which the log is told.
pub(super) fn load(state_dir: &Path) -> Told {
    let kept = state_file::load(state_dir, NAME, VERSION, "troubles may be told again");
    kept.map(|Kept { told, .. }| Told::before(told)).unwrap_or_default()
}

pub(super) fn write(state_dir: &Path, told: Vec<Trouble>) -> io::Result<()> {
    state_file::replace(state_dir, NAME, &serde_json::to_vec_pretty(&Kept { version: VERSION, told })?)
}

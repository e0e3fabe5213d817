//! Which troubles were told, on disk, so that a restart does not tell them again. Its loss is harmless: then it does.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use tracing::warn;

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
    let path = state_dir.join(NAME);
    let read = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Told::default(),
        Err(error) => Err(error.to_string()),
        Ok(bytes) => serde_json::from_slice::<Kept>(&bytes).map_err(|error| error.to_string()),
    };
    match read {
        Ok(Kept { version: VERSION, told }) => Told::before(told),
        Ok(Kept { version, .. }) => {
            warn!("{} is of version {version}, and not {VERSION}: troubles may be told again", path.display());
            Told::default()
        }
        Err(why) => {
            warn!("cannot read {}: {why}; troubles may be told again", path.display());
            Told::default()
        }
    }
}

pub(super) fn write(state_dir: &Path, told: Vec<Trouble>) -> io::Result<()> {
    state_file::replace(state_dir, NAME, &serde_json::to_vec_pretty(&Kept { version: VERSION, told })?)
}

//! The operators' orders on disk, so that a pause and a drain outlive a restart. Its loss is harmless.

use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use tracing::info;

use runner_fleet_engine::{Failure, FailureClass, Orders};

use super::complaint::Complaint;
use super::state_file;

/// In the state directory.
const NAME: &str = "orders.json";
/// Of this form.
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    version: u32,
    #[serde(flatten)]
    orders: Orders,
}

/// What stood when the service ended; nothing where that is not known, which the log is told.
pub fn load(state_dir: &Path) -> Orders {
    let kept = state_file::load(state_dir, NAME, VERSION, "pauses and drains are forgotten");
    let orders = kept.map(|Kept { orders, .. }| orders).unwrap_or_default();
    if orders != Orders::default() {
        let Orders { paused, drained } = &orders;
        info!("operators' orders stand: {} runners paused, {} workers drained", paused.len(), drained.len());
    }
    orders
}

/// Writes the orders whenever they change, until nobody can change them any more and the last ones are written.
pub async fn keep(state_dir: PathBuf, mut orders: watch::Receiver<Orders>) {
    let mut complaint = Complaint::default();
    while orders.changed().await.is_ok() {
        let (dir, present) = (state_dir.clone(), orders.borrow_and_update().clone());
        let written = tokio::task::spawn_blocking(move || write(&dir, present)).await;
        let outcome = written.unwrap_or_else(|error| Err(io::Error::other(error)));
        let outcome = outcome.map_err(|error| Failure::new(FailureClass::Other, error.to_string()));
        complaint.about("keeping pauses and drains for the next start", &outcome);
    }
}

fn write(state_dir: &Path, orders: Orders) -> io::Result<()> {
    let bytes = serde_json::to_vec_pretty(&Kept { version: VERSION, orders })?;
    state_file::replace(state_dir, NAME, &bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::{RunnerName, WorkerId};

    fn orders() -> Orders {
        Orders { paused: [RunnerName::new("spot")].into(), drained: [WorkerId::new("i-1")].into() }
    }

    #[test]
    fn what_was_kept_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let dir = folder.path().join("state");
        assert_eq!(load(&dir), Orders::default());
        write(&dir, orders()).unwrap();
        assert_eq!(load(&dir), orders());
        // A crash in the middle of the next write leaves half a file beside it.
        std::fs::write(dir.join("orders.json.new"), "{\"ver").unwrap();
        assert_eq!(load(&dir), orders());
        write(&dir, Orders::default()).unwrap();
        assert_eq!(load(&dir), Orders::default());
    }

    #[test]
    fn a_file_that_makes_no_sense_is_no_order() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{}", "[1]", "{\"version\":2,\"paused\":[\"spot\"]}", "\u{0}"] {
            std::fs::write(folder.path().join("orders.json"), text).unwrap();
            assert_eq!(load(folder.path()), Orders::default(), "{text}");
        }
    }

    #[tokio::test]
    async fn the_last_order_is_written_before_the_end() {
        let folder = tempfile::tempdir().unwrap();
        let (give, take) = watch::channel(Orders::default());
        let keeping = tokio::spawn(keep(folder.path().to_owned(), take));
        give.send_replace(orders());
        drop(give);
        keeping.await.unwrap();
        assert_eq!(load(folder.path()), orders());
    }
}

//! What the pages are made from.

use std::sync::Arc;

use jiff::Timestamp;
use prometheus_client::registry::Registry;
use serde::Serialize;
use tokio::sync::watch;

use super::costs::Costs;
use crate::history::History;
use runner_fleet_engine::FleetSnapshot;

/// All of it; clones share it.
#[derive(Clone)]
pub struct Site {
    /// The snapshot after the last step.
    pub snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    /// What was before that.
    pub history: History,
    /// Whose pages these are.
    pub about: Arc<About>,
    /// All that `/metrics` shows.
    pub registry: Arc<Registry>,
    /// Names under which the pages are asked for, beside addresses and names of private networks.
    pub hosts: Arc<[String]>,
    /// Answers questions about costs.
    pub costs: Costs,
    /// The present, in the same time as the snapshot's.
    pub now: Arc<dyn Fn() -> Timestamp + Send + Sync>,
}

/// What the page says of the service itself.
#[derive(Clone, Debug, Serialize)]
pub struct About {
    version: u32,
    program: &'static str,
    manager: String,
    started_at: Timestamp,
    simulated: bool,
}

impl About {
    /// This program, as this manager, since then; whether nothing of it is real.
    pub fn this(manager: &str, started_at: Timestamp, simulated: bool) -> Self {
        Self { version: 1, program: crate::version::text(), manager: manager.to_owned(), started_at, simulated }
    }
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}

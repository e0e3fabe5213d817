//! What operators have ordered and not taken back. It holds until they take it back, over restarts too: whoever drives the
//! engine keeps it, and tells it again to the next one, as the same requests. Its loss is harmless: a pause is over then,
//! and a worker that was to go may be put to work again.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::event::{Event, OperatorRequest};
use super::ids::{RunnerName, WorkerId};

/// Pauses and drains that stand. An end by force is carried out at once, and is none of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Orders {
    /// Runners that get no workers.
    #[serde(default)]
    pub paused: BTreeSet<RunnerName>,
    /// Workers that take no more jobs, and end.
    #[serde(default)]
    pub drained: BTreeSet<WorkerId>,
}

impl Orders {
    /// What to tell an engine that does not know them, before anything else.
    pub fn events(&self) -> Vec<Event> {
        let pauses = self.paused.iter().cloned().map(OperatorRequest::Pause);
        let workers: Vec<WorkerId> = self.drained.iter().cloned().collect();
        let drain = (!workers.is_empty()).then_some(OperatorRequest::Drain { workers, force: false });
        pauses.chain(drain).map(Event::Operator).collect()
    }
}

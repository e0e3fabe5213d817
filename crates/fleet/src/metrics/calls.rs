//! Requests to APIs: how many, what came of them, how long they took. Adapters say that one begins and that it ended; what
//! never ends, because nobody waits for it any more, is not counted.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use tokio::time::Instant;

use runner_fleet_engine::FailureClass;

use super::catalogue::{API_REQUEST_SECONDS, API_REQUESTS};

/// A call inside AWS takes some 50 ms, a page of GitLab's some hundred; time-outs are at 15 and 20 s.
const SECONDS: [f64; 9] = [0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 20.0];

/// Counts requests; clones count together.
#[derive(Clone, Debug)]
pub struct Calls {
    requests: Family<Outcome, Counter>,
    seconds: Family<Operation, Histogram, fn() -> Histogram>,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Operation {
    api: String,
    operation: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    api: String,
    operation: String,
    outcome: &'static str,
}

impl Default for Calls {
    fn default() -> Self {
        Self { requests: Family::default(), seconds: Family::new_with_constructor(|| Histogram::new(SECONDS)) }
    }
}

impl Calls {
    /// Shows them.
    pub fn register(&self, registry: &mut Registry) {
        API_REQUESTS.register(registry, self.requests.clone());
        API_REQUEST_SECONDS.register(registry, self.seconds.clone());
    }

    /// A request begins.
    pub fn begin(&self, api: impl Into<String>, operation: impl Into<String>) -> Request {
        Request { calls: self.clone(), api: api.into(), operation: operation.into(), begun_at: Instant::now() }
    }
}

/// A request on its way.
#[derive(Debug)]
pub struct Request {
    calls: Calls,
    api: String,
    operation: String,
    /// For the difference alone: nothing is decided by it.
    begun_at: Instant,
}

impl Request {
    /// It is over.
    pub fn ended(self, outcome: Result<(), FailureClass>) {
        let Self { calls, api, operation, begun_at } = self;
        let outcome = outcome.map_or_else(FailureClass::as_str, |()| "ok");
        let labels = Operation { api: api.clone(), operation: operation.clone() };
        calls.seconds.get_or_create(&labels).observe(begun_at.elapsed().as_secs_f64());
        calls.requests.get_or_create(&Outcome { api, operation, outcome }).inc();
    }
}

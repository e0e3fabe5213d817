//! How often AWS was called: every attempt on the wire, the SDK's own repetitions included, because those are what
//! the account's budget sees.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::BeforeTransmitInterceptorContextRef;
use aws_smithy_runtime_api::client::orchestrator::Metadata;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::ConfigBag;

/// Counts attempts per operation; clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct CallCounts {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
}

impl CallCounts {
    /// Attempts since the start, by the name that IAM uses (`ec2:DescribeInstances`).
    pub fn snapshot(&self) -> BTreeMap<String, u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// All attempts at operations of one service (`ec2`, `ssm`).
    pub fn of_service(&self, service: &str) -> u64 {
        let is_of = |name: &str| name.split(':').next() == Some(service);
        self.snapshot().iter().filter(|(name, _)| is_of(name)).map(|(_, count)| count).sum()
    }

    fn count(&self, name: String) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name).or_default() += 1;
    }
}

impl Intercept for CallCounts {
    fn name(&self) -> &'static str {
        "CallCounts"
    }

    fn read_before_transmit(
        &self,
        _context: &BeforeTransmitInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(operation) = config.load::<Metadata>() {
            self.count(format!("{}:{}", operation.service().to_ascii_lowercase(), operation.name()));
        }
        Ok(())
    }
}

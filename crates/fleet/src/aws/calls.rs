//! How often AWS was called, and what came of it: every attempt on the wire, the SDK's own repetitions included, because
//! those are what the account's budget sees.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use aws_smithy_runtime_api::box_error::BoxError;
use aws_smithy_runtime_api::client::interceptors::Intercept;
use aws_smithy_runtime_api::client::interceptors::context::{
    BeforeTransmitInterceptorContextRef, FinalizerInterceptorContextRef,
};
use aws_smithy_runtime_api::client::orchestrator::{HttpResponse, Metadata};
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_types::config_bag::{ConfigBag, Storable, StoreReplace};
use runner_fleet_engine::FailureClass;

use crate::metrics::Calls;
use crate::metrics::calls::Request;

use super::error::class_of_status;

/// Counts attempts per operation; clones share the counters.
#[derive(Clone, Debug, Default)]
pub struct CallCounts {
    counts: Arc<Mutex<BTreeMap<String, u64>>>,
    told: Arc<OnceLock<Calls>>,
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

    /// From now on these are told as well; the first to come stay.
    pub fn tell(&self, calls: &Calls) {
        let _ = self.told.set(calls.clone());
    }

    fn count(&self, name: String) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry(name).or_default() += 1;
    }
}

/// The attempt that is on its way.
struct Attempt(Mutex<Option<Request>>);

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Attempt")
    }
}

impl Storable for Attempt {
    type Storer = StoreReplace<Self>;
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
        let Some(operation) = config.load::<Metadata>() else { return Ok(()) };
        let (service, name) = (operation.service().to_ascii_lowercase(), operation.name().to_owned());
        self.count(format!("{service}:{name}"));
        if let Some(calls) = self.told.get() {
            let attempt = Attempt(Mutex::new(Some(calls.begin(service, name))));
            config.interceptor_state().store_put(attempt);
        }
        Ok(())
    }

    fn read_after_attempt(
        &self,
        context: &FinalizerInterceptorContextRef<'_>,
        _components: &RuntimeComponents,
        config: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        let request = config
            .load::<Attempt>()
            .and_then(|attempt| attempt.0.lock().unwrap_or_else(PoisonError::into_inner).take());
        if let Some(request) = request {
            request.ended(outcome(context));
        }
        Ok(())
    }
}

fn outcome(context: &FinalizerInterceptorContextRef<'_>) -> Result<(), FailureClass> {
    match (context.output_or_error(), context.response()) {
        (Some(Ok(_)), _) => Ok(()),
        (Some(Err(error)), None) if error.is_timeout_error() => Err(FailureClass::Late),
        (Some(Err(_)) | None, None) => Err(FailureClass::Unreachable),
        (Some(Err(_)) | None, Some(response)) => Err(class_of_status(response.status().as_u16(), code(response))),
    }
}

/// The error code of an answer: EC2's in XML, those of others in JSON or a header.
fn code(response: &HttpResponse) -> &str {
    if let Some(code) = response.headers().get("x-amzn-errortype") {
        return code;
    }
    let body = response.body().bytes().and_then(|body| std::str::from_utf8(body).ok()).unwrap_or_default();
    let between = |before: &str, end: &str| {
        let (_, rest) = body.split_once(before)?;
        Some(rest.split_once(end)?.0.trim_matches([' ', ':', '"']))
    };
    between("<Code>", "</Code>").or_else(|| between("\"__type\"", ",")).unwrap_or_default()
}

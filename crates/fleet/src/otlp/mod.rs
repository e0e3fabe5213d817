//! OpenTelemetry's protocol (OTLP over HTTP, protobuf): the same metrics as `/metrics` shows ([`metrics`], from what [`page`]
//! reads), one trace for each job ([`jobs`]), and how they reach a collector ([`collector`]).
//!
//! The messages are OpenTelemetry's own (`opentelemetry-proto`). Its SDK is not used: it counts by itself, and what is
//! counted here is in Prometheus' registry already.

pub mod collector;
pub mod jobs;
pub mod metrics;
pub mod page;

use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;

pub use collector::Collector;
pub use jobs::JobTraces;

/// Who tells.
#[derive(Clone, Debug)]
pub struct Source {
    /// The manager's name.
    pub manager: String,
    /// Its version.
    pub version: &'static str,
}

impl Source {
    fn resource(&self) -> Resource {
        let attributes = [
            ("service.name", "runner-fleet"),
            ("service.instance.id", self.manager.as_str()),
            ("service.version", self.version),
        ];
        Resource { attributes: attributes.map(|(key, value)| attribute(key, value)).into(), ..Resource::default() }
    }

    fn scope(&self) -> InstrumentationScope {
        InstrumentationScope { name: "runner-fleet".into(), version: self.version.into(), ..Default::default() }
    }
}

fn attribute(key: &str, value: impl Into<String>) -> KeyValue {
    let value = Some(AnyValue { value: Some(Value::StringValue(value.into())) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

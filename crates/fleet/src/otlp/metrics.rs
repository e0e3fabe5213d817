//! Families as OTLP's metrics: gauges, sums and histograms, cumulative since the start. A gauge that nobody knows is left out.

use std::collections::BTreeMap;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::KeyValue;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum,
};

use super::page::{Family, Sample};
use super::{Source, attribute};

/// From when to when the counters count.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    /// The manager's start.
    pub since: Timestamp,
    /// Now.
    pub until: Timestamp,
}

/// The request that tells a collector of these.
pub fn request(source: &Source, families: &[Family], span: Span) -> ExportMetricsServiceRequest {
    let metrics = families.iter().filter_map(|family| metric(family, span)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: Some(source.scope()), metrics, ..ScopeMetrics::default() }];
    let of_us = ResourceMetrics { resource: Some(source.resource()), scope_metrics, ..ResourceMetrics::default() };
    ExportMetricsServiceRequest { resource_metrics: vec![of_us] }
}

fn metric(family: &Family, span: Span) -> Option<Metric> {
    let cumulative = AggregationTemporality::Cumulative.into();
    let data = match family.kind.as_str() {
        "gauge" | "info" => Data::Gauge(Gauge { data_points: numbers(&family.samples, None, span) }),
        "counter" => Data::Sum(Sum {
            data_points: numbers(&family.samples, Some(span.since), span),
            aggregation_temporality: cumulative,
            is_monotonic: true,
        }),
        "histogram" => Data::Histogram(Histogram {
            data_points: distributions(&family.samples, span),
            aggregation_temporality: cumulative,
        }),
        _ => return None,
    };
    let (name, description) = (family.name.clone(), family.help.clone());
    Some(Metric { name, description, unit: unit(&family.name).to_owned(), data: Some(data), ..Metric::default() })
}

/// As UCUM writes it.
fn unit(name: &str) -> &'static str {
    match name.rsplit('_').next() {
        Some("seconds") => "s",
        Some("bytes") => "By",
        Some("ratio") => "1",
        _ => "",
    }
}

fn numbers(samples: &[Sample], since: Option<Timestamp>, span: Span) -> Vec<NumberDataPoint> {
    let known = samples.iter().filter(|sample| sample.value.is_finite());
    let point = |sample: &Sample| NumberDataPoint {
        attributes: attributes(&sample.labels),
        start_time_unix_nano: since.map_or(0, nanos),
        time_unix_nano: nanos(span.until),
        value: Some(Value::AsDouble(sample.value)),
        ..NumberDataPoint::default()
    };
    known.map(point).collect()
}

/// Prometheus' buckets hold all that lies below their bound; OTLP's what lies between two.
fn distributions(samples: &[Sample], span: Span) -> Vec<HistogramDataPoint> {
    let mut points: BTreeMap<Vec<(String, String)>, HistogramDataPoint> = BTreeMap::new();
    for sample in samples {
        let labels: Vec<_> = sample.labels.iter().filter(|(label, _)| label != "le").cloned().collect();
        let point = points.entry(labels).or_insert_with_key(|labels| HistogramDataPoint {
            attributes: attributes(labels),
            start_time_unix_nano: nanos(span.since),
            time_unix_nano: nanos(span.until),
            ..HistogramDataPoint::default()
        });
        let bound = sample.labels.iter().find(|(label, _)| label == "le").and_then(|(_, le)| le.parse::<f64>().ok());
        match (sample.suffix.as_str(), bound) {
            ("_sum", _) => point.sum = Some(sample.value),
            ("_count", _) => point.count = whole(sample.value),
            ("_bucket", bound) => {
                point.explicit_bounds.extend(bound.filter(|bound| bound.is_finite()));
                let below: u64 = point.bucket_counts.iter().sum();
                point.bucket_counts.push(whole(sample.value).saturating_sub(below));
            }
            _ => {}
        }
    }
    points.into_values().collect()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count that was written as a float")]
fn whole(count: f64) -> u64 {
    count as u64
}

fn attributes(labels: &[(String, String)]) -> Vec<KeyValue> {
    labels.iter().map(|(label, value)| attribute(label, value)).collect()
}

/// As OTLP counts time; nothing was before 1970.
pub(super) fn nanos(at: Timestamp) -> u64 {
    u64::try_from(at.as_nanosecond()).unwrap_or_default()
}

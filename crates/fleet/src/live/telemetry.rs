//! Tells a collector of OpenTelemetry what `/metrics` shows, and of each job that has ended a trace: every 15 s, in a task of
//! its own that holds up nothing. What cannot be told is left out: metrics are cumulative, and the next ones say it all;
//! spans of a failed request are lost, and counted in the log.

use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;
use tracing::warn;

use runner_fleet_engine::{Failure, FailureClass, Measure};

use crate::otlp::metrics::Span;
use crate::otlp::{Collector, JobTraces, Source, jobs, metrics, page};

use super::clock::Clock;
use super::complaint::Complaint;

/// Between two requests: what scrapers use.
pub const EVERY: Duration = Duration::from_secs(15);

/// What is told, and how often.
pub struct Telemetry {
    /// Where to.
    pub collector: Collector,
    /// By whom.
    pub source: Source,
    /// What `/metrics` shows.
    pub registry: Arc<Registry>,
    /// What the engine measures of jobs.
    pub measures: mpsc::Receiver<Measure>,
    /// The clock by which it is measured.
    pub clock: Clock,
    /// How often; [`EVERY`] but in tests.
    pub every: Duration,
}

impl Telemetry {
    /// Tells until stopped, and then once more.
    pub async fn run(mut self, stop: CancellationToken) {
        let (since, mut traces, mut complaint) = (self.clock.now(), JobTraces::default(), Complaint::default());
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let goes_on = tokio::select! {
                biased;
                () = stop.cancelled() => false,
                Some(measure) = self.measures.recv() => { traces.take(&measure); continue }
                _ = ticks.tick() => true,
            };
            while let Ok(measure) = self.measures.try_recv() {
                traces.take(&measure);
            }
            let outcome = self.tell(Span { since, until: self.clock.now() }, &mut traces).await;
            complaint.about("telling the collector of OpenTelemetry (`otlp`)", &outcome);
            if !goes_on {
                return;
            }
        }
    }

    async fn tell(&self, span: Span, traces: &mut JobTraces) -> Result<(), Failure> {
        let mut text = String::new();
        prometheus_client::encoding::text::encode(&mut text, &self.registry)
            .map_err(|_| Failure::new(FailureClass::Other, "the metrics cannot be written"))?;
        let request = metrics::request(&self.source, &page::families(&text), span);
        let told = self.collector.tell("/v1/metrics", &request).await;
        let (spans, left_out) = traces.drain();
        if left_out > 0 {
            warn!("traces of {left_out} jobs were left out: the collector of OpenTelemetry (`otlp`) is too slow");
        }
        if spans.is_empty() {
            return told;
        }
        let request = jobs::request(&self.source, spans);
        told.and(self.collector.tell("/v1/traces", &request).await)
    }
}

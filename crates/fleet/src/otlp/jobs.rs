//! One trace for each job: that it waited, that a worker was booted meanwhile, that it ran.

use std::collections::BTreeMap;

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use runner_fleet_engine::{JobBegan, JobId, Measure, WorkerId};
use sha2::{Digest as _, Sha256};

use super::metrics::nanos;
use super::{Source, attribute};

/// Jobs that run at one time: more than any fleet has. Of a job that was lost with its worker nobody tells the end.
const RUNNING_MAX: usize = 10_000;
/// Spans that wait for the collector: some MiB. What comes beyond is left out, and counted.
const SPANS_MAX: usize = 8_000;

/// The jobs that run, and the spans of those that have ended.
#[derive(Debug, Default)]
pub struct JobTraces {
    running: BTreeMap<(WorkerId, JobId), JobBegan>,
    spans: Vec<Span>,
    left_out: u64,
}

impl JobTraces {
    /// Takes in what was measured.
    pub fn take(&mut self, measure: &Measure) {
        match measure {
            Measure::JobBegan(began) => {
                if self.running.len() >= RUNNING_MAX {
                    let oldest = self.running.iter().min_by_key(|(_, began)| began.at).map(|(key, _)| key.clone());
                    oldest.and_then(|key| self.running.remove(&key));
                }
                self.running.insert((began.worker.clone(), began.job), began.clone());
            }
            Measure::JobEnded { worker, job, at } => {
                if let Some(began) = self.running.remove(&(worker.clone(), *job)) {
                    self.end(&began, *at);
                }
            }
            Measure::JobsTaken { .. }
            | Measure::BootPhase { .. }
            | Measure::BootStep { .. }
            | Measure::Booted { .. }
            | Measure::BootFailed { .. }
            | Measure::Interrupted { .. }
            | Measure::Ended { .. }
            | Measure::JobRetried { .. } => {}
        }
    }

    /// The spans that wait, which then wait no more; and how many were left out since the last time.
    pub fn drain(&mut self) -> (Vec<Span>, u64) {
        (std::mem::take(&mut self.spans), std::mem::take(&mut self.left_out))
    }

    fn end(&mut self, began: &JobBegan, at: Timestamp) {
        let spans = spans(began, at);
        if self.spans.len() + spans.len() > SPANS_MAX {
            self.left_out += 1;
        } else {
            self.spans.extend(spans);
        }
    }
}

/// The request that tells a collector of these.
pub fn request(source: &Source, spans: Vec<Span>) -> ExportTraceServiceRequest {
    let scope_spans = vec![ScopeSpans { scope: Some(source.scope()), spans, ..ScopeSpans::default() }];
    let of_us = ResourceSpans { resource: Some(source.resource()), scope_spans, ..ResourceSpans::default() };
    ExportTraceServiceRequest { resource_spans: vec![of_us] }
}

fn spans(began: &JobBegan, ended: Timestamp) -> Vec<Span> {
    let JobBegan { runner, worker, job, at, wait, boot } = began;
    let queued = wait.and_then(|wait| at.saturating_sub(wait.time).ok()).unwrap_or(*at);
    let id = Sha256::digest(format!("{worker}\n{job}\n{at}"));
    let span_of = |number: u8| id.iter().skip(16 + usize::from(number) * 2).take(8).copied().collect::<Vec<u8>>();
    let span = |number: u8, name: &str, from: Timestamp, to: Timestamp| Span {
        trace_id: id.iter().take(16).copied().collect(),
        span_id: span_of(number),
        parent_span_id: if number == 0 { Vec::new() } else { span_of(0) },
        name: name.to_owned(),
        kind: SpanKind::Internal.into(),
        start_time_unix_nano: nanos(from),
        end_time_unix_nano: nanos(to.max(from)),
        attributes: vec![
            attribute("runner", runner.as_str()),
            attribute("worker.id", worker.as_str()),
            attribute("job.id", job.to_string()),
        ],
        ..Span::default()
    };
    let mut all = vec![span(0, "job", queued, ended)];
    if wait.is_some() {
        all.push(span(1, "waited", queued, *at));
    }
    // A worker that was there before the job was queued was not booted for it.
    if let Some((decided, ready)) = boot.filter(|(decided, ready)| *decided >= queued && *ready <= *at) {
        all.push(span(2, "booted", decided, ready));
    }
    all.push(span(3, "ran", *at, ended));
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_engine::{JobWait, RunnerName};
    use std::time::Duration;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn began(job: u64, boot: Option<(Timestamp, Timestamp)>) -> JobBegan {
        let wait = Some(JobWait { time: Duration::from_secs(60), is_kept: false });
        let (runner, worker) = (RunnerName::new("spot"), WorkerId::new("i-1"));
        JobBegan { runner, worker, job: JobId(job), at: at(160), wait, boot }
    }

    fn told(began: JobBegan) -> Vec<(String, u64, u64)> {
        let mut traces = JobTraces::default();
        let (worker, job) = (began.worker.clone(), began.job);
        traces.take(&Measure::JobBegan(began));
        traces.take(&Measure::JobEnded { worker, job, at: at(200) });
        let (spans, _) = traces.drain();
        let ids: std::collections::BTreeSet<_> = spans.iter().map(|span| span.span_id.clone()).collect();
        assert_eq!((ids.len(), spans[0].trace_id.len(), spans[0].span_id.len()), (spans.len(), 16, 8));
        assert!(spans.iter().skip(1).all(|span| span.parent_span_id == spans[0].span_id));
        let second = |nanos: u64| nanos / 1_000_000_000;
        let of = |s: &Span| (s.name.clone(), second(s.start_time_unix_nano), second(s.end_time_unix_nano));
        spans.iter().map(of).collect()
    }

    #[test]
    fn a_job_is_one_trace_of_what_it_waited_booted_and_ran() {
        let span = |name: &str, from, to| (name.to_owned(), from, to);
        let [job, waited, ran] = [span("job", 100, 200), span("waited", 100, 160), span("ran", 160, 200)];
        let booted = span("booted", 102, 150);
        let [boot, before] = [(at(102), at(150)), (at(20), at(60))];
        assert_eq!(told(began(7, Some(boot))), [job.clone(), waited.clone(), booted, ran.clone()]);
        assert_eq!(told(began(7, Some(before))), [job, waited, ran], "that worker was there before");
        let unknown = JobBegan { wait: None, ..began(7, None) };
        assert_eq!(told(unknown), [span("job", 160, 200), span("ran", 160, 200)]);
    }

    #[test]
    fn what_waits_for_the_collector_is_bounded() {
        let mut traces = JobTraces::default();
        for job in 0..10_500 {
            traces.take(&Measure::JobBegan(began(job, None)));
        }
        assert_eq!(traces.running.len(), RUNNING_MAX);
        for job in 0..10_500 {
            traces.take(&Measure::JobEnded { worker: WorkerId::new("i-1"), job: JobId(job), at: at(200) });
        }
        let (spans, left_out) = traces.drain();
        assert!(spans.len() <= SPANS_MAX && spans.len() + 3 > SPANS_MAX, "{}", spans.len());
        assert_eq!(spans.len() as u64 / 3 + left_out, RUNNING_MAX as u64);
        assert_eq!(traces.drain(), (Vec::new(), 0));
    }
}

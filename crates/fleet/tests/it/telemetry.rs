//! What a collector of OpenTelemetry gets: all that `/metrics` shows, and a trace for each job; and what becomes of one that
//! fails or hangs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use prost::Message as _;
use runner_fleet::live::clock::Clock;
use runner_fleet::live::telemetry::Telemetry;
use runner_fleet::otlp::{Collector, Source};
use runner_fleet_engine::{JobBegan, JobId, JobWait, Measure, RunnerName, WorkerId};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tracing::Level;
use wiremock::matchers::{header, method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

use crate::{log::Log, metrics};

/// Often, so that nobody waits.
const EVERY: Duration = Duration::from_millis(20);

fn telemetry(address: &str, measures: mpsc::Receiver<Measure>) -> Telemetry {
    let registry = Arc::new(metrics::registry(&RunnerName::new("spot")));
    let source = Source { manager: "ci".into(), version: "1.2.3" };
    Telemetry {
        collector: Collector::new(address).unwrap(),
        source,
        registry,
        measures,
        clock: Clock::real(),
        every: EVERY,
    }
}

/// A job that waited a minute and has ended.
fn a_job(jobs: &mpsc::Sender<Measure>) {
    let (worker, job, at) = (WorkerId::new("i-1"), JobId(7), jiff::Timestamp::from_second(1_800_000_000).unwrap());
    let wait = Some(JobWait { time: Duration::from_secs(60), is_kept: false });
    let runner = RunnerName::new("spot");
    let began = JobBegan { runner, worker: worker.clone(), job, at, wait, boot: None };
    jobs.try_send(Measure::JobBegan(began)).unwrap();
    jobs.try_send(Measure::JobEnded { worker, job, at: at + Duration::from_secs(9) }).unwrap();
}

async fn answering(at: &str, answer: ResponseTemplate) -> MockServer {
    let server = MockServer::start().await;
    let protobuf = header("content-type", "application/x-protobuf");
    Mock::given(method("POST")).and(path(at)).and(protobuf).respond_with(answer.clone()).mount(&server).await;
    Mock::given(method("POST")).respond_with(answer).mount(&server).await;
    server
}

#[tokio::test]
async fn a_collector_gets_every_family_and_a_trace_of_each_job() {
    let server = answering("/base/v1/metrics", ResponseTemplate::new(200)).await;
    let (jobs, measures) = mpsc::channel(8);
    a_job(&jobs);
    let stop = CancellationToken::new();
    // Stopped before it begins, it tells what there is, once, and ends.
    stop.cancel();
    telemetry(&format!("{}/base/", server.uri()), measures).run(stop).await;

    let requests = server.received_requests().await.unwrap();
    let paths: Vec<&str> = requests.iter().map(|request| request.url.path()).collect();
    assert_eq!(paths, ["/base/v1/metrics", "/base/v1/traces"]);
    let told = ExportMetricsServiceRequest::decode(requests[0].body.as_slice()).unwrap();
    let resource = told.resource_metrics[0].resource.as_ref().unwrap();
    assert_eq!(resource.attributes[1].key, "service.instance.id");
    let of_us = &told.resource_metrics[0].scope_metrics[0].metrics;
    let mut names: BTreeSet<String> = BTreeSet::new();
    for metric in of_us {
        let suffix = match metric.data.as_ref().unwrap() {
            Data::Sum(sum) => {
                assert!(sum.is_monotonic && sum.data_points.iter().all(|point| point.start_time_unix_nano > 0));
                "_total"
            }
            Data::Histogram(histogram) => {
                for point in &histogram.data_points {
                    assert_eq!(point.bucket_counts.len(), point.explicit_bounds.len() + 1, "{}", metric.name);
                    assert_eq!(point.bucket_counts.iter().sum::<u64>(), point.count, "{}", metric.name);
                }
                ""
            }
            _ => "",
        };
        names.insert(format!("{}{suffix}", metric.name.replace("_build", "_build_info")));
    }
    assert_eq!(names, metrics::catalogued().into_keys().collect());
    let waits = of_us.iter().find(|metric| metric.name == "runner_fleet_job_wait_seconds").unwrap();
    assert_eq!(waits.unit, "s");

    let told = ExportTraceServiceRequest::decode(requests[1].body.as_slice()).unwrap();
    let spans = &told.resource_spans[0].scope_spans[0].spans;
    let names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    assert_eq!(names, ["job", "waited", "ran"]);
    assert_eq!(spans[0].end_time_unix_nano - spans[0].start_time_unix_nano, 69 * 1_000_000_000);
}

#[tokio::test]
async fn a_collector_that_fails_is_told_of_once_and_holds_nothing_up() {
    let (log, server) = (Log::start(), answering("/v1/metrics", ResponseTemplate::new(503)).await);
    let (jobs, measures) = mpsc::channel(8);
    let stop = CancellationToken::new();
    let running = tokio::spawn(telemetry(&server.uri(), measures).run(stop.clone()));
    while server.received_requests().await.unwrap().len() < 4 {
        tokio::time::sleep(EVERY).await;
    }
    let failed = log.with(Level::WARN, "telling the collector of OpenTelemetry");
    assert!(failed.len() == 1 && failed[0].contains("503"), "{log}");

    // It mends itself.
    server.reset().await;
    Mock::given(method("POST")).respond_with(ResponseTemplate::new(200)).mount(&server).await;
    while log.with(Level::INFO, "works again").is_empty() {
        tokio::time::sleep(EVERY).await;
    }
    drop(jobs);
    stop.cancel();
    running.await.unwrap();
    assert_eq!(log.with(Level::WARN, "").len(), 1, "{log}");
}

#[tokio::test]
async fn a_refusal_is_told_by_its_kind_and_without_the_address() {
    let request = ExportTraceServiceRequest::default();
    for (status, class) in
        [(401, "denied"), (404, "not-found"), (429, "throttled"), (500, "server-error"), (302, "invalid")]
    {
        let server = answering("/v1/traces", ResponseTemplate::new(status).insert_header("location", "/")).await;
        let failure = Collector::new(&server.uri()).unwrap().tell("/v1/traces", &request).await.unwrap_err();
        assert_eq!(failure.class.as_str(), class, "{status}: {failure}");
    }
    let nobody = Collector::new("http://127.0.0.1:1").unwrap().tell("/v1/traces", &request).await.unwrap_err();
    assert!(nobody.class.as_str() == "unreachable" && !nobody.text.contains("http://"), "{nobody}");
}

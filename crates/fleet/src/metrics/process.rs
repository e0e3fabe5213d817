//! The process itself, as Linux shows it, under the names that every Prometheus client uses.

use std::fmt;

use procfs::process::{LimitValue, Process};
use procfs::{ProcResult, WithCurrentSystemInfo as _};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;

use super::catalogue::{self, Described};

/// Looks when it is scraped. Where /proc cannot be read, its families are absent.
#[derive(Debug)]
pub struct ProcessCollector;

impl Collector for ProcessCollector {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let Ok(look) = Look::now() else { return Ok(()) };
        write(&mut encoder, &catalogue::PROCESS_CPU, &ConstCounter::new(look.cpu_seconds))?;
        write(&mut encoder, &catalogue::PROCESS_RESIDENT, &ConstGauge::new(look.resident_bytes))?;
        write(&mut encoder, &catalogue::PROCESS_VIRTUAL, &ConstGauge::new(look.virtual_bytes))?;
        write(&mut encoder, &catalogue::PROCESS_THREADS, &ConstGauge::new(look.threads))?;
        write(&mut encoder, &catalogue::PROCESS_FDS, &ConstGauge::new(look.open_fds))?;
        write(&mut encoder, &catalogue::PROCESS_FDS_MAX, &ConstGauge::new(look.max_fds))?;
        write(&mut encoder, &catalogue::PROCESS_START, &ConstGauge::new(look.started_at))
    }
}

fn write(encoder: &mut DescriptorEncoder<'_>, what: &Described, metric: &impl EncodeMetric) -> fmt::Result {
    metric.encode(what.begin(encoder)?)
}

struct Look {
    cpu_seconds: f64,
    resident_bytes: u64,
    virtual_bytes: u64,
    threads: i64,
    open_fds: u64,
    max_fds: f64,
    started_at: f64,
}

impl Look {
    #[expect(clippy::cast_precision_loss, reason = "ticks of centuries fit a float's 53 bits")]
    fn now() -> ProcResult<Self> {
        let process = Process::myself()?;
        let (stat, limits) = (process.stat()?, process.limits()?);
        let ticks = procfs::ticks_per_second() as f64;
        Ok(Self {
            cpu_seconds: (stat.utime + stat.stime) as f64 / ticks,
            resident_bytes: stat.rss_bytes().get(),
            virtual_bytes: stat.vsize,
            threads: stat.num_threads,
            open_fds: process.fd_count()? as u64,
            max_fds: match limits.max_open_files.soft_limit {
                LimitValue::Unlimited => f64::INFINITY,
                LimitValue::Value(value) => value as f64,
            },
            started_at: procfs::boot_time_secs()? as f64 + stat.starttime as f64 / ticks,
        })
    }
}

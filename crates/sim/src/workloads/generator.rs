//! Jobs from a description: people's pushes, merge trains, nightly bursts. Pure: equal seeds give equal jobs.
//!
//! Pipelines arrive by chance around their pattern; within one, a stage is queued when the longest job of the stage before
//! would be done, [`BETWEEN_STAGES`] for its wait included. (In truth that depends on how long it waited: a workload is a
//! list of times, and every policy must get the same one.)

use std::time::Duration;

use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Timestamp, ToSpan};

use super::spec::{Pattern, Spec, Stage, Stream};
use super::{DURATION_MAX, Workload, WorkloadJob};
use crate::rng::{Rng, Stream as Chance};

/// What a stage waits for the one before it, beyond that one's longest job.
const BETWEEN_STAGES: Duration = Duration::from_secs(20);
/// A burst's pipelines come within this time, and the cars of a train this far apart, unless the description says more.
const OVER: Duration = Duration::from_secs(60);
const GAP: Duration = Duration::from_secs(15);
/// Shares of an office day's pipelines, by the hour.
const OFFICE: [f64; 24] = [
    0.05, 0.03, 0.02, 0.02, 0.02, 0.04, 0.10, 0.35, 0.80, 1.20, 1.40, 1.30, 0.70, 0.90, 1.30, 1.40, 1.20, 0.80, 0.40,
    0.25, 0.20, 0.15, 0.12, 0.08,
];

/// All jobs of the described days.
pub(super) fn generate(name: &str, spec: &Spec) -> Workload {
    let mut jobs = Vec::new();
    for (number, stream) in spec.stream.iter().enumerate() {
        for day in 0..spec.days {
            let Ok(date) = spec.start.checked_add(i64::from(day).days()) else { continue };
            let Ok(midnight) = date.to_zoned(spec.timezone.clone()) else { continue };
            // A stream and day has chance of its own: one more stream leaves the others as they are.
            let mut rng = Rng::new(spec.seed ^ ((number as u64 + 1) << 32) ^ (u64::from(day) + 1));
            one_day(stream, date, midnight.timestamp(), &mut rng, &mut jobs);
        }
    }
    jobs.sort_by(|one, other| (one.queued_at, &one.project).cmp(&(other.queued_at, &other.project)));
    Workload { name: name.to_owned(), jobs, notes: Vec::new() }
}

fn one_day(stream: &Stream, date: Date, midnight: Timestamp, rng: &mut Rng, jobs: &mut Vec<WorkloadJob>) {
    let is_weekend = matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday);
    let wanted = stream.pipelines_per_day * if is_weekend { stream.weekend } else { 1.0 };
    for _ in 0..poisson(wanted / f64::from(stream.train), rng) {
        let mut at = plus(midnight, moment(stream, rng));
        for _ in 0..stream.train {
            pipeline(stream, at, rng, jobs);
            at = plus(at, stream.gap.unwrap_or(GAP));
        }
    }
}

/// How long after midnight a pipeline comes.
fn moment(stream: &Stream, rng: &mut Rng) -> Duration {
    match stream.pattern {
        Pattern::Flat => rng.millis(Chance::Jobs, 0, 86_400_000),
        Pattern::Nightly => {
            let at = stream
                .at
                .map_or(0, |at| i64::from(at.hour()) * 3600 + i64::from(at.minute()) * 60 + i64::from(at.second()));
            let over = stream.over.unwrap_or(OVER);
            Duration::from_secs(at.unsigned_abs()) + rng.between(Chance::Jobs, Duration::ZERO, over)
        }
        Pattern::Office => {
            let mut left = rng.unit(Chance::Jobs) * OFFICE.iter().sum::<f64>();
            let hour = OFFICE.iter().position(|share| {
                left -= share;
                left < 0.0
            });
            let hour = hour.unwrap_or(OFFICE.len() - 1) as u64;
            Duration::from_secs(hour * 3600) + rng.millis(Chance::Jobs, 0, 3_600_000)
        }
    }
}

fn pipeline(stream: &Stream, mut at: Timestamp, rng: &mut Rng, jobs: &mut Vec<WorkloadJob>) {
    for stage in &stream.stage {
        let mut longest = Duration::ZERO;
        for _ in 0..stage.jobs {
            let takes = takes(stage, rng);
            longest = longest.max(takes);
            let tags = stage.tags.iter().cloned().collect();
            jobs.push(WorkloadJob { queued_at: at, takes, tags, project: stream.project.clone() });
        }
        at = plus(at, longest + BETWEEN_STAGES);
    }
}

/// Log-normal: most jobs take about the median, a few take several times as long.
fn takes(stage: &Stage, rng: &mut Rng) -> Duration {
    let (one, other) = (rng.unit(Chance::Boot), rng.unit(Chance::Boot));
    let normal = (-2.0 * (1.0 - one).ln()).sqrt() * (std::f64::consts::TAU * other).cos();
    let factor = (stage.spread * normal).exp();
    let seconds = (stage.median.as_secs_f64() * factor).round().clamp(1.0, DURATION_MAX.as_secs_f64());
    Duration::from_secs(seconds as u64)
}

/// How often something happens that happens `mean` times on average.
fn poisson(mean: f64, rng: &mut Rng) -> u32 {
    let mut count = 0;
    let mut passed = -(1.0 - rng.unit(Chance::Fate)).ln();
    while passed < mean {
        count += 1;
        passed -= (1.0 - rng.unit(Chance::Fate)).ln();
    }
    count
}

fn plus(at: Timestamp, after: Duration) -> Timestamp {
    let after = SignedDuration::try_from(after).unwrap_or(SignedDuration::MAX);
    at.saturating_add(after).unwrap_or(Timestamp::MAX)
}

//! The table of docs/forecast.md: `idle_count = "auto"` against fixed numbers, over two weeks of which the second counts.
//!
//! It takes minutes: `make forecast-table`.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers: it prints a table, or it ends where it went wrong"
)]

use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{Engine, IdleCount};
use runner_fleet_sim::run::simulate;
use runner_fleet_sim::{JobSpec, Outcome, Scenario};

const DAY: f64 = 86_400.0;
const HOUR: f64 = 3_600.0;
const DAYS: f64 = 14.0;
const COUNTED_FROM: f64 = 7.0;
const SEED: u64 = 1;

/// A small generator of its own, so that the workloads stay the same whatever the simulator draws.
struct Chance(u64);

impl Chance {
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn until_next(&mut self, per_hour: f64) -> f64 {
        -self.share().max(1e-12).ln() / per_hour * HOUR
    }

    /// Log-normal, as durations of jobs are.
    fn duration(&mut self, median: f64, spread: f64) -> f64 {
        let normal = (-2.0 * self.share().max(1e-12).ln()).sqrt() * (std::f64::consts::TAU * self.share()).cos();
        (median * (spread * normal).exp()).clamp(5.0, 3_600.0)
    }

    fn pipeline(&mut self, jobs: &mut Vec<JobSpec>, mut at: f64, stages: &[usize]) {
        for width in stages {
            let takes: Vec<f64> = (0..*width).map(|_| self.duration(150.0, 0.7)).collect();
            jobs.extend(takes.iter().map(|takes| job(at, *takes)));
            at += takes.into_iter().fold(0.0, f64::max) + 25.0;
        }
    }
}

fn job(at: f64, takes: f64) -> JobSpec {
    JobSpec::new(Duration::from_secs_f64(at), Duration::from_secs_f64(takes))
}

/// People push from seven to seven, most around noon, hardly at weekends.
fn office_hours(pushes_per_hour: f64) -> Vec<JobSpec> {
    let (mut chance, mut jobs, mut at) = (Chance(7_920), Vec::new(), 0.0);
    while at < DAYS * DAY {
        at += chance.until_next(pushes_per_hour);
        let hour = at / HOUR % 24.0;
        let day = if at / DAY % 7.0 >= 5.0 { 0.05 } else { 1.0 };
        let shape = match hour {
            12.0..13.0 => 0.5,
            7.0..19.0 => (std::f64::consts::PI * (hour - 7.0) / 12.0).sin().powf(0.7),
            _ => 0.03,
        };
        if chance.share() < shape * day {
            chance.pipeline(&mut jobs, at, &[1, 3, 1]);
        }
    }
    jobs
}

/// On working days from eight to six, six trains an hour of one to five pipelines of four jobs each.
fn merge_trains() -> Vec<JobSpec> {
    let (mut chance, mut jobs, mut at) = (Chance(104_732), Vec::new(), 0.0);
    while at < DAYS * DAY {
        at += chance.until_next(6.0);
        if at / DAY % 7.0 < 5.0 && (8.0..18.0).contains(&(at / HOUR % 24.0)) {
            let wagons = 1 + (chance.share() * 5.0) as u32;
            (0..wagons).for_each(|wagon| chance.pipeline(&mut jobs, at + f64::from(wagon) * 8.0, &[4]));
        }
    }
    jobs
}

/// A small office, and two bursts every night: forty jobs at two, twenty at half past four.
fn nightly_bursts() -> Vec<JobSpec> {
    let (mut chance, mut jobs) = (Chance(15_485_868), office_hours(7.0));
    for day in 0..DAYS as u32 {
        for (hour, count, median) in [(2.0, 40, 400.0), (4.5, 20, 300.0)] {
            let at = f64::from(day) * DAY + hour * HOUR + chance.share() * 20.0;
            for _ in 0..count {
                let (later, takes) = (chance.share() * 5.0, chance.duration(median, 0.5));
                jobs.push(job(at + later, takes));
            }
        }
    }
    jobs
}

fn run(jobs: &[JobSpec], count: IdleCount) -> (Timestamp, Outcome) {
    let start: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let mut scenario = Scenario::new(start).with_jobs(jobs.iter().cloned());
    scenario.settings.concurrent = 200;
    scenario.boot = Duration::from_secs(60);
    let runner = scenario.runner_mut().unwrap();
    (runner.max_workers, runner.idle.count) = (150, count);
    // Nobody is replaced for age, so that only the idle policy differs.
    runner.max_age = Duration::from_secs(60 * 86_400);
    let outcome = simulate(SEED, &scenario, Engine::new).unwrap_or_else(|broken| panic!("{broken}"));
    (start, outcome)
}

/// A line of the table: share of jobs that waited longer than the target, quantiles of the wait, worker hours.
fn line(name: &str, jobs: &[JobSpec], count: IdleCount) {
    let (start, outcome) = run(jobs, count);
    let at = |days: f64| start.checked_add(Duration::from_secs_f64(days * DAY)).unwrap();
    let (from, end) = (at(COUNTED_FROM), at(DAYS));
    let counted = outcome.world.jobs().filter(|(_, job)| job.queued_at >= from);
    let mut waits: Vec<f64> =
        counted.filter_map(|(_, job)| Some(job.taken_at?.duration_since(job.queued_at).as_secs_f64())).collect();
    waits.sort_by(f64::total_cmp);
    let quantile = |share: f64| waits[((waits.len() as f64 * share).ceil() as usize).max(1) - 1];
    let late = waits.iter().filter(|wait| **wait > 30.0).count() as f64 / waits.len() as f64 * 100.0;
    let hours: f64 = outcome
        .world
        .machines()
        .map(|(_, machine)| {
            let (born, died) = (machine.launched_at.max(from), machine.ended_at.unwrap_or(end).min(end));
            died.duration_since(born).as_secs_f64().max(0.0) / HOUR
        })
        .sum();
    let count = count.fixed().map_or("auto".to_owned(), |count| count.to_string());
    println!("| {name} | {count} | {late:.1} % | {:.1} s | {:.1} s | {hours:.0} |", quantile(0.95), quantile(0.99));
}

fn main() {
    println!(
        "| workload | idle_count | waited > 30 s | p95 | p99 | worker hours |\n| --- | --- | --- | --- | --- | --- |"
    );
    let table: [(&str, Vec<JobSpec>, &[u32]); 3] = [
        ("office hours", office_hours(35.3), &[1, 2, 3]),
        ("merge trains", merge_trains(), &[12, 16, 18]),
        ("nightly bursts", nightly_bursts(), &[2, 20, 30, 40]),
    ];
    for (name, jobs, fixed) in table {
        let counts = [IdleCount::Auto].into_iter().chain(fixed.iter().copied().map(IdleCount::Fixed));
        counts.for_each(|count| line(name, &jobs, count));
    }
}

//! The table of docs/forecast.md: `idle_count = "auto"` against fixed numbers, over six weeks of which the last four count.
//!
//! It takes minutes: `make forecast-table`, or `make forecast-table WORKLOAD=storm` for those whose name begins so.
#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a program for developers: it prints a table, or it ends where it went wrong"
)]

mod workloads;

use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{Engine, IdleCount};
use runner_fleet_sim::run::simulate;
use runner_fleet_sim::{JobSpec, Outcome, Scenario};

use workloads::{DAY, HOUR, WEEKS};

/// The first weeks are for learning.
const COUNTED_FROM: f64 = 2.0;
const TARGET_SECONDS: f64 = 30.0;
const SEED: u64 = 1;

fn run(jobs: &[JobSpec], count: IdleCount) -> (Timestamp, Outcome) {
    let start: Timestamp = "2026-03-02T00:00:00Z".parse().unwrap();
    let mut scenario = Scenario::new(start).with_jobs(jobs.iter().cloned());
    scenario.settings.concurrent = 600;
    scenario.boot = Duration::from_secs(60);
    let runner = scenario.runner_mut().unwrap();
    (runner.max_workers, runner.idle.count) = (500, count);
    // Nobody is replaced for age, so that only the idle policy differs.
    runner.max_age = Duration::from_secs(60 * 86_400);
    let outcome = simulate(SEED, &scenario, Engine::new).unwrap_or_else(|broken| panic!("{broken}"));
    (start, outcome)
}

/// The share of these waits that is longer than the target, in percent.
fn late(waits: &[f64]) -> f64 {
    let late = waits.iter().filter(|wait| **wait > TARGET_SECONDS).count();
    late as f64 / waits.len().max(1) as f64 * 100.0
}

/// A line of the table: share of jobs that waited longer than the target, in all counted weeks and in the worst of them,
/// quantiles of the wait, worker hours a week.
fn line(name: &str, jobs: &[JobSpec], count: IdleCount) {
    let (start, outcome) = run(jobs, count);
    let week = |weeks: f64| start.checked_add(Duration::from_secs_f64(weeks * 7.0 * DAY)).unwrap();
    let (from, end) = (week(COUNTED_FROM), week(WEEKS));
    let mut by_week: Vec<Vec<f64>> = vec![Vec::new(); (WEEKS - COUNTED_FROM) as usize];
    for (_, job) in outcome.world.jobs().filter(|(_, job)| job.queued_at >= from && job.queued_at < end) {
        let Some(taken_at) = job.taken_at else { continue };
        let week = (job.queued_at.duration_since(from).as_secs_f64() / (7.0 * DAY)) as usize;
        by_week[week].push(taken_at.duration_since(job.queued_at).as_secs_f64());
    }
    let worst = by_week.iter().map(|waits| late(waits)).fold(0.0, f64::max);
    let mut waits = by_week.concat();
    waits.sort_by(f64::total_cmp);
    let quantile = |share: f64| waits[((waits.len() as f64 * share).ceil() as usize).max(1) - 1];
    let hours: f64 = outcome
        .world
        .machines()
        .map(|(_, machine)| {
            let (born, died) = (machine.launched_at.max(from), machine.ended_at.unwrap_or(end).min(end));
            died.duration_since(born).as_secs_f64().max(0.0) / HOUR
        })
        .sum();
    let count = count.fixed().map_or("auto".to_owned(), |count| count.to_string());
    println!(
        "| {name} | {count} | {:.1} % | {worst:.1} % | {:.0} s | {:.0} s | {:.0} |",
        late(&waits),
        quantile(0.95),
        quantile(0.99),
        hours / (WEEKS - COUNTED_FROM),
    );
}

fn main() {
    let wanted = std::env::args().nth(1).unwrap_or_default();
    println!(
        "| workload | idle_count | waited > 30 s | worst week | p95 | p99 | worker hours a week |\n\
         | --- | --- | --- | --- | --- | --- | --- |"
    );
    let table: [(&str, Vec<JobSpec>, &[u32]); 9] = [
        ("office hours", workloads::office_hours(), &[0, 1, 2, 3]),
        ("merge trains", workloads::merge_trains(), &[0, 14, 16, 18]),
        ("nightly bursts", workloads::nightly_bursts(), &[0, 2, 30]),
        ("burst of 10 alone", workloads::bursts_alone(10), &[0, 10]),
        ("burst of 60 alone", workloads::bursts_alone(60), &[0, 60]),
        ("burst of 120 alone", workloads::bursts_alone(120), &[0, 120]),
        ("bots", workloads::bots(), &[0, 9, 12]),
        ("storm", workloads::storm(), &[0, 8, 12, 16]),
        ("monorepo", workloads::monorepo(), &[0, 150]),
    ];
    for (name, jobs, fixed) in table.into_iter().filter(|(name, ..)| name.starts_with(&wanted)) {
        let counts = [IdleCount::Auto].into_iter().chain(fixed.iter().copied().map(IdleCount::Fixed));
        counts.for_each(|count| line(name, &jobs, count));
    }
}

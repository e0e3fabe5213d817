//! The engine in whole worlds: under faults of every kind, in any order, with crashes at any point, while people change
//! everything, no law breaks, and in the end every job has run and nothing is left.
//!
//! `make soak SEEDS=1000000` runs more of them, on all cores. Seeds that once failed are kept in `tests/seeds/worlds.txt`
//! with the kind of their world, and always run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use runner_fleet_sim::soak::{Kind, soak};

/// Enough to catch what breaks often, within the patience of a person who runs the tests of a debug build.
const SEEDS: u64 = 120;

/// Runs the worlds on all cores until one breaks; those that run in that moment may break too.
fn failures(worlds: &[(Kind, u64)]) -> Vec<(u64, Kind, String)> {
    let next = AtomicUsize::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some((kind, seed)) = worlds.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if let Err(broken) = soak(*kind, *seed) {
                        failures.lock().unwrap().push((*seed, *kind, broken.to_string()));
                        next.store(worlds.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures
}

fn assert_all_rest(worlds: &[(Kind, u64)]) {
    let failures = failures(worlds);
    if let Some((seed, kind, transcript)) = failures.first() {
        panic!("a world broke\nreplay: make replay SEED={seed} KIND={kind}\n{transcript}");
    }
}

#[test]
fn no_law_breaks_and_every_job_runs_in_any_world() {
    let worlds: Vec<(Kind, u64)> = (0..SEEDS).map(|seed| (Kind::of(seed), seed)).collect();
    assert_all_rest(&worlds);
}

#[test]
fn worlds_that_once_broke_hold() {
    let kept = include_str!("../seeds/worlds.txt");
    let worlds: Vec<(Kind, u64)> = kept
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| {
            let mut words = line.split_whitespace();
            let mut word = || words.next().unwrap();
            (word().parse().unwrap(), word().parse().unwrap())
        })
        .collect();
    assert_all_rest(&worlds);
}

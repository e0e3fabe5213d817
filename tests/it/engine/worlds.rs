//! The engine in whole worlds: under faults of every kind, in any order, with crashes at any point, no law breaks, and
//! in the end every job has run and nothing is left.
//!
//! `make soak SEEDS=10000` runs more of them, on all cores. A failure prints its seed; `make soak FIRST=<seed> SEEDS=1`
//! replays it with a transcript. Seeds that once failed are kept in `tests/seeds/worlds.txt` and always run.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use jiff::Timestamp;
use runner_fleet::engine::laws::Laws;
use runner_fleet::engine::{Command, Engine, Event};
use runner_fleet::sim::run::{Brain, simulate};
use runner_fleet::sim::{Broken, Outcome, workload};

/// Enough to catch what breaks often, within the patience of a person who runs the tests of a debug build.
const SEEDS: u64 = 120;

/// The engine with an observer of the laws beside it.
struct Lawful {
    engine: Engine,
    laws: Laws,
    broken: u64,
}

impl Lawful {
    fn new(manager: &str, seed: u64, now: Timestamp) -> Self {
        Self { engine: Engine::new(manager, seed, now), laws: Laws::new(), broken: 0 }
    }
}

impl Brain for Lawful {
    fn step(&mut self, now: Timestamp, events: Vec<Event>) -> Vec<Command> {
        events.iter().for_each(|event| self.laws.observe(now, event));
        let commands = self.engine.step(now, events);
        for violation in self.laws.judge(now, &commands) {
            eprintln!("{violation}");
            self.broken += 1;
        }
        commands
    }

    fn laws_broken(&self) -> u64 {
        self.broken
    }
}

/// Every fourth world is honest: there the fleet must not only survive but do exactly what is needed.
fn run(seed: u64) -> Result<Outcome, Box<Broken>> {
    let scenario = if seed.is_multiple_of(4) { workload::small(seed) } else { workload::small_and_rough(seed) };
    simulate(seed, &scenario, Lawful::new)
}

/// Runs the seeds on all cores and returns the failures, by seed.
fn failures(seeds: &[u64]) -> Vec<(u64, String)> {
    let next = AtomicU64::new(0);
    let failures = Mutex::new(Vec::new());
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                while let Some(seed) = seeds.get(next.fetch_add(1, Ordering::Relaxed) as usize) {
                    if let Err(broken) = run(*seed) {
                        failures.lock().unwrap().push((*seed, broken.to_string()));
                    }
                }
            });
        }
    });
    let mut failures = failures.into_inner().unwrap();
    failures.sort();
    failures
}

fn assert_all_rest(seeds: &[u64]) {
    let failures = failures(seeds);
    if let Some((seed, transcript)) = failures.first() {
        let all: Vec<u64> = failures.iter().map(|(seed, _)| *seed).collect();
        panic!(
            "{} of {} worlds broke, seeds {all:?}\nreplay: make soak FIRST={seed} SEEDS=1\n{transcript}",
            failures.len(),
            seeds.len(),
        );
    }
}

#[expect(clippy::disallowed_methods, reason = "the number of seeds is the caller's choice")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text} is no number")))
}

#[test]
fn no_law_breaks_and_every_job_runs_in_any_world() {
    let (first, seeds) = (number("FIRST", 0), number("SEEDS", SEEDS));
    let seeds: Vec<u64> = (first..first + seeds).collect();
    assert_all_rest(&seeds);
}

#[test]
fn worlds_that_once_broke_hold() {
    let kept = include_str!("../../seeds/worlds.txt");
    let seeds: Vec<u64> = kept
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(|line| line.split_whitespace().next().unwrap().parse().unwrap())
        .collect();
    assert_all_rest(&seeds);
}

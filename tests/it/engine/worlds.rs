//! The engine in whole worlds: under faults of every kind, in any order, with crashes at any point, no law breaks, and
//! in the end every job has run and nothing is left.

use jiff::Timestamp;
use runner_fleet::engine::laws::Laws;
use runner_fleet::engine::{Command, Engine, Event};
use runner_fleet::sim::run::{Brain, simulate};
use runner_fleet::sim::{Broken, Outcome, Scenario, workload};

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
        if std::env::var("TRACE").is_ok() {
            for event in &events {
                if let Event::Link { worker, news } = event {
                    eprintln!("{now:.1} {worker} {news:?}");
                }
            }
        }
        let commands = self.engine.step(now, events);
        if std::env::var("TRACE").is_ok() && now.as_second() % 600 == 0 {
            let view = self.engine.view();
            eprintln!("VIEW {now:.0} {:?}\n {:?}\n {:?}\n ec2 {:?}", view.runners, view.workers, view.jobs, view.ec2);
        }
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

fn run(seed: u64, scenario: &Scenario) -> Result<Outcome, Box<Broken>> {
    simulate(seed, scenario, Lawful::new)
}

#[test]
fn no_law_breaks_and_every_job_runs_in_any_world() {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(200);
    let first: u64 = std::env::var("FIRST").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(0);
    for seed in first..first + seeds {
        let scenario = if seed % 4 == 0 { workload::small(seed) } else { workload::small_and_rough(seed) };
        if let Err(broken) = run(seed, &scenario) {
            panic!("{broken}");
        }
    }
}

#[test]
fn survey() {
    let seeds: u64 = std::env::var("SEEDS").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(0);
    let first: u64 = std::env::var("FIRST").ok().and_then(|seeds| seeds.parse().ok()).unwrap_or(0);
    let mut bad = 0;
    for seed in first..first + seeds {
        let scenario = if seed % 4 == 0 { workload::small(seed) } else { workload::small_and_rough(seed) };
        if let Err(broken) = run(seed, &scenario) {
            bad += 1;
            eprintln!(
                "SEED {seed}: {}",
                broken.violations.iter().map(|(_, v)| v.to_string()).collect::<Vec<_>>().join(" | ")
            );
        }
    }
    eprintln!("{bad} of {seeds}");
}

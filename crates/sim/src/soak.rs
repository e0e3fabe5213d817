//! The soak: a world for every seed, run by the engine with the laws beside it.
//!
//! `make soak` runs as many as it is told, the tests some; both replay one by its seed.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::laws::Laws;
use runner_fleet_engine::{Command, Engine, Event, Ledger};

use super::faults::Faults;
use super::run::{Brain, Broken, Outcome, simulate};
use super::scenario::Scenario;
use super::workload::small;

/// When the last new fault begins, counted from the start: shortly after the last job.
const FAULTS_UNTIL: Duration = Duration::from_secs(50 * 60);

/// How hostile a world is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Nothing breaks: there the fleet must not only survive but do exactly what is needed.
    Honest,
    /// Everything breaks.
    Rough,
    /// Everything breaks while people change everything.
    Restless,
}

impl Kind {
    /// The kind of a seed's world, unless somebody asks for another.
    pub fn of(seed: u64) -> Self {
        match seed % 4 {
            0 => Self::Honest,
            1 => Self::Rough,
            _ => Self::Restless,
        }
    }

    /// The world's scenario.
    pub fn scenario(self, seed: u64) -> Scenario {
        match self {
            Self::Honest => small(seed),
            Self::Rough => small(seed).with_faults(Faults::rough(FAULTS_UNTIL)),
            Self::Restless => small(seed).with_faults(Faults::restless(FAULTS_UNTIL)),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Honest => "honest",
            Self::Rough => "rough",
            Self::Restless => "restless",
        })
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Honest, Self::Rough, Self::Restless]
            .into_iter()
            .find(|kind| kind.to_string() == text)
            .ok_or_else(|| format!("{text:?} is no kind of world; write honest, rough or restless"))
    }
}

/// Runs one world.
///
/// # Errors
///
/// What was broken, by the world's truth or by the engine's laws, with a transcript.
pub fn soak(kind: Kind, seed: u64) -> Result<Outcome, Box<Broken>> {
    simulate(seed, &kind.scenario(seed), Lawful::new)
}

/// The engine with an observer of the laws beside it.
#[derive(Debug)]
pub struct Lawful {
    engine: Engine,
    laws: Laws,
    broken: Vec<String>,
}

impl Lawful {
    /// As [`Engine::new`].
    pub fn new(manager: &str, seed: u64, now: Timestamp) -> Self {
        Self { engine: Engine::new(manager, seed, now), laws: Laws::new(), broken: Vec::new() }
    }
}

impl Brain for Lawful {
    fn step(&mut self, now: Timestamp, events: Vec<Event>) -> Vec<Command> {
        events.iter().for_each(|event| self.laws.observe(now, event));
        let commands = self.engine.step(now, events);
        let broken = self.laws.judge(now, &commands);
        self.broken.extend(broken.iter().map(ToString::to_string));
        commands
    }

    fn laws_broken(&mut self) -> Vec<String> {
        std::mem::take(&mut self.broken)
    }

    fn ledger(&self) -> Option<&Ledger> {
        Some(self.engine.ledger())
    }

    fn resume_ledger(&mut self, ledger: Ledger) {
        self.engine.resume_ledger(ledger);
    }
}

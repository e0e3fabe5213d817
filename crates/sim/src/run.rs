//! The loop in virtual time: an engine against a world, with checks after every step, until everything is at rest.

use std::fmt;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use runner_fleet_engine::{Command, Engine, Event, Ledger};

pub use super::books::Balance;
use super::books::Books;
use super::check::{Check, Violation};
use super::clock::HostClock;
use super::event_log::Fact;
use super::faults::CLOCK_OFF_MS;
use super::rng::{Rng, Stream};
use super::scenario::Scenario;
use super::summary::{Summary, transcript};
use super::world::{World, later};

/// How long everything must stay at rest: a fleet that comes back after a minute had found no rest.
const REST: Duration = Duration::from_secs(90);
/// Lines of the transcript that a failure shows: the last minutes of a small world.
const TRANSCRIPT_LINES: usize = 250;

/// Whatever decides: the engine, or a double of it that is wrong on purpose.
pub trait Brain {
    /// Takes in what happened, and says what is to be done now.
    fn step(&mut self, now: Timestamp, events: Vec<Event>) -> Vec<Command>;

    /// The laws that it saw broken since it was asked last.
    fn laws_broken(&mut self) -> Vec<String> {
        Vec::new()
    }

    /// Its books, if it keeps any.
    fn ledger(&self) -> Option<&Ledger> {
        None
    }

    /// It has just been made, and the last one has kept these books.
    fn resume_ledger(&mut self, _ledger: Ledger) {}
}

impl Brain for Engine {
    fn step(&mut self, now: Timestamp, events: Vec<Event>) -> Vec<Command> {
        Engine::step(self, now, events)
    }

    fn ledger(&self) -> Option<&Ledger> {
        Some(Engine::ledger(self))
    }

    fn resume_ledger(&mut self, ledger: Ledger) {
        Engine::resume_ledger(self, ledger);
    }
}

/// A run that came to rest with nothing broken.
#[derive(Debug)]
pub struct Outcome {
    /// The sums.
    pub summary: Summary,
    /// The world at its end.
    pub world: World,
    /// Steps of the engine.
    pub steps: u64,
    /// What its books hold beside what EC2 bills, where it keeps any.
    pub balance: Option<Balance>,
}

/// A run in which something was broken.
pub struct Broken {
    /// The seed that shows it.
    pub seed: u64,
    /// What was broken, and when.
    pub violations: Vec<(Timestamp, Violation)>,
    /// The world at that time.
    pub world: World,
}

impl Broken {
    /// What was broken, and when, a line each.
    pub fn verdict(&self) -> String {
        let start = self.world.scenario().start;
        let lines = self.violations.iter();
        let lines = lines.map(|(at, violation)| format!("  after {:#}: {violation}\n", at.duration_since(start)));
        format!("seed {} breaks:\n{}", self.seed, lines.collect::<String>())
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.verdict())?;
        f.write_str(&transcript(&self.world, TRANSCRIPT_LINES))
    }
}

impl fmt::Debug for Broken {
    /// As `Display`, so that `unwrap` and `proptest` show something that a person can read.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::error::Error for Broken {}

/// Runs the engine through a world until it is at rest.
///
/// # Errors
///
/// What was broken first, with the seed and a transcript; not being at rest by [`Scenario::limit`] is broken too.
pub fn run(seed: u64, scenario: &Scenario) -> Result<Outcome, Box<Broken>> {
    simulate(seed, scenario, Engine::new)
}

/// Runs any brain through a world until it is at rest; `make` makes a new one at each start of the manager.
///
/// # Errors
///
/// As [`run`].
pub fn simulate<B: Brain>(
    seed: u64,
    scenario: &Scenario,
    make: impl FnMut(&str, u64, Timestamp) -> B,
) -> Result<Outcome, Box<Broken>> {
    Run {
        seed,
        make,
        manager: Manager::Down { until: scenario.start },
        starts: 0,
        check: Check::default(),
        rng: Rng::new(seed ^ 0x5eed_0f7e_3a11),
        resting_since: None,
        next_crash: None,
        next_jump: None,
        next_setting: None,
        clock: HostClock::default(),
        books: Books::default(),
        steps: 0,
        world: World::new(scenario.clone(), seed),
    }
    .finish()
}

/// The manager process.
enum Manager<B> {
    /// It runs; the time of its last step.
    Up { brain: Box<B>, stepped_at: Timestamp },
    /// It stands still until then: suspended, or starved.
    Frozen { brain: Box<B>, until: Timestamp },
    /// It is down until then.
    Down { until: Timestamp },
}

struct Run<B, F> {
    seed: u64,
    make: F,
    manager: Manager<B>,
    starts: u64,
    check: Check,
    rng: Rng,
    resting_since: Option<Timestamp>,
    next_crash: Option<Timestamp>,
    next_jump: Option<Timestamp>,
    next_setting: Option<Timestamp>,
    clock: HostClock,
    books: Books,
    steps: u64,
    world: World,
}

impl<B: Brain, F: FnMut(&str, u64, Timestamp) -> B> Run<B, F> {
    fn finish(mut self) -> Result<Outcome, Box<Broken>> {
        let limit = later(self.world.scenario().start, self.world.scenario().limit());
        self.plan_accidents();
        loop {
            let laws_broken = self.turn();
            let mut violations = self.check.newly_broken(&self.world);
            let now = self.world.now();
            violations.extend(laws_broken.into_iter().map(|what| (now, Violation::EngineLaw(what))));
            let at_rest = violations.is_empty() && self.is_at_rest();
            if !at_rest && violations.is_empty() && self.world.now() >= limit {
                violations.extend(Check::end(&self.world).into_iter().map(|violation| (limit, violation)));
            }
            let is_over = violations.is_empty() && (at_rest || now >= limit);
            let balance = if is_over { self.balance(now) } else { None };
            violations.extend(balance.as_ref().and_then(Balance::violation).map(|violation| (now, violation)));
            if !violations.is_empty() {
                return Err(Box::new(Broken { seed: self.seed, violations, world: self.world }));
            }
            if at_rest || self.world.now() >= limit {
                let summary = Summary::of(&self.world, 0);
                return Ok(Outcome { summary, world: self.world, steps: self.steps, balance });
            }
        }
    }

    /// What the books say, and what EC2 bills.
    fn balance(&self, now: Timestamp) -> Option<Balance> {
        match &self.manager {
            Manager::Up { brain, .. } | Manager::Frozen { brain, .. } => {
                Some(self.books.balance(&self.world, &brain.ledger()?.balanced(self.clock.reads(now))))
            }
            Manager::Down { .. } => None,
        }
    }

    /// Until the manager's next step, and that step; the laws that its brain saw broken.
    fn turn(&mut self) -> Vec<String> {
        match std::mem::replace(&mut self.manager, Manager::Down { until: self.world.now() }) {
            Manager::Down { until } => {
                self.world.advance_to(until);
                self.start(until);
                Vec::new()
            }
            Manager::Frozen { brain, until } => {
                let events = self.world.advance_to(until);
                self.step(brain, until, events)
            }
            Manager::Up { brain, stepped_at } => {
                let tick = later(stepped_at, self.world.scenario().step_every);
                let (now, events) = self.wait(tick);
                if self.accident(now) {
                    self.crash(now);
                    return Vec::new();
                }
                if let Some(until) = self.jump(now) {
                    // What has arrived by now is seen after the jump.
                    self.manager = Manager::Frozen { brain, until };
                    self.world.give_back(events);
                    return Vec::new();
                }
                self.set_clock(now);
                self.step(brain, now, events)
            }
        }
    }

    /// Lets time pass until something is heard, or until the tick.
    fn wait(&mut self, tick: Timestamp) -> (Timestamp, Vec<Event>) {
        loop {
            let next = self.world.next_at().map_or(tick, |at| at.min(tick));
            let events = self.world.advance_to(next);
            if !events.is_empty() || next >= tick {
                return (next, events);
            }
        }
    }

    fn step(&mut self, mut brain: Box<B>, now: Timestamp, events: Vec<Event>) -> Vec<String> {
        self.steps += 1;
        let told = events.into_iter().map(|event| self.clock.told(event)).collect();
        let commands = brain.step(self.clock.reads(now), told);
        let rate = self.world.scenario().faults.manager_crash_mid_step;
        let cut = (!commands.is_empty() && !self.is_calm() && self.rng.chance(Stream::Fate, rate))
            .then(|| self.rng.pick(Stream::Fate, commands.len() + 1));
        for command in commands.iter().take(cut.unwrap_or(commands.len())) {
            self.world.apply(now, command);
        }
        let laws_broken = brain.laws_broken();
        if let Some(ledger) = brain.ledger() {
            self.books.keep(now, ledger);
        }
        if cut.is_some() {
            self.crash(now);
        } else {
            self.manager = Manager::Up { brain, stepped_at: now };
        }
        laws_broken
    }

    fn start(&mut self, now: Timestamp) {
        self.world.manager_starts(now);
        self.starts += 1;
        let seed = self.seed.wrapping_add(self.starts << 32);
        let mut brain = (self.make)(&self.world.scenario().manager, seed, self.clock.reads(now));
        if let Some(ledger) = self.books.kept() {
            brain.resume_ledger(ledger);
        }
        let settings = self.world.scenario().settings.clone();
        self.step(Box::new(brain), now, vec![Event::Configured(settings)]);
    }

    fn crash(&mut self, now: Timestamp) {
        self.world.manager_dies(now);
        let until = later(now, self.rng.millis(Stream::Fate, 5_000, 90_000));
        self.manager = Manager::Down { until };
    }

    fn is_calm(&self) -> bool {
        let scenario = self.world.scenario();
        self.world.now() >= later(scenario.start, scenario.faults.until)
    }

    fn plan_accidents(&mut self) {
        let (now, faults) = (self.world.now(), self.world.scenario().faults.clone());
        let mut next = |rate| self.rng.until_next(Stream::Fate, rate).map(|after| later(now, after));
        self.next_crash = next(faults.manager_crashes_per_hour);
        self.next_jump = next(faults.clock_jumps_per_hour);
        let setting = self.rng.until_next(Stream::Admin, faults.clock_set_per_hour);
        self.next_setting = setting.map(|after| later(now, after));
    }

    /// Somebody sets the manager's clock, if it is time: once the faults are over, it is right for good.
    fn set_clock(&mut self, now: Timestamp) {
        if self.next_setting.is_none_or(|at| at > now) {
            return;
        }
        let (calm, rate) = (self.is_calm(), self.world.scenario().faults.clock_set_per_hour);
        let next = self.rng.until_next(Stream::Admin, rate).filter(|_| !calm);
        let right_again = later(self.world.scenario().start, self.world.scenario().faults.until);
        self.next_setting = next.map(|after| later(now, after).min(right_again));
        let ahead = self.rng.millis(Stream::Admin, 0, CLOCK_OFF_MS).as_millis() as i64 - CLOCK_OFF_MS as i64 / 2;
        let ahead = if calm { SignedDuration::ZERO } else { SignedDuration::from_millis(ahead) };
        self.clock.set(now, ahead);
        self.world.clock_is_set(now);
        self.world.note_fault("the manager's clock is set");
    }

    fn accident(&mut self, now: Timestamp) -> bool {
        let due = !self.is_calm() && self.next_crash.is_some_and(|at| at <= now);
        if due {
            let rate = self.world.scenario().faults.manager_crashes_per_hour;
            self.next_crash = self.rng.until_next(Stream::Fate, rate).map(|after| later(now, after));
        }
        due
    }

    fn jump(&mut self, now: Timestamp) -> Option<Timestamp> {
        if self.is_calm() || self.next_jump.is_none_or(|at| at > now) {
            return None;
        }
        let rate = self.world.scenario().faults.clock_jumps_per_hour;
        self.next_jump = self.rng.until_next(Stream::Fate, rate).map(|after| later(now, after));
        self.world.note_fault("the manager stands still");
        Some(later(now, self.rng.millis(Stream::Fate, 10_000, 600_000)))
    }

    /// Whether nothing is left to do, and has not been for a while.
    fn is_at_rest(&mut self) -> bool {
        let now = self.world.now();
        let calm = self.world.scenario().faults == super::Faults::default() || self.is_calm();
        if !(calm && self.world.is_done() && Check::end(&self.world).is_empty()) {
            self.resting_since = None;
            return false;
        }
        let since = *self.resting_since.get_or_insert(now);
        now >= later(since, REST)
    }
}

impl World {
    /// Events that were taken and not read come first the next time.
    fn give_back(&mut self, events: Vec<Event>) {
        self.heard.splice(0..0, events);
    }

    fn note_fault(&mut self, what: &'static str) {
        let now = self.now();
        self.log.note(now, Fact::Fault(what, None));
    }
}

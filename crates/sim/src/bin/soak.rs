//! Runs very many simulated worlds on all cores: `make soak`, `make replay`.
//!
//! `soak FIRST COUNT [KIND]` runs that many seeds from the first one on; `soak --replay SEED [KIND]` runs one and prints all
//! that happened. A failure prints its seed, the commit and the command that replays it; the exit code is 1.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tells its own progress, in real time"
)]

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use runner_fleet_sim::soak::{Kind, soak};
use runner_fleet_sim::summary::transcript;

/// Failures that are printed in full; a bug breaks thousands of worlds alike.
const SHOWN_MAX: usize = 3;
/// Failures after which nothing new can be learnt.
const ENOUGH: usize = 100;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).filter(|word| !word.is_empty()).collect();
    match run(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => {
            eprintln!("{why}\nusage: soak FIRST COUNT [KIND] | soak --replay SEED [KIND]");
            ExitCode::from(2)
        }
    }
}

fn run(words: &[&str]) -> Result<bool, String> {
    let kind = |words: &[&str]| words.first().map(|word| word.parse::<Kind>()).transpose();
    match words {
        ["--replay", seed, rest @ ..] => {
            let seed = number(seed)?;
            replay(kind(rest)?.unwrap_or(Kind::of(seed)), seed)
        }
        [first, count, rest @ ..] => Ok(Soak::new(number(first)?, number(count)?, kind(rest)?).run()),
        _ => Err("two numbers are missing".into()),
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.replace('_', "").parse().map_err(|_| format!("{text:?} is no number"))
}

fn replay(kind: Kind, seed: u64) -> Result<bool, String> {
    let mut out = std::io::stdout().lock();
    let result = soak(kind, seed);
    let (world, verdict) = match &result {
        Ok(outcome) => (&outcome.world, "came to rest, and nothing was broken\n".to_owned()),
        Err(broken) => (&broken.world, broken.verdict()),
    };
    let text = transcript(world, usize::MAX);
    write!(out, "a {kind} world, seed {seed}\n{text}{verdict}").map_err(|error| error.to_string())?;
    Ok(result.is_ok())
}

struct Soak {
    first: u64,
    count: u64,
    kind: Option<Kind>,
    next: AtomicU64,
    done: AtomicU64,
    steps: AtomicU64,
    stop: AtomicBool,
    failures: Mutex<Vec<(u64, Kind, String)>>,
}

impl Soak {
    fn new(first: u64, count: u64, kind: Option<Kind>) -> Self {
        Self {
            first,
            count,
            kind,
            next: AtomicU64::new(0),
            done: AtomicU64::new(0),
            steps: AtomicU64::new(0),
            stop: AtomicBool::new(false),
            failures: Mutex::new(Vec::new()),
        }
    }

    fn run(&self) -> bool {
        let began = Instant::now();
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        std::thread::scope(|scope| {
            let workers: Vec<_> = (0..threads).map(|_| scope.spawn(|| self.work())).collect();
            if std::io::stderr().is_terminal() {
                while !workers.iter().all(|worker| worker.is_finished()) {
                    self.tell_progress(began.elapsed());
                    std::thread::sleep(Duration::from_millis(200));
                }
                eprint!("\r\x1b[K");
            }
        });
        self.tell_end(began.elapsed())
    }

    fn work(&self) {
        while !self.stop.load(Ordering::Relaxed) {
            let turn = self.next.fetch_add(1, Ordering::Relaxed);
            if turn >= self.count {
                return;
            }
            let seed = self.first + turn;
            let kind = self.kind.unwrap_or(Kind::of(seed));
            // A panic is a finding like any other, and must name its seed.
            match std::panic::catch_unwind(|| soak(kind, seed)) {
                Ok(Ok(outcome)) => {
                    self.steps.fetch_add(outcome.steps, Ordering::Relaxed);
                }
                Ok(Err(broken)) => self.failed(seed, kind, broken.to_string()),
                Err(_) => self.failed(seed, kind, "panicked, see above".into()),
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn failed(&self, seed: u64, kind: Kind, text: String) {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.push((seed, kind, text));
        if failures.len() >= ENOUGH {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn tell_progress(&self, elapsed: Duration) {
        let done = self.done.load(Ordering::Relaxed);
        let failed = self.failures.lock().unwrap_or_else(PoisonError::into_inner).len();
        let rate = done as f64 / elapsed.as_secs_f64().max(0.1);
        let left = (self.count - done) as f64 / rate.max(0.1);
        let share = done * 100 / self.count.max(1);
        eprint!(
            "\r\x1b[K{share:3} %  {done} of {} worlds, {rate:.0} a second, {left:.0} s left, {failed} broken",
            self.count
        );
    }

    fn tell_end(&self, elapsed: Duration) -> bool {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.sort();
        let (done, steps) = (self.done.load(Ordering::Relaxed), self.steps.load(Ordering::Relaxed));
        for (seed, kind, text) in failures.iter().take(SHOWN_MAX) {
            println!("{text}\nreplay: make replay SEED={seed} KIND={kind}   (commit {})\n", commit());
        }
        let seconds = elapsed.as_secs_f64();
        println!("{done} worlds and {steps} steps of the engine in {seconds:.1} s, {} broken", failures.len());
        if !failures.is_empty() {
            println!("commit {}:", commit());
            for (seed, kind, text) in failures.iter() {
                println!("  {kind} {seed}: {}", text.lines().nth(1).unwrap_or(text).trim());
            }
        }
        failures.is_empty()
    }
}

/// The commit of the source that runs, with a mark where it was changed since.
fn commit() -> String {
    let git = |arguments: &[&str]| {
        let output = std::process::Command::new("git").args(arguments).output().ok()?;
        Some(String::from_utf8_lossy(&output.stdout).trim().to_owned()).filter(|text| !text.is_empty())
    };
    git(&["describe", "--always", "--dirty", "--abbrev=12"]).unwrap_or_else(|| "unknown".into())
}

//! Puts deliberate bugs into copies of the workspace, one at a time, and demands that the tests turn red: `make mutations`.
//!
//! `mutations ROOT [--check] [NAME…]` reads `crates/sim/tests/mutations/list.toml` under ROOT. `--check` only asks whether every
//! snippet still stands exactly once. Fails when a mutant survives, does not compile, or no longer applies.
#![allow(
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that tells its own progress, in real time"
)]

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitCode, Output, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

/// What a copy holds of the repository: all that cargo wants to see, though few of the crates are compiled.
const COPIED: [&str; 7] = ["Cargo.lock", "Cargo.toml", "benches", "config", "crates", "fuzz", "tests/recorded"];
/// What is compiled and tested of it.
const TESTED: [&str; 2] = ["runner-fleet-engine", "runner-fleet-sim"];
/// A mutant may loop for ever; the tests as they are take a tenth of this.
const PATIENCE: Duration = Duration::from_secs(300);
/// Tests whose names begin so are the fault simulation.
const WORLDS: &str = "worlds::";
/// Worlds that a bug which needs rare circumstances meets beyond those of the tests; CI's soak runs five times as many.
const SOAKED: &str = "4000";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct List {
    mutant: Vec<Mutant>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Mutant {
    name: String,
    rule: String,
    file: String,
    find: String,
    replace: String,
    caught_by: Catcher,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Catcher {
    Worlds,
    Tests,
}

/// What the tests said of one source.
#[derive(Debug)]
enum Verdict {
    Green,
    /// This test turned red first.
    Red(String),
    Endless,
    DoesNotCompile(String),
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (root, rest) = match arguments.split_first() {
        Some((root, rest)) => (fs::canonicalize(root).unwrap_or_else(|_| PathBuf::from(root)), rest),
        None => return fail("usage: mutations ROOT [--check] [NAME…]"),
    };
    let list = match read(&root) {
        Ok(list) => list,
        Err(why) => return fail(&why),
    };
    if rest.iter().any(|word| word == "--check") {
        println!("all {} mutants apply", list.len());
        return ExitCode::SUCCESS;
    }
    let chosen: Vec<&Mutant> =
        list.iter().filter(|mutant| rest.is_empty() || rest.iter().any(|word| mutant.name.contains(word))).collect();
    match run(&root, &chosen) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(why) => fail(&why),
    }
}

fn fail(why: &str) -> ExitCode {
    eprintln!("mutations: {why}");
    ExitCode::from(2)
}

/// The list, every snippet of which stands exactly once.
fn read(root: &Path) -> Result<Vec<Mutant>, String> {
    let path = root.join("crates/sim/tests/mutations/list.toml");
    let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let list: List = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut wrong = Vec::new();
    for mutant in &list.mutant {
        let source = fs::read_to_string(root.join(&mutant.file)).unwrap_or_default();
        let times = source.matches(&mutant.find).count();
        if times != 1 {
            wrong.push(format!("{:?}: its snippet stands {times} times in {}", mutant.name, mutant.file));
        }
        if mutant.find == mutant.replace || mutant.rule.is_empty() {
            wrong.push(format!("{:?} changes nothing, or names no rule", mutant.name));
        }
    }
    if wrong.is_empty() { Ok(list.mutant) } else { Err(wrong.join("\nmutations: ")) }
}

fn run(root: &Path, mutants: &[&Mutant]) -> Result<bool, String> {
    let began = Instant::now();
    let jobs: usize = std::env::var("JOBS").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let next = AtomicUsize::new(0);
    let survivors = Mutex::new(Vec::new());
    let problems: Mutex<Vec<String>> = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for slot in 0..jobs {
            let (next, survivors, problems) = (&next, &survivors, &problems);
            scope.spawn(move || {
                if let Err(why) = work(root, slot, mutants, next, survivors) {
                    problems.lock().unwrap_or_else(PoisonError::into_inner).push(why);
                }
            });
        }
    });
    let problems = problems.into_inner().unwrap_or_else(PoisonError::into_inner);
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    let survivors: Vec<String> = survivors.into_inner().unwrap_or_else(PoisonError::into_inner);
    println!(
        "{} mutants in {:.0} s, {} not caught as they should be",
        mutants.len(),
        began.elapsed().as_secs_f64(),
        survivors.len()
    );
    survivors.iter().for_each(|survivor| println!("  {survivor}"));
    Ok(survivors.is_empty())
}

fn work(
    root: &Path,
    slot: usize,
    mutants: &[&Mutant],
    next: &AtomicUsize,
    survivors: &Mutex<Vec<String>>,
) -> Result<(), String> {
    let copy = root.join(format!("target/mutants/{slot}"));
    refresh(root, &copy).map_err(|error| format!("copying to {}: {error}", copy.display()))?;
    // One for each copy: to cargo all copies are the same package, and one's tests would pass for another's.
    let target = copy.join("target");
    match judge(&copy, &target, Catcher::Tests)? {
        Verdict::Green => {}
        other => return Err(format!("the tests are not green to begin with: {other:?}")),
    }
    while let Some(mutant) = mutants.get(next.fetch_add(1, Ordering::Relaxed)) {
        let began = Instant::now();
        let path = copy.join(&mutant.file);
        let original = fs::read_to_string(&path).map_err(|error| error.to_string())?;
        write(&path, &original.replacen(&mutant.find, &mutant.replace, 1))?;
        let verdict = match (judge(&copy, &target, mutant.caught_by), mutant.caught_by) {
            (Ok(Verdict::Green), Catcher::Worlds) => soak(&copy, &target),
            (verdict, _) => verdict,
        };
        write(&path, &original)?;
        let (caught, how) = match verdict? {
            Verdict::Green => (false, format!("SURVIVES the {:?}", mutant.caught_by)),
            Verdict::Endless => (true, "caught: the tests did not end".to_owned()),
            Verdict::DoesNotCompile(why) => (false, format!("DOES NOT COMPILE: {why}")),
            Verdict::Red(test) => (true, format!("caught by {test}")),
        };
        println!("{:5.1} s  {}: {how}", began.elapsed().as_secs_f64(), mutant.name);
        if !caught {
            let text = format!("{} ({}): {how}", mutant.name, mutant.rule);
            survivors.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Brings a copy up to date.
fn refresh(root: &Path, copy: &Path) -> std::io::Result<()> {
    for part in COPIED {
        let old = copy.join(part);
        if old.is_dir() {
            fs::remove_dir_all(old)?;
        }
    }
    for part in COPIED {
        copy_all(&root.join(part), &copy.join(part))?;
    }
    Ok(())
}

fn copy_all(from: &Path, to: &Path) -> std::io::Result<()> {
    if from.is_file() {
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder)?;
        }
        return fs::copy(from, to).map(|_| ());
    }
    if from.ends_with("target") {
        return Ok(());
    }
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        copy_all(&entry.path(), &to.join(entry.file_name()))?;
    }
    Ok(())
}

/// Calls cargo for a copy.
fn cargo(copy: &Path, target: &Path, words: &[&str]) -> Result<Output, String> {
    Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()))
        .args(words)
        .args(TESTED.map(|package| format!("--package={package}")))
        .args(["--locked", "--manifest-path"])
        .arg(copy.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(target)
        .output()
        .map_err(|error| format!("cargo: {error}"))
}

/// Compiles a copy and runs those tests that are to catch its bug, until one turns red.
fn judge(copy: &Path, target: &Path, catcher: Catcher) -> Result<Verdict, String> {
    let built = cargo(copy, target, &["test", "--no-run", "--profile=mutants", "--lib", "--tests"])?;
    let told = String::from_utf8_lossy(&built.stderr);
    if !built.status.success() {
        let line = told.lines().find(|line| line.starts_with("error")).unwrap_or_default().to_owned();
        return Ok(Verdict::DoesNotCompile(line));
    }
    let executables = told
        .lines()
        .filter(|line| line.contains("Executable"))
        .filter(|line| catcher == Catcher::Tests || line.contains("tests/it/"))
        .filter_map(|line| line.split(['(', ')']).nth(1));
    let mut verdict = Err(format!("cargo names no test executable: {told}"));
    for executable in executables {
        verdict = judge_by(executable, copy, catcher);
        if !matches!(verdict, Ok(Verdict::Green)) {
            break;
        }
    }
    verdict
}

/// Runs one of the copy's test executables until a test turns red.
fn judge_by(executable: &str, copy: &Path, catcher: Catcher) -> Result<Verdict, String> {
    // Cargo names it from where it was called, which is not where it is to run.
    let path = std::path::absolute(executable).map_err(|error| error.to_string())?;
    let mut tests = Command::new(path);
    if catcher == Catcher::Worlds {
        tests.arg(WORLDS);
    }
    tests.current_dir(copy.join("crates/sim")).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = tests.spawn().map_err(|error| format!("{executable}: {error}"))?;
    let verdict = watch(&mut child);
    // Dead already, or not needed any more.
    let _ = child.kill();
    child.wait().map_err(|error| error.to_string())?;
    verdict
}

/// More worlds than the tests have, with the optimised engine.
fn soak(copy: &Path, target: &Path) -> Result<Verdict, String> {
    let built = cargo(copy, target, &["build", "--profile=soak", "--bin=soak"])?;
    if !built.status.success() {
        return Err(format!("the soak does not compile: {}", String::from_utf8_lossy(&built.stderr)));
    }
    let soaked = Command::new(target.join("soak/soak"))
        .args(["0", SOAKED])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .map_err(|error| format!("soak: {error}"))?;
    Ok(if soaked.success() { Verdict::Green } else { Verdict::Red(format!("a soak of {SOAKED} worlds")) })
}

/// Reads what the tests print until it says enough.
fn watch(child: &mut Child) -> Result<Verdict, String> {
    let lines = lines_of(child.stdout.take().ok_or("no output to read")?);
    let deadline = Instant::now() + PATIENCE;
    loop {
        match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                let failed = line.strip_prefix("test ").and_then(|line| line.strip_suffix(" ... FAILED"));
                if let Some(test) = failed {
                    return Ok(Verdict::Red(test.to_owned()));
                }
            }
            Err(RecvTimeoutError::Timeout) => return Ok(Verdict::Endless),
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let green = child.wait().map_err(|error| error.to_string())?.success();
    Ok(if green { Verdict::Green } else { Verdict::Red("a crash of the tests".to_owned()) })
}

fn lines_of(stdout: ChildStdout) -> Receiver<String> {
    let (sender, lines) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    lines
}

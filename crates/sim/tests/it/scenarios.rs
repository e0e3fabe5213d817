//! Golden scenarios: `tests/scenarios/*.txt` says what happens, the `.out` beside it what was decided, and why.
//!
//! A script is read top to bottom; its words are those of [`Script::line`]. Nothing is left to chance but the seed, which
//! stands in the file. `make golden` rewrites the transcripts: read the difference like code.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::laws::Laws;
use runner_fleet_engine::{
    Command, Engine, Event, IdleCount, IdleTime, InstanceType, Market, RunnerName, RunnerSettings, Settings, SystemId,
    WorkerId, Zone,
};
use runner_fleet_sim::check::Check;
use runner_fleet_sim::event_log::Fact;
use runner_fleet_sim::scenario::{JobSpec, Scenario, Shortage, runner};
use runner_fleet_sim::world::{JobState, World};
use runner_fleet_testing::golden;

const STEP: Duration = Duration::from_secs(1);

/// What somebody or something does at one time.
#[derive(Clone, Debug)]
enum Deed {
    Interrupt(usize),
    Drain { worker: usize, force: bool },
    Pause(RunnerName),
    Resume(RunnerName),
    Hold(usize, bool),
    HostDies(usize),
    Silence(usize),
    Drift(RunnerName),
    Remove(RunnerName),
    Change { runner: RunnerName, key: String, value: String },
    ManagerDies { back_after: Duration },
    Fail(&'static str, f64),
}

struct Script {
    seed: u64,
    scenario: Scenario,
    deeds: Vec<(Duration, Deed)>,
    until: Duration,
}

fn worker(number: usize) -> WorkerId {
    WorkerId::new(format!("i-{number:017x}"))
}

fn duration(word: &str) -> Duration {
    let (number, unit) = word.split_at(word.len() - 1);
    let seconds = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        _ => panic!("{word:?} is no duration"),
    };
    Duration::from_secs(number.parse::<u64>().unwrap() * seconds)
}

fn set(runner: &mut RunnerSettings, key: &str, value: &str) {
    let number = || value.parse::<u32>().unwrap();
    match key {
        "max_workers" => runner.max_workers = number(),
        "capacity" => runner.capacity = number(),
        "max_jobs" => runner.max_jobs = number(),
        "limit" => runner.limit = number(),
        "idle_count" => runner.idle.count = IdleCount::Fixed(number()),
        "idle_time" => runner.idle.time = IdleTime::Fixed(duration(value)),
        "boot_timeout" => runner.boot_timeout = duration(value),
        "fallback" => runner.on_demand_fallback = value == "yes",
        "market" => runner.market = if value == "spot" { Market::Spot } else { Market::OnDemand },
        _ => panic!("a runner has no {key:?}"),
    }
}

impl Script {
    fn read(text: &str) -> Self {
        let mut scenario = Scenario::new("2026-03-02T08:00:00Z".parse().unwrap());
        scenario.settings.runners.clear();
        let mut script = Self { seed: 1, scenario, deeds: Vec::new(), until: Duration::from_secs(1800) };
        for line in text.lines().map(|line| line.split('#').next().unwrap_or_default().trim()) {
            let words: Vec<&str> = line.split_whitespace().collect();
            if !words.is_empty() {
                script.line(&words);
            }
        }
        script.deeds.sort_by_key(|(at, _)| *at);
        script
    }

    /// All that a script can say.
    fn line(&mut self, words: &[&str]) {
        match words {
            ["seed", seed] => self.seed = seed.parse().unwrap(),
            ["until", time] => self.until = duration(time),
            ["concurrent", number] => self.scenario.settings.concurrent = number.parse().unwrap(),
            ["boot", time] => self.scenario.boot = duration(time),
            ["runner", name, settings @ ..] => {
                let mut new = runner(name);
                settings.chunks(2).for_each(|pair| set(&mut new, pair[0], pair[1]));
                self.scenario.add_runner(new, &[name]);
            }
            ["at", time, rest @ ..] => self.deed(duration(time), rest),
            other => panic!("a script does not say {other:?}"),
        }
    }

    fn deed(&mut self, at: Duration, words: &[&str]) {
        let number = |word: &str| word.parse::<usize>().unwrap();
        let deed = match words {
            [count, "job" | "jobs", "of", time] => return self.jobs(at, number(count), None, duration(time)),
            [count, "job" | "jobs", tag, "of", time] => {
                return self.jobs(at, number(count), Some(tag.trim_matches(['[', ']'])), duration(time));
            }
            ["shortage", "of", kind, "in", zone, "until", until] => {
                self.scenario.shortages.push(Shortage {
                    market: Some(Market::Spot),
                    instance_type: (*kind != "everything").then(|| InstanceType::new(*kind)),
                    zone: (*zone != "everywhere").then(|| Zone::new(*zone)),
                    from: at,
                    until: duration(until),
                    room: 0,
                });
                return;
            }
            ["interruption", "of", "worker", which] => Deed::Interrupt(number(which)),
            ["operator", "drains", "worker", which, rest @ ..] => {
                Deed::Drain { worker: number(which), force: rest == ["by", "force"] }
            }
            ["operator", "pauses", name] => Deed::Pause(RunnerName::new(*name)),
            ["operator", "resumes", name] => Deed::Resume(RunnerName::new(*name)),
            ["person", "holds", "worker", which] => Deed::Hold(number(which), true),
            ["person", "releases", "worker", which] => Deed::Hold(number(which), false),
            ["host", "of", "worker", which, "dies"] => Deed::HostDies(number(which)),
            ["worker", which, "falls", "silent"] => Deed::Silence(number(which)),
            [name, "gets", "another", "image"] => Deed::Drift(RunnerName::new(*name)),
            [name, "is", "removed"] => Deed::Remove(RunnerName::new(*name)),
            ["manager", "dies", "for", time] => Deed::ManagerDies { back_after: duration(time) },
            [what, "fail", "until", until] => {
                let what = match *what {
                    "listings" => "listings",
                    "queues" => "queues",
                    "launches" => "launches",
                    "terminations" => "terminations",
                    other => panic!("{other:?} do not fail"),
                };
                self.deeds.push((duration(until), Deed::Fail(what, 0.0)));
                Deed::Fail(what, 1.0)
            }
            [name, key, value] => {
                Deed::Change { runner: RunnerName::new(*name), key: (*key).to_owned(), value: (*value).to_owned() }
            }
            other => panic!("nobody does {other:?}"),
        };
        self.deeds.push((at, deed));
    }

    fn jobs(&mut self, at: Duration, count: usize, tag: Option<&str>, takes: Duration) {
        let job = || JobSpec::new(at, takes);
        let job = || tag.map_or_else(job, |tag| job().tagged(tag));
        self.scenario.jobs.extend(std::iter::repeat_with(job).take(count));
    }
}

/// The world, and the manager in it.
struct Player {
    world: World,
    manager: Option<(Engine, Laws)>,
    back_at: Timestamp,
    stepped_at: Timestamp,
    starts: u64,
    broken: Vec<String>,
}

impl Player {
    fn new(script: &Script) -> Self {
        let world = World::new(script.scenario.clone(), script.seed);
        let start = world.now();
        Self { world, manager: None, back_at: start, stepped_at: start, starts: 0, broken: Vec::new() }
    }

    fn run_until(&mut self, until: Timestamp) {
        loop {
            if self.manager.is_none() {
                if self.back_at > until {
                    self.world.advance_to(until);
                    return;
                }
                self.world.advance_to(self.back_at);
                self.start();
            }
            let tick = self.stepped_at.saturating_add(STEP).unwrap();
            let next = self.world.next_at().map_or(tick, |at| at.min(tick)).min(until);
            let events = self.world.advance_to(next);
            if !events.is_empty() || next >= tick {
                self.step(events);
            }
            if next >= until {
                return;
            }
        }
    }

    fn start(&mut self) {
        let now = self.world.now();
        self.world.manager_starts(now);
        self.starts += 1;
        self.manager = Some((Engine::new("sim", self.starts, now), Laws::new()));
        let settings = self.world.scenario().settings.clone();
        self.step(vec![Event::Configured(settings)]);
    }

    fn step(&mut self, events: Vec<Event>) {
        let now = self.world.now();
        self.stepped_at = now;
        let Some((engine, laws)) = &mut self.manager else { return };
        events.iter().for_each(|event| laws.observe(now, event));
        let commands = engine.step(now, events);
        self.broken.extend(laws.judge(now, &commands).iter().map(ToString::to_string));
        commands.iter().for_each(|command| self.world.apply(now, command));
    }

    fn carry_out(&mut self, deed: &Deed) {
        match deed {
            Deed::Interrupt(which) => self.world.interrupt(&worker(*which)),
            Deed::Drain { worker: which, force } => self.world.operator_drains(worker(*which), *force),
            Deed::Pause(name) => self.world.operator_pauses(name.clone()),
            Deed::Resume(name) => self.world.pause_ends(name.clone()),
            Deed::Hold(which, hold) => self.world.set_hold(&worker(*which), *hold),
            Deed::HostDies(which) => self.world.kill_host(&worker(*which)),
            Deed::Silence(which) => self.world.silence(&worker(*which)),
            Deed::Drift(name) => self.world.drift(name),
            Deed::Remove(name) => {
                self.rewrite(&format!("{name} is removed"), |all| all.runners.retain(|one| one.name != *name));
            }
            Deed::Change { runner, key, value } => self.rewrite(&format!("{runner} {key} {value}"), |all| {
                let sections = all.runners.iter_mut().filter(|one| one.name == *runner);
                sections.for_each(|one| set(one, key, value));
            }),
            Deed::ManagerDies { back_after } => {
                let now = self.world.now();
                self.world.manager_dies(now);
                self.manager = None;
                self.back_at = now.saturating_add(*back_after).unwrap();
            }
            Deed::Fail(what, rate) => {
                let faults = self.world.faults_mut();
                match *what {
                    "listings" => faults.listing_fails = *rate,
                    "queues" => faults.queue_fails = *rate,
                    "terminations" => faults.terminate_fails = *rate,
                    _ => faults.launch_unanswered = *rate,
                }
            }
        }
    }

    fn rewrite(&mut self, what: &str, change: impl FnOnce(&mut Settings)) {
        let mut settings = self.world.scenario().settings.clone();
        change(&mut settings);
        self.world.rewrite(settings, what);
    }
}

/// What a person reads.
fn transcript(script: &Script, player: &Player) -> String {
    let world = &player.world;
    let start = world.scenario().start;
    let mut text = String::new();
    let facts = world.log().facts.iter().map(|(at, fact)| (*at, told(fact)));
    for (at, fact) in facts {
        let Some(line) = fact else { continue };
        let tenths = at.duration_since(start).as_millis() / 100;
        text.push_str(&format!("{:3}:{:02}.{} {line}\n", tenths / 600, tenths / 10 % 60, tenths % 10));
    }
    let mut text = named(text, world);
    let count = |wanted: fn(&JobState) -> bool| world.jobs().filter(|(_, job)| wanted(&job.state)).count();
    text.push_str(&format!(
        "\nafter {} min: {} jobs succeeded, {} run, {} wait, {} were killed; {} workers live\n",
        script.until.as_secs() / 60,
        count(|state| *state == JobState::Succeeded),
        count(|state| *state == JobState::Running),
        count(|state| *state == JobState::Pending),
        count(|state| matches!(state, JobState::Killed(_))),
        world.live().count(),
    ));
    for left in Check::end(world) {
        text.push_str(&named(format!("not at rest: {left}\n"), world));
    }
    text
}

/// A fact, if a person wants to read it.
fn told(fact: &Fact) -> Option<String> {
    let text = fact.to_string();
    match fact {
        Fact::Commanded(command) => match &**command {
            Command::ListInstances { .. } | Command::Connect { .. } | Command::Disconnect { .. } => None,
            Command::Launch(launch) => Some(text.replace(&format!(", token {}", launch.token), "")),
            Command::Want { .. }
            | Command::Terminate(_)
            | Command::Forget { .. }
            | Command::LookForJobs { .. }
            | Command::Retry { .. } => Some(text),
        },
        Fact::Touched(..) | Fact::TerminateRead(_) | Fact::LaunchRead(_) | Fact::RowMade(_) => None,
        _ => Some(text),
    }
}

/// Numbers instead of ids.
fn named(mut text: String, world: &World) -> String {
    for (number, (id, _)) in world.machines().enumerate() {
        let row = SystemId::of(id);
        text = text.replace(&format!(" ({row})"), "").replace(row.as_str(), &format!("of worker {}", number + 1));
        text = text.replace(id.as_str(), &format!("worker {}", number + 1));
    }
    text
}

fn play(text: &str) -> String {
    let script = Script::read(text);
    let mut player = Player::new(&script);
    let start = player.world.now();
    for (at, deed) in &script.deeds {
        player.run_until(start.saturating_add(*at).unwrap());
        player.carry_out(deed);
    }
    player.run_until(start.saturating_add(script.until).unwrap());
    let mut check = Check::default();
    let broken: Vec<String> =
        check.newly_broken(&player.world).iter().map(|(at, broken)| format!("{at}: {broken}")).collect();
    let text = transcript(&script, &player);
    assert!(broken.is_empty() && player.broken.is_empty(), "{broken:#?} {:#?}\n{text}", player.broken);
    text
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/scenarios")
}

fn files(extension: &str) -> Vec<PathBuf> {
    let all = std::fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = all.filter(|path| path.extension().is_some_and(|end| end == extension)).collect();
    files.sort();
    files
}

#[test]
fn every_scenario_goes_as_written_down() {
    let compared = files("txt").into_iter().map(|path| {
        let told = play(&std::fs::read_to_string(&path).unwrap());
        golden::compare(&path.with_extension("out"), &told)
    });
    let wrong: Vec<String> = compared.filter_map(Result::err).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_transcript_has_its_script() {
    let orphans: Vec<PathBuf> = files("out").into_iter().filter(|path| !path.with_extension("txt").is_file()).collect();
    assert!(orphans.is_empty(), "no script tells these: {orphans:?}");
    assert!(files("txt").len() >= 8);
}

#[test]
#[should_panic(expected = "nobody does")]
fn a_word_that_no_script_knows_is_refused() {
    Script::read("runner spot\nat 3s the sky falls down");
}

//! One job, as the engine sees it: `cargo run -p runner-fleet-engine --example one_job`.
//!
//! Nothing here is real: we play GitLab, EC2 and the worker (`actors`), and tell the engine what they would say. It answers
//! with what is to be done, and why. The live service and the simulator do the same with better actors. What is printed
//! stands in `one_job.txt`.

mod actors;

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{Command, Engine, Event, InstanceState, Report, RunnerState};

use actors::{instance, job_waits, launched, listing, nothing_waits, reports, words};

/// The engine, the time, and what has happened so far. The time is ours to say: the engine has no clock.
struct Stage {
    engine: Engine,
    now: Timestamp,
    told: String,
}

impl Stage {
    /// Lets time pass, tells the engine what happened, and notes what it wants done.
    fn after(&mut self, seconds: u64, what: &str, events: impl FnOnce(Timestamp) -> Vec<Event>) -> Vec<Command> {
        self.now = self.now.saturating_add(Duration::from_secs(seconds)).unwrap_or(Timestamp::MAX);
        let commands = self.engine.step(self.now, events(self.now));
        let _ = writeln!(self.told, "{}  {what}", self.now.strftime("%H:%M:%S"));
        for command in &commands {
            let _ = writeln!(self.told, "          > {}", words(command));
        }
        commands
    }
}

/// The life of one job and of its worker.
fn story() -> Result<String, Box<dyn Error>> {
    let start: Timestamp = "2026-11-20T08:00:00Z".parse()?;
    let mut stage = Stage { engine: Engine::new("ci", 7, start), now: start, told: String::new() };

    // The engine hears what is wanted, and what a worker would be made of. It launches nothing before it has seen two
    // listings: a manager before this one may have launched something that EC2 does not show yet.
    stage.after(0, "the configuration is read, the launch prepared", |_| actors::beginning());
    stage.after(1, "EC2 has no worker of ours", |now| vec![listing(now, None)]);
    stage.after(6, "and still none", |now| vec![listing(now, None)]);

    // A job waits, and nobody is there to take it. The command says all: how many, where, from which template, and why.
    let commands = stage.after(3, "GitLab has one waiting job", |now| vec![job_waits(now)]);
    let launch =
        commands.iter().find_map(|command| if let Command::Launch(launch) = command { Some(launch) } else { None });
    let launch = launch.ok_or("nothing was launched")?;

    // The answer to a launch names the worker, a listing tells its address, and there the link begins.
    stage.after(2, "EC2 has launched i-1", |_| vec![launched(launch)]);
    let mut worker = instance(launch, stage.now);
    stage.after(6, "EC2 shows its address", |now| vec![listing(now, Some(&worker))]);

    // The worker's runner asks GitLab for jobs by itself. While it runs one, nothing but EC2 ends it.
    stage.after(40, "i-1 runs the job", |now| vec![reports(actors::busy()), nothing_waits(now)]);
    stage.after(90, "its job is done", |_| vec![reports(actors::idle(0))]);

    // Too long idle, it goes step by step: no new job, seen to be empty, its runner ended, and only then the machine.
    stage.after(300, "i-1 has been idle for five minutes", |now| {
        vec![listing(now, Some(&worker)), nothing_waits(now), reports(actors::idle(300))]
    });
    let fenced = Report { runner: RunnerState::Fenced, open_requests: 0, ..actors::idle(305) };
    stage.after(5, "it takes no more jobs, and has none", |_| vec![reports(fenced.clone())]);
    stage.after(2, "its runner has ended", |_| vec![reports(Report { runner: RunnerState::Stopped, ..fenced })]);
    worker.state = InstanceState::Terminated;
    stage.after(30, "EC2 shows that i-1 is gone", |now| vec![listing(now, Some(&worker))]);
    Ok(stage.told)
}

fn main() -> Result<(), Box<dyn Error>> {
    Ok(std::io::stdout().write_all(story()?.as_bytes())?)
}

#[test]
fn the_story_is_the_one_beside_it() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/one_job/one_job.txt");
    runner_fleet_testing::golden::compare(&path, &story().unwrap()).unwrap_or_else(|difference| panic!("{difference}"));
}

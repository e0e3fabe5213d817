//! One night of jobs in a simulated world: `cargo run -p runner-fleet-sim --example one_night`.
//!
//! The engine is the one that ships; GitLab, EC2 and the workers are simulated, and so is the time, so that a night takes
//! milliseconds. The same seed gives the same night. Here it is run twice, with another policy for idle slots, to see what
//! short waits cost. What is printed stands in `one_night.txt`.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{IdleCount, IdleTime};
use runner_fleet_sim::summary::transcript;
use runner_fleet_sim::{JobSpec, Scenario, run};

const MINUTE: Duration = Duration::from_secs(60);

/// A pipeline of twelve jobs at ten, at midnight and at two, and a single job every twenty minutes between.
fn jobs() -> Vec<JobSpec> {
    let pipelines = [0, 120, 240].into_iter().flat_map(|minute| (1..=12).map(move |job| (minute, 4 + job % 5)));
    let single = (1..15).map(|job| (job * 20, 3));
    pipelines.chain(single).map(|(after, takes)| JobSpec::new(MINUTE * after, MINUTE * takes)).collect()
}

/// One runner on spot, up to ten workers of one slot each, and boots of 45 s or so.
fn night(idle_count: u32, jobs: Vec<JobSpec>) -> Result<Scenario, Box<dyn Error>> {
    let start: Timestamp = "2026-11-20T22:00:00Z".parse()?;
    let mut scenario = Scenario::new(start).with_jobs(jobs);
    let runner = scenario.runner_mut().ok_or("a scenario has a runner")?;
    runner.idle.count = IdleCount::Fixed(idle_count);
    runner.idle.time = IdleTime::Fixed(5 * MINUTE);
    Ok(scenario)
}

fn story() -> Result<String, Box<dyn Error>> {
    let mut told = String::from("What happens around a single job, and why:\n\n");
    let alone = run(7, &night(0, vec![JobSpec::new(MINUTE, 3 * MINUTE)])?)?;
    told.push_str(&transcript(&alone.world, 20));

    told.push_str("\nA whole night, by the number of idle slots that stand ready:\n\n");
    writeln!(told, "idle_count  jobs done  wait p50  wait p95  workers    cost  on demand")?;
    for idle_count in [0, 1, 3] {
        // A run ends when all is at rest. A broken law, or a fleet that finds no rest, would be an error with its seed.
        let sums = run(7, &night(idle_count, jobs())?)?.summary;
        writeln!(
            told,
            "{idle_count:>10}  {:>9}  {:>6.0} s  {:>6.0} s  {:>7}  ${:.2}      ${:.2}",
            sums.jobs.succeeded,
            sums.wait_seconds.p50,
            sums.wait_seconds.p95,
            sums.workers.launched,
            sums.cost_usd,
            sums.on_demand_cost_usd,
        )?;
    }
    Ok(told)
}

fn main() -> Result<(), Box<dyn Error>> {
    Ok(std::io::stdout().write_all(story()?.as_bytes())?)
}

#[test]
fn the_night_is_the_one_beside_it() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/one_night/one_night.txt");
    runner_fleet_testing::golden::compare(&path, &story().unwrap()).unwrap_or_else(|difference| panic!("{difference}"));
}

//! A workload under the production engine, as fast as the world allows.
//!
//! The loop is the live driver's, at a calmer pace: what is heard within [`GAP`] of the last step is one step (live: 50 ms),
//! which makes every decision a second later on average, never earlier. A report that says nothing new waits for the
//! next step instead of setting one off, and a step for the sake of time alone comes every [`TICK`] instead of every second:
//! the engine's shortest time-out that no answer of EC2 sets off is 15 s.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::{Engine, Event, JobId, WorkerId};

use super::event_log::Ending;
use super::recording::{JobOutcome, JobRun, MachineRun, Recording};
use super::scenario::Scenario;
use super::world::{Job, JobState, Machine, World, later};

/// The shortest time between two steps.
const GAP: Duration = Duration::from_secs(2);
/// The longest time without a step: EC2 is listed every 3 s while something is expected of it.
const TICK: Duration = Duration::from_secs(3);

/// Runs the scenario's jobs until all are over and `end` is reached; given up at [`Scenario::limit`]. `progress` hears the
/// virtual time now and then.
pub fn replay(scenario: Scenario, seed: u64, end: Timestamp, progress: &mut dyn FnMut(Timestamp)) -> Recording {
    let scenario = Scenario { lean: true, ..scenario };
    let limit = later(scenario.start, scenario.limit()).max(end);
    let mut now = scenario.start;
    let mut engine = Engine::new(&scenario.manager, seed, now);
    let settings = scenario.settings.clone();
    let mut world = World::new(scenario, seed);
    world.manager_starts(now);
    let mut heard = vec![Event::Configured(settings)];
    let mut told_at = now;
    loop {
        for command in engine.step(now, heard) {
            world.apply(now, &command);
        }
        if now >= limit || (now >= end && world.open_jobs() == 0) {
            return read(&world);
        }
        if now >= later(told_at, PROGRESS_EVERY) {
            progress(now);
            told_at = now;
        }
        let news_at = world.wait_for_news(later(now, TICK));
        now = news_at.max(later(now, GAP));
        heard = world.advance_to(now);
    }
}

/// Of virtual time.
const PROGRESS_EVERY: Duration = Duration::from_secs(1800);

/// Writes down what happened in a world.
fn read(world: &World) -> Recording {
    let capacity = |machine: &Machine| world.scenario().settings.capacity_of(&machine.runner).unwrap_or(1);
    let mut machines: Vec<(&WorkerId, &Machine)> = world.machines().collect();
    machines.sort_by_key(|(id, machine)| (machine.launched_at, *id));
    let places: BTreeMap<&WorkerId, usize> = machines.iter().enumerate().map(|(at, (id, _))| (*id, at)).collect();
    let jobs: BTreeMap<JobId, &Job> = world.jobs().collect();
    let again: BTreeSet<JobId> = jobs.values().filter_map(|job| job.retried_as).collect();
    let mut runs = Vec::with_capacity(jobs.len());
    for (index, (_, first)) in jobs.iter().filter(|(id, _)| !again.contains(id)).enumerate() {
        let mut next = Some(*first);
        let mut attempt = 0;
        while let Some(job) = next {
            runs.push(job_run(index, attempt, job, &places));
            attempt += 1;
            next = job.retried_as.and_then(|id| jobs.get(&id).copied());
        }
    }
    Recording {
        jobs: runs,
        machines: machines.iter().map(|(_, machine)| machine_run(machine, capacity(machine))).collect(),
        calls: world.log().calls.clone(),
    }
}

fn job_run(index: usize, attempt: u32, job: &Job, places: &BTreeMap<&WorkerId, usize>) -> JobRun {
    JobRun {
        index,
        attempt,
        queued_at: job.queued_at,
        started_at: job.taken_at,
        ended_at: job.ended_at,
        outcome: match job.state {
            JobState::Pending | JobState::Running => JobOutcome::Open,
            JobState::Succeeded | JobState::Failed => JobOutcome::Done,
            JobState::Killed(_) => JobOutcome::Lost,
        },
        machine: job.worker.as_ref().and_then(|worker| places.get(worker).copied()),
    }
}

fn machine_run(machine: &Machine, slots: u32) -> MachineRun {
    MachineRun {
        offering: machine.offering.clone(),
        slots,
        launched_at: machine.launched_at,
        ready_at: machine.served_at,
        ended_at: machine.ended_at,
        interrupted: machine.ending == Some(Ending::Interrupted),
    }
}

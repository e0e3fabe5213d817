//! Which workers GitLab is asked about: those whose own word is not enough to keep them.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::command::Command;
use super::fleet::Fleet;
use super::ids::{RunnerName, SystemId};
use super::runner::Runner;
use super::settings::{RunnerSettings, Settings};
use super::time::since;
use super::workers::{Worker, WorkerStatus};

/// For how long a worker must have shown jobs before GitLab is asked: most jobs are over by then.
const BUSY_FOR_LONG: Duration = Duration::from_secs(15 * 60);
/// Looks on their way at one time.
const LOOKING_MAX: usize = 5;

/// The looks to begin now.
pub(crate) fn due(
    settings: &Settings,
    runners: &BTreeMap<RunnerName, Runner>,
    fleet: &mut Fleet,
    now: Timestamp,
) -> Vec<Command> {
    let is_on_its_way = |worker: &&Worker| worker.sighting.is_on_its_way(now);
    let on_the_way = fleet.workers.values().filter(is_on_its_way).count();
    let mut commands = Vec::new();
    for (id, worker) in &mut fleet.workers {
        if on_the_way + commands.len() >= LOOKING_MAX {
            break;
        }
        let name = &worker.instance.runner;
        let section = settings.section(name).filter(|section| section.sees_queue);
        let facts = runners.get(name).and_then(|known| known.facts.known());
        let (Some(section), Some(facts)) = (section, facts) else { continue };
        if is_in_question(worker, section, now) && worker.sighting.is_due(now) {
            worker.sighting.asked(now);
            let (runner, system_id) = (name.clone(), SystemId::of(id));
            commands.push(Command::LookForJobs { worker: id.clone(), runner, runner_id: facts.id, system_id });
        }
    }
    commands
}

/// Whether a worker's word is not enough: nobody hears it, and its own dead man must have fenced it by now; or it has been
/// busy for long.
fn is_in_question(worker: &Worker, section: &RunnerSettings, now: Timestamp) -> bool {
    if worker.instance.hold {
        return false;
    }
    match (worker.status(now), worker.silent_since(now)) {
        (WorkerStatus::Unreachable, Some(silent_since)) => since(now, silent_since) >= section.orphan_timeout,
        (WorkerStatus::Serving | WorkerStatus::Draining, None) => {
            let busy_since = worker.activity.as_ref().and_then(|activity| activity.busy_since());
            busy_since.is_some_and(|busy_since| since(now, busy_since) >= BUSY_FOR_LONG)
        }
        (WorkerStatus::Unreachable, None)
        | (WorkerStatus::Serving | WorkerStatus::Draining, Some(_))
        | (WorkerStatus::Booting | WorkerStatus::Ending, _) => false,
    }
}

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
        let Some(doubt) = doubt(worker, now).filter(|_| worker.sighting.is_due(now)) else { continue };
        let name = &worker.instance.runner;
        let section = settings.section(name).filter(|section| section.sees_queue && doubt.concerns(section));
        let facts = runners.get(name).and_then(|known| known.facts.known());
        if let (Some(_), Some(facts)) = (section, facts) {
            worker.sighting.asked(now);
            let (runner, system_id) = (name.clone(), SystemId::of(id));
            commands.push(Command::LookForJobs { worker: id.clone(), runner, runner_id: facts.id, system_id });
        }
    }
    commands
}

/// Why a worker's word may not be enough.
enum Doubt {
    /// Nobody has heard it for so long.
    Silent(Duration),
    /// It has been busy for long.
    Busy,
}

impl Doubt {
    /// Whether GitLab is asked: of a silent worker, once its own dead man must have fenced it.
    fn concerns(&self, section: &RunnerSettings) -> bool {
        match self {
            Self::Silent(silent_for) => *silent_for >= section.orphan_timeout,
            Self::Busy => true,
        }
    }
}

/// Asked of every worker at every step, and answered without its section: few are in doubt.
fn doubt(worker: &Worker, now: Timestamp) -> Option<Doubt> {
    if worker.instance.hold {
        return None;
    }
    match (worker.status(now), worker.silent_since(now)) {
        (WorkerStatus::Unreachable, Some(silent_since)) => Some(Doubt::Silent(since(now, silent_since))),
        (WorkerStatus::Serving | WorkerStatus::Draining, None) => {
            let busy_since = worker.busy_since()?;
            (since(now, busy_since) >= BUSY_FOR_LONG).then_some(Doubt::Busy)
        }
        (WorkerStatus::Unreachable, None)
        | (WorkerStatus::Serving | WorkerStatus::Draining, Some(_))
        | (WorkerStatus::Booting | WorkerStatus::Ending, _) => None,
    }
}

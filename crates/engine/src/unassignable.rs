//! Jobs that idle, asking workers leave alone, found at every step; what follows is `quarantine`'s to say.

use jiff::Timestamp;

use super::fleet::Fleet;
use super::ids::RunnerName;
use super::journal::Entry;
use super::matching::may_take;
use super::quarantine::{Asking, Verdict, is_left_alone};
use super::reason::DrainReason;
use super::settings::Settings;
use super::snapshot::DecisionKind;
use super::state::Engine;
use super::time::before;
use super::workers::WorkerStatus;

impl Engine {
    /// Quarantines jobs that idle, asking workers have left alone for long, and replaces a worker that alone has.
    pub(super) fn quarantine_unassignable_jobs(&mut self, settings: &Settings, now: Timestamp) {
        for runner in settings.runners.iter().filter(|runner| runner.sees_queue) {
            let Self { runners, queues, fleet, quarantine, journal, .. } = self;
            let Some(queue) = queues.get(&runner.server).filter(|queue| queue.jobs().next().is_some()) else {
                continue;
            };
            let asking = longest_asking(fleet, &runner.name, now);
            let facts = runners.get(&runner.name).and_then(|known| known.facts.known());
            let (Some(longest), Some(facts)) = (asking.first(), facts) else { continue };
            let mut replaced = None;
            // Few have waited for so long; only those are matched.
            let waiting = queue.fresh_jobs(now, settings.check_interval);
            for job in waiting.filter(|job| is_left_alone(job, longest.since, now)) {
                if !may_take(&runner.name, facts, job) {
                    continue;
                }
                match quarantine.judge(&runner.server, job, &asking, now) {
                    Verdict::Nothing => {}
                    Verdict::Replace(worker) => replaced = Some((worker, job.id)),
                    Verdict::Quarantined => {
                        let text = format!(
                            "job {} is quarantined: idle workers of {} ask, and GitLab does not hand it out",
                            job.id, runner.name
                        );
                        journal.note(now, Entry::new(DecisionKind::JobQuarantined, text).of(&runner.name));
                    }
                }
            }
            if let Some((worker, job)) = replaced
                && let Some(worker) = fleet.workers.get_mut(&worker)
            {
                worker.begin_drain(DrainReason::TakesNothing { job }, now);
            }
        }
        self.quarantine.forget_the_gone(now);
    }
}

/// The two workers of a runner that have been idle and asking for longest.
fn longest_asking<'a>(fleet: &'a Fleet, runner: &RunnerName, now: Timestamp) -> Vec<Asking<'a>> {
    let workers = fleet.workers.iter().filter(|(_, worker)| {
        worker.instance.runner == *runner
            && !worker.instance.hold
            && worker.status(now) == WorkerStatus::Serving
            && worker.report().is_some_and(|report| report.open_requests > 0)
    });
    let mut asking: Vec<Asking<'a>> =
        workers.filter_map(|(id, worker)| Some(Asking { worker: id, since: before(now, worker.idle(now)?) })).collect();
    asking.sort_by_key(|asking| (asking.since, asking.worker));
    asking.truncate(2);
    asking
}

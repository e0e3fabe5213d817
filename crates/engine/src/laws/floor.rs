//! Law 9: nobody goes for want of work whom the idle policy wants.
//!
//! Counted generously, from reports and listings alone: a worker that boots, is out of reach or is held counts as a free one.
//! What is left must then have room for the jobs that run and for the idle slots. A forecast's wish and factors are left to
//! the engine: what they ask for changes with every job.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::limits::limits;
use super::{Laws, Violation};
use crate::command::{Command, Want};
use crate::event::{Event, OperatorRequest};
use crate::ids::{RunnerName, WorkerId};
use crate::reason::DrainReason;
use crate::settings::RunnerSettings;
use crate::worker::RunnerState;

impl Laws {
    /// Whose runner nobody takes jobs for.
    pub(super) fn observe_pauses(&mut self, event: &Event) {
        if let Event::Runner { runner, facts: Ok(facts) } = event {
            self.paused_in_gitlab.remove(runner);
            self.paused_in_gitlab.extend(facts.paused.then(|| runner.clone()));
        }
        if let Event::Operator(OperatorRequest::Pause(runner)) = event {
            self.paused_here.insert(runner.clone());
        }
        if let Event::Operator(OperatorRequest::Resume(runner)) = event {
            self.paused_here.remove(runner);
        }
    }

    pub(super) fn judge_floor(&mut self, now: Timestamp, commands: &[Command]) -> Vec<Violation> {
        let mut retired_from: BTreeSet<RunnerName> = BTreeSet::new();
        for command in commands {
            // One that is ended without a fence may yet turn out to be alive, and counts until EC2 shows its end.
            let Command::Want { worker, want } = command else { continue };
            self.told.insert(worker.clone(), *want == Want::Serve);
            if let Want::Fence { reason: DrainReason::Idle { .. } } = want {
                retired_from.extend(self.owner(worker).cloned());
            }
        }
        self.told.retain(|worker, _| self.owners.contains_key(worker));
        let sections = retired_from.iter().filter_map(|runner| self.section(runner));
        sections.filter_map(|section| self.below_floor(now, section)).collect()
    }

    fn below_floor(&self, now: Timestamp, section: &RunnerSettings) -> Option<Violation> {
        // What it has spent is not counted here: with a budget, it may have reason to keep no idle slot.
        if section.budget.is_some() {
            return None;
        }
        let limits = limits(section, now);
        let idle = limits.idle?;
        if self.paused_in_gitlab.contains(&section.name) || self.paused_here.contains(&section.name) {
            return None;
        }
        let (mut running, mut slots) = (0_u32, 0_u32);
        // EC2 may leave one out of a listing that it showed in the last: it counts.
        for id in self.owners.keys().filter(|id| self.owner(id) == Some(&section.name) && self.takes_jobs(id)) {
            let jobs = self.reports.get(id).map_or(0, |report| report.jobs());
            running = jobs.saturating_add(running);
            slots = section.capacity.max(jobs).saturating_add(slots);
        }
        let coming = self.in_flight.values().filter(|flight| flight.runner == section.name).map(|flight| flight.coming);
        slots = coming.sum::<u32>().saturating_mul(section.capacity).saturating_add(slots);
        let limit = if section.limit > 0 { section.limit } else { u32::MAX };
        let most = limits.max_workers.saturating_mul(section.capacity).min(limit);
        let wanted = running.saturating_add(idle).min(most);
        (slots < wanted).then(|| Violation {
            law: 9,
            what: format!(
                "{}: idle workers were fenced, and {slots} slots are left for {running} jobs and {idle} idle slots",
                section.name
            ),
        })
    }

    /// Whether a worker takes jobs, or will: as it was last told, else as it last said.
    fn takes_jobs(&self, worker: &WorkerId) -> bool {
        let instance = self.instances.get(worker).and_then(Option::as_ref);
        if instance.is_some_and(|instance| instance.state.is_ending()) {
            return false;
        }
        self.told.get(worker).copied().unwrap_or_else(|| {
            let state = self.reports.get(worker).map(|report| report.runner);
            matches!(state, None | Some(RunnerState::Absent | RunnerState::Serving))
        })
    }
}

//! A configuration with several sections, for autoscalers that scale each section by itself.

use std::collections::BTreeMap;

use crate::configured::Setting;
use crate::recording::{JobOutcome, JobRun, Recording};
use crate::scenario::JobSpec;
use crate::world::{later, may_take};

/// Lets `run` run every section with the jobs of its own, and puts the recordings together. A job belongs to the first section
/// that may take it. In the others' favour: each section has all of `concurrent` for itself.
pub fn section_by_section(setting: &Setting, mut run: impl FnMut(&Setting) -> Recording) -> Recording {
    let mut whole = Recording::default();
    let mut left: BTreeMap<usize, &JobSpec> = setting.scenario.jobs.iter().enumerate().collect();
    for section in &setting.scenario.settings.runners {
        let Some(facts) = setting.scenario.facts.get(&section.name) else { continue };
        let own: BTreeMap<usize, &JobSpec> = left.extract_if(.., |_, job| may_take(facts, job)).collect();
        let mut part = setting.clone();
        part.scenario.settings.runners = vec![section.clone()];
        part.scenario.plans.retain(|name, _| *name == section.name);
        part.scenario.jobs = own.values().map(|job| (*job).clone()).collect();
        let places: Vec<usize> = own.into_keys().collect();
        whole.add(run(&part), &places);
    }
    whole.jobs.extend(left.into_iter().map(|(index, job)| JobRun {
        index,
        attempt: 0,
        queued_at: later(setting.scenario.start, job.after),
        started_at: None,
        ended_at: None,
        outcome: JobOutcome::Open,
        machine: None,
    }));
    whole.jobs.sort_by_key(|job| (job.index, job.attempt));
    whole
}

impl Recording {
    /// Takes in the recording of a part; `places` tells which of the workload's jobs the part's were.
    fn add(&mut self, part: Recording, places: &[usize]) {
        let before = self.machines.len();
        self.jobs.extend(part.jobs.into_iter().map(|job| JobRun {
            index: places.get(job.index).copied().unwrap_or(job.index),
            machine: job.machine.map(|machine| machine + before),
            ..job
        }));
        self.machines.extend(part.machines);
        for (kind, count) in part.calls {
            *self.calls.entry(kind).or_default() += count;
        }
    }
}

//! What of the workers' lives the log is told beside the decisions: each a line, when it happens. Nothing here decides.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::event::LaunchAnswer;
use super::ids::{JobId, RunnerName, WorkerId};
use super::note::{Note, NoteKind, NoteLevel};
use super::prices;
use super::reason::{Brief, EndReason};
use super::runner::BreakerNews;
use super::state::Engine;
use super::transition::Terminated;
use super::worker::{Instance, InstanceState, Report, StateReason};

/// Workers that one line names.
const NAMED_MAX: usize = 20;

impl Engine {
    /// What this step is to tell the log; the next one forgets it.
    pub fn notes(&self) -> &[Note] {
        self.journal.notes()
    }

    /// Instances of this listing that were not known before.
    pub(super) fn newcomers(&self, listing: &[Instance]) -> Vec<Instance> {
        let is_new = |instance: &&Instance| {
            instance.state != InstanceState::Terminated
                && !self.fleet.workers.contains_key(&instance.id)
                && !self.fleet.ended.contains_key(&instance.id)
        };
        listing.iter().filter(is_new).cloned().collect()
    }

    /// A listing has shown these first: our own launches before their answers, and what others have launched.
    pub(super) fn tell_newcomers(&mut self, newcomers: &[Instance]) {
        let is_ours =
            |instance: &&Instance| instance.launch.as_ref().is_some_and(|token| self.fleet.flights.contains_key(token));
        let (ours, adopted): (Vec<&Instance>, Vec<&Instance>) = newcomers.iter().partition(is_ours);
        let launched: Vec<Note> = ours.into_iter().map(launched).collect();
        launched.into_iter().for_each(|note| self.journal.tell(note));
        if adopted.is_empty() {
            return;
        }
        let names: Vec<&str> = adopted.iter().take(NAMED_MAX).map(|instance| instance.id.as_str()).collect();
        let more = adopted.len().saturating_sub(names.len());
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        let s = if adopted.len() == 1 { "" } else { "s" };
        let text = format!("adopted {} worker{s} that exist already: {}{more}", adopted.len(), names.join(", "));
        self.journal.tell(Note::new(NoteKind::Adopted, text));
    }

    /// Workers that this answer names and that were not known before.
    pub(super) fn named_first(&self, answer: &LaunchAnswer) -> Vec<WorkerId> {
        let is_new = |id: &&WorkerId| !self.fleet.workers.contains_key(*id) && !self.fleet.ended.contains_key(*id);
        answer.launched.iter().map(|launched| &launched.id).filter(is_new).cloned().collect()
    }

    /// EC2 gave these.
    pub(super) fn tell_launched(&mut self, ids: &[WorkerId]) {
        for id in ids {
            if let Some(worker) = self.fleet.workers.get(id) {
                self.journal.tell(launched(&worker.instance));
            }
        }
    }

    /// A worker is ready.
    pub(super) fn tell_ready(&mut self, id: &WorkerId) {
        let Some(worker) = self.fleet.workers.get(id) else { return };
        let note = if worker.boot_was_watched() {
            let age = worker.age(self.now);
            Note::new(NoteKind::Ready, format!("{id} is ready after {}", Brief(age))).lasting(age)
        } else {
            Note::new(NoteKind::Ready, format!("{id} is ready, and was so before this manager looked"))
        };
        self.journal.tell(note.on(&worker.instance));
    }

    /// What a report says of jobs, beside what the one before said.
    pub(super) fn tell_jobs(&mut self, id: &WorkerId, before: Option<&Report>, now: &Report) {
        let Some(worker) = self.fleet.workers.get(id) else { return };
        let none = BTreeSet::new();
        let known = before.map_or(&none, |report| &report.job_ids);
        let note = |kind, job: JobId, text: String| Note::new(kind, text).on(&worker.instance).about(job);
        let mut notes: Vec<Note> = Vec::new();
        for job in known.difference(&now.job_ids) {
            let text = format!("{id} runs job {job} no more");
            let lasted = worker.claimed_since(*job).map(|at| super::time::since(self.now, at));
            notes.push(Note { lasted, ..note(NoteKind::JobEnded, *job, text) });
        }
        for job in now.job_ids.difference(known) {
            notes.push(match before {
                Some(_) => note(NoteKind::JobStarted, *job, format!("{id} runs job {job}")),
                None => {
                    note(NoteKind::JobFound, *job, format!("{id} runs job {job}, since before this manager looked"))
                }
            });
        }
        notes.into_iter().for_each(|note| self.journal.tell(note));
    }

    /// A boot has failed, and this worker with it.
    pub(super) fn boot_failed_note(instance: &Instance, reason: &EndReason) -> Note {
        let text = format!("the boot of {} for {} has failed: {reason}", instance.id, instance.runner);
        Note::new(NoteKind::BootFailed, text).on(instance).because(reason.clone())
    }

    /// A worker is gone: how long it lived, what it ran and cost, and why it went.
    pub(super) fn ended_note(&self, ended: &Terminated) -> Note {
        let Terminated { instance, reason, jobs, jobs_started, booting, .. } = ended;
        let Instance { id, market, instance_type, zone, launched_at, .. } = instance;
        let age = super::time::since(self.now, *launched_at);
        let usd = self.prices.hourly(*market, instance_type, zone, self.now).map(|price| prices::cost(price, age));
        let cost = usd.map(|usd| format!(", about {usd:.2} USD")).unwrap_or_default();
        let life = format!("after {} and {jobs_started} jobs{cost}", Brief(age));
        let note = match reason {
            Some(reason) => {
                Note::new(NoteKind::Ended, format!("{id} has ended {life}: {reason}")).because(reason.clone())
            }
            None => {
                let why = instance.state_reason.as_ref().map_or("EC2 gives no reason".into(), StateReason::told);
                let lost = if *jobs > 0 { format!(", with {jobs} running jobs") } else { String::new() };
                let note = Note::new(NoteKind::Ended, format!("{id} has ended by itself{lost} {life}: {why}"));
                let level = if *jobs > 0 || *booting { NoteLevel::Warning } else { note.level };
                note.at(level)
            }
        };
        Note { usd, ..note.on(instance).lasting(age).with_jobs(*jobs_started) }
    }

    /// Breakers that have opened or closed in this step.
    pub(super) fn tell_breakers(&mut self, now: Timestamp) {
        let mut notes = Vec::new();
        for (name, runner) in &mut self.runners {
            notes.extend(runner.breaker_news(now).map(|news| breaker(name, &news, now)));
        }
        notes.into_iter().for_each(|note| self.journal.tell(note));
    }
}

fn launched(instance: &Instance) -> Note {
    let Instance { id, runner, instance_type, zone, market, .. } = instance;
    let text = format!("launched {id} for {runner}: {instance_type} in {zone}, {market}");
    Note::new(NoteKind::Launched, text).on(instance)
}

fn breaker(runner: &RunnerName, news: &BreakerNews, now: Timestamp) -> Note {
    match news {
        BreakerNews::Open { until, in_a_row, last } => {
            let text = format!(
                "{runner} launches nothing for {}, because {in_a_row} workers in a row were of no use; the last: {last}; \
                 `runner-fleet retry {runner}` tries at once",
                Brief(super::time::since(*until, now))
            );
            Note::new(NoteKind::BreakerOpen, text).of(runner).lasting(super::time::since(*until, now))
        }
        BreakerNews::Closed => {
            Note::new(NoteKind::BreakerClosed, format!("workers of {runner} are of use again")).of(runner)
        }
    }
}

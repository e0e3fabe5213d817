//! The workers as they were last seen, and the launches that may become workers.
//!
//! Listings and reports overwrite what was known; nothing here is decided. What cannot be read again (a drain that was
//! begun, a launch in flight) is kept beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::attempt::Attempt;
use super::command::Launch;
use super::event::{LaunchAnswer, Leftover, WorkerEvent};
use super::ids::{LaunchToken, RunnerName, WorkerId};
use super::settings::Settings;
use super::time::since;
use super::transition::WorkerTransition;
use super::worker::{Health, Instance, InstanceState};
use super::workers::{Connection, Worker};

/// How long after its launch a listing may miss an instance. AWS advises patience of up to five minutes
/// (EC2 Developer Guide, "Eventual consistency").
const LISTING_LAG_MAX: Duration = Duration::from_secs(300);
/// An instance that was listed before and is missing for so long, in at least two listings, is gone: EC2 shows the
/// terminated ones for about an hour, so this happens only to those whose end we slept through.
const ABSENCE: Duration = Duration::from_secs(30);

/// A launch that EC2 has not answered, or not clearly.
#[derive(Clone, Debug)]
pub(crate) struct Flight {
    /// As it was sent, and will be sent again if need be.
    pub(crate) launch: Launch,
    /// When the decision was made.
    pub(crate) decided_at: Timestamp,
    /// Its sending; to be repeated after an answer that leaves the outcome open.
    pub(crate) sending: Attempt,
    /// Whether it was sent once without a clear answer: then a later "no" to its repetition does not mean that the first
    /// sending did nothing.
    pub(crate) uncertain: bool,
    /// Workers that a listing has already shown for it.
    pub(crate) seen: BTreeSet<WorkerId>,
}

impl Flight {
    /// Workers that may still come of it.
    pub(crate) fn coming(&self) -> u32 {
        self.launch.count.saturating_sub(u32::try_from(self.seen.len()).unwrap_or(u32::MAX))
    }
}

/// A worker that has ended, kept until GitLab has forgotten it and EC2 no longer shows it.
#[derive(Clone, Debug)]
pub(crate) struct Ended {
    /// Whose it was.
    pub(crate) runner: RunnerName,
    /// The deletion of its runner-manager row.
    pub(crate) forget: Attempt,
    /// The last listing that showed it.
    pub(crate) listed_at: Timestamp,
}

/// All workers and launches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fleet {
    pub(crate) workers: BTreeMap<WorkerId, Worker>,
    pub(crate) ended: BTreeMap<WorkerId, Ended>,
    pub(crate) flights: BTreeMap<LaunchToken, Flight>,
    /// Jobs at one time on a worker of a runner that is configured no more: its workers fill room until they have ended.
    pub(crate) former_capacities: BTreeMap<RunnerName, u32>,
}

impl Fleet {
    /// Takes in a complete listing.
    pub(crate) fn listed(
        &mut self,
        now: Timestamp,
        asked_at: Timestamp,
        listing: Vec<Instance>,
    ) -> Vec<WorkerTransition> {
        let mut transitions = Vec::new();
        for instance in listing {
            if let Some(token) = &instance.launch
                && let Some(flight) = self.flights.get_mut(token)
            {
                flight.seen.insert(instance.id.clone());
            }
            if instance.state == InstanceState::Terminated {
                transitions.extend(self.end(instance, asked_at));
            } else {
                self.see(now, asked_at, instance);
            }
        }
        transitions.extend(self.miss(now, asked_at));
        transitions
    }

    fn see(&mut self, now: Timestamp, asked_at: Timestamp, instance: Instance) {
        let id = instance.id.clone();
        // A launch of this manager's own life, which EC2 shows before it answers: nobody else can have made it ready.
        let flight = instance.launch.as_ref().and_then(|token| self.flights.get(token));
        let decided_at = flight.map(|flight| flight.decided_at);
        let worker = self.workers.entry(id).or_insert_with(|| Worker::adopted(instance.clone(), now));
        if let Some(decided_at) = decided_at {
            worker.is_ours(decided_at);
        }
        // Status checks are asked for only now and then; an answer without them does not erase the last one.
        let health = if instance.health == Health::Unknown { worker.instance.health } else { instance.health };
        worker.instance = Instance { health, ..instance };
        worker.listed_at = Some(asked_at);
        worker.absent_since = None;
    }

    fn end(&mut self, instance: Instance, asked_at: Timestamp) -> Option<WorkerTransition> {
        let ended = self.ended.entry(instance.id.clone()).or_insert_with(|| Ended {
            runner: instance.runner.clone(),
            forget: Attempt::Idle,
            listed_at: asked_at,
        });
        ended.listed_at = asked_at;
        let worker = self.workers.remove(&instance.id)?;
        Some(worker.ended(instance))
    }

    /// Drops what the listing did not show, where its silence means something.
    fn miss(&mut self, now: Timestamp, asked_at: Timestamp) -> Vec<WorkerTransition> {
        let mut gone = Vec::new();
        for worker in self.workers.values_mut().filter(|worker| worker.listed_at != Some(asked_at)) {
            let absent_since = *worker.absent_since.get_or_insert(asked_at);
            let patience = if worker.listed_at.is_some() { ABSENCE } else { LISTING_LAG_MAX };
            if since(asked_at, absent_since) >= patience && since(now, worker.first_seen) >= patience {
                gone.push(worker.instance.clone());
            }
        }
        self.ended.retain(|_, ended| ended.listed_at == asked_at || !ended.forget.is_done());
        gone.into_iter().filter_map(|instance| self.end(instance, asked_at)).collect()
    }

    /// Takes in the answer to a launch. Returns the launch that it answers, if it is one of ours.
    pub(crate) fn answered(&mut self, now: Timestamp, token: &LaunchToken, answer: &LaunchAnswer) -> Option<Launch> {
        let flight = self.flights.get_mut(token)?;
        let (launch, decided_at) = (flight.launch.clone(), flight.decided_at);
        flight.uncertain |= answer.leftover == Leftover::Possible;
        let is_settled = !flight.uncertain
            || !answer.launched.is_empty()
            || answer.errors.iter().all(|error| error.class.judges_the_launch());
        for launched in &answer.launched {
            if !self.ended.contains_key(&launched.id) {
                let worker = || Worker::launched(&launch, launched, now);
                self.workers.entry(launched.id.clone()).or_insert_with(worker).is_ours(decided_at);
            }
        }
        if answer.leftover == Leftover::None && is_settled {
            self.flights.remove(token);
        }
        Some(launch)
    }

    /// Takes in what a connection tells: of a report what is believed, and how many jobs were `taken` since the last one.
    pub(crate) fn worker_event(
        &mut self,
        now: Timestamp,
        id: &WorkerId,
        event: WorkerEvent,
        taken: u32,
    ) -> Vec<WorkerTransition> {
        let mut transitions = Vec::new();
        let Some(worker) = self.workers.get_mut(id) else { return transitions };
        match event {
            WorkerEvent::Connected => worker.connection = Connection::Up,
            WorkerEvent::NoAgent => {
                worker.connection = Connection::Up;
                worker.seen_booting();
            }
            WorkerEvent::Disconnected(failure) => {
                let since = match &worker.connection {
                    Connection::Down { since, failure: before } if before.class() == failure.class() => *since,
                    Connection::None { .. } | Connection::Up | Connection::Down { .. } => now,
                };
                worker.connection = Connection::Down { since, failure };
            }
            WorkerEvent::Report(report) => {
                let (was_ready, was_interrupted) = (worker.has_served(), worker.interruption().is_some());
                let was_endangered = worker.report().is_some_and(|report| report.rebalance);
                let is_endangered = report.rebalance;
                let was_unfit = worker.unfit.is_some();
                let was_given_up = worker.is_ending() && !was_ready;
                worker.heard(*report, taken, now);
                if !matches!(worker.connection, Connection::Up) {
                    worker.connection = Connection::Up;
                }
                if was_given_up && !worker.is_ending() {
                    transitions.push(WorkerTransition::Returned(id.clone()));
                }
                if !was_ready && worker.has_served() {
                    transitions.push(WorkerTransition::Ready(id.clone()));
                }
                if !was_interrupted && worker.interruption().is_some() {
                    transitions.push(WorkerTransition::Interrupted(id.clone()));
                } else if !was_endangered && is_endangered {
                    transitions.push(WorkerTransition::Endangered(id.clone()));
                }
                let unfit = worker.unfit.filter(|_| !was_unfit);
                transitions.extend(unfit.map(|why| WorkerTransition::Unfit(id.clone(), why)));
            }
        }
        transitions
    }

    /// Slots of everything not yet terminated, whatever its state, launches in flight included: what `concurrent` caps.
    pub(crate) fn slots(&self, settings: &Settings) -> u32 {
        let there: u32 = self.workers.values().map(|worker| self.capacity_of(settings, &worker.instance.runner)).sum();
        let coming: u32 = self
            .flights
            .values()
            .map(|flight| flight.coming().saturating_mul(self.capacity_of(settings, &flight.launch.runner)))
            .sum();
        there.saturating_add(coming)
    }

    /// Slots of the workers whose runner is no longer configured, of those that `which` takes.
    pub(crate) fn stray_slots(&self, settings: &Settings, which: impl Fn(&Worker) -> bool) -> u32 {
        let strays = self.workers.values().filter(|worker| settings.section(&worker.instance.runner).is_none());
        let slots =
            strays.filter(|worker| which(worker)).map(|worker| self.capacity_of(settings, &worker.instance.runner));
        slots.fold(0, u32::saturating_add)
    }

    /// The most jobs at one time that a worker of this runner may have been made for.
    pub(crate) fn slots_at_most(&self, settings: &Settings, runner: &RunnerName) -> u32 {
        let former = self.former_capacities.get(runner).copied().unwrap_or(1);
        settings.capacity_of(runner).unwrap_or(1).max(former)
    }

    /// Jobs at one time on one worker of this runner: as configured, or as it was; 1 for one that was never heard of.
    pub(crate) fn capacity_of(&self, settings: &Settings, runner: &RunnerName) -> u32 {
        let former = || self.former_capacities.get(runner).copied();
        settings.capacity_of(runner).or_else(former).unwrap_or(1)
    }

    /// Workers of a runner that launches in flight may still bring.
    pub(crate) fn coming(&self, runner: &RunnerName) -> u32 {
        self.flights.values().filter(|flight| flight.launch.runner == *runner).map(Flight::coming).sum()
    }
}

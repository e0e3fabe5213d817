//! What operators want, and how it is taken in. What follows from it is decided where everything is.

use super::command::{Command, Want};
use super::event::OperatorRequest;
use super::ids::{RunnerName, WorkerId};
use super::journal::Entry;
use super::orders::Orders;
use super::reason::DrainReason;
use super::settings::Settings;
use super::snapshot::DecisionKind;
use super::state::Engine;
use super::worker::Instance;

impl Engine {
    /// What operators have ordered and not taken back.
    pub fn orders(&self) -> &Orders {
        &self.orders
    }

    /// Whether this worker goes because an operator wants it, and could still be asked to stay.
    pub fn can_undrain(&self, worker: &WorkerId) -> bool {
        self.fleet.workers.get(worker).is_some_and(|worker| {
            !worker.instance.hold
                && !worker.is_ending()
                && worker.drain().is_some_and(|drain| {
                    drain.reason == (DrainReason::Requested { force: false }) && drain.step.can_be_taken_back()
                })
        })
    }

    pub(super) fn operator_request(&mut self, request: OperatorRequest) -> Vec<Command> {
        match request {
            OperatorRequest::Drain { workers, force } => self.drain(&workers, force),
            OperatorRequest::Undrain(workers) => return self.undrain(&workers),
            OperatorRequest::Pause(name) => self.pause(&name, true),
            OperatorRequest::Resume(name) => {
                self.pause(&name, false);
                self.try_again(&name);
            }
            OperatorRequest::Retry(name) => {
                self.try_again(&name);
                let text = format!("an operator wants launches for {name} tried again at once");
                self.journal.note(self.now, Entry::new(DecisionKind::Operator, text).of(&name));
            }
        }
        Vec::new()
    }

    fn drain(&mut self, workers: &[WorkerId], force: bool) {
        for id in workers {
            if !force {
                self.orders.drained.insert(id.clone());
            }
            // Nothing is known of any before the first listing.
            let Some(worker) = self.fleet.workers.get_mut(id) else { continue };
            worker.begin_drain(DrainReason::Requested { force }, self.now);
            let did = if force { "ends" } else { "drains" };
            let entry = Entry::new(DecisionKind::Operator, format!("an operator {did} {id}")).on(id);
            self.journal.note(self.now, entry);
        }
    }

    fn undrain(&mut self, workers: &[WorkerId]) -> Vec<Command> {
        let mut commands = Vec::new();
        for id in workers {
            self.orders.drained.remove(id);
            if !self.can_undrain(id) {
                continue;
            }
            let Some(worker) = self.fleet.workers.get_mut(id) else { continue };
            // Of what it was never told it need not be told the contrary.
            let was_told = worker.wanted().is_some();
            worker.want(&Want::Serve, self.now);
            if was_told {
                commands.push(Command::Want { worker: id.clone(), want: Want::Serve });
            }
            let entry = Entry::new(DecisionKind::Operator, format!("an operator lets {id} stay")).on(id);
            self.journal.note(self.now, entry);
        }
        commands
    }

    fn pause(&mut self, name: &RunnerName, paused: bool) {
        // Before the first configuration, of which none is known, it is an order that stood before a restart.
        if paused && (self.settings.is_none() || self.runners.contains_key(name)) {
            self.orders.paused.insert(name.clone());
        } else {
            self.orders.paused.remove(name);
        }
        if let Some(runner) = self.runners.get_mut(name) {
            runner.paused = paused;
            let did = if paused { "paused" } else { "resumed" };
            let entry = Entry::new(DecisionKind::Operator, format!("an operator has {did} {name}"));
            self.journal.note(self.now, entry.of(name));
        }
    }

    /// What has kept this runner's launches back for its failures is over. EC2's own wish for patience is not.
    fn try_again(&mut self, name: &RunnerName) {
        let Some(runner) = self.runners.get_mut(name) else { return };
        runner.try_again();
        let places = runner.plan.known().map(|plan| plan.places.as_slice()).unwrap_or_default();
        self.cooldowns.forget(places);
    }

    /// Pauses of runners that are no longer configured are over; those of the others hold.
    pub(super) fn orders_for(&mut self, settings: &Settings) {
        self.orders.paused.retain(|name| settings.section(name).is_some());
        for (name, runner) in &mut self.runners {
            runner.paused = self.orders.paused.contains(name);
        }
    }

    /// A listing has shown these first, and shows all that there are.
    pub(super) fn orders_after_listing(&mut self, newcomers: &[Instance]) {
        for Instance { id, .. } in newcomers.iter().filter(|instance| self.orders.drained.contains(&instance.id)) {
            if let Some(worker) = self.fleet.workers.get_mut(id) {
                worker.begin_drain(DrainReason::Requested { force: false }, self.now);
            }
        }
        let workers = &self.fleet.workers;
        self.orders.drained.retain(|id| workers.contains_key(id));
    }
}

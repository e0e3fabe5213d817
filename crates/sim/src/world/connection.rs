//! The manager's connections to the workers: attempts, breaks, and events in order.
//!
//! What one connection carries keeps its order, as on one TCP connection. A connection that is wanted is tried again until the
//! manager lets it go.

use std::time::Duration;

use jiff::Timestamp;

use crate::event_log::Fact;
use crate::rng::Stream;
use runner_fleet_engine::{ConnectionFailure, Event, Goal, RunnerState, Want, WorkerEvent, WorkerId};

use super::agenda::Happening;
use super::{World, later};

/// The agent speaks at least this often.
const REPORT_EVERY: Duration = Duration::from_secs(30);
/// In a lean world so often: a report that says nothing new only keeps the manager from taking a worker for silent, which it
/// does after 75 s.
const LEAN_REPORT_EVERY: Duration = Duration::from_secs(60);
/// A connection on which nothing was heard for two reports is given up.
const SILENCE_MS: (u64, u64) = (60_000, 75_000);

/// How long an order may take to show in a report before it is sent again.
const EFFECT: Duration = Duration::from_secs(30);

/// A goal, and when it was last sent on the present connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Order {
    goal: Goal,
    sent_at: Option<Timestamp>,
}

impl Order {
    fn new(want: &Want) -> Self {
        Self { goal: want.into(), sent_at: None }
    }

    /// Whether a runner in this state is not yet as it should be.
    fn is_open(self, runner: RunnerState) -> bool {
        match self.goal {
            Goal::Serve => runner == RunnerState::Fenced,
            Goal::Fence => matches!(runner, RunnerState::Serving | RunnerState::Absent),
            Goal::Stop => matches!(runner, RunnerState::Fenced | RunnerState::Absent),
            Goal::HardStop => !matches!(runner, RunnerState::Stopping | RunnerState::Stopped | RunnerState::Failed),
        }
    }
}

/// A connection, or the wish for one.
#[derive(Clone, Debug, PartialEq)]
pub struct Connection {
    wanted: bool,
    /// What is wanted of the worker, until it is seen to be so.
    order: Option<Order>,
    up_since: Option<Timestamp>,
    /// Counts connections and attempts; what was under way on an earlier one is lost.
    number: u64,
    /// When the last event arrives: later ones arrive later.
    news_until: Timestamp,
    /// When the last command arrives.
    orders_until: Timestamp,
    /// When the worker last heard a manager; its launch counts.
    heard: Timestamp,
}

impl Connection {
    pub(super) fn new(now: Timestamp) -> Self {
        Self { wanted: false, order: None, up_since: None, number: 0, news_until: now, orders_until: now, heard: now }
    }

    /// Whether the manager and the worker hear each other.
    pub fn is_up(&self) -> bool {
        self.up_since.is_some()
    }

    /// Whether it has been up since this time.
    pub fn is_up_since(&self, at: Timestamp) -> bool {
        self.up_since.is_some_and(|since| since <= at)
    }

    /// Whether there has never been a connection of the present manager.
    pub fn is_fresh(&self) -> bool {
        self.number <= 1 && !self.is_up()
    }

    pub(super) fn is_still(&self, number: u64) -> bool {
        self.is_up() && self.number == number
    }

    pub(super) fn heard_at(&self, now: Timestamp) -> Timestamp {
        if self.is_up() { now } else { self.heard }
    }

    /// Whether the worker is to take no more jobs: then its runner is not started first.
    pub(super) fn lets_it_go(&self) -> bool {
        self.order.is_some_and(|order| order.goal != Goal::Serve)
    }

    fn goes_down(&mut self, now: Timestamp) {
        self.heard = self.heard_at(now);
        self.up_since = None;
        self.number += 1;
        // What was sent may not have arrived.
        if let Some(order) = &mut self.order {
            order.sent_at = None;
        }
    }
}

impl World {
    pub(super) fn connect(&mut self, worker: &WorkerId, want: Option<&Want>) {
        let after = self.rng.millis(Stream::Connection, 100, 600);
        let Some(host) = self.hosts.get_mut(worker) else { return };
        if !host.connection.wanted {
            host.connection.wanted = true;
            host.connection.order = want.map(Order::new);
            host.connection.number += 1;
            let connection = host.connection.number;
            self.log.call("ssh connect");
            self.soon(after, Happening::LinkAttempt { worker: worker.clone(), connection });
        }
    }

    /// The manager wants the connection no more, or is gone.
    pub(super) fn let_link_go(&mut self, worker: &WorkerId) {
        let now = self.now;
        if let Some(host) = self.hosts.get_mut(worker) {
            host.connection.wanted = false;
            host.connection.order = None;
            host.connection.goes_down(now);
        }
    }

    pub(super) fn link_attempt(&mut self, worker: &WorkerId, connection: u64) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(worker) else { return };
        if !host.connection.wanted || host.connection.number != connection || host.connection.is_up() {
            return;
        }
        if host.alive && host.sshd && !host.silent && !host.wrong_key {
            host.connection.up_since = Some(now);
            host.pushed &= host.runner_state != RunnerState::Absent;
            self.event(worker, WorkerEvent::Connected, Duration::ZERO);
            self.tell(worker);
            self.push_configuration(worker);
            self.carry_out(worker);
            self.soon(self.report_every(), Happening::Reports { worker: worker.clone(), connection });
            self.plan_link_break(worker);
            return;
        }
        let (failure, again) = if host.alive && host.sshd && host.wrong_key {
            (ConnectionFailure::WrongHostKey("ssh-ed25519 of somebody else".into()), 10_000)
        } else if host.alive && !host.sshd && !host.silent {
            (ConnectionFailure::Unreachable("connection refused".into()), 2_000)
        } else {
            (ConnectionFailure::Unreachable("connection timed out".into()), 5_000)
        };
        self.event(worker, WorkerEvent::Disconnected(failure), Duration::ZERO);
        let after = self.rng.millis(Stream::Connection, again, again * 2);
        self.soon(after, Happening::LinkAttempt { worker: worker.clone(), connection });
    }

    /// The manager wants something else of a worker than before.
    pub(super) fn want(&mut self, worker: &WorkerId, want: &Want) {
        let what = match want {
            Want::Serve => "unfence",
            Want::Fence { .. } => "fence",
            Want::Stop { .. } => "stop",
            Want::HardStop { .. } => "hard-stop",
        };
        self.note_touch(what, worker, want.reason());
        if matches!(want, Want::Serve | Want::Fence { .. }) {
            self.tell_to_go(worker, *want != Want::Serve);
        }
        if let Some(host) = self.hosts.get_mut(worker) {
            host.connection.order = Some(Order::new(want));
            self.carry_out(worker);
        }
    }

    /// Sends what is wanted, where it was not sent yet or does not show.
    fn carry_out(&mut self, worker: &WorkerId) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.connection.is_up()) else { return };
        let Some(order) = host.connection.order else { return };
        let is_due = match order.sent_at {
            None => true,
            Some(at) => now.duration_since(at).unsigned_abs() >= EFFECT && order.is_open(host.runner_state),
        };
        // Taking the fence down is done once: one that the worker puts up later is its own affair.
        if order.goal == Goal::Serve && order.sent_at.is_some() && !order.is_open(host.runner_state) {
            host.connection.order = None;
        } else if is_due {
            host.connection.order = Some(Order { sent_at: Some(now), ..order });
            self.send(worker, order.goal);
        }
    }

    /// The agent says how things stand, if somebody listens.
    pub(super) fn tell(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get(worker).filter(|host| host.connection.is_up() && host.alive) else { return };
        let report = host.report(self.now);
        self.event(worker, WorkerEvent::Report(Box::new(report)), Duration::ZERO);
    }

    /// The agent says that nothing has changed.
    pub(super) fn beat(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get(worker).filter(|host| host.connection.is_up() && host.alive) else { return };
        let report = host.report(self.now);
        let event = Event::Worker { worker: worker.clone(), event: WorkerEvent::Report(Box::new(report)) };
        // Half of all that happens in a lean world is beats: they take no time, unless they would overtake an event.
        if self.scenario.lean && host.connection.news_until <= self.now {
            return self.hear(self.incarnation, event);
        }
        let (incarnation, at) = self.arrival(worker, Duration::ZERO);
        self.agenda.put(at, Happening::HearBeat { incarnation, event: Box::new(event) });
    }

    fn report_every(&self) -> Duration {
        if self.scenario.lean { LEAN_REPORT_EVERY } else { REPORT_EVERY }
    }

    pub(super) fn reports_again(&mut self, worker: &WorkerId, connection: u64) {
        if self.hosts.get(worker).is_some_and(|host| host.connection.is_still(connection)) {
            self.beat(worker);
            self.carry_out(worker);
            self.soon(self.report_every(), Happening::Reports { worker: worker.clone(), connection });
        }
    }

    /// The connection breaks and both sides notice at once.
    pub(super) fn link_broken(&mut self, worker: &WorkerId, why: &str) {
        let noticed = self.rng.millis(Stream::Connection, 50, 500);
        self.link_lost(worker, why, noticed);
    }

    /// Nothing comes through any more, and the manager notices only by the silence.
    pub(super) fn link_starves(&mut self, worker: &WorkerId) {
        let noticed = self.rng.millis(Stream::Connection, SILENCE_MS.0, SILENCE_MS.1);
        self.link_lost(worker, "nothing heard for 60 s", noticed);
    }

    fn link_lost(&mut self, worker: &WorkerId, why: &str, noticed: Duration) {
        let now = self.now;
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.connection.is_up()) else { return };
        host.connection.goes_down(now);
        let connection = host.connection.number;
        self.event(worker, WorkerEvent::Disconnected(ConnectionFailure::Unreachable(why.to_owned())), noticed);
        let after = noticed + self.rng.millis(Stream::Connection, 1_000, 3_000);
        self.soon(after, Happening::LinkAttempt { worker: worker.clone(), connection });
    }

    fn plan_link_break(&mut self, worker: &WorkerId) {
        if self.is_calm() {
            return;
        }
        if let Some(after) = self.rng.until_next(Stream::Connection, self.scenario.faults.breaks_per_hour) {
            self.soon(after, Happening::LinkBreaks(worker.clone()));
        }
    }

    pub(super) fn link_breaks(&mut self, worker: &WorkerId) {
        if !self.is_calm() && self.hosts.get(worker).is_some_and(|host| host.connection.is_up()) {
            self.log.note(self.now, Fact::Fault("a connection breaks", Some(worker.clone())));
            self.link_broken(worker, "connection reset by peer");
        }
    }

    /// Events set out now and arrive after all earlier ones of this connection.
    fn event(&mut self, worker: &WorkerId, event: WorkerEvent, after: Duration) {
        if !self.hosts.contains_key(worker) {
            return;
        }
        let (incarnation, at) = self.arrival(worker, after);
        let event = Box::new(Event::Worker { worker: worker.clone(), event });
        self.agenda.put(at, Happening::Hear { incarnation, event });
    }

    /// When an event that sets out now arrives, and at which of the manager's lives.
    fn arrival(&mut self, worker: &WorkerId, after: Duration) -> (u32, Timestamp) {
        let mut after = after + self.rng.millis(Stream::Connection, 20, 150);
        if self.strikes(Stream::Connection, |faults| faults.answer_late) {
            after += self.rng.millis(Stream::Connection, 500, 10_000);
        }
        let at = later(self.now, after);
        let at = self.hosts.get_mut(worker).map_or(at, |host| {
            host.connection.news_until = host.connection.news_until.max(at);
            host.connection.news_until
        });
        (self.incarnation, at)
    }

    /// Which connection an order that sets out now uses, and when it arrives; none where no connection is up.
    pub(super) fn reserve_link(&mut self, worker: &WorkerId, after: Duration) -> Option<(u64, Timestamp)> {
        let now = self.now;
        let connection =
            self.hosts.get_mut(worker).map(|host| &mut host.connection).filter(|connection| connection.is_up())?;
        connection.orders_until = connection.orders_until.max(later(now, after));
        Some((connection.number, connection.orders_until))
    }
}

//! What a worker's agent is told, and how its runner takes that.

use crate::rng::Stream;
use runner_fleet_engine::{Goal, RunnerState, WorkerId};

use super::World;
use super::agenda::Happening;
use super::host::{LONG_POLL_SECONDS, Lie};

impl World {
    /// A word sets out on the connection that is up now. A runner reads its configuration again every 3 s.
    pub(super) fn send(&mut self, worker: &WorkerId, goal: Goal) {
        let longest = match goal {
            Goal::Serve | Goal::Fence => 3_000,
            Goal::Stop | Goal::HardStop => 1_000,
        };
        let after = self.rng.millis(Stream::Connection, 100, longest);
        if let Some((connection, at)) = self.reserve_link(worker, after) {
            self.agenda.put(at, Happening::Told { worker: worker.clone(), connection, goal });
        }
    }

    /// It arrives, if the connection is still the same.
    pub(super) fn told(&mut self, worker: &WorkerId, connection: u64, goal: Goal) {
        let host = self.hosts.get(worker);
        if !host.is_some_and(|host| host.alive && host.connection.is_still(connection)) {
            return;
        }
        match goal {
            Goal::Serve => self.unfences(worker),
            Goal::Fence => self.fences(worker),
            Goal::Stop => self.stops(worker),
            Goal::HardStop => self.stops_hard(worker),
        }
        self.tell(worker);
    }

    /// The runner asks for no more jobs; a request that is open goes on for its time.
    pub(super) fn fences(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        host.fence_wanted = true;
        if host.runner_state != RunnerState::Serving || host.lie == Some(Lie::NeverFences) {
            return;
        }
        host.runner_state = RunnerState::Fenced;
        if let Some(request) = host.request {
            let rest = self.rng.millis(Stream::Jobs, 0, LONG_POLL_SECONDS * 1_000);
            self.soon(rest, Happening::RequestEnds { worker: worker.clone(), request: request.number });
        }
    }

    fn unfences(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        host.fence_wanted = false;
        if host.runner_state == RunnerState::Fenced {
            host.runner_state = RunnerState::Serving;
            self.runner_asks(worker);
        }
    }

    /// The agent stops the runner only if it is fenced and empty; otherwise it just says how things stand.
    fn stops(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        match host.runner_state {
            RunnerState::Fenced if host.lie == Some(Lie::IgnoresStop) => {}
            RunnerState::Fenced if host.jobs.is_empty() && host.request.is_none() => {
                host.runner_state = RunnerState::Stopping;
                self.exits_when_empty(worker);
            }
            RunnerState::Absent => host.runner_state = RunnerState::Stopped,
            RunnerState::Fenced
            | RunnerState::Serving
            | RunnerState::Stopping
            | RunnerState::Stopped
            | RunnerState::Failed => {}
        }
    }

    /// The runner asks for no more jobs, finishes those that it has, and exits; one that hangs is killed.
    fn stops_hard(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get_mut(worker) else { return };
        match host.runner_state {
            RunnerState::Serving | RunnerState::Fenced if host.lie != Some(Lie::IgnoresStop) => {
                host.runner_state = RunnerState::Stopping;
                host.request = host.request.filter(|request| request.brings.is_some());
                self.exits_when_empty(worker);
            }
            RunnerState::Absent => host.runner_state = RunnerState::Stopped,
            RunnerState::Serving
            | RunnerState::Fenced
            | RunnerState::Stopping
            | RunnerState::Stopped
            | RunnerState::Failed => {}
        }
    }

    /// A runner that was told to stop, and has no job (any more), is about to exit.
    pub(super) fn exits_when_empty(&mut self, worker: &WorkerId) {
        let Some(host) = self.hosts.get(worker) else { return };
        let exits =
            host.runner_state == RunnerState::Stopping && host.jobs.is_empty() && host.lie != Some(Lie::NeverStops);
        if exits {
            let after = self.rng.millis(Stream::Jobs, 200, 2_000);
            self.soon(after, Happening::Stopped(worker.clone()));
        }
    }

    pub(super) fn runner_stopped(&mut self, worker: &WorkerId) {
        if let Some(host) = self.hosts.get_mut(worker)
            && host.runner_state == RunnerState::Stopping
            && host.jobs.is_empty()
        {
            host.runner_state = RunnerState::Stopped;
            self.tell(worker);
        }
    }
}

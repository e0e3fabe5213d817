//! What a worker's agent is told, and how its runner takes that.

use crate::rng::Stream;
use runner_fleet_engine::{RunnerState, WorkerId};

use super::World;
use super::agenda::Happening;
use super::host::{LONG_POLL_SECONDS, Lie};

impl World {
    /// A fence or its withdrawal sets out on the connection that is up now.
    pub(super) fn send_fence(&mut self, worker: &WorkerId, fence: bool) {
        let after = self.rng.millis(Stream::Connection, 100, 3_000);
        if let Some((connection, at)) = self.reserve_link(worker, after) {
            self.agenda.put(at, Happening::FenceRead { worker: worker.clone(), connection, fence });
        }
    }

    pub(super) fn fence_read(&mut self, worker: &WorkerId, connection: u64, fence: bool) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive && host.connection.is_still(connection))
        else {
            return;
        };
        host.fence_wanted = fence;
        match (host.runner_state, fence) {
            (RunnerState::Serving, true) if host.lie == Some(Lie::NeverFences) => {}
            (RunnerState::Serving, true) => {
                host.runner_state = RunnerState::Fenced;
                if let Some(request) = host.request {
                    let rest = self.rng.millis(Stream::Jobs, 0, LONG_POLL_SECONDS * 1_000);
                    self.soon(rest, Happening::RequestEnds { worker: worker.clone(), request: request.number });
                }
            }
            (RunnerState::Fenced, false) => {
                host.runner_state = RunnerState::Serving;
                self.runner_asks(worker);
            }
            (
                RunnerState::Absent
                | RunnerState::Serving
                | RunnerState::Fenced
                | RunnerState::Stopping
                | RunnerState::Stopped
                | RunnerState::Failed,
                _,
            ) => {}
        }
        self.tell(worker);
    }

    pub(super) fn send_stop(&mut self, worker: &WorkerId) {
        let after = self.rng.millis(Stream::Connection, 100, 1_000);
        if let Some((connection, at)) = self.reserve_link(worker, after) {
            self.agenda.put(at, Happening::StopRead { worker: worker.clone(), connection });
        }
    }

    /// The agent stops the runner only if it is fenced and empty; otherwise it just says how things stand.
    pub(super) fn stop_read(&mut self, worker: &WorkerId, connection: u64) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive && host.connection.is_still(connection))
        else {
            return;
        };
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
        self.tell(worker);
    }

    /// A hard stop sets out on the connection that is up now.
    pub(super) fn send_hard_stop(&mut self, worker: &WorkerId) {
        let after = self.rng.millis(Stream::Connection, 100, 1_000);
        if let Some((connection, at)) = self.reserve_link(worker, after) {
            self.agenda.put(at, Happening::HardStopRead { worker: worker.clone(), connection });
        }
    }

    /// The runner asks for no more jobs, finishes those that it has, and exits; one that hangs is killed.
    pub(super) fn hard_stop_read(&mut self, worker: &WorkerId, connection: u64) {
        let Some(host) = self.hosts.get_mut(worker).filter(|host| host.alive && host.connection.is_still(connection))
        else {
            return;
        };
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
        self.tell(worker);
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

//! A connection's events on their way to the engine.
//!
//! The engine's channel is bounded. When it is full, a connection keeps what matters (the latest state of the connection and
//! the latest report, each of which tells everything) and hands it over as soon as there is room: nothing is lost that
//! a level-triggered engine would miss, nothing grows, and the connection goes on listening to its worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use runner_fleet_engine::{Event, Report, WorkerEvent, WorkerId};

/// The events of one worker.
#[derive(Debug)]
pub(super) struct Outbox {
    worker: WorkerId,
    events: mpsc::Sender<Event>,
    waiting: Mutex<Waiting>,
    filled: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Up or down.
    state: Option<WorkerEvent>,
    /// Of the connection as `state` left it.
    report: Option<Box<Report>>,
}

impl Waiting {
    fn take(&mut self) -> Option<WorkerEvent> {
        self.state.take().or_else(|| self.report.take().map(WorkerEvent::Report))
    }

    fn put(&mut self, event: WorkerEvent) {
        match event {
            WorkerEvent::Report(report) => self.report = Some(report),
            WorkerEvent::Connected | WorkerEvent::NoAgent | WorkerEvent::Disconnected(_) => {
                *self = Self { state: Some(event), report: None }
            }
        }
    }

    fn is_empty(&self) -> bool {
        self.state.is_none() && self.report.is_none()
    }
}

impl Outbox {
    pub(super) fn new(worker: WorkerId, events: mpsc::Sender<Event>) -> Self {
        Self { worker, events, waiting: Mutex::default(), filled: Notify::new() }
    }

    /// Never waits.
    pub(super) fn post(&self, event: WorkerEvent) {
        let mut waiting = self.lock();
        if waiting.is_empty()
            && let Ok(room) = self.events.try_reserve()
        {
            room.send(self.event(event));
            return;
        }
        waiting.put(event);
        self.filled.notify_one();
    }

    /// Hands over what has been kept; ends only when nobody listens any more.
    pub(super) async fn deliver(&self) {
        loop {
            self.filled.notified().await;
            while !self.lock().is_empty() {
                let Ok(room) = self.events.reserve().await else { return };
                if let Some(event) = self.lock().take() {
                    room.send(self.event(event));
                }
            }
        }
    }

    fn event(&self, event: WorkerEvent) -> Event {
        Event::Worker { worker: self.worker.clone(), event }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::command_queue::tests::report;
    use super::*;
    use runner_fleet_engine::{ConnectionFailure, RunnerState};

    fn outbox(room: usize) -> (Outbox, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(room);
        (Outbox::new(WorkerId::new("i-1"), sender), receiver)
    }

    fn said(jobs: u32) -> WorkerEvent {
        let mut report = report(RunnerState::Serving);
        report.jobs_by_metrics = jobs;
        WorkerEvent::Report(Box::new(report))
    }

    fn event(event: Event) -> WorkerEvent {
        match event {
            Event::Worker { event, .. } => event,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn with_room_everything_arrives_in_order() {
        let (outbox, mut events) = outbox(3);
        for item in [WorkerEvent::Connected, said(1), said(2)] {
            outbox.post(item.clone());
            assert_eq!(event(events.recv().await.unwrap()), item);
        }
    }

    #[tokio::test]
    async fn a_full_channel_keeps_the_latest_and_every_end_state() {
        let (outbox, mut events) = outbox(1);
        outbox.post(WorkerEvent::Connected);
        for item in [
            said(1),
            WorkerEvent::Disconnected(ConnectionFailure::Unreachable("cut".into())),
            WorkerEvent::Connected,
            said(2),
            said(3),
        ] {
            outbox.post(item);
        }

        let seen = async {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.push(event(events.recv().await.unwrap()));
            }
            seen
        };
        let seen = tokio::select! {
            seen = seen => seen,
            () = outbox.deliver() => panic!("the delivery has ended"),
            () = tokio::time::sleep(std::time::Duration::from_secs(20)) => panic!("nothing was delivered"),
        };

        assert_eq!(seen, [WorkerEvent::Connected, WorkerEvent::Connected, said(3)]);
        assert!(events.try_recv().is_err());
    }

    #[tokio::test]
    async fn nobody_listening_ends_the_delivery() {
        let (outbox, events) = outbox(1);
        drop(events);
        outbox.post(WorkerEvent::Connected);
        outbox.deliver().await;
    }
}

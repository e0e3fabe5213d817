//! A link's news on their way to the engine.
//!
//! The engine's channel is bounded. When it is full, a link keeps what matters (the latest state of the connection and
//! the latest report, each of which tells everything) and hands it over as soon as there is room: nothing is lost that
//! a level-triggered engine would miss, nothing grows, and the link goes on listening to its worker.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, mpsc};

use runner_fleet_engine::{Event, LinkNews, Report, WorkerId};

/// The news of one worker.
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
    state: Option<LinkNews>,
    /// Of the connection as `state` left it.
    report: Option<Box<Report>>,
}

impl Waiting {
    fn take(&mut self) -> Option<LinkNews> {
        self.state.take().or_else(|| self.report.take().map(LinkNews::Report))
    }

    fn put(&mut self, news: LinkNews) {
        match news {
            LinkNews::Report(report) => self.report = Some(report),
            LinkNews::Up | LinkNews::NoAgent | LinkNews::Down(_) => *self = Self { state: Some(news), report: None },
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
    pub(super) fn post(&self, news: LinkNews) {
        let mut waiting = self.lock();
        if waiting.is_empty()
            && let Ok(room) = self.events.try_reserve()
        {
            room.send(self.event(news));
            return;
        }
        waiting.put(news);
        self.filled.notify_one();
    }

    /// Hands over what has been kept; ends only when nobody listens any more.
    pub(super) async fn deliver(&self) {
        loop {
            self.filled.notified().await;
            while !self.lock().is_empty() {
                let Ok(room) = self.events.reserve().await else { return };
                if let Some(news) = self.lock().take() {
                    room.send(self.event(news));
                }
            }
        }
    }

    fn event(&self, news: LinkNews) -> Event {
        Event::Link { worker: self.worker.clone(), news }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::super::agenda::tests::report;
    use super::*;
    use runner_fleet_engine::{LinkFailure, RunnerState};

    fn outbox(room: usize) -> (Outbox, mpsc::Receiver<Event>) {
        let (sender, receiver) = mpsc::channel(room);
        (Outbox::new(WorkerId::new("i-1"), sender), receiver)
    }

    fn said(jobs: u32) -> LinkNews {
        let mut report = report(RunnerState::Serving);
        report.jobs_by_metrics = jobs;
        LinkNews::Report(Box::new(report))
    }

    fn news(event: Event) -> LinkNews {
        match event {
            Event::Link { news, .. } => news,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn with_room_everything_arrives_in_order() {
        let (outbox, mut events) = outbox(3);
        for item in [LinkNews::Up, said(1), said(2)] {
            outbox.post(item.clone());
            assert_eq!(news(events.recv().await.unwrap()), item);
        }
    }

    #[tokio::test]
    async fn a_full_channel_keeps_the_latest_and_every_end_state() {
        let (outbox, mut events) = outbox(1);
        outbox.post(LinkNews::Up);
        for item in [said(1), LinkNews::Down(LinkFailure::Unreachable("cut".into())), LinkNews::Up, said(2), said(3)] {
            outbox.post(item);
        }

        let seen = async {
            let mut seen = Vec::new();
            for _ in 0..3 {
                seen.push(news(events.recv().await.unwrap()));
            }
            seen
        };
        let seen = tokio::select! {
            seen = seen => seen,
            () = outbox.deliver() => panic!("the delivery has ended"),
            () = tokio::time::sleep(std::time::Duration::from_secs(20)) => panic!("nothing was delivered"),
        };

        assert_eq!(seen, [LinkNews::Up, LinkNews::Up, said(3)]);
        assert!(events.try_recv().is_err());
    }

    #[tokio::test]
    async fn nobody_listening_ends_the_delivery() {
        let (outbox, events) = outbox(1);
        drop(events);
        outbox.post(LinkNews::Up);
        outbox.deliver().await;
    }
}

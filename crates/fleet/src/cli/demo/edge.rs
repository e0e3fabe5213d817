//! The world behind the live driver: commands go straight into it, and it lets time pass with the driver's clock.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Notify, mpsc};

use runner_fleet_engine::{Command, Event};
use runner_fleet_sim::World;

use crate::live::clock::Clock;
use crate::live::edge::Edge;

/// The longest time that the world sleeps (on the clock): a new command wakes it anyway.
const NAP_MAX: Duration = Duration::from_secs(60);

/// A world that several tasks may look at.
#[derive(Clone, Debug)]
pub(super) struct SharedWorld {
    world: Arc<Mutex<World>>,
    changed: Arc<Notify>,
}

impl SharedWorld {
    /// Shares it; the manager starts now.
    pub(super) fn start(mut world: World, now: Timestamp) -> Self {
        world.manager_starts(now);
        Self { world: Arc::new(Mutex::new(world)), changed: Arc::new(Notify::new()) }
    }

    /// To look at it, or to change it, for a moment.
    pub(super) fn lock(&self) -> MutexGuard<'_, World> {
        // A task that panicked in the middle of a change has ended the program's sense anyway.
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets time pass with the clock, and sends what the manager hears; until nobody listens any more.
    pub(super) async fn live(self, clock: Clock, events: mpsc::Sender<Event>) {
        loop {
            let (heard, next) = {
                let mut world = self.lock();
                let heard = world.advance_to(clock.now());
                (heard, world.next_at())
            };
            for event in heard {
                if events.send(event).await.is_err() {
                    return;
                }
            }
            let nap = next.map_or(NAP_MAX, |at| {
                Duration::try_from(at.duration_since(clock.now())).unwrap_or_default().min(NAP_MAX)
            });
            tokio::select! {
                () = clock.sleep(nap) => {}
                () = self.changed.notified() => {}
                () = events.closed() => return,
            }
        }
    }
}

/// The driver's edge to a shared world.
#[derive(Clone, Debug)]
pub(super) struct SimEdge {
    world: SharedWorld,
}

impl SimEdge {
    /// Opens it.
    pub(super) fn new(world: SharedWorld) -> Self {
        Self { world }
    }
}

impl Edge for SimEdge {
    fn execute(&mut self, now: Timestamp, command: Command) {
        self.world.lock().apply(now, &command);
        self.world.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runner_fleet_sim::Scenario;

    #[tokio::test]
    async fn commands_go_in_and_answers_come_out_as_the_clock_passes() {
        let clock = Clock::faster(100.0);
        let world = SharedWorld::start(World::new(Scenario::new(clock.now()), 1), clock.now());
        let (events, mut heard) = mpsc::channel(64);
        let life = tokio::spawn(world.clone().live(clock, events));

        SimEdge::new(world).execute(clock.now(), Command::ListInstances { with_health: false });

        let answer = async {
            loop {
                if let Some(Event::Instances { listing, .. }) = heard.recv().await {
                    return listing;
                }
            }
        };
        let listing = tokio::time::timeout(Duration::from_secs(30), answer).await.expect("no answer within 30 s");
        assert_eq!(listing, Ok(Vec::new()));
        drop(heard);
        tokio::time::timeout(Duration::from_secs(30), life).await.expect("a world that nobody hears lives on").unwrap();
    }
}

//! A worker that does not obey costs its own connection, and no other: beside every one of them a healthy worker is
//! configured, commanded and heard.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use runner_fleet::live::clock::Clock;
use runner_fleet::live::connection::{Connections, Dial, HostKeys, Provision, Provisioner, Timeouts, Wire};
use runner_fleet::ssh::ManagerKey;
use runner_fleet_engine::{
    ConnectionFailure, Disobedience, DrainReason, Event, RunnerName, RunnerState, Want, WorkerEvent, WorkerId,
};
use secrecy::SecretString;
use tokio::sync::mpsc;

use super::agent::{Say, Told, Worker, line};
use super::connections::{SECRET, quick, this_runner};
use super::server::{Manner, manager_key, soon};

const HOSTILE: &str = "i-hostile";
const HEALTHY: &str = "i-healthy";

/// Two workers of one manager.
struct Pair {
    hostile: (Worker, Told),
    healthy: (Worker, Told),
    connections: Connections,
    events: mpsc::Receiver<Event>,
}

#[derive(Clone)]
struct Street([Worker; 2]);

impl Dial for Street {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        let [hostile, healthy] = &self.0;
        if address.ip() == at(HOSTILE) { hostile.dial(address) } else { healthy.dial(address) }
    }
}

fn at(worker: &str) -> std::net::IpAddr {
    if worker == HOSTILE { [10, 0, 0, 1].into() } else { [10, 0, 0, 2].into() }
}

struct Shelf(ManagerKey);

impl Provisioner for Shelf {
    fn provision(&self, _: &RunnerName, _: &WorkerId) -> Result<Provision, String> {
        Ok(Provision {
            user: "admin".into(),
            port: 22,
            host_keys: HostKeys { own_public: self.0.host_key("test").public_openssh, first_contact: None },
            bundle: SecretString::from(SECRET),
        })
    }
}

fn want(kind: fn(DrainReason) -> Want) -> Want {
    kind(DrainReason::Paused)
}

impl Pair {
    /// Both are connected to; the hostile one first.
    fn new(says: Say, manner: Manner, timeouts: Timeouts) -> Self {
        let manager = manager_key();
        let (hostile, healthy) = (Worker::new(&manager, says), Worker::new(&manager, Say::Runner("absent")));
        hostile.0.behaves(manner);
        let says = healthy.0.says.clone();
        tokio::spawn(async move {
            loop {
                tokio::time::sleep(Duration::from_millis(200)).await;
                says.send_modify(|_| {});
            }
        });
        let (sender, events) = mpsc::channel(10_000);
        let street = Arc::new(Street([hostile.0.clone(), healthy.0.clone()]));
        let shelf = Arc::new(Shelf(manager.clone()));
        let mut connections = Connections::with(sender, Clock::real(), Arc::new(manager), shelf, street, timeouts);
        for worker in [HOSTILE, HEALTHY] {
            connections.connect(WorkerId::new(worker), this_runner(), at(worker), None);
        }
        Self { hostile, healthy, connections, events }
    }

    /// The next event of this worker; those of the other are passed over.
    async fn of(&mut self, of: &str) -> WorkerEvent {
        soon("an event", async {
            loop {
                match self.events.recv().await.unwrap() {
                    Event::Worker { worker, event } if worker.as_str() == of => return event,
                    Event::Worker { .. } => {}
                    other => panic!("{other:?}"),
                }
            }
        })
        .await
    }

    async fn is_down(&mut self) -> ConnectionFailure {
        loop {
            if let WorkerEvent::Disconnected(failure) = self.of(HOSTILE).await {
                return failure;
            }
        }
    }

    async fn healthy_reports(&mut self, state: RunnerState) {
        loop {
            match self.of(HEALTHY).await {
                WorkerEvent::Report(report) if report.runner == state => return,
                WorkerEvent::Report(_) | WorkerEvent::Connected => {}
                other => panic!("the healthy one: {other:?}"),
            }
        }
    }

    /// The healthy one is configured, fenced and heard, and nothing else was ever told to it.
    async fn healthy_is_served(&mut self) {
        assert_eq!(self.healthy.1.next().await, format!("configure {SECRET}"));
        self.healthy_reports(RunnerState::Serving).await;
        self.connections.want(&WorkerId::new(HEALTHY), &want(|reason| Want::Fence { reason }));
        assert_eq!(self.healthy.1.next().await, "fence");
        self.healthy_reports(RunnerState::Fenced).await;
        assert!(self.healthy.1.is_silent());
    }
}

/// For those that hang; a healthy one says something ten times as often.
fn hurried() -> Timeouts {
    let mut timeouts = quick();
    timeouts.ssh.open = Duration::from_secs(2);
    timeouts.silence = Duration::from_secs(2);
    timeouts
}

#[tokio::test]
async fn one_that_lets_us_in_and_then_hangs_is_down() {
    for manner in [Manner::IgnoresChannels, Manner::IgnoresCommands] {
        let mut pair = Pair::new(Say::Runner("absent"), manner, hurried());
        let failure = pair.is_down().await;
        assert!(matches!(failure, ConnectionFailure::Unreachable(_)), "{manner:?}: {failure:?}");
        pair.healthy_is_served().await;
        assert!(pair.hostile.1.is_silent(), "{manner:?}");

        // And it may come to its senses.
        pair.hostile.0.behaves(Manner::Obeys);
        assert_eq!(pair.hostile.1.next().await, format!("configure {SECRET}"));
    }
}

#[tokio::test]
async fn one_that_refuses_every_command_is_refused() {
    for manner in [Manner::RefusesChannels, Manner::RefusesCommands] {
        let mut pair = Pair::new(Say::Runner("absent"), manner, hurried());
        let failure = pair.is_down().await;
        assert!(matches!(failure, ConnectionFailure::Refused(_)), "{manner:?}: {failure:?}");
        pair.healthy_is_served().await;
        assert!(pair.hostile.1.is_silent(), "{manner:?}");
    }
}

#[tokio::test]
async fn one_that_says_nothing_is_down() {
    let mut pair = Pair::new(Say::Nothing, Manner::Obeys, hurried());
    let failure = pair.is_down().await;
    assert!(matches!(failure, ConnectionFailure::Unreachable(_)), "{failure:?}");
    pair.healthy_is_served().await;
    assert!(pair.hostile.1.is_silent());
}

/// A million lines: it is read at our pace, has to wait, and is still told what it is to do.
#[tokio::test]
async fn a_flood_of_reports_is_read_at_our_pace() {
    let flood = Say::Flood(line("serving"));
    let report_pause = Timeouts::default().report_pause;
    let mut pair = Pair::new(flood, Manner::Obeys, Timeouts { report_pause, ..quick() });
    pair.healthy_is_served().await;
    pair.connections.want(&WorkerId::new(HOSTILE), &want(|reason| Want::Fence { reason }));
    assert_eq!(pair.hostile.1.next().await, "fence");
    let taken = pair.hostile.0.flooded();
    assert!(taken < 10_000, "{taken} lines were taken from it");
}

#[tokio::test]
async fn a_line_without_an_end_ends_the_connection() {
    let mut pair = Pair::new(Say::Flood("x".repeat(1000)), Manner::Obeys, quick());
    let failure = pair.is_down().await;
    assert!(matches!(&failure, ConnectionFailure::Refused(why) if why.contains("longer than")), "{failure:?}");
    assert!(pair.hostile.0.flooded() < 2000, "it was read on");
    pair.healthy_is_served().await;
    assert!(pair.hostile.1.is_silent());
}

/// It says that it has stopped, and goes on: it is told again, as often as the effect may take, and its neighbour is not.
#[tokio::test]
async fn a_stop_that_was_answered_and_ignored_is_told_again() {
    let command_effect = Duration::from_secs(1);
    let mut pair = Pair::new(Say::Runner("fenced"), Manner::Obeys, Timeouts { command_effect, ..quick() });
    pair.hostile.0.ignores_stops();
    pair.connections.want(&WorkerId::new(HOSTILE), &want(|reason| Want::Stop { reason }));
    for _ in 0..3 {
        assert_eq!(pair.hostile.1.next().await, "stop");
    }
    pair.connections.want(
        &WorkerId::new(HOSTILE),
        &Want::HardStop { reason: Disobedience::StopFailed { after: Duration::from_secs(120) } },
    );
    while pair.hostile.1.next().await != "hard-stop" {}
    pair.healthy_is_served().await;
}

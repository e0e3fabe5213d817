//! A connection against a worker in memory: what the engine is told, and what the worker is told.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use runner_fleet::live::clock::Clock;
use runner_fleet::live::connection::{Connections, Dial, HostKeys, Provision, Provisioner, Timeouts, Wire};
use runner_fleet::ssh::ManagerKey;
use runner_fleet_engine::backoff::Doubling;
use runner_fleet_engine::{
    ConnectionFailure, DrainReason, Event, RunnerName, RunnerState, Want, WorkerEvent, WorkerId,
};
use russh::keys::Algorithm;
use secrecy::SecretString;
use tokio::io::DuplexStream;
use tokio::sync::mpsc;
use tracing::Level;

use super::agent::{Say, Told, Worker, line};
use super::server::{manager_key, soon, stranger};
use crate::log::Log;

/// The second byte of addresses where machines hang.
const HUNG: u8 = 99;

pub(super) const SECRET: &str = "token = \"glrt-0123456789\"";

/// One connection, its worker, and what the engine hears.
pub(super) struct World {
    pub(super) manager: Arc<ManagerKey>,
    pub(super) worker: Worker,
    pub(super) told: Told,
    events: mpsc::Receiver<Event>,
    pub(super) connections: Connections,
    pub(super) provision: Arc<Mutex<Result<Provision, String>>>,
    /// The far ends of connections to machines that take them and never say a word.
    hung: Arc<Mutex<Vec<DuplexStream>>>,
}

/// The worker's address, and many of machines that hang.
struct Street {
    worker: Worker,
    hung: Arc<Mutex<Vec<DuplexStream>>>,
}

impl Dial for Street {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        if !matches!(address.ip(), IpAddr::V4(ip) if ip.octets()[1] == HUNG) {
            return self.worker.dial(address);
        }
        let (near, far) = tokio::io::duplex(1024);
        self.hung.lock().unwrap().push(far);
        Box::pin(async move { Ok(Box::new(near) as Box<dyn Wire>) })
    }
}

struct Shelf(Arc<Mutex<Result<Provision, String>>>);

impl Provisioner for Shelf {
    fn provision(&self, runner: &RunnerName, _: &WorkerId) -> Result<Provision, String> {
        assert_eq!(*runner, this_runner());
        self.0.lock().unwrap().clone()
    }
}

fn fence() -> Want {
    Want::Fence { reason: DrainReason::Paused }
}

fn stop() -> Want {
    Want::Stop { reason: DrainReason::Paused }
}

pub(super) fn this_worker() -> WorkerId {
    WorkerId::new("i-1")
}

pub(super) fn this_runner() -> RunnerName {
    RunnerName::new("graviton-spot")
}

/// The real proportions, a hundred times as fast; silence is not tested by accident.
pub(super) fn quick() -> Timeouts {
    let ms = Duration::from_millis;
    Timeouts {
        eager_pause: ms(5),
        backoff: Doubling { first: ms(5), longest: ms(100) },
        heartbeat: ms(50),
        report_pause: ms(1),
        agent_missing: ms(5),
        command_retry: Doubling { first: ms(5), longest: ms(100) },
        ..Timeouts::default()
    }
}

impl World {
    pub(super) fn new(says: Say) -> Self {
        Self::with(says, quick(), 100)
    }

    fn with(says: Say, timeouts: Timeouts, room: usize) -> Self {
        let manager = Arc::new(manager_key());
        let (worker, told) = Worker::new(&manager, says);
        let provision = Arc::new(Mutex::new(Ok(Provision {
            user: "admin".into(),
            port: 22,
            host_keys: HostKeys { own_public: manager.host_key("test").public_openssh, first_contact: None },
            bundle: SecretString::from(SECRET),
        })));
        let hung = Arc::default();
        let (sender, events) = mpsc::channel(room);
        let shelf = Arc::new(Shelf(Arc::clone(&provision)));
        let dialer = Arc::new(Street { worker: worker.clone(), hung: Arc::clone(&hung) });
        let connections = Connections::with(sender, Clock::real(), Arc::clone(&manager), shelf, dialer, timeouts);
        Self { manager, worker, told, events, connections, provision, hung }
    }

    pub(super) fn connect(&mut self) {
        self.connections.connect(this_worker(), this_runner(), [10, 0, 0, 1].into(), None);
    }

    pub(super) async fn event(&mut self) -> WorkerEvent {
        match soon("event", self.events.recv()).await.unwrap() {
            Event::Worker { worker, event } => {
                assert_eq!(worker, this_worker());
                event
            }
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a report with this state, and fails at anything but reports on the way.
    pub(super) async fn reported(&mut self, state: RunnerState) {
        loop {
            match self.event().await {
                WorkerEvent::Report(report) if report.runner == state => return,
                WorkerEvent::Report(_) | WorkerEvent::NoAgent => {}
                other => panic!("{other:?} instead of a report of {state:?}"),
            }
        }
    }

    pub(super) async fn up(&mut self) {
        assert_eq!(self.event().await, WorkerEvent::Connected);
    }

    /// Down, however often it has been up before.
    pub(super) async fn down_after_up(&mut self) -> ConnectionFailure {
        loop {
            if let WorkerEvent::Disconnected(failure) = self.event().await {
                return failure;
            }
        }
    }

    pub(super) async fn down(&mut self) -> ConnectionFailure {
        loop {
            match self.event().await {
                WorkerEvent::Disconnected(failure) => return failure,
                WorkerEvent::Report(_) | WorkerEvent::NoAgent => {}
                WorkerEvent::Connected => panic!("up instead of down"),
            }
        }
    }

    /// Looks around: nothing more was said or told, and everything ends at once.
    pub(super) async fn ends(mut self) {
        assert!(self.told.is_silent(), "the worker was told more");
        let Self { connections, mut events, .. } = self;
        soon("the shutdown", connections.shutdown()).await;
        while let Ok(event) = events.try_recv() {
            assert!(matches!(event, Event::Worker { event: WorkerEvent::Report(_), .. }), "{event:?}");
        }
        assert!(events.recv().await.is_none(), "a task is left");
    }
}

#[tokio::test]
async fn a_late_sshd_is_configured_once_and_serves() {
    let mut world = World::new(Say::Runner("absent"));
    world.worker.refusals.store(5, Ordering::Relaxed);
    world.connect();
    world.connect(); // the engine may repeat itself

    assert!(matches!(world.down().await, ConnectionFailure::Unreachable(_)), "told once, not for every attempt");
    world.up().await;
    world.reported(RunnerState::Absent).await;
    assert_eq!(world.told.next().await, format!("configure {SECRET}"));
    world.reported(RunnerState::Serving).await;
    world.worker.says.send_modify(|_| {}); // the same again
    world.reported(RunnerState::Serving).await;

    world.ends().await;
}

#[tokio::test]
async fn an_agent_not_written_yet_is_awaited() {
    let mut world = World::new(Say::Runner("serving"));
    world.worker.missing.store(5, Ordering::Relaxed);
    world.connect();

    world.up().await;
    world.reported(RunnerState::Serving).await;

    assert_eq!(world.worker.missing.load(Ordering::Relaxed), 0);
    world.ends().await;
}

#[tokio::test]
async fn an_agent_that_never_comes_is_told_in_the_end() {
    let mut world = World::with(Say::Nothing, Timeouts { silence: Duration::from_millis(50), ..quick() }, 100);
    world.worker.missing.store(usize::MAX, Ordering::Relaxed);
    world.connect();

    world.up().await;

    let ConnectionFailure::Refused(why) = world.down().await else { panic!("another failure") };
    assert!(why.contains("no agent"), "{why}");
}

#[tokio::test]
async fn wishes_reach_the_agent_and_their_effect_is_reported() {
    let mut world = World::new(Say::Runner("serving"));
    world.connect();
    world.up().await;
    world.reported(RunnerState::Serving).await;

    let steps = [
        (fence(), "fence", RunnerState::Fenced),
        (Want::Serve, "unfence", RunnerState::Serving),
        (stop(), "stop", RunnerState::Stopped),
    ];
    for (want, command, state) in steps {
        for _ in 0..3 {
            world.connections.want(&this_worker(), &want);
        }
        assert_eq!(world.told.next().await, command);
        world.reported(state).await;
    }

    world.connections.want(&WorkerId::new("i-unknown"), &fence());
    world.ends().await;
}

#[tokio::test]
async fn a_wish_before_the_connection_comes_first() {
    let mut world = World::new(Say::Runner("absent"));
    world.worker.refusals.store(2, Ordering::Relaxed);
    world.connect();
    world.connections.want(&this_worker(), &fence());

    assert_eq!(world.told.next().await, "fence");
    world.down().await;
    world.up().await;
    world.reported(RunnerState::Fenced).await;

    world.ends().await;
}

#[tokio::test]
async fn another_address_is_connected_with_the_same_wish() {
    let mut world = World::new(Say::Runner("serving"));
    world.connect();
    world.up().await;
    world.connections.want(&this_worker(), &fence());
    assert_eq!(world.told.next().await, "fence");
    world.reported(RunnerState::Fenced).await;

    world.connections.connect(this_worker(), this_runner(), [10, 0, 0, 2].into(), None);

    world.up().await;
    assert_eq!(world.told.next().await, "fence");
    world.reported(RunnerState::Fenced).await;
    world.ends().await;
}

#[tokio::test]
async fn after_a_cut_it_connects_again_and_repeats_the_latest_wish() {
    let mut world = World::new(Say::Runner("serving"));
    world.connect();
    world.up().await;
    world.connections.want(&this_worker(), &fence());
    assert_eq!(world.told.next().await, "fence");
    world.reported(RunnerState::Fenced).await;

    world.worker.cut();

    assert!(matches!(world.down().await, ConnectionFailure::Unreachable(_)));
    world.up().await;
    world.reported(RunnerState::Fenced).await;
    assert_eq!(world.told.next().await, "fence");
    world.ends().await;
}

#[tokio::test]
async fn an_early_stop_is_repeated_until_the_wish_changes() {
    let mut world = World::new(Say::Runner("fenced"));
    *world.worker.answers.lock().unwrap() = (4, String::new()); // busy
    world.connect();
    world.up().await;
    world.connections.want(&this_worker(), &stop());
    for _ in 0..8 {
        assert_eq!(world.told.next().await, "stop");
    }

    *world.worker.answers.lock().unwrap() = (0, String::new());
    world.connections.want(&this_worker(), &Want::Serve);

    while world.told.next().await != "unfence" {}
    assert!(matches!(world.event().await, WorkerEvent::Report(_)), "patience is no failure");
}

#[tokio::test]
async fn heartbeats_arrive() {
    let mut world = World::new(Say::Runner("serving"));
    world.connect();

    for _ in 0..5 {
        world.told.beat().await;
    }
}

#[tokio::test]
async fn a_changed_configuration_is_pushed_once() {
    let mut world = World::new(Say::Runner("serving"));
    world.connect();
    world.up().await;
    world.reported(RunnerState::Serving).await;
    if let Ok(provision) = &mut *world.provision.lock().unwrap() {
        provision.bundle = SecretString::from("the new one");
    }

    world.connections.reconfigure(&RunnerName::new("another"));
    world.connections.reconfigure(&this_runner());

    assert_eq!(world.told.next().await, "configure the new one");
    world.reported(RunnerState::Serving).await;
    world.ends().await;
}

#[tokio::test]
async fn nonsense_is_refused_in_a_sentence_and_tried_again() {
    let nonsense = [
        (b"\xff\xfe\x00\x01garbage\n".to_vec(), "no report"),
        (line("serving").replace("\"v\":1", "\"v\":99").into_bytes(), "version 99"),
        (vec![b'x'; 200_000], "longer than"),
        (b"{}\n".to_vec(), "no report"),
    ];
    for (bytes, sign) in nonsense {
        let mut world = World::new(Say::Raw(bytes));
        world.connect();
        world.up().await;
        let ConnectionFailure::Refused(why) = world.down().await else { panic!("another failure") };
        assert!(why.contains(sign) && !why.contains('\n'), "{why}");

        world.worker.runner("serving");

        while !matches!(world.event().await, WorkerEvent::Report(_)) {}
        world.ends().await;
    }
}

#[tokio::test]
async fn an_agent_that_falls_silent_is_down_and_asked_again() {
    let mut world =
        World::with(Say::Runner("serving"), Timeouts { silence: Duration::from_millis(300), ..quick() }, 100);
    world.connect();
    world.up().await;
    world.reported(RunnerState::Serving).await;

    let ConnectionFailure::Unreachable(why) = world.down().await else { panic!("another failure") };

    assert!(why.contains("no report for 300ms"), "{why}");
    world.up().await;
    world.reported(RunnerState::Serving).await;
}

#[tokio::test]
async fn a_wrong_host_key_is_told_and_sees_no_login() {
    let mut world = World::new(Say::Runner("serving"));
    world.worker.shows(stranger(Algorithm::Ed25519));
    world.connect();

    let failure = world.down().await;

    assert!(matches!(&failure, ConnectionFailure::WrongHostKey(why) if why.contains("SHA256:")), "{failure:?}");
    assert_eq!(world.worker.logins(), 0);
    world.ends().await;
}

#[tokio::test]
async fn an_unprovisionable_worker_is_told_in_those_words() {
    let mut world = World::new(Say::Runner("serving"));
    let good = std::mem::replace(&mut *world.provision.lock().unwrap(), Err("no such runner any more".into()));
    world.connect();
    assert_eq!(world.down().await, ConnectionFailure::Refused("no such runner any more".into()));

    *world.provision.lock().unwrap() = good;

    world.up().await;
    world.reported(RunnerState::Serving).await;
    world.ends().await;
}

#[tokio::test]
async fn a_failing_command_is_a_refusal_without_secrets() {
    for (complaint, shown) in [
        ("cannot write /etc/gitlab-runner: no space left", "no space left"),
        ("bad line 1: token = \"glrt-0123456789\"", "is not shown"),
    ] {
        let mut world = World::new(Say::Runner("absent"));
        *world.worker.answers.lock().unwrap() = (1, complaint.into());
        world.connect();
        world.up().await;

        let ConnectionFailure::Refused(why) = world.down().await else { panic!("another failure") };

        assert!(why.contains("agent configure ended with status 1") && why.contains(shown), "{why}");
        assert!(!why.contains("glrt"), "{why}");
        for _ in 0..5 {
            assert_eq!(world.told.next().await, format!("configure {SECRET}"));
        }
    }
}

#[tokio::test]
async fn a_slow_engine_gets_the_latest_report_and_the_link_goes_on() {
    let mut world = World::with(Say::Runner("serving"), quick(), 1);
    world.connect();
    world.told.beat().await;
    for state in ["fenced", "serving", "stopping"] {
        world.worker.runner(state);
        world.told.beat().await;
        world.told.beat().await;
    }

    world.up().await;
    let WorkerEvent::Report(report) = world.event().await else { panic!("no report") };

    assert_eq!(report.runner, RunnerState::Stopping, "older ones have given way");
}

#[tokio::test]
async fn a_disconnected_worker_is_left_alone() {
    let mut world = World::new(Say::Runner("serving"));
    world.connect();
    world.up().await;
    world.reported(RunnerState::Serving).await;

    world.connections.disconnect(&this_worker());
    world.connections.want(&this_worker(), &fence());

    world.ends().await;
}

#[tokio::test]
async fn a_lost_worker_is_told_to_the_log_once_and_so_is_its_return() {
    let log = Log::start();
    let mut world = World::with(Say::Runner("serving"), Timeouts { lost_grace: Duration::ZERO, ..quick() }, 100);
    world.worker.refusals.store(3, Ordering::Relaxed); // its sshd is not up yet
    world.connect();
    world.down().await;
    world.up().await;
    world.reported(RunnerState::Serving).await;
    assert_eq!((log.with(Level::WARN, ""), log.with(Level::INFO, "")), (Vec::new(), Vec::new()), "a boot is no loss");

    world.worker.refusals.store(3, Ordering::Relaxed);
    world.worker.cut();
    world.down().await; // the cut
    world.down().await; // the refusals, all of them once
    world.up().await;
    world.reported(RunnerState::Serving).await;
    world.connections.disconnect(&this_worker());

    let (losses, returns) = (log.with(Level::WARN, "not heard any more"), log.with(Level::INFO, "heard again"));
    assert_eq!((losses.len(), returns.len()), (1, 1), "{log}");
    for field in ["worker.id=i-1", "runner.name=graviton-spot"] {
        assert!(losses[0].contains(field) && returns[0].contains(field), "{log}");
    }
    assert!(losses[0].contains("failure.class=unreachable"), "{log}");
    assert_eq!(log.with(Level::WARN, "").len(), 1, "{log}");
    world.ends().await;
}

#[tokio::test]
async fn hung_servers_do_not_keep_a_healthy_one_waiting() {
    let hour = Duration::from_secs(3600);
    let mut timeouts = quick();
    (timeouts.ssh.greeting, timeouts.ssh.handshake) = (hour, hour);
    let mut world = World::with(Say::Runner("absent"), timeouts, 1000);
    for number in 0..299_u16 {
        let [high, low] = number.to_be_bytes();
        let worker = WorkerId::new(format!("i-hung-{number}"));
        world.connections.connect(worker, this_runner(), [10, HUNG, high, low].into(), None);
    }
    let hung = Arc::clone(&world.hung);
    soon("all of them are dialled", async {
        while hung.lock().unwrap().len() < 299 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    world.connect();

    world.up().await;
    world.reported(RunnerState::Absent).await;
    assert_eq!(world.told.next().await, format!("configure {SECRET}"));
}

#[tokio::test]
async fn a_server_that_never_says_a_word_is_told() {
    let mut timeouts = quick();
    timeouts.ssh.greeting = Duration::from_millis(20);
    let mut world = World::with(Say::Runner("serving"), timeouts, 100);
    world.connections.connect(this_worker(), this_runner(), [10, HUNG, 0, 1].into(), None);
    let failure = world.down().await;
    assert!(matches!(&failure, ConnectionFailure::Unreachable(why) if why.contains("greeting")), "{failure:?}");
}

#[tokio::test]
async fn a_report_of_another_instance_ends_the_link_at_once() {
    let line = line("absent").replace("{\"v\":1,", "{\"v\":1,\"instance\":\"i-2\",");
    let mut world = World::new(Say::Raw(line.into_bytes()));
    world.connect();
    world.up().await;
    let failure = world.down().await;
    assert!(matches!(&failure, ConnectionFailure::Refused(why) if why.contains("i-2 answers")), "{failure:?}");
    assert!(world.told.is_silent(), "another instance was told something");
}

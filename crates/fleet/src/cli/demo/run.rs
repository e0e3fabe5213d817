//! The service in this process, and the simulated world around it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::history::History;
use crate::http::{self, About, DoorLimits, Site};
use crate::live::clock::Clock;
use crate::live::driver::{self, Channels};
use crate::live::ledger::{CostsReader, LedgerOut};
use crate::live::metrics;
use crate::live::recording;
use crate::live::systemd::SystemdNotifier;
use crate::metrics::Calls;
use runner_fleet_engine::{Engine, Event, FleetSnapshot, IdleCount, Orders};

use super::edge::{SharedWorld, SimEdge};
use runner_fleet_sim::check::Check;
use runner_fleet_sim::event_log::Fact;
use runner_fleet_sim::workload;
use runner_fleet_sim::{Summary, Violation, World};

/// Room for what a simulated fleet says between two steps, many times over.
const EVENTS_MAX: usize = 4096;

/// A morning at work.
pub(super) struct Demo {
    clock: Clock,
    pub(super) start: Timestamp,
    world: SharedWorld,
    events: mpsc::Sender<Event>,
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    tasks: JoinSet<()>,
    stop: CancellationToken,
    check: Check,
    broken: Vec<Violation>,
    evening: bool,
    told: usize,
}

impl Demo {
    /// Starts everything.
    pub(super) fn open(speed: f64, seed: u64, listener: TcpListener) -> Self {
        let clock = Clock::faster(speed);
        let start = clock.now();
        let scenario = workload::morning(start, seed);
        let manager = scenario.manager.clone();
        let engine = Engine::new(&manager, seed, start);
        let (publish, snapshot) = watch::channel(Arc::new(engine.snapshot().clone()));
        let (events, heard) = mpsc::channel(EVENTS_MAX);
        let configured = Event::Configured(scenario.settings.clone());
        // The channel is empty: there is room.
        let _ = events.try_send(configured);
        let world = SharedWorld::start(World::new(scenario, seed), start);
        let stop = CancellationToken::new();
        // Nobody keeps it: a demo has no state directory.
        let (give_ledger, ledger) = watch::channel(Arc::default());
        let costs = CostsReader::new(PathBuf::new(), ledger);
        let (registry, metrics) = metrics::registry(snapshot.clone(), &Calls::default());
        let history = History::new(move || clock.now());
        let (recorder, to_remember) = recording::recorder();
        let channels = Channels {
            events: heard,
            // Nobody operates the demo: without a sender this channel stays silent.
            control: mpsc::channel(1).1,
            publish,
            stop: stop.clone(),
            metrics,
            systemd: SystemdNotifier::to_nobody(start),
            orders: watch::channel(Orders::default()).0,
            ledger: LedgerOut::new(give_ledger),
            costs: costs.clone(),
            recorder,
            reload: mpsc::channel(1).0,
        };
        let site = Site {
            snapshot: snapshot.clone(),
            history: history.clone(),
            about: Arc::new(About::this(&manager, start, true)),
            registry: Arc::new(registry),
            hosts: Arc::default(),
            now: Arc::new(move || clock.now()),
            costs: http::costs_from(move |query| costs.clone().answer(query)),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(recording::remember(history, to_remember, None, clock));
        tasks.spawn(driver::drive(engine, SimEdge::new(world.clone()), clock, channels));
        tasks.spawn(world.clone().live(clock, events.clone()));
        let closing = stop.clone();
        tasks.spawn(async move {
            // The listener tries again by itself; there is nothing to be done about the rest.
            let _ = http::serve(listener, http::router(site), DoorLimits::default(), closing).await;
        });
        let (check, broken) = (Check::default(), Vec::new());
        Self { clock, start, world, events, snapshot, tasks, stop, check, broken, evening: false, told: 0 }
    }

    /// Looks whether all is lawful and whether the morning is over: everything done and nothing left, or long overdue.
    pub(super) async fn judge(&mut self) -> bool {
        if !self.evening && self.passed() >= workload::MORNING {
            self.evening = true;
            self.go_home().await;
        }
        let world = self.world.lock();
        let found = self.check.newly_broken(&world).into_iter().map(|(_, violation)| violation);
        self.broken.extend(found.filter(Violation::is_absolute));
        let left = Check::end(&world);
        let is_over = self.evening && world.is_done() && left.is_empty();
        let is_overdue = self.passed() >= world.scenario().limit();
        if is_overdue {
            self.broken.extend(left);
        }
        is_over || is_overdue
    }

    /// After demo hours nothing is kept ready: the administrator's new configuration.
    async fn go_home(&self) {
        let settings = {
            let mut world = self.world.lock();
            let mut settings = world.scenario().settings.clone();
            settings.runners.iter_mut().for_each(|runner| runner.idle.count = IdleCount::Fixed(0));
            world.reconfigure(settings.clone());
            settings
        };
        // A driver that has ended needs no configuration.
        let _ = self.events.send(Event::Configured(settings)).await;
    }

    /// Virtual time since the start.
    pub(super) fn passed(&self) -> Duration {
        Duration::try_from(self.clock.now().duration_since(self.start)).unwrap_or_default()
    }

    /// The engine's snapshot.
    pub(super) fn snapshot(&self) -> Arc<FleetSnapshot> {
        Arc::clone(&self.snapshot.borrow())
    }

    /// The sums so far.
    pub(super) fn summary(&self) -> Summary {
        let laws_broken = self.broken.len() as u64 + self.snapshot().totals.laws_broken;
        Summary::of(&self.world.lock(), laws_broken)
    }

    /// What was broken.
    pub(super) fn broken(&self) -> &[Violation] {
        &self.broken
    }

    /// What is worth telling and was not told yet, with the virtual time since the start.
    pub(super) fn news(&mut self) -> Vec<(Duration, String)> {
        let world = self.world.lock();
        let facts = world.log().facts.get(self.told..).unwrap_or_default();
        self.told += facts.len();
        let since = |at: &Timestamp| Duration::try_from(at.duration_since(self.start)).unwrap_or_default();
        facts.iter().filter_map(|(at, fact)| sentence(fact).map(|said| (since(at), said))).collect()
    }

    /// Stops everything, as SIGTERM would.
    pub(super) async fn close(&mut self) {
        self.stop.cancel();
        self.tasks.shutdown().await;
    }
}

/// What somebody who watches would want to be told.
fn sentence(fact: &Fact) -> Option<String> {
    match fact {
        Fact::LaunchRead(launch) if launch.created < launch.asked => {
            Some(format!("EC2 has a shortage: {} of {} workers launched", launch.created, launch.asked))
        }
        Fact::Fault("a spot notice", Some(worker)) => Some(format!("EC2 takes {worker} back in two minutes")),
        Fact::JobKilled { job, worker: Some(worker), .. } => Some(format!("job {job} died with {worker}")),
        Fact::JobRetried { old, new: Some(new) } => Some(format!("job {old} is retried as {new}")),
        _ => None,
    }
}

//! The service, put together: key, sockets, secrets, world, loop; and what ends it.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::registry::Registry;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use crate::control::{self, ControlError};
use crate::history::History;
use crate::http::{self, About, DoorLimits, Site};
use crate::otlp::{Collector, Source};
use crate::ssh::ManagerKey;
use runner_fleet_config::Config;
use runner_fleet_engine::{Engine, Event, FleetSnapshot, Ledger, Orders};

use super::clock::Clock;
use super::connection::{Dial, Tcp};
use super::driver::{Channels, drive};
use super::ledger::{self, CostsReader, LedgerOut};
use super::metrics::{self, LoopMetrics};
use super::on_trouble::{self, Teller, Wish};
use super::orders;
use super::recording;
use super::regions::Regions;
use super::reload::reload_when_asked;
use super::setup::{Setup, SetupError};
use super::signals;
use super::ssh_key::{self, SshKeyError};
use super::starting::{Starting, Wishes};
use super::systemd::SystemdNotifier;
use super::telemetry::{self, Telemetry};
use super::world::World;

/// Answers that may wait for the loop: a report of every one of 1,000 workers, four times over. Whoever finds it full
/// waits, and says the newest thing later.
const EVENTS_MAX: usize = 4096;
/// Requests of operators that may wait for the loop.
const REQUESTS_MAX: usize = 16;
/// Beginnings and ends of jobs that may wait to be told: those of 1,000 workers.
const MEASURES_MAX: usize = 2048;
/// Secrets of all runners are read one by one; each call has its own limits.
const PREPARE_MAX: Duration = Duration::from_secs(300);
/// To remove the control socket.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What the service waits for before it starts.
#[derive(Debug, thiserror::Error)]
enum StartError {
    /// No SSH key.
    #[error("prepare the SSH key")]
    Key(#[from] SshKeyError),
    /// Secrets or clients are missing.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Secrets did not come.
    #[error("read the secrets of the configuration: no answer within {} s", PREPARE_MAX.as_secs())]
    Late,
}

/// Why the service cannot run on this host, however long it waited.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// No control socket.
    #[error("open the control socket")]
    Control(#[from] ControlError),
    /// Pages cannot be served.
    #[error("listen on {address} (`listen_address`)")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Signals cannot be caught.
    #[error("catch signals")]
    Signals(#[source] io::Error),
}

/// What the service meets outside of its configuration.
pub struct Outside {
    /// What time it is.
    pub clock: Clock,
    /// Ends the service at once.
    pub stop: CancellationToken,
    /// Asks for the configuration to be read again.
    pub reload: mpsc::Receiver<()>,
    /// How AWS is reached.
    pub regions: Regions,
    /// How workers are reached.
    pub dialer: Arc<dyn Dial>,
}

/// Runs until SIGTERM or SIGINT. Workers and their jobs go on when it ends, however it ends.
///
/// # Errors
/// As [`serve_until_stopped`].
pub async fn serve(path: PathBuf, config: Config) -> Result<(), ServiceError> {
    let stop = CancellationToken::new();
    let reload = signals::mind(stop.clone()).map_err(ServiceError::Signals)?;
    let outside = Outside { clock: Clock::real(), stop, reload, regions: Regions::default(), dialer: Arc::new(Tcp) };
    serve_until_stopped(path, config, outside).await
}

/// The service, whatever its surroundings; `path` is the file that a reload reads.
///
/// A secret, a region or a key that is missing is waited for.
///
/// # Errors
/// The service could not open its sockets; nothing was launched or ended.
pub async fn serve_until_stopped(path: PathBuf, config: Config, outside: Outside) -> Result<(), ServiceError> {
    let Outside { clock, stop, mut reload, regions, dialer } = outside;
    let seed = rand::random();
    let socket = control::bind(&config.fleet.control_socket).await?;
    let listener = listen(config.listen_address).await?;
    let (publish, snapshot) = watch::channel(Arc::new(unborn(&config, clock)));
    let (events, from_world) = mpsc::channel(EVENTS_MAX);
    let (give_ledger, ledger) = watch::channel(Arc::new(ledger::load(&config.fleet.state_dir)));
    let costs = CostsReader::new(config.fleet.state_dir.clone(), ledger.clone());
    let (requests, mut from_operators) = mpsc::channel(REQUESTS_MAX);
    let (registry, metrics) = metrics::registry(snapshot.clone(), regions.calls());
    let registry = Arc::new(registry);
    let metrics = tell_collector(&config, &registry, metrics, clock, &stop);

    let history = History::new(move || clock.now());
    let operators = tokio::spawn(socket.serve(requests, history.clone(), stop.clone()));
    if let Some(listener) = listener {
        let site = site(&config, snapshot, history.clone(), registry, costs.clone(), clock);
        tokio::spawn(http::serve(listener, http::router(site), DoorLimits::default(), stop.clone()));
    }
    let (wish, telling) = tell_of_troubles(&config, publish.subscribe(), &regions, clock, &stop);
    let mut systemd = SystemdNotifier::to_systemd(clock.now());
    let starting = Starting {
        clock,
        stop: &stop,
        control: &mut from_operators,
        publish: &publish,
        systemd: &mut systemd,
        wishes: Wishes::default(),
        missing_since: None,
    };
    let state_dir = config.fleet.state_dir.clone();
    let attempt = |config| Prepared::attempt(config, regions.clone(), seed);
    let Some(Prepared { key, setup }) = starting.until_it_works(config, &path, &mut reload, attempt).await else {
        return leave(operators).await;
    };

    let mut engine = Engine::new(setup.manager(), seed, clock.now());
    engine.resume_ledger(Ledger::clone(&ledger.borrow()));
    tell_start(&path, &setup);
    let (order, keeping) = keep_orders(&state_dir, &events);
    let (recorder, heard) = recording::recorder();
    let remembering = tokio::spawn(recording::remember(history, heard, Some(state_dir.clone()), clock));
    let booking = tokio::spawn(ledger::keep(state_dir, ledger));
    let (replace_setup, setup) = watch::channel(Arc::new(setup));
    tokio::spawn(hand_on(setup.clone(), wish));
    let (ask_again, wishes) = mpsc::channel(1);
    tokio::spawn(reload_when_asked(path, reload, wishes, replace_setup, regions.clone(), seed, clock));
    let world = World::new(setup, regions, Arc::new(key), events, clock, dialer);
    let channels = Channels {
        events: from_world,
        control: from_operators,
        publish,
        stop: stop.clone(),
        metrics,
        systemd,
        orders: order,
        recorder,
        reload: ask_again,
        ledger: LedgerOut::new(give_ledger),
        costs,
    };
    drive(engine, world, clock, channels).await;
    goodbye([
        (keeping, "the last pauses and drains may not be kept for the next start"),
        (telling, "a message of a trouble was on its way; the next start sends it again"),
        (booking, "the last minute of the ledger may not be kept for the next start"),
        (remembering, "the last minute of the history may not be kept for the next start"),
    ])
    .await;
    leave(operators).await
}

/// What is seen before the first step.
fn unborn(config: &Config, clock: Clock) -> FleetSnapshot {
    Engine::new(&config.fleet.manager, 0, clock.now()).snapshot()
}

/// What the pages are made from.
fn site(
    config: &Config,
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    history: History,
    registry: Arc<Registry>,
    costs: CostsReader,
    clock: Clock,
) -> Site {
    Site {
        snapshot,
        history,
        about: Arc::new(About::this(&config.fleet.manager, clock.now(), false)),
        registry,
        hosts: config.fleet.page_hosts.clone().into(),
        costs: http::costs_from(move |query| costs.clone().answer(query)),
        now: Arc::new(move || clock.now()),
    }
}

/// The operators' orders of before are told to the engine before anything else, and kept as they change from now on.
fn keep_orders(state_dir: &Path, events: &mpsc::Sender<Event>) -> (watch::Sender<Orders>, JoinHandle<()>) {
    let standing = orders::load(state_dir);
    for order in standing.events() {
        // The channel is empty, so that there is room.
        let _ = events.try_send(order);
    }
    let (order, ordered) = watch::channel(standing);
    (order, tokio::spawn(orders::keep(state_dir.to_owned(), ordered)))
}

/// Gives each a moment for the last that it has to write; else says what may be lost.
async fn goodbye(tasks: [(JoinHandle<()>, &str); 4]) {
    for (task, lost) in tasks {
        if timeout(GOODBYE_MAX, task).await.is_err() {
            warn!("{lost}");
        }
    }
}

/// Tells whom the configuration names, and after it the wishes that are sent here, of all troubles.
fn tell_of_troubles(
    config: &Config,
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    regions: &Regions,
    clock: Clock,
    stop: &CancellationToken,
) -> (watch::Sender<Wish>, JoinHandle<()>) {
    let (change, wish) = watch::channel(Wish::of(config));
    let (manager, state_dir) = (config.fleet.manager.clone(), config.fleet.state_dir.clone());
    let teller = Teller { manager, state_dir, wish, snapshot, regions: regions.clone(), clock };
    (change, tokio::spawn(on_trouble::run(teller, stop.clone())))
}

/// Who is to be told of troubles is another one with each setup.
async fn hand_on(mut setup: watch::Receiver<Arc<Setup>>, wish: watch::Sender<Wish>) {
    loop {
        let wanted = Wish::of(&setup.borrow_and_update().config);
        wish.send_if_modified(|wish| {
            let is_news = *wish != wanted;
            *wish = wanted;
            is_news
        });
        if setup.changed().await.is_err() {
            return;
        }
    }
}

/// The line that every report of a problem needs.
fn tell_start(path: &Path, setup: &Setup) {
    let joined = |names: BTreeSet<&str>| names.into_iter().collect::<Vec<_>>().join(", ");
    let runners = joined(setup.config.runners.iter().map(|runner| runner.name.as_str()).collect());
    let regions = joined(setup.runners.iter().map(|runner| runner.aws.region()).collect());
    let (version, manager) = (crate::version::text(), setup.manager());
    info!(
        event = "started", version, config.file = %path.display(), manager, runners, regions, pid = std::process::id(),
        "runner-fleet {version} serves {runners} as manager {manager} in {regions}, by {}", path.display()
    );
}

/// With a collector in the configuration, it is told from now on.
fn tell_collector(
    config: &Config,
    registry: &Arc<Registry>,
    metrics: LoopMetrics,
    clock: Clock,
    stop: &CancellationToken,
) -> LoopMetrics {
    let Some(address) = &config.fleet.otlp else { return metrics };
    let collector = match Collector::new(address) {
        Ok(collector) => collector,
        Err(failure) => {
            warn!(failure.class = %failure.class, "the collector of OpenTelemetry (`otlp`) cannot be told: {failure}");
            return metrics;
        }
    };
    let (jobs, measures) = mpsc::channel(MEASURES_MAX);
    let source = Source { manager: config.fleet.manager.clone(), version: env!("CARGO_PKG_VERSION") };
    let told =
        Telemetry { collector, source, registry: Arc::clone(registry), measures, clock, every: telemetry::EVERY };
    tokio::spawn(told.run(stop.clone()));
    metrics.telling(jobs)
}

/// What the loop cannot begin without.
struct Prepared {
    key: ManagerKey,
    setup: Setup,
}

impl Prepared {
    async fn attempt(config: Config, regions: Regions, seed: u64) -> Result<Self, StartError> {
        let key = ssh_key::prepare(&config, &regions).await?;
        let preparing = timeout(PREPARE_MAX, Setup::prepare(config, None, &regions, seed));
        let setup = preparing.await.map_err(|_| StartError::Late)??;
        Ok(Self { key, setup })
    }
}

/// Sees the control socket off.
async fn leave(operators: JoinHandle<()>) -> Result<(), ServiceError> {
    if timeout(GOODBYE_MAX, operators).await.is_err() {
        warn!("the control socket is left behind; the next start replaces it");
    }
    Ok(())
}

async fn listen(address: Option<SocketAddr>) -> Result<Option<TcpListener>, ServiceError> {
    let Some(address) = address else { return Ok(None) };
    let failed = |source| ServiceError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    info!("dashboard and metrics at http://{bound}/");
    Ok(Some(listener))
}

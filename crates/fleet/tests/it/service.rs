//! The service's own parts: the loop steps when it should and leaves everything alone when it stops; operators are
//! answered at a real socket; pages are served over real HTTP, to slow clients too.
//!
//! The world is a double that records commands; the engine is the real one.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use prometheus_client::registry::Registry;
use runner_fleet::control::{self, Answer, ClientError, ControlError, RefusalKind, Request};
use runner_fleet::history::History;
use runner_fleet::http::{self, About, DoorLimits, Site};
use runner_fleet::live::clock::Clock;
use runner_fleet::live::edge::Edge;
use runner_fleet::live::ledger::{CostsReader, LedgerOut};
use runner_fleet::live::metrics;
use runner_fleet::live::recording;
use runner_fleet::live::regions::Regions;
use runner_fleet::live::reload::{attempt, reload_when_asked};
use runner_fleet::live::setup::{Setup, Unready};
use runner_fleet::live::starting::{Starting, Wishes};
use runner_fleet::live::systemd::SystemdNotifier;
use runner_fleet::live::{self, Channels};
use runner_fleet::metrics::Calls;
use runner_fleet_config::Config;
use runner_fleet_engine::failure::chain;
use runner_fleet_engine::ledger::{By, CostQuery, CostReport, Day};
use runner_fleet_engine::{
    Command, ConfigHash, Engine, Event, Failure, FailureClass, FleetSnapshot, Health, Instance, InstanceState,
    InstanceType, Knowledge, Market, Orders, PriceSnapshot, RunnerName, RunnerSettings, Server, Settings, WorkerId,
    Zone,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::config_file::ConfigFile;
use tokio_util::sync::CancellationToken;

fn now() -> Timestamp {
    Clock::real().now()
}

/// Generous: only a broken service ever waits this long.
const DEADLINE: Duration = Duration::from_secs(20);

/// An instance that was launched an hour ago.
fn worker() -> Instance {
    Instance {
        id: WorkerId::new("i-1"),
        runner: RunnerName::new("spot"),
        config: ConfigHash::new("c1"),
        launch: None,
        state: InstanceState::Running,
        state_reason: None,
        launched_at: now() - SignedDuration::from_hours(1),
        ended_at: None,
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new("eu-central-1a"),
        market: Market::OnDemand,
        address: None,
        hold: false,
        health: Health::Ok,
    }
}

#[tokio::test]
async fn costs_are_told_at_the_socket_on_the_page_and_as_metrics() {
    let mut service = Service::start(Clock::real());
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("socket");
    service.listen(&socket).await;
    let settings = Settings { concurrent: 1, check_interval: Duration::from_secs(3), runners: Vec::new() };
    let price = (InstanceType::new("c8g.large"), 0.09);
    let prices = PriceSnapshot {
        region: "eu-central-1".into(),
        asked_at: now(),
        on_demand: [price].into(),
        spot: Ok(Default::default()),
    };
    service.events.send(Event::Configured(settings)).await.unwrap();
    service.events.send(Event::Prices(prices)).await.unwrap();
    service.events.send(Event::Instances { asked_at: now(), listing: Ok(vec![worker()]) }).await.unwrap();
    let booked = service.snapshot.wait_for(|snapshot| !snapshot.ledger.totals.is_empty());
    let month = timeout(DEADLINE, booked).await.expect("nothing is booked").unwrap().ledger.month[0].clone();
    assert!((0.0..0.1).contains(&month.cost.usd), "{month:?}");

    let from = Day::at(now()).before(40);
    let query = CostQuery { from, to: Day::at(now()), by: By::Account, runner: None };
    let answer = control::ask(&socket, &Request::Costs { query: query.clone() }).await.unwrap();
    assert!(matches!(&answer, Answer::Costs { report } if report.query == query), "{answer:?}");
    let backwards = CostQuery { from: query.to.after(1), ..query };
    let refused = control::ask(&socket, &Request::Costs { query: backwards }).await.unwrap_err();
    assert!(refused.to_string().contains("the last day lies before the first"), "{refused}");

    let site = service.pages(DoorLimits::default(), now).await;
    let page = site.get("/api/v1/costs?by=runner&from=2026-01-01&to=2026-01-31").await;
    let report: CostReport = serde_json::from_str(&page.body).unwrap();
    assert_eq!((page.status, report.rows.len(), report.query.by), (200, 0, By::Runner));
    for bad in ["by=moon", "from=2026-01-31&to=2026-01-01", "from=1970-01-01", "form=2026-01-01"] {
        assert_eq!(site.get(&format!("/api/v1/costs?{bad}")).await.status, 400, "{bad}");
    }
    let metrics = site.get("/metrics").await.body;
    let counter = "runner_fleet_cost_usd_total{runner=\"spot\",account=\"before\",market=\"on-demand\"} 0.0";
    assert!(metrics.contains(counter), "{metrics}");
    service.stop().await;
}

#[tokio::test]
async fn a_step_follows_every_event() {
    // Ten times slower than the world: a tick would come after 10 s, the step after an event within 0.5 s.
    let mut service = Service::start(Clock::faster(0.1));
    let settings = Settings { concurrent: 1, check_interval: Duration::from_secs(3), runners: Vec::new() };

    service.events.send(Event::Configured(settings)).await.unwrap();

    // The first thing that an engine wants when it knows its settings.
    let command =
        timeout(Duration::from_secs(8), service.commands.recv()).await.expect("the event did not wake the loop");
    assert_eq!(command, Some(Command::ListInstances { with_health: false }));
    service.stop().await;
}

#[tokio::test]
async fn time_alone_makes_a_step() {
    let mut service = Service::start(Clock::faster(100.0));
    let first = service.view_after(Timestamp::MIN).await.at;
    let second = service.view_after(first).await.at;
    assert!(second.duration_since(first) >= SignedDuration::from_secs(1), "{first} {second}");
    service.stop().await;
}

#[tokio::test]
async fn a_flood_of_events_becomes_few_steps() {
    let mut service = Service::start(Clock::real());
    let mut steps = 0;
    let began = service.view_after(Timestamp::MIN).await.at;
    for _ in 0..2_000 {
        service.events.send(look_that_failed()).await.unwrap();
        steps += u32::from(service.snapshot.has_changed().unwrap());
        service.snapshot.mark_unchanged();
    }
    let took = now().duration_since(began);
    let most = took.as_millis() / 50 + 2;
    assert!(i128::from(steps) <= most, "{steps} steps in {took:?}");
    service.stop().await;
}

#[tokio::test]
async fn stopping_leaves_every_worker_alone() {
    let mut service = Service::start(Clock::real());
    service.view_after(Timestamp::MIN).await;
    let commands = service.stop().await;
    let touching =
        |command: &&Command| matches!(command, Command::Terminate(_) | Command::Want { .. } | Command::Forget { .. });
    assert_eq!(commands.iter().find(touching), None);
}

#[tokio::test]
async fn an_operator_is_answered_at_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("run/control.sock");
    let service = Service::start(Clock::real());
    service.listen(&path).await;

    let mode = std::fs::metadata(&path).unwrap().permissions().mode() & 0o777;
    let status = control::ask(&path, &Request::Status).await.unwrap();
    let plan = control::ask(&path, &Request::Plan).await.unwrap();
    let stranger = control::ask(&path, &drain("i-unknown")).await.unwrap_err();
    let nobody = control::ask(&path, &Request::Pause { runner: RunnerName::new("nope") }).await.unwrap_err();

    assert_eq!(mode, 0o660);
    assert!(matches!(&status, Answer::Status { snapshot } if snapshot.version == 1), "{status:?}");
    assert!(matches!(&plan, Answer::Plan { plan } if plan.version == 1), "{plan:?}");
    assert_eq!(stranger.to_string(), "no worker of ours is named i-unknown; see `runner-fleet status`");
    assert_eq!(nobody.to_string(), "no runner is named nope; there is none yet");
    service.stop().await;
    assert!(!path.exists(), "the socket is left behind");
}

#[tokio::test]
async fn an_order_is_told_to_whoever_keeps_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let mut service = Service::start(Clock::real());
    service.listen(&path).await;
    let spot = RunnerName::new("spot");
    let runner = RunnerSettings::new(spot.clone(), Server::new("https://gitlab.example.com"));
    let settings = Settings { concurrent: 1, check_interval: Duration::from_secs(3), runners: vec![runner] };
    service.events.send(Event::Configured(settings)).await.unwrap();
    let configured = service.snapshot.wait_for(|snapshot| snapshot.runners.len() == 1);
    timeout(DEADLINE, configured).await.expect("it was not configured").unwrap();

    control::ask(&path, &Request::Pause { runner: spot.clone() }).await.unwrap();
    let stands = service.ordered.wait_for(|orders| orders.paused.contains(&spot));
    timeout(DEADLINE, stands).await.expect("the pause is not kept").unwrap();
    control::ask(&path, &Request::Retry { runner: spot.clone() }).await.unwrap();
    control::ask(&path, &Request::Resume { runner: spot.clone() }).await.unwrap();
    let is_over = service.ordered.wait_for(|orders| orders.paused.is_empty());
    timeout(DEADLINE, is_over).await.expect("the pause is kept for ever").unwrap();

    let all = Request::Drain { workers: Vec::new(), runner: None, all: true, force: false };
    assert_eq!(control::ask(&path, &all).await.unwrap(), Answer::done("there is no worker to drain"));
    let stranger = control::ask(&path, &Request::Undrain { workers: vec![WorkerId::new("i-1")] }).await;
    let Err(ClientError::Refused { kind, .. }) = stranger else { panic!("{stranger:?}") };
    assert_eq!(kind, RefusalKind::UnknownName);
    service.stop().await;
}

#[tokio::test]
async fn a_plan_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let mut service = Service::start(Clock::faster(0.01));
    service.listen(&path).await;
    service.view_after(Timestamp::MIN).await;
    let before: Vec<Command> = service.commands_so_far();

    let plan = control::ask(&path, &Request::Plan).await.unwrap();

    assert!(matches!(plan, Answer::Plan { .. }));
    assert!(service.commands_so_far().is_empty(), "after {before:?}");
    service.stop().await;
}

#[tokio::test]
async fn noise_at_the_socket_gets_one_clear_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    let service = Service::start(Clock::real());
    service.listen(&path).await;

    let garbage = talk(&path, b"\x00\xff{{{\n").await;
    let version = talk(&path, b"{\"version\":7,\"do\":\"status\"}\n").await;
    let endless = talk(&path, &vec![b'x'; 200_000]).await;

    assert!(garbage.contains("\"answer\":\"refused\"") && garbage.contains("no JSON"), "{garbage}");
    assert!(version.contains("version 7 is not spoken here"), "{version}");
    assert!(endless.contains("one line of at most") || endless.is_empty(), "{endless}");
    assert!(control::ask(&path, &Request::Status).await.is_ok(), "the noise broke the service");
    service.stop().await;
}

#[tokio::test]
async fn a_dead_managers_socket_is_replaced_and_a_living_ones_is_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("control.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    let service = Service::start(Clock::real());

    service.listen(&path).await;
    let second = control::bind(&path).await;

    assert!(control::ask(&path, &Request::Status).await.is_ok());
    assert!(matches!(second, Err(ControlError::Busy { .. })), "{second:?}");
    service.stop().await;

    std::fs::write(&path, "precious").unwrap();
    assert!(matches!(control::bind(&path).await, Err(ControlError::InTheWay { .. })));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "precious");
    let asked = control::ask(&folder.path().join("nothing"), &Request::Status).await;
    assert!(matches!(asked, Err(ClientError::NotRunning { .. })), "{asked:?}");
}

#[tokio::test]
async fn the_pages_answer() {
    let mut service = Service::start(Clock::real());
    service.view_after(Timestamp::MIN).await;
    let site = service.pages(DoorLimits::default(), now).await;

    let page = site.get("/").await;
    let metrics = site.get("/metrics").await;
    let state: FleetSnapshot = serde_json::from_str(&site.get("/api/v1/state").await.body).unwrap();

    assert_eq!(page.status, 200);
    assert!(page.body.contains("<title>runner-fleet</title>"));
    assert!(page.policy.contains("default-src 'none'"), "{}", page.policy);
    assert_eq!(site.get("/page/main.js").await.status, 200);
    assert_eq!(site.get("/page/style.css").await.status, 200);
    assert!(metrics.body.contains("runner_fleet_laws_broken_total 0"), "{}", metrics.body);
    assert!(metrics.body.contains("runner_fleet_commands_total{kind=\"launch\"} 0"), "{}", metrics.body);
    assert_eq!(state.version, 1);
    assert_eq!((site.get("/healthz").await.status, site.get("/healthz").await.body.as_str()), (200, "alive\n"));
    assert_eq!(site.get("/readyz").await.status, 503, "EC2 was never listed");
    let history = site.get("/api/v1/history?from=1h").await;
    assert_eq!(history.status, 200);
    let rows = serde_json::from_str::<runner_fleet::history::HistoryAnswer>(&history.body).unwrap().rows;
    assert_eq!(rows.len(), 1, "the loop was looked at: {}", history.body);
    assert_eq!(site.get("/api/v1/events?limit=5").await.status, 200);
    for (question, why) in [
        ("history?from=soon", "`from` is a time"),
        ("history?form=1h", "unknown field `form`"),
        ("history?runner=nope", "nothing is known of a runner named nope"),
        ("events?kind=nope", "no kind of event is named \"nope\""),
        ("events?limit=100000", "`limit` is 1 to 1000"),
    ] {
        let refused = site.get(&format!("/api/v1/{question}")).await;
        assert_eq!(refused.status, 400, "{question}");
        assert!(refused.body.contains(why), "{question}: {}", refused.body);
    }
    let missing = site.get("/../etc/passwd").await;
    assert_eq!((missing.status, missing.body.starts_with("there is no such page")), (404, true));
    service.stop().await;
}

#[tokio::test]
async fn a_listener_can_change_nothing() {
    let service = Service::start(Clock::real());
    let site = service.pages(DoorLimits::default(), now).await;
    for path in ["/", "/api/v1/state", "/metrics", "/healthz"] {
        for method in [reqwest::Method::POST, reqwest::Method::PUT, reqwest::Method::DELETE] {
            let answer = reqwest::Client::new().request(method, site.url(path)).send().await.unwrap();
            assert_eq!(answer.status(), 405, "{path}");
        }
    }
    service.stop().await;
}

#[tokio::test]
async fn health_tells_a_hung_loop_and_readiness_what_is_unknown() {
    let mut snapshot = Engine::new("ci", 1, now()).snapshot();
    snapshot.ec2 = Knowledge::Known;
    let (publish, service) = Service::hanging(snapshot.clone());
    let late = move || now() + SignedDuration::from_secs(31);

    let present = service.pages(DoorLimits::default(), now).await;
    let later = service.pages(DoorLimits::default(), late).await;

    assert_eq!(present.get("/readyz").await.status, 200);
    assert_eq!(later.get("/healthz").await.status, 503);
    assert_eq!(later.get("/readyz").await.body, "the loop does not step\n");
    snapshot.ec2 =
        Knowledge::Stale { age: Duration::from_secs(90), failure: Failure::new(FailureClass::Denied, "access denied") };
    publish.send_replace(Arc::new(snapshot));
    assert_eq!(present.get("/readyz").await.body, "EC2 was last listed 90 s ago: access denied\n");
}

#[tokio::test]
async fn silent_clients_do_not_keep_others_out() {
    let service = Service::start(Clock::real());
    // Nobody's time is over: whoever is let in takes the place of another.
    let hour = Duration::from_secs(3600);
    let limits = DoorLimits { peers_max: 64, silence_max: hour, stay_max: hour };
    let site = service.pages(limits, now).await;
    let mut silent = Vec::new();
    for _ in 0..64 {
        let mut guest = TcpStream::connect(site.address).await.unwrap();
        guest.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        silent.push(guest);
    }

    let answer = timeout(DEADLINE, site.get("/healthz")).await.expect("silent clients keep others out");

    assert_eq!(answer.status, 200);
    let mut first = silent.remove(0);
    assert_eq!(timeout(DEADLINE, first.read(&mut [0; 1])).await.expect("the first one was kept").unwrap_or(0), 0);
    service.stop().await;
}

#[tokio::test]
async fn a_request_that_does_not_come_to_its_end_is_not_awaited() {
    let service = Service::start(Clock::real());
    let hour = Duration::from_secs(3600);
    let site = service.pages(DoorLimits { peers_max: 64, silence_max: Duration::ZERO, stay_max: hour }, now).await;
    let mut silent = TcpStream::connect(site.address).await.unwrap();
    silent.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
    assert_eq!(timeout(DEADLINE, silent.read(&mut [0; 1])).await.expect("it is awaited").unwrap_or(0), 0);
    service.stop().await;
}

#[tokio::test]
async fn a_foreign_name_is_shown_nothing_but_health() {
    let service = Service::start(Clock::real());
    let site = service.pages(DoorLimits::default(), now).await;
    let asked = async |path: &str, host: &str| {
        let request = reqwest::Client::new().get(site.url(path)).header("host", host);
        request.send().await.unwrap().status().as_u16()
    };
    for path in ["/", "/metrics", "/api/v1/state", "/page/main.js"] {
        assert_eq!(asked(path, "rebound.example").await, 421, "{path}");
        assert_eq!(asked(path, "runner-fleet.example.com:9402").await, 200, "{path}");
    }
    assert_eq!(asked("/healthz", "rebound.example").await, 200);
    service.stop().await;
}

/// Time passes a hundred times as fast: the longest pause between two attempts takes 0.6 s.
#[tokio::test]
async fn what_a_start_lacks_is_awaited_told_and_found_later() {
    let folder = tempfile::tempdir().unwrap();
    let token = folder.path().join("token");
    let (mut waiting, outcome) = Waiting::begin(folder.path(), &format!("file:{}", token.display()));

    let snapshot = waiting
        .snapshot
        .wait_for(|snapshot| matches!(&snapshot.ec2, Knowledge::Unknown { failure } if failure.text.contains("token")));
    let first = timeout(DEADLINE, snapshot).await.expect("nobody hears what is awaited").unwrap().at;
    let later = timeout(DEADLINE, waiting.snapshot.wait_for(|snapshot| snapshot.at > first)).await.is_ok();
    let status = waiting.ask(Request::Status).await;
    let pause = waiting.ask(Request::Pause { runner: RunnerName::new("spot") }).await;

    assert!(later, "the snapshot does not age: /healthz would call the service dead");
    assert!(matches!(status, Answer::Status { .. }), "{status:?}");
    let Answer::Refused { why, kind: _ } = pause else { panic!("{pause:?}") };
    assert!(why.starts_with("not started yet: cannot read the token of runner spot"), "{why}");

    std::fs::write(&token, "glrt-there\n").unwrap();
    let setup = timeout(DEADLINE, outcome).await.expect("the token was not read again").unwrap();
    assert_eq!(setup.expect("it was not told to stop").runners.len(), 1);
}

#[tokio::test]
async fn a_reload_mends_what_a_start_lacks_and_a_bad_file_does_not() {
    let folder = tempfile::tempdir().unwrap();
    let (mut waiting, outcome) = Waiting::begin(folder.path(), "file:/nowhere/token");
    let told = waiting.snapshot.wait_for(
        |snapshot| matches!(&snapshot.ec2, Knowledge::Unknown { failure } if failure.text.contains("nowhere")),
    );
    timeout(DEADLINE, told).await.expect("nobody hears what is awaited").unwrap();

    std::fs::write(&waiting.path, "concurrent = \"many\"").unwrap();
    waiting.reload.send(()).await.unwrap();
    waiting.reload.reserve().await.unwrap();
    std::fs::write(&waiting.path, good_configuration(folder.path(), 9)).unwrap();
    waiting.reload.send(()).await.unwrap();

    let setup = timeout(DEADLINE, outcome).await.expect("the good file was not taken over").unwrap();
    assert_eq!(setup.expect("it was not told to stop").settings.concurrent, 9);
}

#[tokio::test]
async fn a_start_that_waits_can_be_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let (waiting, outcome) = Waiting::begin(folder.path(), "file:/nowhere/token");
    waiting.stop.cancel();
    assert!(timeout(DEADLINE, outcome).await.expect("does not stop").unwrap().is_none());
}

/// A start that waits for the token of its only runner.
struct Waiting {
    path: std::path::PathBuf,
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    control: mpsc::Sender<control::ControlRequest>,
    reload: mpsc::Sender<()>,
    stop: CancellationToken,
}

impl Waiting {
    fn begin(folder: &Path, token: &str) -> (Self, JoinHandle<Option<Setup>>) {
        let path = folder.join("config.toml");
        let text =
            good_configuration(folder, 3).replace("token = \"env:PATH\"\nexec", &format!("token = \"{token}\"\nexec"));
        let config = runner_fleet_config::parse(&text, "config.toml").unwrap().config;
        let clock = Clock::faster(100.0);
        let (publish, snapshot) = watch::channel(Arc::new(Engine::new("ci", 1, clock.now()).snapshot()));
        let (control, mut asked) = mpsc::channel(1);
        let (reload, mut reload_asked) = mpsc::channel(1);
        let stop = CancellationToken::new();
        let waiting = Self { path: path.clone(), snapshot, control, reload, stop: stop.clone() };
        let runtime = tokio::runtime::Handle::current();
        let outcome = tokio::task::spawn_blocking(move || {
            let mut systemd = SystemdNotifier::to_nobody(clock.now());
            let (control, systemd, wishes) = (&mut asked, &mut systemd, Wishes::default());
            let starting =
                Starting { clock, stop: &stop, control, publish: &publish, systemd, wishes, missing_since: None };
            let regions = Regions::default();
            let attempt = async |config: Config| Setup::prepare(config, None, &regions, 1).await;
            runtime.block_on(starting.until_it_works(config, &path, &mut reload_asked, attempt))
        });
        (waiting, outcome)
    }

    async fn ask(&self, request: Request) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.control.send(control::ControlRequest { request, by: None, reply }).await.unwrap();
        timeout(DEADLINE, answer).await.expect("no answer").unwrap()
    }
}

#[tokio::test]
async fn a_bad_file_at_reload_keeps_the_old_configuration() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("config.toml");
    let (regions, good) = (Regions::default(), good_configuration(folder.path(), 3));
    let config = runner_fleet_config::parse(&good, "config.toml").unwrap().config;
    let current = Arc::new(Setup::prepare(config, None, &regions, 1).await.unwrap());
    let (replace, mut setup) = watch::channel(Arc::clone(&current));
    let (hang_up, asked) = mpsc::channel(1);
    let (wish, wishes) = mpsc::channel(1);
    let reloading =
        tokio::spawn(reload_when_asked(path.clone(), asked, wishes, replace, regions.clone(), 1, Clock::real()));
    let other_manager = good.replace("manager = \"ci\"", "manager = \"other\"");

    for (text, why) in [
        (good.replace("idle_count = 0", "idle_count = \"many\""), "idle_count"),
        (good.replace("env:", "file:/"), "read the token of runner spot"),
        (other_manager, "fleet.manager was changed from ci to other"),
        ("\u{0}".into(), "config.toml"),
    ] {
        std::fs::write(&path, text).unwrap();
        let refused = attempt(&path, &current, &regions, 1).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
        hang_up.send(()).await.unwrap();
        let (reply, answer) = oneshot::channel();
        wish.send(reply).await.unwrap();
        let answer = timeout(DEADLINE, answer).await.expect("no answer").unwrap();
        let Answer::Refused { why: told, kind } = answer else { panic!("{answer:?}") };
        assert!(told.contains(why) && told.contains("the previous one holds"), "{told}");
        let expected = if why.contains("token") { RefusalKind::Other } else { RefusalKind::BadConfiguration };
        assert_eq!(kind, expected, "{told}");
    }
    std::fs::write(&path, good_configuration(folder.path(), 9)).unwrap();
    let (reply, answer) = oneshot::channel();
    wish.send(reply).await.unwrap();
    let answer = timeout(DEADLINE, answer).await.expect("no answer").unwrap();
    let Answer::Done { told, .. } = answer else { panic!("{answer:?}") };
    assert_eq!(told, format!("reloaded {}: 1 runner", path.display()));

    timeout(DEADLINE, setup.changed()).await.expect("the good file was not taken over").unwrap();
    let now = Arc::clone(&setup.borrow_and_update());
    assert_eq!((current.settings.concurrent, now.settings.concurrent), (3, 9));
    drop(hang_up);
    timeout(DEADLINE, reloading).await.unwrap().unwrap();
    assert!(!setup.has_changed().unwrap_or(false), "a refused file was taken over");
}

#[tokio::test]
async fn one_bad_runner_holds_up_no_other_and_comes_later() {
    let folder = tempfile::tempdir().unwrap();
    let secret = folder.path().join("token");
    let config = || with_late_runner(folder.path(), &secret);
    let names = |setup: &Setup| setup.runners.iter().map(|ready| ready.runner.name.to_string()).collect::<Vec<_>>();
    let regions = Regions::default();

    let first = Setup::prepare(config(), None, &regions, 1).await.unwrap();
    assert_eq!(names(&first), ["spot"]);
    let [Unready { runner, failure }] = &first.unready[..] else { panic!("{:?}", first.unready) };
    assert_eq!(runner.as_str(), "late");
    assert!(failure.text.starts_with("cannot read the token of runner late: cannot read the secret file"), "{failure}");

    std::fs::write(&secret, "glrt-late").unwrap();
    let second = Setup::prepare(config(), Some(&first), &regions, 1).await.unwrap();
    assert_eq!((names(&second), second.unready.len()), (vec!["spot".into(), "late".into()], 0));

    // What was readable once is not lost with its file.
    std::fs::remove_file(&secret).unwrap();
    let third = Setup::prepare(config(), Some(&second), &regions, 1).await.unwrap();
    assert_eq!((names(&third), third.unready.len()), (names(&second), 0));
}

#[tokio::test]
async fn a_runner_that_is_not_ready_is_tried_again_every_minute() {
    let folder = tempfile::tempdir().unwrap();
    let (secret, path) = (folder.path().join("token"), folder.path().join("config.toml"));
    let config = with_late_runner(folder.path(), &secret);
    let regions = Regions::default();
    let first = Setup::prepare(config, None, &regions, 1).await.unwrap();
    let (replace, mut setup) = watch::channel(Arc::new(first));
    let (_hang_up, asked) = mpsc::channel(1);
    tokio::spawn(reload_when_asked(path, asked, mpsc::channel(1).1, replace, regions, 1, Clock::faster(1_000.0)));

    std::fs::write(&secret, "glrt-late").unwrap();
    timeout(DEADLINE, setup.changed()).await.expect("it was not tried again").unwrap();

    assert!(setup.borrow().unready.is_empty());
}

#[tokio::test]
async fn a_removed_runner_is_still_known_by_its_name() {
    let folder = tempfile::tempdir().unwrap();
    let regions = Regions::default();
    let prepare = |text: String| runner_fleet_config::parse(&text, "config.toml").unwrap().config;
    let good = good_configuration(folder.path(), 3);
    let first = Setup::prepare(prepare(good.clone()), None, &regions, 1).await.unwrap();

    let renamed = prepare(good.replace("name = \"spot\"", "name = \"new\""));
    let second = Setup::prepare(renamed, Some(&first), &regions, 1).await.unwrap();

    assert!(second.runner(&RunnerName::new("spot")).is_some(), "its workers could not be drained");
    assert!(second.runner(&RunnerName::new("never")).is_none());
    assert_eq!(second.settings.runners.len(), 1);
}

/// The good configuration and a second runner, `late`, whose token is in this file.
fn with_late_runner(folder: &Path, secret: &Path) -> Config {
    let good = good_configuration(folder, 3);
    let (_, runner) = good.split_at(good.find("[[runners]]").unwrap());
    let late = runner.replace("\"spot\"", "\"late\"").replacen("env:PATH", &format!("file:{}", secret.display()), 1);
    runner_fleet_config::parse(&format!("{good}\n{late}"), "config.toml").unwrap().config
}

fn good_configuration(folder: &Path, concurrent: u32) -> String {
    ConfigFile::new(folder)
        .global("concurrent", i64::from(concurrent))
        .fleet("state_dir", folder.to_str().unwrap())
        .runner("token", "env:PATH")
        .workers("api_token", "env:PATH")
        .workers("idle_count", 0)
        .text()
}

fn look_that_failed() -> Event {
    Event::Queue {
        server: runner_fleet_engine::Server::new("https://gitlab.example.com"),
        snapshot: Err(Failure::new(FailureClass::ServerError, "GitLab sleeps")),
    }
}

fn drain(worker: &str) -> Request {
    Request::Drain { workers: vec![WorkerId::new(worker)], runner: None, all: false, force: false }
}

/// Says these bytes, hangs up its own side, and takes the answer.
async fn talk(path: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(path).await.unwrap();
    // A peer that oversteps a limit is cut off while it still writes.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = timeout(DEADLINE, stream.read_to_end(&mut answer)).await.expect("no answer");
    String::from_utf8(answer).unwrap()
}

/// The loop between a real engine and a world that only records.
pub(super) struct Service {
    events: mpsc::Sender<Event>,
    control: mpsc::Sender<control::ControlRequest>,
    snapshot: watch::Receiver<Arc<FleetSnapshot>>,
    commands: mpsc::UnboundedReceiver<Command>,
    ordered: watch::Receiver<Orders>,
    costs: CostsReader,
    history: History,
    registry: Arc<Registry>,
    stop: CancellationToken,
    tasks: std::sync::Mutex<Vec<JoinHandle<()>>>,
}

struct Recording(mpsc::UnboundedSender<Command>);

impl Edge for Recording {
    fn execute(&mut self, _now: Timestamp, command: Command) {
        let _ = self.0.send(command);
    }
}

impl Service {
    pub(super) fn start(clock: Clock) -> Self {
        let engine = Engine::new("ci", 1, clock.now());
        let (orders, ordered) = watch::channel(Orders::default());
        let (give_ledger, ledger) = watch::channel(Arc::default());
        let costs = CostsReader::new("/nonexistent".into(), ledger);
        let (publish, mut service) = Self::hanging(engine.snapshot());
        let (events, from_world) = mpsc::channel(64);
        let (control, from_operators) = mpsc::channel(64);
        let (record, commands) = mpsc::unbounded_channel();
        let (registry, metrics) = metrics::registry(service.snapshot.clone(), &Calls::default());
        let (recorder, heard) = recording::recorder();
        let remembering = tokio::spawn(recording::remember(service.history.clone(), heard, None, clock));
        service.tasks.get_mut().unwrap().push(remembering);
        let channels = Channels {
            events: from_world,
            control: from_operators,
            publish,
            stop: service.stop.clone(),
            metrics,
            systemd: SystemdNotifier::to_nobody(clock.now()),
            orders,
            ledger: LedgerOut::new(give_ledger),
            costs: costs.clone(),
            recorder,
            reload: mpsc::channel(1).0,
        };
        let looping = tokio::spawn(live::drive(engine, Recording(record), clock, channels));
        service.tasks.get_mut().unwrap().push(looping);
        Self { events, control, commands, ordered, costs, registry: Arc::new(registry), ..service }
    }

    /// A snapshot, and no loop behind it.
    fn hanging(snapshot: FleetSnapshot) -> (watch::Sender<Arc<FleetSnapshot>>, Self) {
        let (publish, snapshot) = watch::channel(Arc::new(snapshot));
        let service = Self {
            events: mpsc::channel(1).0,
            control: mpsc::channel(1).0,
            snapshot,
            commands: mpsc::unbounded_channel().1,
            ordered: watch::channel(Orders::default()).1,
            costs: CostsReader::new("/nonexistent".into(), watch::channel(Arc::default()).1),
            history: History::new(|| Clock::real().now()),
            registry: Arc::default(),
            stop: CancellationToken::new(),
            tasks: std::sync::Mutex::default(),
        };
        (publish, service)
    }

    /// The first snapshot that is newer than this.
    async fn view_after(&mut self, time: Timestamp) -> FleetSnapshot {
        let newer = timeout(DEADLINE, async {
            if time == Timestamp::MIN {
                self.snapshot.changed().await.unwrap();
            }
            self.snapshot.wait_for(|snapshot| snapshot.at > time).await.unwrap().clone()
        });
        let snapshot = newer.await.expect("no further step");
        FleetSnapshot::clone(&snapshot)
    }

    pub(super) async fn listen(&self, path: &Path) {
        let bound = control::bind(path).await.unwrap();
        let serving = tokio::spawn(bound.serve(self.control.clone(), self.history.clone(), self.stop.clone()));
        self.tasks.lock().unwrap().push(serving);
    }

    async fn pages(&self, limits: DoorLimits, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Pages {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let site = Site {
            snapshot: self.snapshot.clone(),
            history: self.history.clone(),
            about: Arc::new(About::this("ci", Timestamp::UNIX_EPOCH, false)),
            registry: Arc::clone(&self.registry),
            hosts: Arc::new(["runner-fleet.example.com".to_owned()]),
            now: Arc::new(now),
            costs: http::costs_from({
                let costs = self.costs.clone();
                move |query| costs.clone().answer(query)
            }),
        };
        let stop = self.stop.clone();
        let serving = async move {
            runner_fleet::http::serve(listener, runner_fleet::http::router(site), limits, stop).await.unwrap();
        };
        self.tasks.lock().unwrap().push(tokio::spawn(serving));
        Pages { address }
    }

    fn commands_so_far(&mut self) -> Vec<Command> {
        std::iter::from_fn(|| self.commands.try_recv().ok()).collect()
    }

    /// Stops, sees that everything ends, and gives all commands that were not read yet.
    pub(super) async fn stop(mut self) -> Vec<Command> {
        self.stop.cancel();
        for task in std::mem::take(self.tasks.get_mut().unwrap()) {
            timeout(DEADLINE, task).await.expect("does not stop").expect("has panicked");
        }
        self.commands_so_far()
    }
}

struct Pages {
    address: std::net::SocketAddr,
}

struct Page {
    status: u16,
    policy: String,
    body: String,
}

impl Pages {
    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    async fn get(&self, path: &str) -> Page {
        let answer = reqwest::get(self.url(path)).await.unwrap();
        let policy = answer.headers().get("content-security-policy").unwrap().to_str().unwrap().to_owned();
        Page { status: answer.status().as_u16(), policy, body: answer.text().await.unwrap() }
    }
}

#[tokio::test]
async fn all_secrets_that_are_missing_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let one = ConfigFile::new(folder.path()).runner("token", "env:NO_TOKEN_A").workers("api_token", "env:NO_TOKEN_B");
    let mut file: toml::Table = one.text().parse().unwrap();
    let runners = file["runners"].as_array_mut().unwrap();
    let mut other = runners[0].clone();
    other["name"] = "other".into();
    other["token"] = "file:/nonexistent/token".into();
    runners.push(other);
    let config = runner_fleet_config::parse(&file.to_string(), "config.toml").unwrap().config;

    let error = Setup::prepare(config, None, &Regions::default(), 1).await.unwrap_err();

    let told = chain(&error);
    let parts = [
        "read the token of runner spot: environment variable NO_TOKEN_A",
        "; cannot read the api_token of runner spot: environment variable NO_TOKEN_B",
        "; cannot read the token of runner other: cannot read the secret file /nonexistent/token: No such file or directory",
        "; cannot read the api_token of runner other: environment variable NO_TOKEN_B",
    ];
    assert!(parts.iter().all(|part| told.contains(part)) && !told.contains("os error"), "{told}");
    assert!(told.starts_with(parts[0]), "{told}");
}

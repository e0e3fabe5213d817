//! One look at GitLab, EC2 and the workers, for a plan without the service. It asks and changes nothing: no key pair,
//! launch template or file is made, no worker is told anything. (GitLab notes that the runner's token was verified.)

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use futures::StreamExt;
use futures::future::join_all;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::control::Plan;
use crate::ssh::ManagerKey;
use runner_fleet_config::Config;
use runner_fleet_engine::{Command, Engine, Event, Instance, InstanceState, SETTLING, Server, WorkerEvent};
use runner_fleet_gitlab::manager_system_id;

use super::births::is_young;
use super::clock::Clock;
use super::connection::probe;
use super::ec2::list_regions;
use super::facts::{self, Findings};
use super::operator::plan;
use super::regions::Regions;
use super::setup::{RunnerSetup, Setup, SetupError};
use super::world::provision;
use super::{queues, worker_spec};
use crate::in_time::in_time;

/// Secrets of all runners are read one by one; each call has its own limits.
const PREPARE_MAX: Duration = Duration::from_secs(300);
/// Image, subnets and types: three calls, each with its own limits.
const PREVIEW_MAX: Duration = Duration::from_secs(120);
/// A listing of ten pages, each repeated by the SDK with its own limits.
const LISTING_MAX: Duration = Duration::from_secs(120);
/// How long a person waits for a queue to be read whole; after that it is shown as far as it was read.
const QUEUE_MAX: Duration = Duration::from_secs(30);
/// The first listing begins a moment after the look.
const SETTLING_MARGIN: Duration = Duration::from_millis(500);
/// Workers asked at one time. Each takes some milliseconds of computing; the rest is waiting.
const GLANCES_MAX: usize = 64;

/// Why nobody could look.
#[derive(Debug, thiserror::Error)]
pub enum LookError {
    /// Secrets or clients are missing.
    #[error(transparent)]
    Setup(#[from] SetupError),
    /// Secrets did not come.
    #[error("read the secrets of the configuration: no answer within {} s", PREPARE_MAX.as_secs())]
    Late,
}

/// What a manager that starts now would do first, once it has seen everything. What could not be read counts as not
/// known, as in the service.
///
/// # Errors
/// A secret cannot be read, or a client not be made.
pub async fn plan_once(config: Config, key: &ManagerKey, seed: u64, clock: Clock) -> Result<Plan, LookError> {
    let regions = Regions::default();
    let started_at = clock.now();
    let preparing = timeout(PREPARE_MAX, Setup::prepare(config, None, &regions, seed));
    let setup = preparing.await.map_err(|_| LookError::Late)??;
    let mut engine = Engine::new(setup.manager(), seed, started_at);
    let events = gather(&setup, &regions, key, clock).await;
    let commands = engine.step(clock.now(), events);
    let doing: Vec<Command> = commands.into_iter().filter(|command| !is_a_look(command)).collect();
    Ok(plan(&engine.snapshot(), &doing))
}

/// What this very look has already done.
fn is_a_look(command: &Command) -> bool {
    match command {
        Command::ListInstances { .. }
        | Command::Connect { .. }
        | Command::Disconnect { .. }
        | Command::LookForJobs { .. } => true,
        Command::Launch(_)
        | Command::Want { .. }
        | Command::Terminate(_)
        | Command::Forget { .. }
        | Command::Retry { .. } => false,
    }
}

/// Everything that there is to see; the queue late, as it changes fastest.
async fn gather(setup: &Setup, regions: &Regions, key: &ManagerKey, clock: Clock) -> Vec<Event> {
    let mut events = vec![Event::Configured(setup.settings.clone())];
    let began = clock.now();
    let (facts, plans, first) = tokio::join!(all_facts(setup), previews(setup, key), instances(setup, regions, clock));
    let (findings, facts) = facts;
    let running = match &first {
        Event::Instances { listing: Ok(listing), .. } => listing.clone(),
        _ => Vec::new(),
    };
    events.extend(facts);
    events.extend(plans);
    events.push(first);
    events.extend(glances(setup, key, running, clock.now()).await);
    events.extend(all_queues(setup, findings, clock).await);
    // As after a start: a launch of a manager that has just died may not have shown in the first listing.
    let passed = Duration::try_from(clock.now().duration_since(began)).unwrap_or_default();
    clock.sleep(SETTLING_MARGIN + SETTLING.saturating_sub(passed)).await;
    events.push(instances(setup, regions, clock).await);
    events
}

async fn all_facts(setup: &Setup) -> (Findings, Vec<Event>) {
    let manager = manager_system_id(setup.manager());
    let answers = join_all(setup.runners.iter().map(|runner| facts::once(runner, &manager))).await;
    let (mut findings, mut events) = (Findings::new(), Vec::new());
    for (runner, (found, facts)) in setup.runners.iter().zip(answers) {
        let name = runner.runner.name.clone();
        findings.extend(found.map(|found| (name.clone(), found)));
        events.push(Event::Runner { runner: name, facts });
    }
    (findings, events)
}

async fn previews(setup: &Setup, key: &ManagerKey) -> Vec<Event> {
    join_all(setup.runners.iter().map(|runner| preview(setup, runner, key))).await
}

async fn preview(setup: &Setup, runner: &RunnerSetup, key: &ManagerKey) -> Event {
    let plan = match worker_spec::launch_spec(&setup.config, &runner.runner, key) {
        Err(error) => Err(error.into()),
        Ok(spec) => in_time(PREVIEW_MAX, runner.aws.preview(&spec)).await,
    };
    Event::LaunchPlan { runner: runner.runner.name.clone(), plan }
}

async fn instances(setup: &Setup, regions: &Regions, clock: Clock) -> Event {
    let asked_at = clock.now();
    let listing = in_time(LISTING_MAX, list_regions(setup, regions, true)).await;
    let listing = listing.map(|regions| regions.into_iter().flat_map(|(_, instances)| instances).collect());
    Event::Instances { asked_at, listing }
}

async fn glances(setup: &Setup, key: &ManagerKey, instances: Vec<Instance>, now: Timestamp) -> Vec<Event> {
    let running = instances.into_iter().filter(|instance| instance.state == InstanceState::Running);
    let event = running.filter_map(|instance| {
        let known = setup.runner(&instance.runner)?;
        let may_be_new = is_young(instance.launched_at, &known.runner.fleet, now);
        let provision = provision(&setup.config, known, key, &instance.id, may_be_new);
        let address = instance.address?;
        Some(async move {
            let event = probe(&instance.id, address, &provision, key).await;
            (instance.id, event)
        })
    });
    let heard: Vec<_> = futures::stream::iter(event).buffer_unordered(GLANCES_MAX).collect().await;
    let by_worker: BTreeMap<_, _> = heard.into_iter().collect();
    let events = by_worker.into_iter().flat_map(|(worker, event)| {
        let up = (!matches!(event, WorkerEvent::Disconnected(_))).then_some(WorkerEvent::Connected);
        let all = up.into_iter().chain([event]);
        all.map(|event| Event::Worker { worker: worker.clone(), event }).collect::<Vec<_>>()
    });
    events.collect()
}

async fn all_queues(setup: &Setup, findings: Findings, clock: Clock) -> Vec<Event> {
    let (_keep, findings) = watch::channel(findings);
    let servers: BTreeSet<&Server> = setup.runners.iter().map(|runner| &runner.runner.server).collect();
    let answers = servers.into_iter().map(|server| {
        let of_server = setup.runners.iter().filter(|runner| runner.runner.server == *server);
        let runners: Vec<_> = of_server.map(Arc::clone).collect();
        let findings = findings.clone();
        async move {
            let snapshot = queues::once(&runners, &findings, setup.config.check_interval, QUEUE_MAX, clock).await?;
            Some(Event::Queue { server: server.clone(), snapshot })
        }
    });
    join_all(answers).await.into_iter().flatten().collect()
}

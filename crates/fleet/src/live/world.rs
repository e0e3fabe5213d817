//! The real world, as the driver's edge: GitLab, EC2 and the workers. Every command becomes a task or a word to a connection, and
//! every answer an event; what is watched on our own account is restarted when the configuration changes.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::info;

use crate::ssh::ManagerKey;
use runner_fleet_config::Config;
use runner_fleet_engine::{Command, Event, JobId, ProjectId, RetryOutcome, RunnerName, Server, SystemId, WorkerId};
use runner_fleet_gitlab::{RanOn, Retried, manager_system_id};
use runner_fleet_worker as worker;

use super::births::Births;
use super::clock::Clock;
use super::complaint::Complaint;
use super::connection::{Connections, Dial, Provision, Provisioner, Timeouts};
use super::ec2::Ec2;
use super::edge::Edge;
use super::facts::{self, Findings};
use super::host_keys::host_keys;
use super::regions::Regions;
use super::setup::{RunnerSetup, Setup, Unready};
use super::{launch_plans, prices, queues, worker_spec};
use crate::in_time::in_time;

/// A backstop: the client has its own, shorter time-outs.
const CALL_MAX: Duration = Duration::from_secs(60);

/// What the world is made of.
#[derive(Debug)]
pub struct World {
    ec2: Ec2,
    connections: Arc<Mutex<Connections>>,
    forgetting: Arc<Mutex<Complaint>>,
    looking: Arc<Mutex<Complaint>>,
    retrying: Arc<Mutex<Complaint>>,
}

impl World {
    /// The world of this setup, and of those that replace it; workers are reached through `dialer`, and answers go to
    /// `events`. Watches begin at once.
    pub fn new(
        setup: watch::Receiver<Arc<Setup>>,
        regions: Regions,
        key: Arc<ManagerKey>,
        events: mpsc::Sender<Event>,
        clock: Clock,
        dialer: Arc<dyn Dial>,
    ) -> Self {
        let births = Births::default();
        let recipes = Recipes { setup: setup.clone(), key: Arc::clone(&key), births: births.clone(), clock };
        let recipes = Arc::new(recipes);
        let timeouts = Timeouts::default();
        let connections = Connections::with(events.clone(), clock, Arc::clone(&key), recipes, dialer, timeouts);
        let connections = Arc::new(Mutex::new(connections));
        tokio::spawn(watch_over(setup.clone(), key, events.clone(), clock, Arc::clone(&connections)));
        Self {
            ec2: Ec2::new(setup, regions, events, clock, births),
            connections,
            forgetting: Arc::default(),
            looking: Arc::default(),
            retrying: Arc::default(),
        }
    }

    async fn forget(
        ec2: Ec2,
        forgetting: Arc<Mutex<Complaint>>,
        worker: WorkerId,
        runner: RunnerName,
        system_id: SystemId,
    ) {
        let setup = Arc::clone(&ec2.setup.borrow());
        let outcome = match setup.runner(&runner) {
            // Nobody knows the token any more; GitLab removes the row by itself after a week.
            None => Ok(()),
            Some(runner) => in_time(CALL_MAX, runner.gitlab.forget(&runner.token, &system_id)).await,
        };
        told(&forgetting).about("deleting the rows of ended workers in GitLab", &outcome);
        let _ = ec2.events.send(Event::Forgotten { worker, outcome }).await;
    }

    async fn look_for_jobs(ec2: Ec2, looking: Arc<Mutex<Complaint>>, asked_at: Timestamp, look: LookForJobs) {
        let LookForJobs { worker, runner, runner_id, system_id } = look;
        let setup = Arc::clone(&ec2.setup.borrow());
        let Some(runner) = setup.runner(&runner) else { return };
        let jobs = in_time(CALL_MAX, runner.gitlab.running_jobs(runner_id, &system_id)).await;
        told(&looking).about("looking in GitLab for the jobs of workers that are busy or silent for long", &jobs);
        let _ = ec2.events.send(Event::JobsSeen { worker, asked_at, jobs }).await;
    }

    async fn retry(ec2: Ec2, retrying: Arc<Mutex<Complaint>>, wish: Retry) {
        let Retry { runner, server, project, job, ran_on } = wish;
        let setup = Arc::clone(&ec2.setup.borrow());
        let Some(runner) = setup.runner(&runner) else { return };
        let outcome = match in_time(CALL_MAX, runner.gitlab.retry_lost(project, job, &ran_on)).await {
            Ok(Retried::As(new)) => {
                info!(job.id = job.0, "job {job} of project {project} is retried as job {new}");
                RetryOutcome::Queued(new)
            }
            Ok(Retried::NotNeeded(why)) => {
                info!(job.id = job.0, "job {job} of project {project} is not retried: {why}");
                RetryOutcome::NotNeeded(why)
            }
            Ok(Retried::StillRuns) => RetryOutcome::StillRuns,
            Err(failure) if failure.class.may_heal() => RetryOutcome::Failed(failure),
            Err(failure) => RetryOutcome::Refused(failure),
        };
        let worked = match &outcome {
            RetryOutcome::Refused(failure) | RetryOutcome::Failed(failure) => Err(failure.clone()),
            RetryOutcome::Queued(_) | RetryOutcome::NotNeeded(_) | RetryOutcome::StillRuns => Ok(()),
        };
        // Said once: a zone that EC2 empties is not one line for each of its jobs.
        told(&retrying).about("retrying jobs that EC2 took away", &worked);
        let _ = ec2.events.send(Event::Retried { server, job, outcome }).await;
    }
}

/// What was told of these calls so far.
fn told(complaint: &Mutex<Complaint>) -> MutexGuard<'_, Complaint> {
    complaint.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A worker whose jobs to look for.
struct LookForJobs {
    worker: WorkerId,
    runner: RunnerName,
    runner_id: u64,
    system_id: SystemId,
}

/// A job to look at and perhaps to retry.
struct Retry {
    runner: RunnerName,
    server: Server,
    project: ProjectId,
    job: JobId,
    ran_on: RanOn,
}

impl Edge for World {
    fn execute(&mut self, now: Timestamp, command: Command) {
        let ec2 = self.ec2.clone();
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        match command {
            Command::ListInstances { with_health } => drop(tokio::spawn(ec2.list(with_health))),
            Command::Launch(launch) => drop(tokio::spawn(ec2.launch(launch))),
            Command::Terminate(terminations) => drop(tokio::spawn(ec2.terminate(terminations))),
            Command::Connect { worker, runner, address, want } => {
                connections.connect(worker, runner, address, want.as_ref());
            }
            Command::Disconnect { worker } => connections.disconnect(&worker),
            Command::Want { worker, want } => connections.want(&worker, &want),
            Command::Forget { worker, runner, system_id } => {
                drop(tokio::spawn(Self::forget(ec2, Arc::clone(&self.forgetting), worker, runner, system_id)));
            }
            Command::LookForJobs { worker, runner, runner_id, system_id } => {
                let look = LookForJobs { worker, runner, runner_id, system_id };
                drop(tokio::spawn(Self::look_for_jobs(ec2, Arc::clone(&self.looking), now, look)));
            }
            Command::Retry { worker, runner, runner_id, server, project, job } => {
                let ran_on = RanOn { runner_id, system_id: SystemId::of(&worker) };
                let wish = Retry { runner, server, project, job, ran_on };
                drop(tokio::spawn(Self::retry(ec2, Arc::clone(&self.retrying), wish)));
            }
        }
    }
}

/// Starts the watches of the present setup, and starts them again when another one replaces it.
async fn watch_over(
    mut setup: watch::Receiver<Arc<Setup>>,
    key: Arc<ManagerKey>,
    events: mpsc::Sender<Event>,
    clock: Clock,
    connections: Arc<Mutex<Connections>>,
) {
    let mut is_first = true;
    loop {
        let current = Arc::clone(&setup.borrow_and_update());
        // The engine hears of the configuration before it hears of anything that was seen with it.
        if events.send(Event::Configured(current.settings.clone())).await.is_err() {
            return;
        }
        if !is_first {
            let connections = connections.lock().unwrap_or_else(PoisonError::into_inner);
            current.runners.iter().for_each(|setup| connections.reconfigure(&setup.runner.name));
        }
        is_first = false;
        // Dropped, and with it ended, as soon as the setup is replaced.
        let _watches = watches(&current, &key, &events, clock);
        if setup.changed().await.is_err() {
            return;
        }
    }
}

fn watches(setup: &Arc<Setup>, key: &Arc<ManagerKey>, events: &mpsc::Sender<Event>, clock: Clock) -> JoinSet<()> {
    let mut tasks = JoinSet::new();
    let (findings, found) = watch::channel(Findings::new());
    let manager = manager_system_id(setup.manager());
    let mut servers: BTreeMap<Server, Vec<_>> = BTreeMap::new();
    for Unready { runner, failure } in setup.unready.clone() {
        let events = events.clone();
        // Nobody listens any more when the service ends.
        tasks.spawn(async move { drop(events.send(Event::Runner { runner, facts: Err(failure) }).await) });
    }
    for runner in &setup.runners {
        tasks.spawn(facts::run(Arc::clone(runner), manager.clone(), findings.clone(), events.clone(), clock));
        tasks.spawn(launch_plans::run(Arc::clone(setup), Arc::clone(runner), Arc::clone(key), events.clone(), clock));
        servers.entry(runner.runner.server.clone()).or_default().push(Arc::clone(runner));
    }
    for (server, runners) in servers {
        let every = setup.config.check_interval;
        tasks.spawn(queues::run(server, runners, found.clone(), every, events.clone(), clock));
    }
    for types in prices::by_region(&setup.runners) {
        tasks.spawn(prices::run(types, events.clone(), clock));
    }
    tasks
}

/// What the connections are told about a worker: always from the present configuration.
struct Recipes {
    setup: watch::Receiver<Arc<Setup>>,
    key: Arc<ManagerKey>,
    births: Births,
    clock: Clock,
}

impl Provisioner for Recipes {
    fn provision(&self, runner: &RunnerName, worker: &WorkerId) -> Result<Provision, String> {
        let setup = Arc::clone(&self.setup.borrow());
        let Some(known) = setup.runner(runner) else {
            return Err(format!("nobody knows how to log in to workers of {runner}: it is not configured"));
        };
        let may_be_new = self.births.may_be_new(worker, &known.runner.fleet, self.clock.now());
        Ok(provision(&setup.config, known, &self.key, worker, may_be_new))
    }
}

/// How to log in to a worker of this runner, which `may_be_new`, and what it is configured with.
pub fn provision(
    config: &Config,
    runner: &RunnerSetup,
    key: &ManagerKey,
    worker: &WorkerId,
    may_be_new: bool,
) -> Provision {
    let spec = worker_spec::worker_spec(config, &runner.runner, worker_spec::host_key(&runner.runner.name, key));
    let bundle = worker::bundle(&spec, &runner.token, worker);
    Provision {
        user: spec.ssh_user.clone(),
        port: runner.runner.fleet.ssh_port,
        host_keys: host_keys(&runner.runner.name, worker, key, may_be_new),
        bundle,
    }
}

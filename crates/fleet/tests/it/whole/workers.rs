//! Workers in memory: behind every address that EC2 gave out is one, which has booted and whose agent does as it is told.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use jiff::Timestamp;
use runner_fleet::live::clock::Clock;
use runner_fleet::live::connection::{Dial, Wire};
use runner_fleet::ssh::ManagerKey;
use runner_fleet_worker::agent::AGENT_PATH;
use russh::keys::PrivateKey;
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use secrecy::ExposeSecret;
use serde_json::json;
use tokio::io::DuplexStream;
use tokio::sync::watch;

use super::gitlab::PROJECT;
use crate::ssh::server::{Script, Server, exit, handed_over, script, stdin};

/// Between two reports that say the same, of the service's own time.
const REPORT_EVERY: Duration = Duration::from_secs(5);

/// All of them; clones are the same workers.
#[derive(Clone)]
pub(super) struct Workers {
    manager: Arc<ManagerKey>,
    clock: Clock,
    runner: &'static str,
    all: Arc<Mutex<BTreeMap<IpAddr, Worker>>>,
}

/// One of them.
#[derive(Clone)]
pub(super) struct Worker {
    manager: Arc<ManagerKey>,
    /// What its sshd shows.
    host_key: Arc<Mutex<PrivateKey>>,
    work: Script,
    state: watch::Sender<State>,
    told: Arc<Mutex<Vec<String>>>,
    /// Whether a stop is answered well, and nothing comes of it.
    ignores_stops: Arc<AtomicBool>,
}

#[derive(Clone)]
struct State {
    /// What stands in its reports instead of the truth.
    lies: serde_json::Map<String, serde_json::Value>,
    runner: &'static str,
    jobs: BTreeSet<u64>,
    started: u64,
    idle_since: Timestamp,
}

impl Workers {
    /// They let this manager in, and show the host key that it derives for this runner.
    pub(super) fn new(manager: ManagerKey, runner: &'static str, clock: Clock) -> Self {
        Self { manager: Arc::new(manager), clock, runner, all: Arc::default() }
    }

    /// The one at this address.
    pub(super) fn at(&self, address: IpAddr) -> Worker {
        let mut all = self.all.lock().unwrap();
        all.entry(address).or_insert_with(|| Worker::boot(&self.manager, self.runner, self.clock)).clone()
    }

    /// What any of them was told, one command a line.
    pub(super) fn told(&self) -> Vec<String> {
        self.all.lock().unwrap().values().flat_map(|worker| worker.told()).collect()
    }
}

impl Dial for Workers {
    fn dial(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        let wire = self.at(address.ip()).wire();
        Box::pin(async move { Ok(Box::new(wire) as Box<dyn Wire>) })
    }
}

impl Worker {
    fn boot(manager: &Arc<ManagerKey>, runner: &str, clock: Clock) -> Self {
        let fresh = State {
            lies: serde_json::Map::new(),
            runner: "absent",
            jobs: BTreeSet::new(),
            started: 0,
            idle_since: clock.now(),
        };
        let (state, told) = (watch::Sender::new(fresh), Arc::<Mutex<Vec<String>>>::default());
        let host_key = PrivateKey::from_openssh(manager.host_key(runner).private_openssh.expose_secret()).unwrap();
        let host_key = Arc::new(Mutex::new(host_key));
        let ignores_stops = Arc::<AtomicBool>::default();
        let agent = Agent {
            host_key: Arc::clone(&host_key),
            state: state.clone(),
            told: Arc::clone(&told),
            ignores_stops: Arc::clone(&ignores_stops),
            clock,
        };
        let work = script(move |command, channel| agent.clone().act(command, channel));
        Self { manager: Arc::clone(manager), host_key, work, state, told, ignores_stops }
    }

    fn wire(&self) -> DuplexStream {
        let shown = self.host_key.lock().unwrap().clone();
        Server::with_host_key(&self.manager, shown, Arc::clone(&self.work)).wire()
    }

    /// The verbs that it was told, without its configuration.
    pub(super) fn told(&self) -> Vec<String> {
        let verb = |told: &String| told.split_whitespace().next().unwrap_or_default().to_owned();
        self.told.lock().unwrap().iter().map(verb).collect()
    }

    /// The last configuration that arrived.
    pub(super) fn bundle(&self) -> Option<String> {
        self.told.lock().unwrap().iter().rev().find_map(|told| told.strip_prefix("configure ").map(str::to_owned))
    }

    /// From now on its reports say this instead of the truth.
    pub(super) fn lies(&self, lies: &serde_json::Value) {
        let lies = lies.as_object().unwrap().clone();
        self.state.send_modify(|state| state.lies = lies);
    }

    pub(super) fn ignores_stops(&self) {
        self.ignores_stops.store(true, Ordering::Relaxed);
    }

    pub(super) fn takes(&self, job: u64) {
        self.state.send_modify(|state| {
            assert_eq!(state.runner, "serving", "a runner that does not serve takes no job");
            state.jobs.insert(job);
            state.started += 1;
        });
    }

    pub(super) fn finishes(&self, job: u64, now: Timestamp) {
        self.state.send_modify(|state| {
            assert!(state.jobs.remove(&job));
            state.idle_since = now;
        });
    }
}

/// The program on the worker.
#[derive(Clone)]
struct Agent {
    host_key: Arc<Mutex<PrivateKey>>,
    state: watch::Sender<State>,
    told: Arc<Mutex<Vec<String>>>,
    ignores_stops: Arc<AtomicBool>,
    clock: Clock,
}

impl Agent {
    async fn act(self, command: String, mut channel: Channel<Msg>) {
        let verb = command.strip_prefix(&format!("sudo -n {AGENT_PATH} ")).unwrap_or_else(|| panic!("{command:?}"));
        if verb == "watch" {
            return self.watch(channel).await;
        }
        let input = String::from_utf8(stdin(&mut channel).await).unwrap();
        self.told.lock().unwrap().push(format!("{verb} {input}"));
        if verb == "host-key" {
            *self.host_key.lock().unwrap() = handed_over(&input);
            return exit(&channel, 0).await;
        }
        let becomes = match verb {
            "configure" | "unfence" => "serving",
            "fence" => "fenced",
            "stop" | "hard-stop" if self.ignores_stops.load(Ordering::Relaxed) => return exit(&channel, 0).await,
            "stop" | "hard-stop" => "stopped",
            other => panic!("{other}"),
        };
        self.state.send_modify(|state| state.runner = becomes);
        exit(&channel, 0).await;
    }

    async fn watch(self, mut channel: Channel<Msg>) {
        let mut state = self.state.subscribe();
        state.mark_changed();
        loop {
            tokio::select! {
                _ = state.changed() => {}
                () = self.clock.sleep(REPORT_EVERY) => {}
                message = channel.wait() => match message {
                    Some(ChannelMsg::Close) | None => return,
                    Some(_) => continue,
                },
            }
            let line = line(&state.borrow_and_update(), self.clock.now());
            if channel.data_bytes(line).await.is_err() {
                return;
            }
        }
    }
}

fn line(state: &State, now: Timestamp) -> String {
    let idle_seconds = if state.jobs.is_empty() { now.duration_since(state.idle_since).as_secs().max(0) } else { 0 };
    let projects: BTreeMap<String, u64> = state.jobs.iter().map(|job| (job.to_string(), PROJECT)).collect();
    let mut report = json!({
        "v": 1, "phase": "ready", "step": "", "error": "", "runner": state.runner, "jobs_metrics": state.jobs.len(),
        "jobs_docker": state.jobs.len(), "job_ids": state.jobs, "projects": projects, "requests": 0,
        "started": state.started, "idle_seconds": idle_seconds, "queue_size": null, "disk_free_mib": null,
        "interruption": null, "rebalance": false,
    });
    report.as_object_mut().unwrap().extend(state.lies.clone());
    format!("{report}\n")
}

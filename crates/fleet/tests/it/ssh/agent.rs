//! A worker in memory: an SSH server with an agent that does as it is told and writes down what it was told.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use futures::FutureExt;
use futures::future::BoxFuture;
use runner_fleet::live::connection::{Dial, Wire};
use runner_fleet::ssh::ManagerKey;
use runner_fleet_worker::agent::AGENT_PATH;
use russh::keys::PrivateKey;
use russh::server::Msg;
use russh::{Channel, ChannelMsg};
use tokio::sync::{mpsc, watch};

use super::server::{Manner, Script, Server, exit, handed_over, script, soon, stdin};

/// What the agent says next, however odd.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Say {
    /// A report with this runner state.
    Runner(&'static str),
    /// These bytes.
    Raw(Vec<u8>),
    /// This line a million times, as fast as it is taken.
    Flood(String),
    /// Nothing at all.
    Nothing,
}

/// How the agent behaves; a test may change it at any time.
#[derive(Clone)]
pub(super) struct Worker {
    /// What `agent watch` says; a change is said at once.
    pub(super) says: watch::Sender<Say>,
    /// How many times the agent is not there yet.
    pub(super) missing: Arc<AtomicUsize>,
    /// Exit status and complaint of every command but `watch`.
    pub(super) answers: Arc<Mutex<(u32, String)>>,
    /// How many connections are refused first.
    pub(super) refusals: Arc<AtomicUsize>,
    /// Whether its sshd goes on showing the key that it has, whatever the agent was given.
    pub(super) keeps_key: Arc<AtomicBool>,
    /// What its sshd shows from the next connection on.
    next_key: Arc<Mutex<Option<PrivateKey>>>,
    flooded: Arc<AtomicUsize>,
    ignores_stops: Arc<AtomicBool>,
    server: Arc<Mutex<Option<Server>>>,
    cut: watch::Sender<u32>,
    told: mpsc::UnboundedSender<String>,
}

/// What the worker was told, in order.
pub(super) struct Told(mpsc::UnboundedReceiver<String>);

impl Told {
    /// The next command, beats left out.
    pub(super) async fn next(&mut self) -> String {
        soon("a command", async {
            loop {
                match self.0.recv().await.unwrap() {
                    beat if beat == "beat" => {}
                    command => return command,
                }
            }
        })
        .await
    }

    pub(super) async fn beat(&mut self) {
        soon("a beat", async { while self.0.recv().await.unwrap() != "beat" {} }).await;
    }

    /// Whether nothing but beats has come.
    pub(super) fn is_silent(&mut self) -> bool {
        std::iter::from_fn(|| self.0.recv().now_or_never().flatten()).all(|told| told == "beat")
    }
}

impl Worker {
    pub(super) fn new(manager: &ManagerKey, says: Say) -> (Self, Told) {
        let (told, log) = mpsc::unbounded_channel();
        let worker = Self {
            says: watch::Sender::new(says),
            missing: Arc::default(),
            answers: Arc::default(),
            refusals: Arc::default(),
            keeps_key: Arc::default(),
            next_key: Arc::default(),
            flooded: Arc::default(),
            ignores_stops: Arc::default(),
            server: Arc::default(),
            cut: watch::Sender::new(0),
            told,
        };
        let server = Server::new(manager, worker.script());
        *worker.server.lock().unwrap() = Some(server);
        (worker, Told(log))
    }

    /// From now on it shows this host key.
    pub(super) fn shows(&self, key: PrivateKey) {
        *self.next_key.lock().unwrap() = Some(key);
    }

    /// From now on a stop is answered well, and nothing comes of it.
    pub(super) fn ignores_stops(&self) {
        self.ignores_stops.store(true, Ordering::Relaxed);
    }

    pub(super) fn behaves(&self, manner: Manner) {
        *self.server.lock().unwrap().as_ref().unwrap().manner.lock().unwrap() = manner;
    }

    /// How many lines it has got rid of so far, where it says them without end.
    pub(super) fn flooded(&self) -> usize {
        self.flooded.load(Ordering::Relaxed)
    }

    pub(super) fn logins(&self) -> usize {
        self.server.lock().unwrap().as_ref().unwrap().logins.lock().unwrap().len()
    }

    /// Cuts every connection.
    pub(super) fn cut(&self) {
        self.cut.send_modify(|cuts| *cuts += 1);
    }

    pub(super) fn runner(&self, state: &'static str) {
        self.says.send_replace(Say::Runner(state));
    }

    fn script(&self) -> Script {
        // The server keeps the script, and the worker the server: a clone without the server breaks the ring.
        let worker = Self { server: Arc::default(), ..self.clone() };
        script(move |command, channel| worker.clone().act(command, channel))
    }

    async fn act(self, command: String, mut channel: Channel<Msg>) {
        let verb = command.strip_prefix(&format!("sudo -n {AGENT_PATH} ")).unwrap_or_else(|| panic!("{command:?}"));
        if self.missing.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
            let _ = channel.extended_data_bytes(1, format!("sudo: {AGENT_PATH}: command not found\n")).await;
            return exit(&channel, 1).await;
        }
        if verb == "watch" {
            return self.watch(channel).await;
        }
        let input = String::from_utf8(stdin(&mut channel).await).unwrap();
        let (status, complaint) = self.answers.lock().unwrap().clone();
        let _ = self.told.send(format!("{verb} {input}").trim().to_owned());
        if status == 0 {
            match verb {
                "host-key" if self.keeps_key.load(Ordering::Relaxed) => {}
                "host-key" => self.shows(handed_over(&input)),
                "configure" | "unfence" => self.runner("serving"),
                "fence" => self.runner("fenced"),
                "stop" | "hard-stop" if self.ignores_stops.load(Ordering::Relaxed) => {}
                "stop" | "hard-stop" => self.runner("stopped"),
                other => panic!("{other}"),
            }
        }
        let _ = channel.extended_data_bytes(1, complaint).await;
        exit(&channel, status).await;
    }

    async fn flood(self, channel: Channel<Msg>, line: String) {
        for _ in 0..1_000_000 {
            if channel.data_bytes(line.clone()).await.is_err() {
                return;
            }
            self.flooded.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn watch(self, mut channel: Channel<Msg>) {
        let mut says = self.says.subscribe();
        says.mark_changed();
        loop {
            tokio::select! {
                _ = says.changed() => {
                    let says = says.borrow_and_update().clone();
                    let bytes = match says {
                        Say::Runner(state) => line(state).into_bytes(),
                        Say::Raw(bytes) => bytes,
                        Say::Flood(line) => return self.flood(channel, line).await,
                        Say::Nothing => continue,
                    };
                    if channel.data_bytes(bytes).await.is_err() {
                        return;
                    }
                }
                message = channel.wait() => match message {
                    Some(ChannelMsg::Data { data }) => {
                        for told in String::from_utf8(data.to_vec()).unwrap().lines() {
                            let _ = self.told.send(told.to_owned());
                        }
                    }
                    Some(_) => {}
                    None => return,
                },
            }
        }
    }
}

/// One report.
pub(super) fn line(runner: &str) -> String {
    format!(
        "{{\"v\":1,\"phase\":\"ready\",\"step\":\"\",\"error\":\"\",\"runner\":\"{runner}\",\"jobs_metrics\":0,\
         \"jobs_docker\":0,\"job_ids\":[],\"requests\":0,\"started\":0,\"idle_seconds\":0,\"queue_size\":null,\
         \"disk_free_mib\":null,\"interruption\":null,\"rebalance\":false}}\n"
    )
}

impl Dial for Worker {
    fn dial(&self, _: SocketAddr) -> BoxFuture<'static, io::Result<Box<dyn Wire>>> {
        let worker = self.clone();
        Box::pin(async move {
            if worker.refusals.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok() {
                return Err(io::ErrorKind::ConnectionRefused.into());
            }
            let mut far = {
                let (mut server, next_key) = (worker.server.lock().unwrap(), worker.next_key.lock().unwrap().take());
                if let Some(key) = next_key {
                    *server = server.as_ref().map(|server| server.showing(key));
                }
                server.as_ref().unwrap().wire()
            };
            let (near, mut middle) = tokio::io::duplex(64 * 1024);
            let mut cut = worker.cut.subscribe();
            tokio::spawn(async move {
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut middle, &mut far) => {}
                    _ = cut.changed() => {}
                }
            });
            Ok(Box::new(near) as Box<dyn Wire>)
        })
    }
}

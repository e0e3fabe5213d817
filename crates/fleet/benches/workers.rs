//! Workers for measurements: one process that answers SSH for a whole range of addresses, each of them a machine of its
//! own with a scripted agent. `benches/manager/run` starts it; by itself it measures nothing.
//!
//! `workers STATE_DIR RUNNER PORT BOOT_MS SPREAD_MS BUSY_EVERY`: the first host key is the one that the manager with this
//! state directory derives for the runner; each machine shows the one that it is then given. A machine's sshd answers BOOT_MS, and up to SPREAD_MS more, after the first attempt
//! to reach it; until then connections are reset. Once configured, every BUSY_EVERY-th machine reports a job (0: none).
//!
//! Writes a line `ADDRESS answers SECONDS` (UNIX time) when a machine's sshd begins to answer, and
//! `ADDRESS configured SECONDS` when its agent has taken a configuration. Ends with its stdin.

#![expect(clippy::print_stdout, reason = "its output is for the script that started it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use runner_fleet::ssh::ManagerKey;
use runner_fleet_worker::agent::{AGENT_PATH, AgentCommand};
use russh::keys::PrivateKey;
use russh::server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg};
use secrecy::ExposeSecret;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// As the real agent's.
const REPORT_EVERY: Duration = Duration::from_secs(30);

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [state_dir, runner, port, boot_ms, spread_ms, busy_every] = arguments.as_slice() else {
        return Err("usage: workers STATE_DIR RUNNER PORT BOOT_MS SPREAD_MS BUSY_EVERY".into());
    };
    let key = ManagerKey::load_or_create(state_dir.as_ref())?;
    let first = config(PrivateKey::from_openssh(key.host_key(runner).private_openssh.expose_secret())?);
    let (boot, spread) = (Duration::from_millis(boot_ms.parse()?), Duration::from_millis(spread_ms.parse()?));
    let busy_every: u32 = busy_every.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, port.parse()?)).await?;
    println!("listening");
    let machines: Mutex<BTreeMap<IpAddr, Arc<Machine>>> = Mutex::default();
    // Whoever started us holds our input open, and ends us by closing it.
    let (closed, mut input_closed) = tokio::sync::oneshot::channel::<()>();
    std::thread::spawn(move || {
        let _ = std::io::Read::read(&mut std::io::stdin(), &mut [0]);
        drop(closed);
    });
    loop {
        let (stream, _) = tokio::select! {
            accepted = listener.accept() => accepted?,
            _ = &mut input_closed => return Ok(()),
        };
        let address = stream.local_addr()?.ip();
        let machine = {
            let mut machines = machines.lock().unwrap_or_else(PoisonError::into_inner);
            let number = u32::try_from(machines.len()).unwrap_or(u32::MAX);
            let delay = || boot + spread.mul_f64(rand::random());
            Arc::clone(machines.entry(address).or_insert_with(|| {
                let is_busy = busy_every > 0 && number.is_multiple_of(busy_every);
                Machine::start(address, delay(), is_busy, Arc::clone(&first))
            }))
        };
        if Instant::now() < machine.answers_from {
            stream.set_zero_linger()?; // reset, as the kernel does while nothing listens
            continue;
        }
        let config = Arc::clone(&machine.config.lock().unwrap_or_else(PoisonError::into_inner));
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, Connection { machine, channel: None }).await {
                let _ = session.await;
            }
        });
    }
}

#[expect(clippy::disallowed_methods, reason = "a program of its own, and its edge")]
fn tell(address: IpAddr, what: &str) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    println!("{address} {what} {:.3}", now.as_secs_f64());
}

fn config(host_key: PrivateKey) -> Arc<server::Config> {
    Arc::new(server::Config {
        keys: vec![host_key],
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    })
}

struct Machine {
    address: IpAddr,
    /// With the host key that it shows.
    config: Mutex<Arc<server::Config>>,
    answers_from: Instant,
    busy: bool,
    configured: watch::Sender<bool>,
}

impl Machine {
    fn start(address: IpAddr, boot: Duration, busy: bool, config: Arc<server::Config>) -> Arc<Self> {
        let answers_from = Instant::now() + boot;
        tokio::spawn(async move {
            tokio::time::sleep_until(answers_from).await;
            tell(address, "answers");
        });
        let config = Mutex::new(config);
        Arc::new(Self { address, config, answers_from, busy, configured: watch::Sender::new(false) })
    }

    fn report(&self) -> String {
        let configured = *self.configured.borrow();
        let (runner, jobs) = if configured { ("serving", u8::from(self.busy)) } else { ("absent", 0) };
        format!(
            "{{\"v\":1,\"phase\":\"ready\",\"step\":\"\",\"error\":\"\",\"runner\":\"{runner}\",\"jobs_metrics\":{jobs},\
             \"jobs_docker\":{jobs},\"job_ids\":[],\"requests\":1,\"started\":{jobs},\"idle_seconds\":0,\
             \"queue_size\":null,\"disk_free_mib\":20000,\"interruption\":null,\"rebalance\":false}}\n"
        )
    }

    async fn act(self: Arc<Self>, command: String, mut channel: Channel<Msg>) {
        let status = match command.strip_prefix(AGENT_PATH).map(str::trim) {
            Some(verb) if verb == AgentCommand::Watch.name() => return self.watch(channel).await,
            Some(verb) if verb == AgentCommand::HostKey.name() => {
                let input = String::from_utf8(input(&mut channel).await).unwrap_or_default();
                let key = input.find("-----BEGIN").and_then(|at| PrivateKey::from_openssh(input.get(at..)?).ok());
                match key {
                    Some(key) => {
                        *self.config.lock().unwrap_or_else(PoisonError::into_inner) = config(key);
                        0
                    }
                    None => 7,
                }
            }
            Some(verb) if verb == AgentCommand::Configure.name() => {
                input(&mut channel).await;
                if !self.configured.send_replace(true) {
                    tell(self.address, "configured");
                }
                0
            }
            Some(_) => 0,
            None => 127,
        };
        let _ = channel.exit_status(status).await;
        let _ = channel.eof().await;
        let _ = channel.close().await;
    }

    /// A report at once, on every change and every half minute, until the manager hangs up.
    async fn watch(&self, mut channel: Channel<Msg>) {
        let mut changes = self.configured.subscribe();
        let mut every = tokio::time::interval(REPORT_EVERY);
        loop {
            tokio::select! {
                _ = every.tick() => {}
                _ = changes.changed() => {}
                message = channel.wait() => match message {
                    Some(_) => continue,
                    None => return,
                },
            }
            if channel.data_bytes(self.report()).await.is_err() {
                return;
            }
        }
    }
}

/// All that a command is sent.
async fn input(channel: &mut Channel<Msg>) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        match channel.wait().await {
            None | Some(ChannelMsg::Eof | ChannelMsg::Close) => return bytes,
            Some(ChannelMsg::Data { data }) => bytes.extend_from_slice(&data),
            Some(_) => {}
        }
    }
}

struct Connection {
    machine: Arc<Machine>,
    channel: Option<Channel<Msg>>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channel = Some(channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        if let Some(channel) = self.channel.take() {
            let command = String::from_utf8_lossy(command).into_owned();
            tokio::spawn(Arc::clone(&self.machine).act(command, channel));
        }
        Ok(())
    }
}

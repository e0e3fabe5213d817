//! What a thousand idle connections cost the manager: memory per session, and computing time.
//!
//! `cargo run --release --example connections -- 1000 60`: so many connections, watched for so many seconds. No root is needed: the
//! workers are the addresses of 127.0.0.0/8, all answered by one SSH server in a second process, so that only the
//! manager's side is measured. Every worker reports every 30 s, as the real agent does.
//!
//! Measured on 2 shared x86-64 cores (opt-level 2): 1,000 connections heard within 2 to 3 s for 0.7 s of computing, 68 KiB
//! resident a connection, 0.6 % of one core when idle. Of the memory, up to 53 KiB are three channels inside the SSH library,
//! each a block of 32 messages of 552 bytes: that, and nothing of ours, is what to shrink first.

#![expect(clippy::print_stdout, reason = "a measurement for people")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use runner_fleet::live::clock::Clock;
use runner_fleet::live::connection::{Connections, HostKeys, Provision, Provisioner};
use runner_fleet::ssh::ManagerKey;
use runner_fleet_engine::{Event, RunnerName, WorkerEvent, WorkerId};
use russh::keys::PrivateKey;
use russh::server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId};
use secrecy::{ExposeSecret, SecretString};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

const LINE: &str = "{\"v\":1,\"phase\":\"ready\",\"step\":\"\",\"error\":\"\",\"runner\":\"serving\",\"jobs_metrics\":1,\
    \"jobs_docker\":1,\"job_ids\":[123456789],\"requests\":1,\"started\":9,\"idle_seconds\":0,\"queue_size\":4,\
    \"disk_free_mib\":20000,\"interruption\":null,\"rebalance\":false}\n";

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<(), Failure> {
    let mut arguments = std::env::args().skip(1);
    match arguments.next().as_deref() {
        Some("serve") => serve(&arguments.next().unwrap_or_default()).await,
        count => {
            let count = count.unwrap_or("1000").parse()?;
            let seconds = arguments.next().as_deref().unwrap_or("60").parse()?;
            measure(count, Duration::from_secs(seconds)).await
        }
    }
}

// The manager's side.

async fn measure(count: u32, watched_for: Duration) -> Result<(), Failure> {
    let state = std::env::temp_dir().join(format!("runner-fleet-connections-{:08x}", rand::random::<u32>()));
    let key = Arc::new(ManagerKey::load_or_create(&state)?);
    let mut server = Command::new(std::env::current_exe()?).arg("serve").arg(&state).stdout(Stdio::piped()).spawn()?;
    let port = port(&mut server)?;
    let shelf = Shelf { port, host_key_public: key.host_key("bench").public_openssh };
    let (sender, mut events) = mpsc::channel(1024);
    let mut connections = Connections::new(sender, Clock::real(), key, Arc::new(shelf));
    let (memory_before, cpu_before, began) = (resident_kib()?, cpu_ticks()?, Instant::now());

    for number in 0..count {
        let [_, b, c, d] = number.to_be_bytes();
        let address = Ipv4Addr::new(127, 1 + b, c, d.max(1));
        connections.connect(WorkerId::new(format!("i-{number:017x}")), RunnerName::new("bench"), address.into(), None);
    }
    let (mut heard, mut downs, mut peak) = (BTreeSet::new(), BTreeMap::new(), 0);
    while heard.len() < count as usize {
        if let Some(Event::Worker { worker, event }) = events.recv().await {
            match event {
                WorkerEvent::Report(_) => drop(heard.insert(worker)),
                WorkerEvent::Disconnected(failure) => *downs.entry(format!("{failure:?}")).or_insert(0) += 1,
                WorkerEvent::Connected | WorkerEvent::NoAgent => {}
            }
        }
        peak = peak.max(resident_kib()?);
    }
    let grown = resident_kib()?.saturating_sub(memory_before);
    println!("{count} connections heard after {:?}, {} ticks of CPU", began.elapsed(), cpu_ticks()? - cpu_before);
    println!(
        "resident before {memory_before} KiB, peak {peak} KiB, grown by {grown} KiB: {} KiB a connection",
        grown / u64::from(count)
    );
    println!("told down meanwhile: {downs:?}");

    let (cpu, mut reports) = (cpu_ticks()?, 0_u64);
    let end = Instant::now() + watched_for;
    while let Ok(Some(_)) = tokio::time::timeout_at(end, events.recv()).await {
        reports += 1;
    }
    let ticks = cpu_ticks()? - cpu; // of 10 ms
    println!(
        "{reports} reports in {watched_for:?}: {ticks} ticks, {:.2} % of one core",
        ticks as f64 / watched_for.as_secs_f64()
    );
    println!("resident at the end {} KiB", resident_kib()?);
    connections.shutdown().await;
    server.kill()?;
    server.wait()?;
    std::fs::remove_dir_all(state)?;
    Ok(())
}

fn port(server: &mut Child) -> Result<u16, Failure> {
    let stdout = server.stdout.take().ok_or("the server has no stdout")?;
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    Ok(line.trim().parse()?)
}

fn resident_kib() -> Result<u64, Failure> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// User and system time, in ticks of 10 ms.
fn cpu_ticks() -> Result<u64, Failure> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let after_name = stat.rsplit(')').next().ok_or("no stat")?;
    let ticks = after_name.split_whitespace().skip(11).take(2).map(str::parse::<u64>).sum::<Result<u64, _>>()?;
    Ok(ticks)
}

struct Shelf {
    port: u16,
    host_key_public: String,
}

impl Provisioner for Shelf {
    fn provision(&self, _: &RunnerName, _: &WorkerId) -> Result<Provision, String> {
        Ok(Provision {
            user: "admin".into(),
            port: self.port,
            host_keys: HostKeys { own_public: self.host_key_public.clone(), first_contact: None },
            bundle: SecretString::default(),
        })
    }
}

// The workers' side.

async fn serve(state: &str) -> Result<(), Failure> {
    let key = ManagerKey::load_or_create(state.as_ref())?;
    let host_key = PrivateKey::from_openssh(key.host_key("bench").private_openssh.expose_secret())?;
    let config = Arc::new(server::Config {
        keys: vec![host_key],
        auth_rejection_time: Duration::ZERO,
        inactivity_timeout: None,
        nodelay: true,
        ..server::Config::default()
    });
    let listener = TcpListener::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    println!("{}", listener.local_addr()?.port());
    loop {
        let (stream, _) = listener.accept().await?;
        let config = Arc::clone(&config);
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, Worker::default()).await {
                let _ = session.await;
            }
        });
    }
}

#[derive(Default)]
struct Worker {
    channel: Option<Channel<Msg>>,
}

impl Handler for Worker {
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

    async fn exec_request(&mut self, id: ChannelId, _: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        session.channel_success(id)?;
        if let Some(mut channel) = self.channel.take() {
            tokio::spawn(async move {
                let mut every = tokio::time::interval(Duration::from_secs(30));
                loop {
                    tokio::select! {
                        _ = every.tick() => if channel.data_bytes(LINE).await.is_err() { return },
                        message = channel.wait() => if message.is_none() { return },
                    }
                }
            });
        }
        Ok(())
    }
}

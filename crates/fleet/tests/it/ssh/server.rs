//! An SSH server whose every command is a closure, reached through memory.

use std::future::Future;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use runner_fleet::ssh::{HostPublicKey, ManagerKey};
use russh::keys::{Algorithm, PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Handler, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg};
use secrecy::ExposeSecret;
use tokio::io::DuplexStream;

pub(crate) type Script = Arc<dyn Fn(String, Channel<Msg>) -> BoxFuture<'static, ()> + Send + Sync>;

/// A key of the manager, with its directory.
pub(crate) fn manager_key() -> ManagerKey {
    ManagerKey::load_or_create(tempfile::tempdir().unwrap().path()).unwrap()
}

/// Does what `work` does for every command.
pub(crate) fn script<F: Future<Output = ()> + Send + 'static>(
    work: impl Fn(String, Channel<Msg>) -> F + Send + Sync + 'static,
) -> Script {
    Arc::new(move |command, channel| Box::pin(work(command, channel)))
}

/// What a server does when it is asked to open a channel, or to run a command in it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Manner {
    #[default]
    Obeys,
    RefusesChannels,
    /// The question stays open, and so does the connection.
    IgnoresChannels,
    RefusesCommands,
    /// A channel that is half open for ever.
    IgnoresCommands,
}

#[derive(Clone)]
pub(crate) struct Server {
    config: Arc<server::Config>,
    trusted: PublicKey,
    script: Script,
    pub(crate) manner: Arc<Mutex<Manner>>,
    /// Who tried to log in.
    pub(crate) logins: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// With the host key that the manager derives for the label `test`; it lets the manager in as `admin`.
    pub(crate) fn new(manager: &ManagerKey, script: Script) -> Self {
        let key = PrivateKey::from_openssh(manager.host_key("test").private_openssh.expose_secret()).unwrap();
        Self::with_host_key(manager, key, script)
    }

    pub(crate) fn with_host_key(manager: &ManagerKey, key: PrivateKey, script: Script) -> Self {
        let trusted = PublicKey::from_openssh(&manager.public_openssh()).unwrap();
        Self { config: config(key), trusted, script, manner: Arc::default(), logins: Arc::default() }
    }

    /// The same server with another host key.
    pub(crate) fn showing(&self, key: PrivateKey) -> Self {
        Self { config: config(key), ..self.clone() }
    }

    /// A new connection to it.
    pub(crate) fn wire(&self) -> DuplexStream {
        let (ours, theirs) = tokio::io::duplex(64 * 1024);
        self.serve(theirs);
        ours
    }

    pub(crate) fn serve(&self, stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) {
        let connection = Connection { server: self.clone(), waiting: Vec::new(), ignored: Vec::new() };
        let config = Arc::clone(&self.config);
        tokio::spawn(async move {
            if let Ok(session) = server::run_stream(config, stream, connection).await {
                let _ = session.await;
            }
        });
    }
}

fn config(key: PrivateKey) -> Arc<server::Config> {
    Arc::new(server::Config {
        keys: vec![key],
        auth_rejection_time: Duration::ZERO,
        auth_rejection_time_initial: Some(Duration::ZERO),
        ..server::Config::default()
    })
}

pub(crate) fn pinned(manager: &ManagerKey) -> HostPublicKey {
    HostPublicKey::parse(&manager.host_key("test").public_openssh).unwrap()
}

/// The host key that the input of `agent host-key` brings.
pub(crate) fn handed_over(input: &str) -> PrivateKey {
    PrivateKey::from_openssh(&input[input.find("-----BEGIN").unwrap()..]).unwrap()
}

pub(crate) fn stranger(algorithm: Algorithm) -> PrivateKey {
    PrivateKey::random(&mut russh::keys::key::safe_rng(), algorithm).unwrap()
}

struct Connection {
    server: Server,
    waiting: Vec<Channel<Msg>>,
    ignored: Vec<ChannelOpenHandle>,
}

impl Handler for Connection {
    type Error = russh::Error;

    async fn auth_none(&mut self, user: &str) -> Result<Auth, russh::Error> {
        self.server.logins.lock().unwrap().push(format!("none {user}"));
        Ok(Auth::reject())
    }

    async fn auth_publickey(&mut self, user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        self.server.logins.lock().unwrap().push(format!("publickey {user}"));
        let right = key.public_key.key_data() == self.server.trusted.key_data() && user == "admin";
        Ok(if right { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        let manner = *self.server.manner.lock().unwrap();
        match manner {
            Manner::RefusesChannels => drop(reply),
            Manner::IgnoresChannels => self.ignored.push(reply),
            Manner::Obeys | Manner::RefusesCommands | Manner::IgnoresCommands => {
                self.waiting.push(channel);
                reply.accept().await;
            }
        }
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        let manner = *self.server.manner.lock().unwrap();
        match manner {
            Manner::RefusesCommands => return session.channel_failure(id),
            Manner::IgnoresCommands => return Ok(()),
            Manner::Obeys | Manner::RefusesChannels | Manner::IgnoresChannels => {}
        }
        let at = self.waiting.iter().position(|channel| channel.id() == id).unwrap();
        let channel = self.waiting.remove(at);
        let command = String::from_utf8(command.to_vec()).unwrap();
        if command == "forbidden" {
            return session.channel_failure(id);
        }
        session.channel_success(id)?;
        if command == "reach back" {
            let handle = session.handle();
            tokio::spawn(async move {
                let opened = [
                    handle.channel_open_forwarded_tcpip("10.0.0.1", 1, "10.0.0.2", 2).await.is_ok(),
                    handle.channel_open_agent().await.is_ok(),
                    handle.channel_open_x11("10.0.0.2", 2).await.is_ok(),
                    handle.channel_open_session().await.is_ok(),
                ];
                channel.data_bytes(format!("{opened:?}")).await.unwrap();
                exit(&channel, 0).await;
            });
            return Ok(());
        }
        tokio::spawn((self.server.script)(command, channel));
        Ok(())
    }
}

/// The end of a command.
pub(crate) async fn exit(channel: &Channel<Msg>, status: u32) {
    let _ = channel.exit_status(status).await;
    let _ = channel.eof().await;
    let _ = channel.close().await;
}

/// All of stdin, up to its end.
pub(crate) async fn stdin(channel: &mut Channel<Msg>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while let Some(message) = channel.wait().await {
        match message {
            ChannelMsg::Data { data } => bytes.extend_from_slice(&data),
            ChannelMsg::Eof | ChannelMsg::Close => break,
            _ => {}
        }
    }
    bytes
}

/// Fails the test instead of hanging it.
pub(crate) async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), work).await {
        Ok(done) => done,
        Err(_) => panic!("{what} did not happen within 20 s"),
    }
}

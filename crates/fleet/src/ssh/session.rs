//! One authenticated connection to a worker, and commands run on it.

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use russh::ChannelMsg;
use russh::client::{self, AuthResult, Handle};
use russh::keys::PrivateKeyWithHashAlg;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_util::sync::DropGuard;

use super::cancellable::cancellable;
use super::channel::{OpenChannel, keep_beginning};
use super::client::{Client, config};
use super::error::SshError;
use super::host::HostPublicKey;
use super::keys::ManagerKey;
use super::stream::LineStream;

/// Whom to connect to.
#[derive(Clone, Debug)]
pub struct Target {
    /// Where it listens.
    pub address: SocketAddr,
    /// As whom to log in.
    pub user: String,
    /// The only host keys to accept.
    pub host_keys: Vec<HostPublicKey>,
}

/// How long a connection may take to come up, and to be silent.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For the TCP connection.
    pub connect: Duration,
    /// For the server to begin to speak.
    pub greeting: Duration,
    /// For key exchange and login together; a booting machine is slow.
    pub handshake: Duration,
    /// For the server to open a channel and start a command.
    pub open: Duration,
    /// After how much silence the server is asked for a sign of life. The default lies just above the 30 s of an
    /// agent's reports, so that a healthy link needs none.
    pub keepalive_interval: Duration,
    /// How many such questions may stay unanswered; with the default, a dead server is noticed after 70 s.
    pub keepalive_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            greeting: Duration::from_secs(3),
            handshake: Duration::from_secs(15),
            open: Duration::from_secs(15),
            keepalive_interval: Duration::from_secs(35),
            keepalive_max: 1,
        }
    }
}

/// What a command may use.
#[derive(Clone, Copy, Debug)]
pub struct RunLimits {
    /// From the request to the closed channel.
    pub time: Duration,
    /// What it may write to stdout; of stderr only the beginning is kept.
    pub stdout_bytes_max: usize,
}

/// What a command did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<u32>,
    /// All of its stdout.
    pub stdout: Vec<u8>,
    /// The first 4 KiB of its stderr.
    pub stderr: Vec<u8>,
}

/// An open connection. Dropping it closes the connection at once, whatever the other side does.
pub struct Session {
    handle: Handle<Client>,
    open_limit: Duration,
    ended: Arc<OnceLock<String>>,
    shown: Arc<OnceLock<HostPublicKey>>,
    _cut: DropGuard,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session").field("closed", &self.handle.is_closed()).finish_non_exhaustive()
    }
}

impl Session {
    /// Connects, checks the host key, logs in.
    ///
    /// # Errors
    /// Unreachable, wrong host key, or refused: ask the error.
    pub async fn connect(target: &Target, key: &ManagerKey, limits: &Limits) -> Result<Self, SshError> {
        let stream = timeout(limits.connect, TcpStream::connect(target.address))
            .await
            .map_err(|_| SshError::Slow { what: "connecting", after: limits.connect })?
            .and_then(|stream| stream.set_nodelay(true).map(|()| stream))
            .map_err(|source| SshError::Connect { address: target.address, source })?;
        Self::over(stream, &target.user, &target.host_keys, key, limits).await
    }

    /// The same on a stream that is already open.
    ///
    /// # Errors
    /// As [`Session::connect`].
    pub async fn over(
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        user: &str,
        host_keys: &[HostPublicKey],
        key: &ManagerKey,
        limits: &Limits,
    ) -> Result<Self, SshError> {
        // The guard lives outside the time limit: giving up drops it, which ends the library's task too.
        let (stream, cut) = cancellable(stream);
        let (ended, shown) = (Arc::default(), Arc::default());
        let client = Client::new(host_keys.to_vec(), Arc::clone(&shown), Arc::clone(&ended));
        let config = Arc::new(config(limits.keepalive_interval, limits.keepalive_max));
        let login = async {
            let mut handle = client::connect_stream(config, stream, client)
                .await
                .map_err(|error| Client::read_handshake_error(host_keys, error))?;
            let pair = PrivateKeyWithHashAlg::new(key.pair(), None);
            match handle.authenticate_publickey(user, pair).await.map_err(|error| lost(&ended, error))? {
                AuthResult::Success => Ok(handle),
                // The library tells a connection that ended here as a refusal without alternatives.
                AuthResult::Failure { .. } if handle.is_closed() => Err(lost(&ended, russh::Error::Disconnect)),
                AuthResult::Failure { .. } => Err(SshError::AuthRefused { user: user.to_owned() }),
            }
        };
        let handle = timeout(limits.handshake, login)
            .await
            .map_err(|_| SshError::Slow { what: "the SSH handshake", after: limits.handshake })??;
        Ok(Self { handle, open_limit: limits.open, ended, shown, _cut: cut })
    }

    /// Whether this is the host key that the server has proved to have.
    pub fn is_with(&self, host_key: &HostPublicKey) -> bool {
        self.shown.get() == Some(host_key)
    }

    /// Runs a command with `stdin` to its end and reads until the channel closes, for output may follow the exit status.
    ///
    /// The command line is seen by every process on the worker: secrets go through `stdin`. Several commands may run at
    /// the same time. A command that exceeds a limit, or whose future is dropped, has its channel closed.
    ///
    /// # Errors
    /// Lost connection, exceeded limits, or a server that starts no command. A failing command is not an error here.
    pub async fn run(&self, command: &str, stdin: &[u8], limits: RunLimits) -> Result<Output, SshError> {
        let conversation = async {
            let mut channel = self.open(command).await?;
            let write = channel.writer();
            let input = async {
                // A command that does not want its input is no error; what comes of it is seen on the other side.
                if !stdin.is_empty() {
                    let _ = write.data_bytes(stdin.to_vec()).await;
                }
                let _ = write.eof().await;
                std::future::pending::<Output>().await
            };
            tokio::select! {
                output = collect(&mut channel, limits.stdout_bytes_max) => output,
                never = input => Ok(never),
            }
        };
        match timeout(limits.time, conversation).await {
            Ok(Err(SshError::Lost(why))) => Err(SshError::Lost(self.ended.get().cloned().unwrap_or(why))),
            Ok(answer) => answer,
            Err(_) => Err(SshError::Slow { what: "the command", after: limits.time }),
        }
    }

    /// Starts a command that talks line by line, each at most `line_bytes_max` long.
    ///
    /// # Errors
    /// Lost connection, or a server that starts no command.
    pub async fn stream(&self, command: &str, line_bytes_max: usize) -> Result<LineStream, SshError> {
        let channel = timeout(self.open_limit, self.open(command))
            .await
            .map_err(|_| SshError::Slow { what: "starting the command", after: self.open_limit })??;
        Ok(LineStream::new(channel, line_bytes_max, Arc::clone(&self.ended)))
    }

    /// Whether the connection has ended.
    pub fn is_closed(&self) -> bool {
        self.handle.is_closed()
    }

    async fn open(&self, command: &str) -> Result<OpenChannel, SshError> {
        let channel = self.handle.channel_open_session().await.map_err(|error| lost(&self.ended, error))?;
        let channel = OpenChannel::new(channel);
        channel.exec(command).await.map_err(|error| lost(&self.ended, error))?;
        Ok(channel)
    }
}

/// The library's error, with the reason that ended the connection if it has ended.
fn lost(ended: &OnceLock<String>, error: russh::Error) -> SshError {
    match (SshError::from(error), ended.get()) {
        (SshError::Lost(_), Some(why)) => SshError::Lost(why.clone()),
        (error, _) => error,
    }
}

async fn collect(channel: &mut OpenChannel, stdout_bytes_max: usize) -> Result<Output, SshError> {
    let mut output = Output { status: None, stdout: Vec::new(), stderr: Vec::new() };
    loop {
        match channel.wait().await {
            None => return Err(SshError::Lost("closed by the other side".into())),
            Some(ChannelMsg::Close) => return Ok(output),
            Some(ChannelMsg::Failure) => return Err(SshError::CommandRefused("exec is not allowed".into())),
            Some(ChannelMsg::ExitStatus { exit_status }) => output.status = Some(exit_status),
            Some(ChannelMsg::Data { data }) => {
                if output.stdout.len() + data.len() > stdout_bytes_max {
                    return Err(SshError::TooMuchOutput { limit_bytes: stdout_bytes_max });
                }
                output.stdout.extend_from_slice(&data);
            }
            Some(ChannelMsg::ExtendedData { data, .. }) => keep_beginning(&mut output.stderr, &data),
            Some(_) => {}
        }
    }
}

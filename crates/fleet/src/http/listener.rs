//! Who is let in, and for how long: so many connections at one time, each for so long ([`DoorLimits`]). Who has asked for
//! nothing yet makes way for whoever comes next, so that a silent crowd keeps nobody out, least of all a health check.

use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

/// How many peers, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    /// Connections at one time; others wait in the kernel's queue.
    pub peers_max: usize,
    /// After this a connection is closed that has not been answered: its request has not come, or not to its end.
    pub silence_max: Duration,
    /// After this a connection is closed, whatever it does.
    pub stay_max: Duration,
}

impl Default for DoorLimits {
    /// 64 peers: a few dashboards, a scraper and a load balancer's probe, with room; file descriptors are cheap.
    /// 5 s: a request is one packet. 60 s: the largest answer (4 MB) at 100 kB/s takes 40 s, and a dashboard that polls
    /// reconnects once a minute.
    fn default() -> Self {
        Self { peers_max: 64, silence_max: Duration::from_secs(5), stay_max: Duration::from_secs(60) }
    }
}

/// Serves until `stop`.
///
/// # Errors
/// Never in practice: accept errors are retried.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    limits: DoorLimits,
    stop: CancellationToken,
) -> io::Result<()> {
    let listening = LimitedListener {
        listener,
        limits,
        slots: Arc::new(Semaphore::new(limits.peers_max)),
        silent: Silent::default(),
    };
    stop.run_until_cancelled(axum::serve(listening, router).into_future()).await.unwrap_or(Ok(()))
}

struct LimitedListener {
    listener: TcpListener,
    limits: DoorLimits,
    slots: Arc<Semaphore>,
    silent: Silent,
}

impl Listener for LimitedListener {
    type Io = Peer;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Peer, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        if self.slots.available_permits() == 0 {
            self.silent.send_one_away();
        }
        // The semaphore is never closed; should it be, nobody is counted rather than nobody let in.
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        let (silence, sent_away) = self.silent.one_more();
        let peer = Peer {
            stream,
            leave: Box::pin(tokio::time::sleep(self.limits.silence_max)),
            sent_away: Box::pin(sent_away),
            silence: Some(silence),
            stay_max: self.limits.stay_max,
            _permit: permit,
        };
        (peer, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// The connections on which nothing was answered yet.
#[derive(Clone, Default)]
struct Silent(Arc<Mutex<Crowd>>);

/// By number, in the order in which they came; no number is given twice.
#[derive(Default)]
struct Crowd {
    came: u64,
    waiting: BTreeMap<u64, CancellationToken>,
}

impl Silent {
    fn one_more(&self) -> (Silence, WaitForCancellationFutureOwned) {
        let (mut crowd, leaves) = (self.lock(), CancellationToken::new());
        crowd.came += 1;
        let number = crowd.came;
        crowd.waiting.insert(number, leaves.clone());
        (Silence { of: self.clone(), number }, leaves.cancelled_owned())
    }

    /// The one that has been silent for longest leaves.
    fn send_one_away(&self) {
        if let Some((_, leaves)) = self.lock().waiting.pop_first() {
            leaves.cancel();
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Crowd> {
        // Nothing that holds the lock can panic halfway.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place among the silent, until this is dropped.
struct Silence {
    of: Silent,
    number: u64,
}

impl Drop for Silence {
    fn drop(&mut self) {
        self.of.lock().waiting.remove(&self.number);
    }
}

/// A connection that ends by itself.
struct Peer {
    stream: TcpStream,
    leave: Pin<Box<Sleep>>,
    sent_away: Pin<Box<WaitForCancellationFutureOwned>>,
    /// Until it is answered.
    silence: Option<Silence>,
    stay_max: Duration,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Peer {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        let is_over = self.leave.as_mut().poll(context).is_ready()
            || self.silence.is_some() && self.sent_away.as_mut().poll(context).is_ready();
        if is_over { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) }
    }

    /// It has asked for something, and is about to get it.
    fn is_answered(&mut self) {
        if self.silence.take().is_some() {
            self.leave = Box::pin(tokio::time::sleep(self.stay_max));
        }
    }
}

impl AsyncRead for Peer {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_read(context, into)
    }
}

impl AsyncWrite for Peer {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        self.is_answered();
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

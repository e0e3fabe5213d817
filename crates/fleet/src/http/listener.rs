//! Who is let in, and for how long: so many connections at one time, each for so long ([`DoorLimits`]). A slow or silent
//! client costs a slot for a minute and never more.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::Router;
use axum::serve::Listener;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Sleep;
use tokio_util::sync::CancellationToken;

/// How many peers, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct DoorLimits {
    /// Connections at one time; others wait in the kernel's queue.
    pub peers_max: usize,
    /// After this a connection is closed, whatever it does.
    pub stay_max: Duration,
}

impl Default for DoorLimits {
    /// 64 peers: a few dashboards, a scraper and a load balancer's probe, with room; file descriptors are cheap.
    /// 60 s: the largest answer (4 MB) at 100 kB/s takes 40 s, and a dashboard that polls reconnects once a minute.
    fn default() -> Self {
        Self { peers_max: 64, stay_max: Duration::from_secs(60) }
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
    let listening =
        LimitedListener { listener, slots: Arc::new(Semaphore::new(limits.peers_max)), stay_max: limits.stay_max };
    stop.run_until_cancelled(axum::serve(listening, router).into_future()).await.unwrap_or(Ok(()))
}

struct LimitedListener {
    listener: TcpListener,
    slots: Arc<Semaphore>,
    stay_max: Duration,
}

impl Listener for LimitedListener {
    type Io = Peer;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Peer, SocketAddr) {
        // The semaphore is never closed; should it be, nobody is counted rather than nobody let in.
        let permit = Arc::clone(&self.slots).acquire_owned().await.ok();
        let (stream, address) = Listener::accept(&mut self.listener).await;
        (Peer { stream, leave: Box::pin(tokio::time::sleep(self.stay_max)), _permit: permit }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

/// A connection that ends by itself.
struct Peer {
    stream: TcpStream,
    leave: Pin<Box<Sleep>>,
    _permit: Option<OwnedSemaphorePermit>,
}

impl Peer {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.leave.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::ErrorKind::TimedOut.into()),
            Poll::Pending => Ok(()),
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

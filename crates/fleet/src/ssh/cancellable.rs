//! A byte stream that can be cancelled from outside.
//!
//! The library's session task owns the socket and, in the middle of a key exchange, listens to nobody but the peer. A
//! peer that stops answering there would keep task and socket for ever; so whoever gives up cuts the stream instead.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::sync::{CancellationToken, DropGuard, WaitForCancellationFutureOwned};

/// The stream half of the pair.
pub(super) struct Cancellable<S> {
    inner: S,
    cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// Makes a stream cancellable; dropping the guard cuts it.
pub(super) fn cancellable<S>(inner: S) -> (Cancellable<S>, DropGuard) {
    let token = CancellationToken::new();
    (Cancellable { inner, cut: Box::pin(token.clone().cancelled_owned()) }, token.drop_guard())
}

impl<S> Cancellable<S> {
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match self.cut.as_mut().poll(context) {
            Poll::Ready(()) => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "given up by this side")),
            Poll::Pending => Ok(()),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Cancellable<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_read(context, buf)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Cancellable<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_write(context, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.check(context)?;
        Pin::new(&mut self.inner).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    #[tokio::test]
    async fn a_blocked_read_ends_when_the_guard_is_dropped() {
        let (ours, _theirs) = tokio::io::duplex(64);
        let (mut stream, guard) = cancellable(ours);
        let read = tokio::spawn(async move { stream.read_u8().await });
        tokio::task::yield_now().await;

        drop(guard);

        let read = tokio::time::timeout(std::time::Duration::from_secs(20), read).await.unwrap();
        assert_eq!(read.unwrap().unwrap_err().kind(), io::ErrorKind::ConnectionAborted);
    }
}

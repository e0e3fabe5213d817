//! The channel of one command, and how much of its complaints is kept.

use std::sync::Arc;

use russh::client::Msg;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf};

/// Of stderr, enough for a sentence.
const STDERR_BYTES_MAX: usize = 4 * 1024;

/// A channel that closes when it is dropped. The library leaves that to its user; a channel that is merely forgotten
/// would stay open on both sides, with the command behind it.
pub(super) struct OpenChannel {
    /// Absent once it is closing.
    read: Option<ChannelReadHalf>,
    write: Arc<ChannelWriteHalf<Msg>>,
}

impl OpenChannel {
    pub(super) fn new(channel: Channel<Msg>) -> Self {
        let (read, write) = channel.split();
        Self { read: Some(read), write: Arc::new(write) }
    }

    pub(super) async fn exec(&self, command: &str) -> Result<(), russh::Error> {
        self.write.exec(true, command).await
    }

    /// What the server said next; `None` when the connection is gone.
    pub(super) async fn wait(&mut self) -> Option<ChannelMsg> {
        self.read.as_mut()?.wait().await
    }

    pub(super) fn writer(&self) -> Arc<ChannelWriteHalf<Msg>> {
        Arc::clone(&self.write)
    }

    pub(super) fn close_soon(&mut self) {
        // Dropped first: the library's session may be waiting for us to take what has arrived before it takes our word.
        if self.read.take().is_none() {
            return;
        }
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            let write = self.writer();
            runtime.spawn(async move {
                let _ = write.close().await; // fails when the connection is gone, and then there is nothing to close
            });
        }
    }
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.close_soon();
    }
}

/// Adds to what is kept of stderr, up to its limit.
pub(super) fn keep_beginning(kept: &mut Vec<u8>, more: &[u8]) {
    let room = STDERR_BYTES_MAX.saturating_sub(kept.len()).min(more.len());
    kept.extend_from_slice(more.get(..room).unwrap_or_default());
}

//! A command that talks for days: its lines, one by one, and a way to talk back.

use std::sync::{Arc, OnceLock};

use russh::client::Msg;
use russh::{ChannelMsg, ChannelWriteHalf};

use super::channel::{OpenChannel, keep_beginning};
use super::error::SshError;

/// The lines of a running command.
///
/// Holds at most one unfinished line of the permitted length and one packet; while nobody asks for a line, the server is
/// slowed down instead of its words piled up.
pub struct LineStream {
    channel: OpenChannel,
    line_bytes_max: usize,
    packet: Vec<u8>,
    packet_at: usize,
    partial: Vec<u8>,
    state: State,
    status: Option<u32>,
    stderr: Vec<u8>,
    ended: Arc<OnceLock<String>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Closed,
    Broken,
}

impl std::fmt::Debug for LineStream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineStream").field("line_bytes_max", &self.line_bytes_max).finish_non_exhaustive()
    }
}

impl LineStream {
    pub(super) fn new(channel: OpenChannel, line_bytes_max: usize, ended: Arc<OnceLock<String>>) -> Self {
        Self {
            channel,
            line_bytes_max,
            packet: Vec::new(),
            packet_at: 0,
            partial: Vec::new(),
            state: State::Open,
            status: None,
            stderr: Vec::new(),
            ended,
        }
    }

    /// The next line, without its line feed; `None` when the command has ended. What it left without a line feed is
    /// dropped: half a line means nothing.
    ///
    /// Nothing is lost when the returned future is dropped.
    ///
    /// # Errors
    /// Lost connection, a line that is too long, a server that starts no command; after any of them the stream has
    /// ended.
    pub async fn next_line(&mut self) -> Result<Option<Vec<u8>>, SshError> {
        loop {
            if let Some(line) = self.take_line()? {
                return Ok(Some(line));
            }
            if self.state != State::Open {
                return Ok(None);
            }
            match self.channel.wait().await {
                None => {
                    let why = self.ended.get().cloned();
                    return self.fail(SshError::Lost(why.unwrap_or_else(|| "closed by the other side".into())));
                }
                Some(ChannelMsg::Close) => self.state = State::Closed,
                Some(ChannelMsg::Failure) => {
                    return self.fail(SshError::CommandRefused("exec is not allowed".into()));
                }
                Some(ChannelMsg::ExitStatus { exit_status }) => self.status = Some(exit_status),
                Some(ChannelMsg::Data { data }) => {
                    self.packet = data.to_vec();
                    self.packet_at = 0;
                }
                Some(ChannelMsg::ExtendedData { data, .. }) => keep_beginning(&mut self.stderr, &data),
                Some(_) => {}
            }
        }
    }

    /// The part that talks back; it may be used while a line is awaited.
    pub fn input(&self) -> LineInput {
        LineInput { channel: self.channel.writer() }
    }

    /// Writes to the command's stdin.
    ///
    /// # Errors
    /// Lost connection.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), SshError> {
        self.input().send(bytes).await
    }

    /// The exit status, once the stream has ended; `None` when a signal ended the command, or the connection broke.
    pub fn status(&self) -> Option<u32> {
        self.status
    }

    /// The beginning of its stderr.
    pub fn stderr(&self) -> &[u8] {
        &self.stderr
    }

    /// A whole line from what has arrived; moves an unfinished one aside.
    fn take_line(&mut self) -> Result<Option<Vec<u8>>, SshError> {
        let rest = self.packet.get(self.packet_at..).unwrap_or_default();
        let end = rest.iter().position(|byte| *byte == b'\n');
        let piece = rest.get(..end.unwrap_or(rest.len())).unwrap_or_default();
        if self.partial.len() + piece.len() > self.line_bytes_max {
            let limit_bytes = self.line_bytes_max;
            return self.fail(SshError::LineTooLong { limit_bytes });
        }
        self.partial.extend_from_slice(piece);
        match end {
            Some(end) => {
                self.packet_at += end + 1;
                Ok(Some(std::mem::take(&mut self.partial)))
            }
            None => {
                self.packet = Vec::new();
                self.packet_at = 0;
                Ok(None)
            }
        }
    }

    fn fail<T>(&mut self, error: SshError) -> Result<T, SshError> {
        self.state = State::Broken;
        self.packet = Vec::new();
        self.packet_at = 0;
        self.partial = Vec::new();
        self.channel.close_soon();
        Err(error)
    }
}

/// The way back to a running command.
#[derive(Clone)]
pub struct LineInput {
    channel: Arc<ChannelWriteHalf<Msg>>,
}

impl std::fmt::Debug for LineInput {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LineInput").finish_non_exhaustive()
    }
}

impl LineInput {
    /// Writes to the command's stdin; waits while the server takes nothing more, so give it a time limit.
    ///
    /// # Errors
    /// Lost connection.
    pub async fn send(&self, bytes: &[u8]) -> Result<(), SshError> {
        self.channel.data_bytes(bytes.to_vec()).await.map_err(SshError::from)
    }
}

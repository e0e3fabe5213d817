//! The first words of a server. Nothing is said to it, and nothing computed for it, until it has begun to speak: a hung server
//! costs a socket.

use std::io::Cursor;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, join, split};
use tokio::time::timeout;

use super::error::SshError;

/// A server's identification has at most 255 bytes (RFC 4253, section 4.2).
const IDENTIFICATION_MAX: usize = 255;

/// Waits until the server greets, as it does by itself and at once (RFC 4253, section 4.2), and gives the stream back whole.
///
/// # Errors
/// Nothing came in time, or the connection broke.
pub async fn greeted<S>(mut stream: S, limit: Duration) -> Result<impl AsyncRead + AsyncWrite + Unpin + Send, SshError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send,
{
    let mut first = vec![0; IDENTIFICATION_MAX];
    let read = timeout(limit, stream.read(&mut first))
        .await
        .map_err(|_| SshError::Slow { what: "the server's greeting", after: limit })?
        .map_err(|error| SshError::Lost(error.to_string()))?;
    if read == 0 {
        return Err(SshError::Lost("the server has closed it without a word".into()));
    }
    first.truncate(read);
    let (reader, writer) = split(stream);
    Ok(join(Cursor::new(first).chain(reader), writer))
}

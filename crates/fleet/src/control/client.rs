//! Asks the running service something: one connection, one line, one answer.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use runner_fleet_engine::failure::said_by_system;

use super::protocol::{Answer, RELOAD_PATIENCE, RefusalKind, Request, from_line, to_line};

/// The state of 1,000 workers and 10,000 waiting jobs is about 4 MB.
const ANSWER_MAX: u64 = 64 * 1024 * 1024;
/// The service answers in milliseconds; its own patience ends after 10 s.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody listens.
    #[error(
        "reach the running service at {path}: {}; is it running (`systemctl status runner-fleet`), and with this \
         configuration?",
        nobody(source)
    )]
    NotRunning {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// We may not.
    #[error("use {path}: permission denied; run as root, or as a member of the socket's group")]
    NotAllowed {
        /// The socket.
        path: PathBuf,
    },
    /// The conversation broke.
    #[error("talk to the service at {path}: {why}")]
    Broken {
        /// The socket.
        path: PathBuf,
        /// How.
        why: String,
    },
    /// The service said no.
    #[error("{why}")]
    Refused {
        /// Its sentence.
        why: String,
        /// What follows from it.
        kind: RefusalKind,
    },
}

/// Why nobody can be there, in words that say what is.
fn nobody(source: &io::Error) -> String {
    match source.kind() {
        io::ErrorKind::NotFound => "there is no such socket".to_owned(),
        io::ErrorKind::ConnectionRefused => "the socket is there, but nobody listens".to_owned(),
        _ => said_by_system(source),
    }
}

/// Asks once.
///
/// # Errors
/// When nobody listens, when the answer is late or unreadable, and when the service refuses.
pub async fn ask(path: &Path, request: &Request) -> Result<Answer, ClientError> {
    let broken = |why: String| ClientError::Broken { path: path.to_owned(), why };
    let stream = match timeout(PATIENCE, UnixStream::connect(path)).await {
        Err(_) => return Err(broken(format!("no connection within {PATIENCE:?}"))),
        Ok(Err(error)) if error.kind() == io::ErrorKind::PermissionDenied => {
            return Err(ClientError::NotAllowed { path: path.to_owned() });
        }
        Ok(Err(source)) => return Err(ClientError::NotRunning { path: path.to_owned(), source }),
        Ok(Ok(stream)) => stream,
    };
    let patience = if *request == Request::Reload { RELOAD_PATIENCE + PATIENCE } else { PATIENCE };
    let line = timeout(patience, exchange(stream, request))
        .await
        .map_err(|_| broken(format!("no answer within {patience:?}")))?
        .map_err(|error| broken(error.to_string()))?;
    match from_line(&line).map_err(broken)? {
        Answer::Refused { why, kind } => Err(ClientError::Refused { why, kind }),
        answer => Ok(answer),
    }
}

async fn exchange(stream: UnixStream, request: &Request) -> io::Result<String> {
    let (reading, mut writing) = stream.into_split();
    writing.write_all(&to_line(request)?).await?;
    let mut line = String::new();
    BufReader::new(reading).take(ANSWER_MAX).read_line(&mut line).await?;
    if line.is_empty() {
        return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it hung up without an answer"));
    }
    Ok(line)
}

//! Serves the control socket: mode 0660, so that the socket's group may operate the fleet and nobody else.
//!
//! A peer gets one answer per line. Limits: [`LINE_MAX`] bytes per request, [`PATIENCE`] per request, [`PEERS_MAX`]
//! peers at one time; whoever goes beyond is cut off, and the loop never waits for anybody.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use crate::history::{BadQuestion, History};

use super::protocol::{Answer, ControlRequest, RELOAD_PATIENCE, Request, from_line, to_line};

/// A drain of 1,000 workers names each with 22 bytes; twice that is generous.
const LINE_MAX: u64 = 64 * 1024;
/// For a request to arrive, for the loop to answer it (it steps in milliseconds), for the peer to read the answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// An operator, a few scripts, a monitoring check: each needs one for milliseconds.
const PEERS_MAX: usize = 16;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// The directory cannot be made.
    #[error("create the directory of the control socket {path}")]
    Directory {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody answers there already.
    #[error("another runner-fleet serves {path}; stop it, or set another `control_socket`")]
    Busy {
        /// The socket.
        path: PathBuf,
    },
    /// Something that is no socket lies there: it is not ours to delete.
    #[error("{path} is in the way of the control socket and is no socket; remove it, or set another `control_socket`")]
    InTheWay {
        /// The path.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("listen on the control socket {path}")]
    Bind {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A socket that listens; nobody is served yet.
#[derive(Debug)]
pub struct Bound {
    listener: UnixListener,
    path: PathBuf,
}

/// Listens at `path`: creates its directory, and replaces a socket that a dead manager left behind.
///
/// # Errors
/// When somebody answers there, when something else lies there, or when the system refuses.
pub async fn bind(path: &Path) -> Result<Bound, ControlError> {
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(|source| ControlError::Directory { path: path.to_owned(), source })?;
    }
    remove_stale(path).await?;
    let failed = |source| ControlError::Bind { path: path.to_owned(), source };
    let listener = UnixListener::bind(path).map_err(failed)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o660)).map_err(failed)?;
    Ok(Bound { listener, path: path.to_owned() })
}

async fn remove_stale(path: &Path) -> Result<(), ControlError> {
    use std::os::unix::fs::FileTypeExt;
    let Ok(found) = std::fs::symlink_metadata(path) else { return Ok(()) };
    if !found.file_type().is_socket() {
        return Err(ControlError::InTheWay { path: path.to_owned() });
    }
    if timeout(PATIENCE, UnixStream::connect(path)).await.is_ok_and(|answered| answered.is_ok()) {
        return Err(ControlError::Busy { path: path.to_owned() });
    }
    std::fs::remove_file(path).map_err(|source| ControlError::Bind { path: path.to_owned(), source })
}

impl Bound {
    /// Serves until `stop`; the socket is removed then.
    ///
    /// What was is answered from `history`, so that the loop is not asked for it.
    pub async fn serve(self, requests: mpsc::Sender<ControlRequest>, history: History, stop: CancellationToken) {
        let room = Arc::new(Semaphore::new(PEERS_MAX));
        while let Some(Ok(permit)) = stop.run_until_cancelled(Arc::clone(&room).acquire_owned()).await {
            match stop.run_until_cancelled(self.listener.accept()).await {
                None => break,
                Some(Err(error)) => {
                    // Out of file descriptors, most likely: others need them more than a new peer does.
                    warn!("cannot accept at the control socket: {error}");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                Some(Ok((stream, _))) => {
                    let (requests, history, stop) = (requests.clone(), history.clone(), stop.clone());
                    tokio::spawn(async move {
                        let served = stop.run_until_cancelled(converse(stream, requests, history)).await;
                        if let Some(Err(error)) = served {
                            debug!("a peer at the control socket was cut off: {error}");
                        }
                        drop(permit);
                    });
                }
            }
        }
    }
}

impl Drop for Bound {
    /// Also when the start fails after this: a socket at which nobody answers would only puzzle people.
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            debug!("the control socket {} is left behind: {error}", self.path.display());
        }
    }
}

/// One peer: lines in, lines out, until it hangs up or oversteps a limit.
async fn converse(stream: UnixStream, requests: mpsc::Sender<ControlRequest>, history: History) -> io::Result<()> {
    // Who it is, for the log: whoever may connect may do everything.
    let by = stream.peer_cred().ok().map(|peer| peer.uid());
    let (reading, mut writing) = stream.into_split();
    let mut reading = BufReader::new(reading);
    loop {
        let mut line = Vec::new();
        let mut limited = (&mut reading).take(LINE_MAX);
        if timeout(PATIENCE, limited.read_until(b'\n', &mut line)).await?? == 0 {
            return Ok(());
        }
        let complete = line.ends_with(b"\n");
        let answer = if complete {
            answer(&String::from_utf8_lossy(&line), by, &requests, &history).await
        } else {
            Answer::refused(format!("a request is one line of at most {LINE_MAX} bytes"))
        };
        timeout(PATIENCE, writing.write_all(&to_line(&answer)?)).await??;
        if !complete {
            return Ok(());
        }
    }
}

async fn answer(line: &str, by: Option<u32>, requests: &mpsc::Sender<ControlRequest>, history: &History) -> Answer {
    let request: Request = match from_line(line) {
        Ok(Request::History { question }) => {
            return of_the_past(history.rows(&question), |history| Answer::History { history });
        }
        Ok(Request::Events { question }) => {
            return of_the_past(history.events(&question), |events| Answer::Events { events });
        }
        Ok(request) => request,
        Err(why) => return Answer::refused(why),
    };
    let is_reload = request == Request::Reload;
    let (reply, answered) = oneshot::channel();
    let asked = async {
        requests.send(ControlRequest { request, by, reply }).await.ok()?;
        answered.await.ok()
    };
    let patience = if is_reload { RELOAD_PATIENCE } else { PATIENCE };
    match timeout(patience, asked).await {
        Ok(Some(answer)) => answer,
        Ok(None) => Answer::refused("the service is stopping"),
        Err(_) => Answer::refused("the service did not answer in time; see its log"),
    }
}

/// A question that makes no sense is a name that there is not, or a bad argument: for the exit code that is the same.
fn of_the_past<T>(answered: Result<T, BadQuestion>, answer: impl FnOnce(T) -> Answer) -> Answer {
    answered.map_or_else(|BadQuestion(why)| Answer::unknown(why), answer)
}

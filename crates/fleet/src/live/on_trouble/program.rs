//! A trouble told to a program: JSON on its stdin, and 0 when it was heard. One that hangs is killed, with all that it has
//! started. Nothing of the service's environment, which may hold tokens, is handed on.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use runner_fleet_engine::failure::said_by_system;
use runner_fleet_engine::{Failure, FailureClass};

/// From its start to its end.
const TOTAL_MAX: Duration = Duration::from_secs(30);
/// How long what it said is awaited after its end: a child of its own may keep the pipe open.
const WORDS_MAX: Duration = Duration::from_millis(200);
/// Bytes of what it says on stderr that are read.
const WORDS_BYTES_MAX: u64 = 400;
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// A program and its arguments.
#[derive(Clone, Debug)]
pub struct Program {
    path: String,
    args: Vec<String>,
}

impl Program {
    pub(super) fn new(path: &str, args: &[String]) -> Self {
        Self { path: path.to_owned(), args: args.to_vec() }
    }

    pub(super) async fn tell(&self, body: &str) -> Result<(), Failure> {
        let mut child = self.start().map_err(|error| {
            let class = match error.kind() {
                io::ErrorKind::NotFound => FailureClass::NotFound,
                io::ErrorKind::PermissionDenied => FailureClass::Denied,
                _ => FailureClass::Other,
            };
            Failure::new(class, format!("cannot start {}: {}", self.path, said_by_system(&error)))
        })?;
        let group = Group::of(&child);
        match timeout(TOTAL_MAX, converse(&mut child, body)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Failure::new(FailureClass::Other, format!("{} {why}", self.path))),
            Err(_) => {
                drop(group);
                // Reaped, so that nothing is left of it; what was killed does not hang.
                let _ = timeout(TOTAL_MAX, child.wait()).await;
                let text = format!("{} was killed: it had not ended within {} s", self.path, TOTAL_MAX.as_secs());
                Err(Failure::new(FailureClass::Late, text))
            }
        }
    }

    fn start(&self) -> io::Result<Child> {
        Command::new(&self.path)
            .args(&self.args)
            .env_clear()
            .env("PATH", PATH)
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
    }
}

/// Says it all, and hears how the program ends.
async fn converse(child: &mut Child, body: &str) -> Result<(), String> {
    if let Some(mut stdin) = child.stdin.take() {
        // One that does not listen may end well all the same.
        let _ = stdin.write_all(body.as_bytes()).await;
    }
    let stderr = child.stderr.take();
    let mut words = Vec::new();
    let listening = async {
        if let Some(stderr) = stderr {
            let mut first = stderr.take(WORDS_BYTES_MAX);
            let _ = first.read_to_end(&mut words).await;
            // The rest is read and dropped: a full pipe would stop the program.
            let _ = tokio::io::copy(&mut first.into_inner(), &mut tokio::io::sink()).await;
        }
    };
    let mut listening = std::pin::pin!(listening);
    let ended = tokio::select! {
        ended = child.wait() => {
            let _ = timeout(WORDS_MAX, &mut listening).await;
            ended
        }
        () = &mut listening => child.wait().await,
    };
    let status = ended.map_err(|error| format!("could not be awaited: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&words).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(format!("ended with {status}{said}"))
}

/// A program with all that it has started; killed together when this is dropped.
struct Group(Option<Pid>);

impl Group {
    fn of(child: &Child) -> Self {
        let id = child.id().and_then(|id| i32::try_from(id).ok());
        Self(id.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.take() {
            // Nothing is left to be killed where all have ended.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

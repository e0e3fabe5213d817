//! A trouble told to a program: JSON on its stdin, and 0 when it was heard. One that hangs is killed, with all that it has
//! started. Nothing of the service's environment, which may hold tokens, is handed on.

use std::io;
use std::process::Stdio;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr, Command};
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
    limit: Duration,
}

impl Program {
    pub(super) fn new(path: &str, args: &[String]) -> Self {
        Self { path: path.to_owned(), args: args.to_vec(), limit: TOTAL_MAX }
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
        match timeout(self.limit, converse(&mut child, body)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Failure::new(FailureClass::Other, format!("{} {why}", self.path))),
            Err(_) => {
                drop(group);
                // Reaped, so that nothing is left of it; what was killed does not hang.
                let _ = timeout(self.limit, child.wait()).await;
                let text = format!("{} was killed: it had not ended within {} s", self.path, self.limit.as_secs());
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
    let mut words = Vec::new();
    let ended = {
        let mut listening = std::pin::pin!(listen(child.stderr.take(), &mut words));
        tokio::select! {
            ended = child.wait() => {
                let _ = timeout(WORDS_MAX, &mut listening).await;
                ended
            }
            () = &mut listening => child.wait().await,
        }
    };
    let status = ended.map_err(|error| format!("could not be awaited: {error}"))?;
    if status.success() {
        return Ok(());
    }
    let said: String = String::from_utf8_lossy(&words).split_whitespace().collect::<Vec<_>>().join(" ");
    let said = if said.is_empty() { said } else { format!(": {said}") };
    Err(format!("ended with {status}{said}"))
}

/// Reads to the end, and keeps the beginning: a full pipe would stop the program.
async fn listen(stderr: Option<ChildStderr>, words: &mut Vec<u8>) {
    if let Some(stderr) = stderr {
        let mut first = stderr.take(WORDS_BYTES_MAX);
        let _ = first.read_to_end(words).await;
        let _ = tokio::io::copy(&mut first.into_inner(), &mut tokio::io::sink()).await;
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    /// A program of this shell script, whose `$1` is `folder`.
    fn script(folder: &Path, text: &str) -> Program {
        let path = folder.join("program");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        Program::new(path.to_str().unwrap(), &[folder.to_str().unwrap().to_owned()])
    }

    fn read(folder: &Path, name: &str) -> String {
        std::fs::read_to_string(folder.join(name)).unwrap()
    }

    #[tokio::test]
    async fn it_gets_the_message_and_nothing_of_our_environment() {
        let folder = tempfile::tempdir().unwrap();
        let program = script(folder.path(), "cat > \"$1/stdin\"; env > \"$1/env\"; pwd > \"$1/pwd\"");
        let body = format!("{{\"text\":\"{}\"}}", "x".repeat(200_000));
        program.tell(&body).await.unwrap();
        assert_eq!(read(folder.path(), "stdin"), body);
        assert_eq!(read(folder.path(), "pwd"), "/\n");
        let names: Vec<String> =
            read(folder.path(), "env").lines().map(|l| l.split('=').next().unwrap().to_owned()).collect();
        let ours = names.iter().filter(|name| !["PATH", "PWD", "OLDPWD", "SHLVL", "_"].contains(&name.as_str()));
        assert_eq!(ours.count(), 0, "{names:?}");
    }

    #[tokio::test]
    async fn what_it_says_of_its_failure_is_told_in_one_line() {
        let folder = tempfile::tempdir().unwrap();
        let long = "head -c 100000 /dev/zero | tr '\\0' y >&2";
        let program = script(folder.path(), &format!("echo 'no such'  >&2; echo channel >&2; {long}; exit 7"));
        let failure = program.tell("{}").await.unwrap_err();
        assert!(failure.text.contains("ended with exit status: 7: no such channel yyy"), "{failure}");
        assert!(failure.text.len() < 1_000 && failure.class.may_heal(), "{failure}");
        let nobody = Program::new("/nonexistent/program", &[]).tell("{}").await.unwrap_err();
        assert_eq!(
            (nobody.class, nobody.text.as_str()),
            (FailureClass::NotFound, "cannot start /nonexistent/program: No such file or directory")
        );
        script(folder.path(), "exit 0").tell(&"x".repeat(200_000)).await.unwrap();
    }

    #[tokio::test]
    async fn one_that_hangs_is_killed_with_all_that_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let hangs = script(folder.path(), "sleep 600 & echo $! > \"$1/child\"; echo $$ > \"$1/parent\"; wait");
        let failure = Program { limit: Duration::from_secs(3), ..hangs }.tell("{}").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Late);
        for name in ["child", "parent"] {
            let id = read(folder.path(), name);
            let ended = || !is_running(id.trim());
            for _ in 0..1_000 {
                if ended() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert!(ended(), "the {name} goes on");
        }
    }

    /// A killed process that nobody awaits stays in the list, as a zombie.
    fn is_running(id: &str) -> bool {
        let stat = std::fs::read_to_string(PathBuf::from("/proc").join(id).join("stat")).unwrap_or_default();
        stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
    }
}

//! `status --watch` on a real pseudo-terminal, and in a pipe: pictures one after the other, over a restart of the service,
//! until it is interrupted.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use runner_fleet::live::clock::Clock;
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use tokio::sync::mpsc;
use tokio::time::timeout;

use crate::config_file::ConfigFile;
use crate::service::Service;

/// Generous: only a broken program ever waits this long.
const DEADLINE: Duration = Duration::from_secs(60);

/// What a program writes, as it comes.
struct Output {
    chunks: mpsc::UnboundedReceiver<Vec<u8>>,
    text: String,
}

impl Output {
    fn of(mut source: impl Read + Send + 'static) -> Self {
        let (give, chunks) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            // A terminal whose program has ended is an error.
            while let Ok(count @ 1..) = source.read(&mut buffer) {
                let _ = give.send(buffer[..count].to_vec());
            }
        });
        Self { chunks, text: String::new() }
    }

    /// Waits until these words have come so many times since the start.
    async fn until(&mut self, words: &str, times: usize) {
        let come = timeout(DEADLINE, async {
            while self.text.matches(words).count() < times {
                let chunk = self.chunks.recv().await.expect("it has ended");
                self.text.push_str(&String::from_utf8_lossy(&chunk));
            }
        });
        assert!(come.await.is_ok(), "{words:?} did not come {times} times: {:?}", self.text);
    }

    /// All of it, when there is no more.
    async fn rest(mut self) -> String {
        while let Some(chunk) = timeout(DEADLINE, self.chunks.recv()).await.expect("it does not end") {
            self.text.push_str(&String::from_utf8_lossy(&chunk));
        }
        self.text
    }
}

/// A terminal of 80 columns and 24 lines: the end that is looked at, and the program's.
fn terminal() -> (File, File) {
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap();
    tcsetwinsize(&master, Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 }).unwrap();
    let slave = OpenOptions::new().read(true).write(true).open(name.to_str().unwrap()).unwrap();
    (File::from(master), slave)
}

fn watch(folder: &Path, args: &[&str]) -> Command {
    let config = ConfigFile::new(folder).write(folder);
    let mut command = Command::new(env!("CARGO_BIN_EXE_runner-fleet"));
    command.args(["status", "--watch", "--config", config.to_str().unwrap()]).args(args);
    command.env_clear().env("TERM", "xterm");
    command
}

/// Ctrl-C; the exit code.
async fn interrupt(mut child: Child) -> Option<i32> {
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let ended = tokio::task::spawn_blocking(move || child.wait().unwrap());
    timeout(DEADLINE, ended).await.expect("it does not end").unwrap().code()
}

#[tokio::test]
async fn pictures_go_on_over_a_restart_until_ctrl_c() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("control.sock");
    let service = Service::start(Clock::real());
    service.listen(&socket).await;
    let (seen, theirs) = terminal();
    let end = || Stdio::from(theirs.try_clone().unwrap());
    let child = watch(folder.path(), &[]).stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
    drop(theirs);
    let mut output = Output::of(seen);

    output.until("every 2 s", 2).await;
    service.stop().await;
    output.until("NO ANSWER since", 1).await;
    let service = Service::start(Clock::real());
    service.listen(&socket).await;
    let silent = output.text.matches("every 2 s").count();
    output.until("every 2 s", silent + 2).await;
    let code = interrupt(child).await;

    let text = output.rest().await;
    assert_eq!(code, Some(0), "{text:?}");
    assert!(text.starts_with("\x1b[?1049h\x1b[?25l"), "the first screen is drawn over: {text:?}");
    assert!(text.ends_with("\x1b[?25h\x1b[?1049l"), "the first screen does not come back: {text:?}");
    let last = text.rsplit("\x1b[H").next().unwrap();
    assert!(!last.contains("NO ANSWER"), "it is still lost: {last:?}");
    service.stop().await;
}

#[tokio::test]
async fn a_program_gets_a_line_of_json_each_time() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(Clock::real());
    service.listen(&folder.path().join("control.sock")).await;
    let mut child = watch(folder.path(), &["--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut output = Output::of(child.stdout.take().unwrap());

    output.until("\n", 2).await;
    let code = interrupt(child).await;

    let text = output.rest().await;
    assert_eq!(code, Some(0));
    for line in text.lines() {
        let state: serde_json::Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert_eq!(state["version"], 1);
    }
    service.stop().await;
}

#[tokio::test]
async fn names_that_there_are_not_end_with_2() {
    let folder = tempfile::tempdir().unwrap();
    let service = Service::start(Clock::real());
    service.listen(&folder.path().join("control.sock")).await;
    let config = ConfigFile::new(folder.path()).write(folder.path());
    let code = async |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_runner-fleet"));
        command.args(args).arg("--config").arg(&config).env_clear();
        let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    for args in [
        ["pause", "nope"],
        ["resume", "nope"],
        ["retry", "nope"],
        ["drain", "i-1"],
        ["undrain", "i-1"],
        ["drain", "--runner=nope"],
        ["status", "--runner=nope"],
    ] {
        let (code, said) = code(&args).await;
        assert_eq!(code, Some(2), "{args:?}: {said}");
        assert!(said.contains("is named"), "{args:?}: {said}");
    }
    assert_eq!(code(&["status", "--job", "99"]).await.0, Some(1), "nobody knows it");
    let (code, said) = code(&["drain", "--all", "--wait"]).await;
    assert_eq!((code, said.as_str()), (Some(0), "there is no worker to drain\n"));
    service.stop().await;
}

#[tokio::test]
async fn whoever_is_not_there_at_first_is_an_error() {
    let folder = tempfile::tempdir().unwrap();
    let output = watch(folder.path(), &[]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("is it running"), "{output:?}");
}

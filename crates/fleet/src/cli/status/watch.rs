//! `status --watch`: the state again and again, until it is interrupted, over restarts of the service too.

use std::io::{IsTerminal, Write};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::control::{self, Answer, Request};
use crate::live::clock::Clock;
use runner_fleet_engine::FleetSnapshot;

use super::super::{CliError, service};
use super::{StatusArgs, narrowed, show};

/// Between two pictures.
const EVERY: Duration = Duration::from_secs(2);
/// What is taken for the height of a terminal that does not tell it.
const ROWS: usize = 24;

/// Shows until SIGINT or SIGTERM, and ends with 0 then.
///
/// # Errors
/// The first question gets no answer, or nobody reads any more. Later ones may go without an answer.
pub(super) fn run(socket: &Path, args: &StatusArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    service::block_on(look_on(socket, args, out))?
}

async fn look_on(socket: &Path, args: &StatusArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let clock = Clock::real();
    let mut end = End::catch()?;
    let mut screen = Screen { out, draws: std::io::stdout().is_terminal() && !args.json, is_open: false };
    let (mut last, mut lost): (Option<FleetSnapshot>, Option<Lost>) = (None, None);
    loop {
        let answer = tokio::select! {
            () = end.comes() => break,
            answer = control::ask(socket, &Request::Status) => answer,
        };
        let told = lost.take();
        match answer {
            Ok(Answer::Status { snapshot }) => {
                let snapshot = narrowed(*snapshot, args)?;
                if args.json {
                    screen.line(&snapshot)?;
                }
                last = Some(snapshot);
            }
            Ok(other) => return Err(service::unexpected(&other)),
            Err(error) if last.is_none() => return Err(service::failed(error)),
            Err(error) => {
                let since = told.as_ref().map_or_else(|| clock.now(), |lost| lost.since);
                if told.is_none() && !screen.draws {
                    // Lost if nobody reads it.
                    let _ = writeln!(anstream::stderr(), "runner-fleet: no answer since {since:.0}: cannot {error}");
                }
                lost = Some(Lost { since, why: error.to_string() });
            }
        }
        // In a pipe an old picture would be taken for a new one.
        if let Some(snapshot) = last.as_ref().filter(|_| !args.json && (screen.draws || lost.is_none())) {
            screen.picture(&picture(snapshot, lost.as_ref(), clock.now(), args)?)?;
        }
        tokio::select! {
            () = end.comes() => break,
            () = clock.sleep(EVERY) => {}
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Since when the service does not answer, and what happens instead.
struct Lost {
    since: Timestamp,
    why: String,
}

/// A headline, and the state as it was last seen.
fn picture(
    snapshot: &FleetSnapshot,
    lost: Option<&Lost>,
    now: Timestamp,
    args: &StatusArgs,
) -> Result<Vec<u8>, CliError> {
    let mut picture = Vec::new();
    writeln!(picture, "runner-fleet status  {now:.0}  every {} s, Ctrl-C ends", EVERY.as_secs())?;
    if let Some(Lost { since, why }) = lost {
        writeln!(picture, "NO ANSWER since {since:.0}, what follows is old: cannot {why}")?;
    }
    writeln!(picture)?;
    show(snapshot, args.view(), &mut picture)?;
    Ok(picture)
}

/// The signals that end it.
struct End {
    interrupt: Signal,
    terminate: Signal,
}

impl End {
    fn catch() -> Result<Self, CliError> {
        let catch = |kind| signal(kind).map_err(|error| CliError::failed("catch signals", &error));
        Ok(Self { interrupt: catch(SignalKind::interrupt())?, terminate: catch(SignalKind::terminate())? })
    }

    async fn comes(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// Where pictures go: on a terminal to its second screen, so that the first one is as it was afterwards.
struct Screen<'a> {
    out: &'a mut dyn Write,
    draws: bool,
    is_open: bool,
}

impl Screen<'_> {
    /// The state as one line of JSON.
    fn line(&mut self, snapshot: &FleetSnapshot) -> Result<(), CliError> {
        let line = serde_json::to_string(snapshot).map_err(|error| CliError::failed("write JSON", &error))?;
        writeln!(self.out, "{line}")?;
        Ok(self.out.flush()?)
    }

    fn picture(&mut self, picture: &[u8]) -> Result<(), CliError> {
        if !self.draws {
            self.out.write_all(picture)?;
            writeln!(self.out)?;
            return Ok(self.out.flush()?);
        }
        if !self.is_open {
            // The second screen, without a cursor.
            write!(self.out, "\x1b[?1049h\x1b[?25l")?;
            self.is_open = true;
        }
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok();
        let size = size.filter(|size| size.ws_row > 1 && size.ws_col > 1);
        let (rows, columns) =
            size.map_or((ROWS, usize::MAX), |size| (usize::from(size.ws_row), usize::from(size.ws_col)));
        let picture = String::from_utf8_lossy(picture);
        let lines = clipped(&picture, rows, columns);
        // Over the former one, line by line: nothing flickers.
        write!(self.out, "\x1b[H{}\x1b[K\x1b[J", lines.join("\x1b[K\r\n"))?;
        Ok(self.out.flush()?)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.is_open {
            // Nothing is to be done where the terminal has gone.
            let _ = write!(self.out, "\x1b[?25h\x1b[?1049l").and_then(|()| self.out.flush());
        }
    }
}

/// The lines that fit, each no longer than the screen is wide; the last one says how many do not fit.
fn clipped(picture: &str, rows: usize, columns: usize) -> Vec<String> {
    let all: Vec<&str> = picture.lines().collect();
    let fit = if all.len() > rows { rows.saturating_sub(1) } else { all.len() };
    let mut lines: Vec<String> = all.iter().take(fit).map(|line| clip(line, columns)).collect();
    if let Some(more @ 1..) = all.len().checked_sub(fit) {
        lines.push(clip(&format!("… {more} more lines; `--runner NAME` shows less"), columns));
    }
    lines
}

/// The first so many characters of a line; colours take no room.
fn clip(line: &str, columns: usize) -> String {
    let (mut kept, mut width, mut in_color) = (String::new(), 0, false);
    for char in line.chars() {
        in_color |= char == '\x1b';
        if in_color {
            kept.push(char);
            in_color = !char.is_ascii_alphabetic();
        } else if width < columns {
            kept.push(char);
            width += 1;
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_is_clipped_to_the_window() {
        assert_eq!(clipped("one\ntwo\nthree", 3, 10), ["one", "two", "three"]);
        assert_eq!(clipped("one\ntwo\nthree", 2, 6), ["one", "… 2 mo"]);
        assert_eq!(clip("\x1b[38;5;8mrunner\x1b[39m fleet", 8), "\x1b[38;5;8mrunner\x1b[39m f");
    }
}

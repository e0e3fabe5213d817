//! What is seen while the morning passes: a table that is redrawn in place on a terminal, plain lines elsewhere.

use std::io::{self, IsTerminal, Write};
use std::net::SocketAddr;
use std::time::Duration;

use comfy_table::Table;

use crate::cli::CliError;
use crate::cli::output::{OutputStyle, brief};
use runner_fleet_engine::snapshot::{FleetSnapshot, WorkerState};
use runner_fleet_sim::Summary;

use super::DemoArgs;
use super::run::Demo;

/// Workers and news that fit a terminal of 24 lines beside the rest.
const WORKERS_MAX: usize = 11;
const NEWS_MAX: usize = 4;
/// Pictures between two plain lines: one every two seconds.
const PICTURES_A_LINE: u32 = 8;
/// Columns of a terminal that does not tell.
const WIDTH: u16 = 80;

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";

/// Where it is seen.
pub(super) struct Screen<'a> {
    out: &'a mut dyn Write,
    /// `None`: no terminal.
    live: Option<OutputStyle>,
    /// Lines of the last snapshot, to be drawn over.
    drawn: usize,
    pictures: u32,
    news: Vec<String>,
}

impl<'a> Screen<'a> {
    pub(super) fn on_stdout(out: &'a mut dyn Write) -> Self {
        Self::new(out, io::stdout().is_terminal().then(OutputStyle::of_stdout))
    }

    pub(super) fn on_stderr(out: &'a mut dyn Write) -> Self {
        let style = || OutputStyle { color: false, width: Table::new().width() };
        Self::new(out, io::stderr().is_terminal().then(style))
    }

    fn new(out: &'a mut dyn Write, live: Option<OutputStyle>) -> Self {
        Self { out, live, drawn: 0, pictures: 0, news: Vec::new() }
    }

    /// Says first that nothing is real.
    pub(super) fn greet(&mut self, args: &DemoArgs, dashboard: SocketAddr) -> Result<(), CliError> {
        writeln!(
            self.out,
            "Nothing here is real: GitLab, EC2 and the workers are simulated, and nothing costs anything."
        )?;
        writeln!(
            self.out,
            "A morning's pipelines, {} times as fast as real time, seed {}. Dashboard: http://{dashboard}/\n",
            args.speed, args.seed
        )?;
        if self.live.is_some() {
            write!(self.out, "{HIDE_CURSOR}")?;
        }
        Ok(self.out.flush()?)
    }

    /// Shows how things stand.
    pub(super) fn show(&mut self, demo: &mut Demo) -> Result<(), CliError> {
        let news: Vec<String> = demo.news().into_iter().map(|(at, said)| format!("{}  {said}", clock(at))).collect();
        let head = headline(demo.passed(), &demo.snapshot(), &demo.summary());
        match self.live {
            Some(style) => {
                self.news.extend(news);
                let surplus = self.news.len().saturating_sub(NEWS_MAX);
                self.news.drain(..surplus);
                let picture = picture(&head, &demo.snapshot(), &self.news, style);
                self.redraw(&picture)?;
            }
            None => {
                for said in news {
                    writeln!(self.out, "{said}")?;
                }
                if self.pictures.is_multiple_of(PICTURES_A_LINE) {
                    writeln!(self.out, "{head}")?;
                }
            }
        }
        self.pictures += 1;
        Ok(self.out.flush()?)
    }

    fn redraw(&mut self, picture: &[String]) -> io::Result<()> {
        if self.drawn > 0 {
            write!(self.out, "\x1b[{}A", self.drawn)?;
        }
        // Everything below the cursor goes, also what a longer picture has left there.
        write!(self.out, "\r\x1b[J{}\n", picture.join("\n"))?;
        self.drawn = picture.len();
        Ok(())
    }

    /// Leaves the last snapshot as it is, and the terminal as it was.
    pub(super) fn close(&mut self) -> Result<(), CliError> {
        if self.live.take().is_some() {
            write!(self.out, "{SHOW_CURSOR}")?;
        }
        writeln!(self.out)?;
        Ok(self.out.flush()?)
    }
}

impl Drop for Screen<'_> {
    fn drop(&mut self) {
        if self.live.is_some() {
            // An error on the way here is told elsewhere; the cursor must come back.
            let _ = write!(self.out, "{SHOW_CURSOR}");
            let _ = self.out.flush();
        }
    }
}

fn picture(head: &str, snapshot: &FleetSnapshot, news: &[String], style: OutputStyle) -> Vec<String> {
    let width = usize::from(style.width.unwrap_or(WIDTH));
    let mut lines = vec![head.to_owned(), String::new()];
    let mut shown: Vec<_> = snapshot.workers.iter().collect();
    shown.sort_by_key(|worker| (order(worker.state), &worker.id));
    let mut table = style.table(&["WORKER", "STATE", "JOBS", "AGE", "IDLE", "TYPE", "ZONE", "MARKET"]);
    for worker in shown.iter().take(WORKERS_MAX) {
        let ids: Vec<String> = worker.job_ids.iter().map(ToString::to_string).collect();
        let jobs = match worker.jobs {
            0 => "-".to_owned(),
            // The ids come a moment after the count.
            count if ids.is_empty() => format!("{count} job(s)"),
            _ => ids.join(" "),
        };
        table.add_row(vec![
            comfy_table::Cell::new(&worker.id),
            style.state(worker.state),
            comfy_table::Cell::new(jobs),
            comfy_table::Cell::new(brief(Some(worker.age))),
            comfy_table::Cell::new(brief(worker.idle)),
            comfy_table::Cell::new(&worker.instance_type),
            comfy_table::Cell::new(&worker.zone),
            comfy_table::Cell::new(worker.market),
        ]);
    }
    lines.extend(table.lines().map(|line| line.trim_end().to_owned()));
    if let Some(more) = shown.len().checked_sub(WORKERS_MAX).filter(|more| *more > 0) {
        lines.push(format!("… and {more} more"));
    }
    lines.push(String::new());
    lines.extend(news.iter().map(|said| cut(said, width)));
    if let Some(first) = lines.first_mut() {
        *first = cut(first, width);
    }
    lines
}

/// Those first that a watcher wants to see: what works, what comes, what goes.
fn order(state: WorkerState) -> u8 {
    match state {
        WorkerState::Busy => 0,
        WorkerState::Booting => 1,
        WorkerState::Idle => 2,
        WorkerState::Draining => 3,
        WorkerState::Unreachable => 4,
        WorkerState::Terminating => 5,
    }
}

/// A line that would wrap would spoil the next snapshot.
fn cut(line: &str, width: usize) -> String {
    line.chars().take(width.saturating_sub(1)).collect()
}

fn headline(passed: Duration, snapshot: &FleetSnapshot, sums: &Summary) -> String {
    let count = |state| snapshot.workers.iter().filter(|worker| worker.state == state).count();
    let running: u32 = snapshot.runners.iter().map(|runner| runner.running).sum();
    let waiting: u32 = snapshot.runners.iter().filter_map(|runner| runner.waiting).sum();
    format!(
        "{}  jobs: {waiting} waiting, {running} running, {} done   workers: {} busy, {} idle, {} booting   ${:.2}",
        clock(passed),
        sums.jobs.succeeded + sums.jobs.failed,
        count(WorkerState::Busy),
        count(WorkerState::Idle),
        count(WorkerState::Booting),
        sums.cost_usd
    )
}

/// The morning begins at six.
fn clock(passed: Duration) -> String {
    let minutes = passed.as_secs() / 60;
    format!("{:02}:{:02}", (6 + minutes / 60) % 24, minutes % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_begins_at_six() {
        assert_eq!(clock(Duration::ZERO), "06:00");
        assert_eq!(clock(Duration::from_secs(3 * 3600 + 61)), "09:01");
    }

    #[test]
    fn a_picture_is_drawn_over_the_one_before() {
        let mut out = Vec::new();
        let mut screen = Screen::new(&mut out, Some(OutputStyle::PLAIN));
        screen.redraw(&["a".into(), "b".into()]).unwrap();
        screen.redraw(&["c".into()]).unwrap();
        drop(screen);
        assert_eq!(String::from_utf8(out).unwrap(), "\r\x1b[Ja\nb\n\x1b[2A\r\x1b[Jc\n\x1b[?25h");
    }

    #[test]
    fn the_cursor_comes_back_only_where_it_was_taken() {
        let mut out = Vec::new();
        Screen::new(&mut out, None).close().unwrap();
        assert_eq!(out, b"\n");
    }
}

//! What goes to stdout: tables for people, versioned JSON for programs.

use std::io::{IsTerminal, Write};
use std::time::Duration;

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, Color, ContentArrangement, Table};
use serde::Serialize;

use runner_fleet_engine::Brief;
use runner_fleet_engine::snapshot::WorkerState;

use super::CliError;

/// How the reader sees.
#[derive(Clone, Copy, Debug)]
pub(super) struct OutputStyle {
    /// Colours may be used.
    pub(super) color: bool,
    /// Columns, where they are limited.
    pub(super) width: Option<u16>,
}

impl OutputStyle {
    /// Plain text without a limit: for pipes, files and tests.
    pub(super) const PLAIN: Self = Self { color: false, width: None };

    /// As stdout is: colours on terminals only, and not where `NO_COLOR` asks for none.
    pub(super) fn of_stdout() -> Self {
        if !std::io::stdout().is_terminal() {
            return Self::PLAIN;
        }
        let color = anstream::AutoStream::choice(&std::io::stdout()) != anstream::ColorChoice::Never;
        Self { color, width: Table::new().width() }
    }

    /// A table with this header.
    pub(super) fn table(self, header: &[&str]) -> Table {
        let mut table = self.bare_table();
        table.set_header(header.iter().map(|name| self.dim(name)));
        table
    }

    /// The same without one.
    pub(super) fn bare_table(self) -> Table {
        let mut table = Table::new();
        table.load_style(NOTHING);
        match self.width {
            Some(width) => table.set_content_arrangement(ContentArrangement::Dynamic).set_width(width),
            None => table.set_content_arrangement(ContentArrangement::Disabled),
        };
        if self.color {
            table.enforce_styling();
        } else {
            table.force_no_tty();
        }
        table
    }

    /// A word in its colour, and what follows it.
    pub(super) fn colored(self, word: &str, color: Color, rest: &str) -> String {
        let code = match color {
            Color::Red => "31",
            Color::Yellow => "33",
            _ => "32",
        };
        if self.color { format!("\x1b[{code}m{word}\x1b[0m{rest}") } else { format!("{word}{rest}") }
    }

    /// A worker's state in its colour.
    pub(super) fn state(self, state: WorkerState) -> Cell {
        let cell = Cell::new(state.as_str());
        if self.color { cell.fg(color_of(state)) } else { cell }
    }

    fn dim(self, text: &str) -> Cell {
        let cell = Cell::new(text);
        if self.color { cell.fg(Color::DarkGrey) } else { cell }
    }
}

/// The colour of a worker's state.
pub(super) fn color_of(state: WorkerState) -> Color {
    match state {
        WorkerState::Booting => Color::Yellow,
        WorkerState::Idle => Color::Green,
        WorkerState::Busy => Color::Blue,
        WorkerState::Draining | WorkerState::Terminating => Color::Magenta,
        WorkerState::Unreachable => Color::Red,
    }
}

/// Writes a table, without the spaces that would only fill its last column.
pub(super) fn write_table(out: &mut dyn Write, table: &Table) -> Result<(), CliError> {
    for line in table.lines() {
        writeln!(out, "{}", line.trim_end())?;
    }
    Ok(())
}

/// Writes a value that carries its own `version`.
pub(super) fn write_json(out: &mut dyn Write, value: &impl Serialize) -> Result<(), CliError> {
    let text = serde_json::to_string_pretty(value).map_err(|error| CliError::failed("write JSON", &error))?;
    writeln!(out, "{text}")?;
    Ok(())
}

/// A duration as people say it; a dash where there is none.
pub(super) fn brief(duration: Option<Duration>) -> String {
    duration.map_or_else(|| "-".into(), |duration| Brief(duration).to_string())
}

//! The verdict, on top of everything: is anything wrong, since when, and what to do.

use std::io::Write;

use comfy_table::{Cell, Color};
use jiff::Timestamp;

use runner_fleet_engine::{Brief, FleetSnapshot, Severity, Trouble};

use super::super::CliError;
use super::super::output::{OutputStyle, write_table};

/// A line for each trouble and one for what to do about it; or that there is none.
pub(super) fn verdict(snapshot: &FleetSnapshot, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    let troubles = &snapshot.verdict.troubles;
    if troubles.is_empty() {
        // Who sees nothing yet has no verdict.
        if snapshot.ec2.is_known() {
            writeln!(out, "{}\n", style.colored("OK", color_of(Severity::Ok), "  Nothing is wrong."))?;
        }
        return Ok(());
    }
    let mut table = style.bare_table();
    for trouble in troubles {
        let word = Cell::new(trouble.severity.as_str().to_uppercase());
        let word = if style.color { word.fg(color_of(trouble.severity)) } else { word };
        table.add_row([word, Cell::new(sentence(trouble, snapshot.at))]);
        table.add_row(["", &trouble.advice]);
    }
    write_table(out, &table)?;
    writeln!(out)?;
    Ok(())
}

/// What is wrong, for how long, and how many jobs wait.
pub(super) fn sentence(trouble: &Trouble, now: Timestamp) -> String {
    let lasted = Brief(now.duration_since(trouble.since).try_into().unwrap_or_default());
    let waiting = match trouble.jobs_waiting {
        None => "how many jobs wait is not known".to_owned(),
        Some(0) => return format!("{trouble}, for {lasted}"),
        Some(1) => "1 job waits".to_owned(),
        Some(jobs) => format!("{jobs} jobs wait"),
    };
    format!("{trouble}, for {lasted}; {waiting}")
}

fn color_of(severity: Severity) -> Color {
    match severity {
        Severity::Ok => Color::Green,
        Severity::Warning => Color::Yellow,
        Severity::Critical => Color::Red,
    }
}

//! `status --history`: what the fleet looked like, a line for each span of time.

use std::io::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::control::{Answer, Request};
use crate::history::{HistoryAnswer, HistoryQuestion, HistoryRow, Number};

use super::super::fit::{Fit, FitTable};
use super::super::output::{brief, write_json, write_table};
use super::super::{CliError, service};
use super::{StatusArgs, View};

/// Lines of a screen.
const ROWS_USUAL: i64 = 30;
/// Spans that people know, in seconds.
const STEPS: [i64; 7] = [60, 300, 900, 3600, 3 * 3600, 6 * 3600, 24 * 3600];

/// Asks and prints.
pub(super) fn run(socket: &Path, args: &StatusArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let now = crate::live::clock::Clock::real().now();
    let question = HistoryQuestion {
        from: Some(args.from.to_string()),
        to: None,
        step: Some(args.step.clone().unwrap_or_else(|| usual_step(args.from, now).to_string())),
        runner: args.runner.clone(),
    };
    match service::ask(socket, &Request::History { question })? {
        Answer::History { history } if args.json => write_json(out, &history),
        Answer::History { history } => show(&history, args.view(), &TimeZone::system(), out),
        other => Err(service::unexpected(&other)),
    }
}

fn usual_step(from: Timestamp, now: Timestamp) -> i64 {
    let duration = now.duration_since(from).as_secs();
    let few = STEPS.into_iter().find(|step| duration / step <= ROWS_USUAL);
    few.unwrap_or(24 * 3600)
}

fn show(history: &HistoryAnswer, view: View, zone: &TimeZone, out: &mut dyn Write) -> Result<(), CliError> {
    if let Some(why) = &history.not_kept {
        writeln!(out, "The next start will not know this: {why}\n")?;
    }
    if history.rows.is_empty() {
        let since =
            history.since.map(|since| format!(" The past begins at {}.", time(since, zone))).unwrap_or_default();
        writeln!(out, "Nothing is known of that time.{since}")?;
        return Ok(());
    }
    let mut table = FitTable::new([
        ("FROM", Fit::Whole),
        ("SLOTS", Fit::Whole),
        ("AT WORK", Fit::Whole),
        ("WAITING", Fit::Whole),
        ("LONGEST", Fit::Whole),
        ("BEGUN", Fit::Dropped(3)),
        ("P50", Fit::Whole),
        ("P95", Fit::Whole),
        ("LAUNCHED", Fit::Dropped(2)),
        ("FAILED", Fit::Whole),
        ("INTERRUPTED", Fit::Dropped(0)),
        ("ENDED", Fit::Dropped(1)),
        ("USD/H", Fit::Whole),
    ]);
    for row in &history.rows {
        table.add([
            time(row.at, zone).into(),
            mean(row, Number::SlotsPaid).into(),
            mean(row, Number::SlotsAtWork).into(),
            mean(row, Number::JobsWaiting).into(),
            wait(row, Number::LongestWaitSeconds).into(),
            count(row, Number::JobsBegun).into(),
            wait(row, Number::WaitP50Seconds).into(),
            wait(row, Number::WaitP95Seconds).into(),
            count(row, Number::WorkersLaunched).into(),
            count(row, Number::BootsFailed).into(),
            count(row, Number::Interruptions).into(),
            count(row, Number::WorkersEnded).into(),
            usd(row).into(),
        ]);
    }
    write_table(out, &table.laid_out(view.style, view.wide))
}

/// In this host's time, with its zone.
pub(in crate::cli) fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M %Z").to_string()
}

/// Unknown is not zero.
fn known(value: Option<f64>, shown: impl FnOnce(f64) -> String) -> String {
    value.map_or_else(|| "?".to_owned(), shown)
}

fn mean(row: &HistoryRow, number: Number) -> String {
    known(row.get(number), |value| if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") })
}

fn count(row: &HistoryRow, number: Number) -> String {
    known(row.get(number), |value| format!("{value:.0}"))
}

/// A wait; a dash where no job began.
fn wait(row: &HistoryRow, number: Number) -> String {
    let none_began = row.get(Number::JobsBegun) == Some(0.0) && number != Number::LongestWaitSeconds;
    match row.get(number).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok()) {
        None if none_began => "-".to_owned(),
        None => "?".to_owned(),
        wait => brief(wait),
    }
}

fn usd(row: &HistoryRow) -> String {
    let both = row.get(Number::UsdPerHourSpot).zip(row.get(Number::UsdPerHourOnDemand));
    known(both.map(|(spot, on_demand)| spot + on_demand), |usd| format!("{usd:.2}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputStyle;

    fn row(at: i64, numbers: &[(Number, f64)]) -> HistoryRow {
        let numbers = numbers.iter().map(|(number, value)| (number.as_str().to_owned(), Some(*value))).collect();
        HistoryRow { at: Timestamp::from_second(at).unwrap(), seconds: 900.0, numbers }
    }

    #[test]
    fn the_past_reads_like_this() {
        use Number::{
            BootsFailed, JobsBegun, JobsWaiting, LongestWaitSeconds, SlotsAtWork, SlotsPaid, UsdPerHourOnDemand,
            UsdPerHourSpot, WaitP50Seconds, WaitP95Seconds, WorkersLaunched,
        };
        let rows = vec![
            row(0, &[(SlotsPaid, 4.0), (SlotsAtWork, 2.53), (JobsBegun, 0.0), (BootsFailed, 4.0)]),
            row(
                900,
                &[
                    (JobsWaiting, 1.0),
                    (LongestWaitSeconds, 75.4),
                    (JobsBegun, 9.0),
                    (WaitP50Seconds, 2.0),
                    (WaitP95Seconds, 71.0),
                    (WorkersLaunched, 3.0),
                    (UsdPerHourSpot, 0.1),
                    (UsdPerHourOnDemand, 0.25),
                ],
            ),
        ];
        let history = HistoryAnswer {
            version: 1,
            from: Timestamp::UNIX_EPOCH,
            to: Timestamp::UNIX_EPOCH,
            step_seconds: 900,
            runner: None,
            since: None,
            not_kept: Some("the disk is full".into()),
            rows,
        };
        let view = View { style: OutputStyle::PLAIN, all: false, wide: false };
        let mut text = Vec::new();
        show(&history, view, &TimeZone::UTC, &mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"
        The next start will not know this: the disk is full

        FROM                  SLOTS  AT WORK  WAITING  LONGEST  BEGUN  P50  P95     LAUNCHED  FAILED  INTERRUPTED  ENDED  USD/H
        1970-01-01 00:00 UTC  4      2.5      ?        ?        0      -    -       ?         4       ?            ?      ?
        1970-01-01 00:15 UTC  ?      ?        1        1m 15s   9      2s   1m 11s  3         ?       ?            ?      0.35
        ");
    }
}

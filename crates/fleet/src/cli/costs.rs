//! `costs`: what workers have cost, and whose cost that was.

mod focus;

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;

use clap::{Args, ValueEnum};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp};

use crate::control::{Answer, Request};
use crate::live::clock::Clock;
use runner_fleet_engine::RunnerName;
use runner_fleet_engine::ledger::{By, Cost, CostQuery, CostReport, Day, Label, RowKey};

use super::fit::{Fit, FitTable};
use super::money::{beside, money, percent};
use super::output::{OutputStyle, write_json, write_table};
use super::{CliError, Global, service};

/// Days of one question of `--csv`: as many rows as one answer may have, and some.
const DAYS_AT_ONCE: i64 = 30;

/// Show what workers have cost: by project, runner, job, account or day.
///
/// Each worker's time at its price is booked to an account: jobs (of a project), boot, idle, drain, unknown; disks and public
/// addresses beside it. What is not known is said to be unknown, with what it costs at most. Traffic, other services and
/// taxes are not in it. Days are those of UTC, as EC2 bills.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    runner-fleet costs                                  # this month, by project\n  \
    runner-fleet costs --by day --from 7d --runner spot\n  \
    runner-fleet costs --csv --from 2026-11-01 --to 2026-11-30 > november.csv")]
pub(super) struct CostsArgs {
    /// What the rows are told apart by.
    #[arg(long, value_enum, default_value = "project", conflicts_with = "csv")]
    by: ByArg,
    /// The first day: a date, today, yesterday, or how long ago (7d); the first of the month when absent.
    #[arg(long, value_name = "DAY", value_parser = day)]
    from: Option<Day>,
    /// The last day; the same forms.
    #[arg(long, value_name = "DAY", value_parser = day, default_value = "today")]
    to: Day,
    /// This runner alone.
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,
    /// Print every line of every day as CSV, in the columns of FOCUS, the FinOps Open Cost and Usage Specification.
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print the answer as JSON.
    #[arg(long)]
    json: bool,
}

/// `--by`.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum ByArg {
    /// Project; what no project has caused, by account.
    Project,
    /// Runner.
    Runner,
    /// Project and job name.
    Job,
    /// Account.
    Account,
    /// Day.
    Day,
}

impl From<ByArg> for By {
    fn from(by: ByArg) -> Self {
        match by {
            ByArg::Project => Self::Project,
            ByArg::Runner => Self::Runner,
            ByArg::Job => Self::Job,
            ByArg::Account => Self::Account,
            ByArg::Day => Self::Day,
        }
    }
}

/// Asks and prints.
pub(super) fn run(global: &Global, args: &CostsArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let socket = service::socket(global)?;
    let by = if args.csv { By::Line } else { args.by.into() };
    let from = args.from.unwrap_or_else(|| Day::on(args.to.date().first_of_month()));
    let query = CostQuery { from, to: args.to, by, runner: args.runner.as_deref().map(RunnerName::new) };
    query.check().map_err(|error| CliError::BadUsage(error.to_string()))?;
    if args.csv {
        csv(&socket, &query, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    let report = ask(&socket, query)?;
    if args.json {
        write_json(out, &report)?;
    } else {
        show(&report, OutputStyle::of_stdout(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(socket: &Path, query: CostQuery) -> Result<CostReport, CliError> {
    match service::ask(socket, &Request::Costs { query })? {
        Answer::Costs { report } => Ok(*report),
        other => Err(service::unexpected(&other)),
    }
}

/// Some weeks at a time: a year of lines is more than one answer holds.
fn csv(socket: &Path, query: &CostQuery, out: &mut dyn Write) -> Result<(), CliError> {
    let mut writer = focus::Writer::begin(out)?;
    let mut from = query.from;
    while from <= query.to {
        let to = from.after(DAYS_AT_ONCE - 1).min(query.to);
        let report = ask(socket, CostQuery { from, to, ..query.clone() })?;
        if report.rows_left_out > 0 || !report.days_unreadable.is_empty() {
            return Err(CliError::Failed(incomplete(&report)));
        }
        writer.write(&report)?;
        from = to.after(1);
    }
    writer.end()
}

fn incomplete(report: &CostReport) -> String {
    let days = report.days_unreadable.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    match report.rows_left_out {
        0 => format!("the files of these days cannot be read: {days}"),
        left_out => format!("{left_out} rows are too many for one answer; ask for fewer days"),
    }
}

/// The answer as a table, and a sentence.
pub(crate) fn show(report: &CostReport, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    let what = match report.query.by {
        By::Project => "PROJECT",
        By::Runner => "RUNNER",
        By::Job => "JOB",
        By::Account => "ACCOUNT",
        By::Day | By::Line => "DAY",
    };
    let mut table = FitTable::new([
        (what, Fit::Name { least: 16, most: 60 }),
        ("USD", Fit::Whole),
        ("ON DEMAND", Fit::Dropped(1)),
        ("BELOW", Fit::Whole),
        ("HOURS", Fit::Dropped(2)),
    ]);
    for row in &report.rows {
        let cost = &row.cost;
        table.add([
            name(&row.key).into(),
            money(cost).into(),
            format!("{:.2}", cost.on_demand_usd).into(),
            cost.below_on_demand.map_or_else(|| "-".to_owned(), percent).into(),
            format!("{:.1}", cost.hours).into(),
        ]);
    }
    if !report.rows.is_empty() {
        write_table(out, &table.laid_out(style, false))?;
        writeln!(out)?;
    }
    writeln!(out, "{}", total(report))?;
    for line in doubts(report) {
        writeln!(out, "{line}")?;
    }
    Ok(())
}

fn total(report: &CostReport) -> String {
    let CostQuery { from, to, .. } = &report.query;
    let days = if from == to { from.to_string() } else { format!("{from} to {to}") };
    let Cost { on_demand_usd, hours, .. } = report.total;
    let beside =
        beside(&report.total).map_or_else(String::new, |beside| format!(", {beside} ({on_demand_usd:.2} USD)"));
    format!("{days}: {} USD for {hours:.1} hours of workers{beside}", money(&report.total))
}

/// What the reader must know of the sum.
fn doubts(report: &CostReport) -> Vec<String> {
    let mut doubts = Vec::new();
    match report.since {
        None => doubts.push("Nothing has been booked yet.".to_owned()),
        Some(since) if since > report.query.from.begins() => {
            let known = "what workers cost before is told only as far as EC2 still showed them then";
            doubts.push(format!("The ledger begins at {since:.0}: {known}."));
        }
        Some(_) => {}
    }
    if report.total.unpriced_hours > 0.0 {
        doubts.push(format!("The price of {:.1} hours is not known.", report.total.unpriced_hours));
    }
    if report.total.usd_at_most.is_none() {
        doubts.push("Some of it has no known price and no ceiling: see --by account.".to_owned());
    }
    if report.rows_left_out > 0 || !report.days_unreadable.is_empty() {
        doubts.push(format!("Not all is shown: {}.", incomplete(report)));
    }
    doubts
}

/// What a row is of, for people. Names of jobs are their authors': nothing in them reaches the terminal but text.
fn name(key: &RowKey) -> String {
    let account = key.account.map(|account| format!("({})", account.as_str()));
    let payer = key.payer.as_ref().map(|payer| match payer {
        Label::Job { project: None, .. } => "(unknown jobs)".to_owned(),
        Label::Job { project: Some(project), name: None } => format!("project {project}"),
        Label::Job { project: Some(project), name: Some(name) } => {
            format!("project {project}: {}", plain(name.as_str()))
        }
        Label::Rest => "(the rest)".to_owned(),
    });
    let day = key.day.map(|day| day.to_string());
    let runner = key.runner.as_ref().map(|runner| plain(runner.as_str()));
    payer.or(account).or(runner).or(day).unwrap_or_else(|| "-".to_owned())
}

fn plain(text: &str) -> String {
    text.chars().map(|char| if char.is_control() { '\u{fffd}' } else { char }).collect()
}

/// Reads a day of UTC.
fn day(text: &str) -> Result<Day, String> {
    day_at(text, Clock::real().now())
}

fn day_at(text: &str, now: Timestamp) -> Result<Day, String> {
    let wrong = || "write a date (2026-12-01), today, yesterday, or how long ago (7d)".to_owned();
    match text {
        "today" => Ok(Day::at(now)),
        "yesterday" => Ok(Day::at(now).before(1)),
        _ => match text.parse::<Date>() {
            Ok(date) => Ok(Day::on(date)),
            Err(_) => {
                let ago: Span = text.parse().map_err(|_| wrong())?;
                let then = now.to_zoned(TimeZone::UTC).checked_sub(ago.abs()).map_err(|_| wrong())?;
                Ok(Day::on(then.date()))
            }
        },
    }
}

#[cfg(test)]
mod tests;

//! `status`: runners, workers, waiting jobs and the last decisions of the running service.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;
use std::str::FromStr;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;

use crate::control::{Answer, Request};
use runner_fleet_engine::snapshot::JobStatus;
use runner_fleet_engine::{FleetSnapshot, JobId, Knowledge, TokenEnd};

use super::output::{OutputStyle, brief, write_json, write_table};
use super::{CliError, Global, service};

/// Between two pictures of `--watch`.
const WATCH: Duration = Duration::from_secs(2);
/// Rows of jobs and decisions that fit beside the rest on one screen.
const ROWS_MAX: usize = 20;

/// Show runners, workers, waiting jobs and the last decisions.
///
/// Asks the running service through its control socket.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet status\n  runner-fleet status --watch\n  \
                        runner-fleet status --job 7231\n  \
                        runner-fleet status --json | jq '.workers[] | select(.state == \"busy\") | .id'")]
pub(super) struct StatusArgs {
    /// Show it again every two seconds, until interrupted.
    #[arg(long, conflicts_with = "json")]
    watch: bool,
    /// Print the state as JSON (the same as /api/v1/state).
    #[arg(long)]
    json: bool,
    /// Only one job: where it runs, or why it waits. Its id, or the address of its page in GitLab.
    #[arg(long, value_name = "ID|URL", conflicts_with = "watch")]
    job: Option<JobAddress>,
}

/// A job as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct JobAddress {
    id: JobId,
    url: Option<String>,
}

impl FromStr for JobAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let id = |digits: &str| digits.parse().map(JobId).ok();
        let wrong =
            || format!("{text:?} is no job; write its number, or the address of its page (https://…/-/jobs/123)");
        if !text.contains("://") {
            let id = id(text.strip_prefix('#').unwrap_or(text)).ok_or_else(wrong)?;
            return Ok(Self { id, url: None });
        }
        let path = text.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
        let (_, behind) = path.rsplit_once("/jobs/").ok_or_else(wrong)?;
        let digits = behind.split('/').next().unwrap_or_default();
        Ok(Self { id: id(digits).ok_or_else(wrong)?, url: Some(text.to_owned()) })
    }
}

/// Asks and prints.
pub(crate) fn run(global: &Global, args: &StatusArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let socket = service::socket(global)?;
    if let Some(JobAddress { id, url }) = args.job.clone() {
        return match service::ask(&socket, &Request::Job { job: id, url })? {
            Answer::Job { jobs } => show_job(&jobs, args.json, out),
            other => Err(service::unexpected(&other)),
        };
    }
    loop {
        let snapshot = match service::ask(&socket, &Request::Status)? {
            Answer::Status { snapshot } => snapshot,
            other => return Err(service::unexpected(&other)),
        };
        if args.json {
            write_json(out, &snapshot)?;
            return Ok(ExitCode::SUCCESS);
        }
        if args.watch && std::io::stdout().is_terminal() {
            // Home, then clear what is below: no flicker of an empty screen.
            write!(out, "\x1b[H\x1b[2J")?;
        }
        show(&snapshot, OutputStyle::of_stdout(), out)?;
        out.flush()?;
        if !args.watch {
            return Ok(ExitCode::SUCCESS);
        }
        service::wait(WATCH)?;
    }
}

/// What is known of a job, a line for each server.
fn show_job(jobs: &[JobStatus], json: bool, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    if json {
        write_json(out, &serde_json::json!({ "version": 1, "jobs": jobs }))?;
        return Ok(ExitCode::SUCCESS);
    }
    for job in jobs {
        let at = if jobs.len() > 1 { format!(" at {}", job.server) } else { String::new() };
        let waited =
            job.waited.map(|waited| format!("it has waited for {}: ", brief(Some(waited)))).unwrap_or_default();
        writeln!(out, "Job {}{at}: {waited}{}.", job.id, job.reason)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The state as text.
pub(crate) fn show(snapshot: &FleetSnapshot, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    if let Some(sentence) = knowledge("EC2", &snapshot.ec2) {
        writeln!(out, "{sentence}\n")?;
    }
    runners(snapshot, style, out)?;
    workers(snapshot, style, out)?;
    jobs(snapshot, style, out)?;
    if !snapshot.decisions.is_empty() {
        writeln!(out, "\nLast decisions")?;
        for decision in snapshot.decisions.iter().rev().take(ROWS_MAX).rev() {
            writeln!(out, "  {:.0}  {}", decision.at, decision.text)?;
        }
    }
    Ok(())
}

fn runners(snapshot: &FleetSnapshot, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = style.table(&["RUNNER", "RUNNING", "WAITING", "IDLE", "WORKERS", "NOTE"]);
    for runner in &snapshot.runners {
        let paused = runner.paused.then(|| "paused".to_owned());
        let queue = knowledge("queue", &runner.queue);
        let blind = (runner.projects_blind > 0)
            .then(|| format!("its api_token may not see {} of its server's projects", runner.projects_blind));
        let facts = stale("its settings in GitLab", &runner.facts);
        let plan = stale("its image, subnets and template", &runner.launch_plan);
        let token = runner.token_end.and_then(|end| token_note(&end, snapshot.at));
        let notes: Vec<_> =
            [paused, queue, blind, facts, token, plan, runner.held_back.as_ref().map(ToString::to_string)]
                .into_iter()
                .flatten()
                .collect();
        table.add_row([
            runner.name.to_string(),
            runner.running.to_string(),
            runner.waiting.to_string(),
            format!("{} of {}", runner.idle_ready, runner.idle_wanted),
            format!("{} of {}", runner.workers, runner.max_workers),
            notes.join("; "),
        ]);
    }
    write_table(out, &table)?;
    for runner in &snapshot.runners {
        if let Some(forecast) = &runner.forecast {
            writeln!(out, "{} {forecast}", runner.name)?;
        }
    }
    for runner in &snapshot.runners {
        for offer in &runner.over_price_cap {
            writeln!(out, "{} leaves out: {offer}", runner.name)?;
        }
    }
    for (region, prices) in &snapshot.prices {
        if let Some(sentence) = knowledge(&format!("spot prices of {region}"), prices) {
            writeln!(out, "{sentence}")?;
        }
    }
    Ok(())
}

fn workers(snapshot: &FleetSnapshot, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    if snapshot.workers.is_empty() {
        writeln!(out, "\nNo workers.")?;
        return Ok(());
    }
    writeln!(out)?;
    let mut table = style
        .table(&["WORKER", "RUNNER", "STATE", "JOBS", "AGE", "IDLE", "TYPE", "ZONE", "MARKET", "USD/H", "USD", "NOTE"]);
    for worker in &snapshot.workers {
        let hold = worker.hold.then(|| "held".to_owned());
        let ecr = worker.ecr_error.as_ref().map(ToString::to_string);
        let notes: Vec<_> =
            [hold, worker.reason.as_ref().map(ToString::to_string), ecr].into_iter().flatten().collect();
        table.add_row([
            worker.id.to_string().into(),
            worker.runner.to_string().into(),
            style.state(worker.state),
            worker.jobs.into(),
            brief(Some(worker.age)).into(),
            brief(worker.idle).into(),
            worker.instance_type.to_string().into(),
            worker.zone.to_string().into(),
            worker.market.to_string().into(),
            usd(worker.usd_per_hour, 4).into(),
            usd(worker.usd_estimated, 2).into(),
            comfy_table::Cell::new(notes.join("; ")),
        ]);
    }
    write_table(out, &table)?;
    let costs = &snapshot.costs;
    let unpriced = match costs.unpriced_workers {
        0 => String::new(),
        1 => "; the price of 1 worker is not known".to_owned(),
        more => format!("; the prices of {more} workers are not known"),
    };
    writeln!(out, "\nAbout {:.4} USD an hour for instances{unpriced}", costs.usd_per_hour)?;
    Ok(())
}

/// Money; unknown is not zero.
fn usd(amount: Option<f64>, digits: usize) -> String {
    amount.map_or_else(|| "?".into(), |amount| format!("{amount:.digits$}"))
}

pub(super) fn jobs(snapshot: &FleetSnapshot, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    if snapshot.jobs.is_empty() {
        writeln!(out, "\nNo job waits.")?;
        return Ok(());
    }
    writeln!(out)?;
    let mut table = style.table(&["JOB", "PROJECT", "NAME", "WAITS", "RUNNER", "WHY"]);
    for job in snapshot.jobs.iter().take(ROWS_MAX) {
        table.add_row([
            job.id.to_string(),
            job.project.to_string(),
            job.name.clone(),
            brief(Some(job.waited)),
            job.runner.as_ref().map_or_else(|| "-".into(), ToString::to_string),
            job.reason.text.clone(),
        ]);
    }
    write_table(out, &table)?;
    if let Some(more @ 1..) = (snapshot.waiting.total as usize).checked_sub(ROWS_MAX) {
        writeln!(out, "and {more} more")?;
    }
    Ok(())
}

fn knowledge(of: &str, knowledge: &Knowledge) -> Option<String> {
    match knowledge {
        Knowledge::Known => None,
        Knowledge::Stale { age, trouble } => Some(format!("{of} last seen {} ago: {trouble}", brief(Some(*age)))),
        Knowledge::Unknown { trouble } => Some(format!("{of} not known: {trouble}")),
    }
}

/// Of what decisions rest on although it is old; without any answer it holds the runner back, which says the same.
fn token_note(end: &TokenEnd, now: Timestamp) -> Option<String> {
    let left = end.is_near(now)?;
    let when = if left.is_zero() { "has ended".to_owned() } else { format!("ends in {}", brief(Some(left))) };
    Some(format!("its {} {when}: make a new one", end.key()))
}

fn stale(of: &str, known: &Knowledge) -> Option<String> {
    knowledge(of, known).filter(|_| matches!(known, Knowledge::Stale { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_named_by_its_number_or_its_page() {
        let read = |text: &str| text.parse::<JobAddress>().map(|address| (address.id.0, address.url.is_some()));
        assert_eq!(read("7231"), Ok((7231, false)));
        assert_eq!(read("#7231"), Ok((7231, false)));
        for page in ["", "/", "?tab=log", "#L12", "/raw"] {
            assert_eq!(read(&format!("https://gitlab.example.com/g/p/-/jobs/7231{page}")), Ok((7231, true)), "{page}");
        }
        for bad in ["", "x", "-1", "https://gitlab.example.com/g/p/-/pipelines/7", "https://gitlab.example.com/jobs/"] {
            assert!(read(bad).unwrap_err().contains("is no job"), "{bad}");
        }
    }
}

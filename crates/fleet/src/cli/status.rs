//! `status`: runners, workers, waiting jobs and the last decisions of the running service.

mod check;
mod groups;
mod history;
mod only;
mod show;
mod spent;
mod verdict;
mod watch;

use std::io::Write;
use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use jiff::Timestamp;

use crate::control::{Answer, Request};
use runner_fleet_engine::snapshot::{JobState, JobStatus};
use runner_fleet_engine::{FleetSnapshot, JobId};

use super::output::{OutputStyle, brief, write_json};
use super::{CliError, Global, service, when};

pub(super) use show::show;

/// Show what is wrong, runners, workers, waiting jobs and the last decisions.
///
/// Asks the running service through its control socket. Where the terminal is narrow, columns are left out (the cost
/// first) and long names end in "…"; instance ids are always whole.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet status\n  runner-fleet status --watch\n  \
                        runner-fleet status --runner spot --all\n  \
                        runner-fleet status --job 7231\n  \
                        runner-fleet status --check    # for monitoring: 0, 1, 2, or 3\n  \
                        runner-fleet status --history --from 7d\n  \
                        runner-fleet status --json | jq '.workers[] | select(.state == \"busy\") | .id'")]
pub(super) struct StatusArgs {
    /// Show it again every two seconds, until interrupted; with --json, one line each time.
    #[arg(long)]
    watch: bool,
    /// Print the state as JSON (the same as /api/v1/state).
    #[arg(long)]
    json: bool,
    /// Only what concerns this runner.
    #[arg(long, value_name = "NAME", conflicts_with = "job")]
    runner: Option<String>,
    /// What the fleet looked like, from --from until now, instead of what it looks like.
    #[arg(long, conflicts_with_all = ["watch", "job", "all"])]
    history: bool,
    /// With --history: from then on. A time, a date, yesterday, or how long ago (6h, 7d).
    #[arg(long, value_name = "TIME", value_parser = when::time, default_value = "6h", requires = "history")]
    from: Timestamp,
    /// With --history: the time of one line (5m, 1h); as many lines as a screen has by default.
    #[arg(long, value_name = "TIME", requires = "history")]
    step: Option<String>,
    /// Each waiting job in a line of its own, instead of one for each reason.
    #[arg(long)]
    all: bool,
    /// All columns, and names as long as they are, however narrow the terminal.
    #[arg(long)]
    wide: bool,
    /// Only the verdict, for a monitoring program: one line, and exit code 0 ok, 1 warning, 2 critical, 3 unknown.
    #[arg(long, conflicts_with_all = ["watch", "json", "job", "all", "wide"])]
    check: bool,
    /// Only one job: where it runs, or why it waits. Its id, or the address of its page in GitLab.
    #[arg(long, value_name = "ID|URL", conflicts_with = "watch")]
    job: Option<JobAddress>,
}

/// What is shown, and to whom.
#[derive(Clone, Copy, Debug)]
pub(super) struct View {
    pub(super) style: OutputStyle,
    /// Jobs one by one.
    pub(super) all: bool,
    /// Nothing shortened.
    pub(super) wide: bool,
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

impl StatusArgs {
    fn view(&self) -> View {
        View { style: OutputStyle::of_stdout(), all: self.all, wide: self.wide }
    }
}

/// Asks and prints.
pub(crate) fn run(global: &Global, args: &StatusArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    if args.check {
        return check::check(asked(global, args), out);
    }
    let socket = service::socket(global)?;
    if let Some(JobAddress { id, url }) = args.job.clone() {
        return match service::ask(&socket, &Request::Job { job: id, url })? {
            Answer::Job { jobs } => show_job(&jobs, args.json, out),
            other => Err(service::unexpected(&other)),
        };
    }
    if args.history {
        history::run(&socket, args, out)?;
        return Ok(ExitCode::SUCCESS);
    }
    if args.watch {
        return watch::run(&socket, args, out);
    }
    let snapshot = asked(global, args)?;
    if args.json {
        write_json(out, &snapshot)?;
    } else {
        show(&snapshot, args.view(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The state of now.
fn asked(global: &Global, args: &StatusArgs) -> Result<FleetSnapshot, CliError> {
    match service::ask(&service::socket(global)?, &Request::Status)? {
        Answer::Status { snapshot } => narrowed(*snapshot, args),
        other => Err(service::unexpected(&other)),
    }
}

/// What was asked for of it.
fn narrowed(snapshot: FleetSnapshot, args: &StatusArgs) -> Result<FleetSnapshot, CliError> {
    match &args.runner {
        None => Ok(snapshot),
        Some(runner) => only::only(snapshot, runner),
    }
}

/// What is known of a job, a line for each server; 1 where nobody knows it.
fn show_job(jobs: &[JobStatus], json: bool, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let is_known = jobs.iter().any(|job| job.state != JobState::Unknown);
    let code = if is_known { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if json {
        write_json(out, &serde_json::json!({ "version": 1, "jobs": jobs }))?;
        return Ok(code);
    }
    for job in jobs {
        let at = if jobs.len() > 1 { format!(" at {}", job.server) } else { String::new() };
        let waited =
            job.waited.map(|waited| format!("it has waited for {}: ", brief(Some(waited)))).unwrap_or_default();
        writeln!(out, "Job {}{at}: {waited}{}.", job.id, job.reason)?;
    }
    Ok(code)
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

//! `record`: a past time of a real GitLab, as a workload for `simulate`.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use crate::live::past;
use runner_fleet_gitlab::history::PastJob;

use super::progress::{jobs_read, spinner};
use super::when::time;
use super::{CliError, Global, service};

/// Fetch the jobs of a past time from GitLab into a file that `simulate` reads.
///
/// Asks for the ended jobs of every project that the configured runners serve, page by page, within the same budget of
/// requests as the service. Of a job only its times, tags, status and project are kept: no names, no commits, no people.
/// The file appears when it is complete, and not before.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    runner-fleet record --from 7d --output week.json\n  \
    runner-fleet record --from 2026-03-01 --to 2026-03-08 --output march.json\n  \
    runner-fleet simulate --workload march.json")]
pub(super) struct RecordArgs {
    /// Jobs queued from then on: a time, a date, yesterday, or how long ago (7d).
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Timestamp,
    /// Jobs queued before then; the same forms.
    #[arg(long, value_name = "TIME", value_parser = time, default_value = "now")]
    to: Timestamp,
    /// The file; its name ends in .json.
    #[arg(long, value_name = "FILE")]
    output: PathBuf,
}

/// Fetches and writes.
pub(super) fn run(global: &Global, args: &RecordArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    if args.from >= args.to {
        return Err(CliError::BadUsage(format!("--from {} must lie before --to {}", args.from, args.to)));
    }
    if args.output.extension().is_none_or(|ending| ending != "json") {
        return Err(CliError::BadUsage(format!("--output {} must end in .json", args.output.display())));
    }
    let config = service::load(global)?.config;
    let bar = spinner();
    let mut heard = jobs_read(&bar);
    let jobs = service::block_on(past::read(config, &past::RunnerIds::Asked, args.from, args.to, &mut heard))?
        .map_err(|error| CliError::failed("read past jobs", &error))?;
    bar.finish_and_clear();
    write_whole(&args.output, &jobs)?;
    writeln!(out, "{}: {} jobs, queued from {} to {}", args.output.display(), jobs.len(), args.from, args.to)?;
    Ok(ExitCode::SUCCESS)
}

/// A job a line, beside its place first, so that a broken run leaves no half file under the name.
pub(super) fn write_whole(path: &Path, jobs: &[PastJob]) -> Result<(), CliError> {
    let failed = |error: &dyn std::error::Error| CliError::failed(&format!("write {}", path.display()), error);
    let lines: Result<Vec<String>, _> = jobs.iter().map(serde_json::to_string).collect();
    let text = format!("[\n{}\n]\n", lines.map_err(|error| failed(&error))?.join(",\n"));
    let beside = path.with_extension("json.partial");
    std::fs::write(&beside, text).map_err(|error| failed(&error))?;
    std::fs::rename(&beside, path).map_err(|error| failed(&error))
}

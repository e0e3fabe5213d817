//! `runner-fleet check`: is the configuration file good, and what does it come to?

use std::io::Write;
use std::path::{Path, PathBuf};

use runner_fleet_config as config;
use runner_fleet_config::{Ami, Loaded, Problem, Runner, Warning};
use runner_fleet_engine::{IdleCount, IdleTime};
use serde_json::{Value, json};

use super::output::write_json;
use super::{CliError, service};

/// Parse and validate the configuration; print every problem at once, each with file, line, column and key path.
///
/// Looks at nothing but the file and what it refers to on this machine: neither GitLab nor AWS is asked. Exit code 0
/// when `run` would start with this file, 2 when not. What depends on where `run` is called is a warning: environment
/// variables and files of secrets, as seen from this shell. Not seen are what lies in SSM, the region where the file
/// names none, and whether what is named exists: for that there is `doctor`.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Examples:\n  runner-fleet check --config config/minimal.toml\n  \
                        runner-fleet check ./config.toml\n  \
                        runner-fleet check --json | jq -r '.problems[] | \"\\(.line): \\(.message)\"'\n\n\
                        Exit codes: 0 good, perhaps with warnings; 2 not good, or no such file.")]
pub struct CheckArgs {
    /// The configuration, instead of --config.
    #[arg(value_name = "FILE")]
    pub file: Option<PathBuf>,
    /// Print nothing when there is no problem; warnings are still printed. The same as -q.
    #[arg(long)]
    pub silent: bool,
    /// Print the report as one JSON object.
    #[arg(long)]
    pub json: bool,
}

/// Prints the report; the exit code is 0 or 2. Without --json, a file that cannot be read is an error, and no report.
///
/// # Errors
/// When the file cannot be read, or `out` cannot be written to.
pub fn run(args: &CheckArgs, config: &Path, quiet: bool, out: &mut dyn Write) -> Result<u8, CliError> {
    let CheckArgs { file, silent, json } = args;
    let path = file.as_deref().unwrap_or(config);
    let text = match config::read_file(path) {
        Ok(text) => text,
        Err(problems) if *json => {
            write_json(out, &report(path, &problems.list, &[]))?;
            return Ok(2);
        }
        Err(problems) => return Err(service::bad_config(path, &problems)),
    };
    let name = path.display().to_string();
    let (problems, warnings) = match config::parse(&text, &name) {
        Ok(loaded) => {
            if !(*silent || quiet || *json) {
                summary(&loaded, path, out)?;
            }
            let mut warnings = loaded.warnings.clone();
            warnings.extend(loaded.unresolved());
            warnings.sort();
            (Vec::new(), warnings)
        }
        Err(problems) => (problems.list, problems.warnings),
    };
    if *json {
        write_json(out, &report(path, &problems, &warnings))?;
    } else {
        lines(&name, &problems, &warnings, out)?;
    }
    Ok(if problems.is_empty() { 0 } else { 2 })
}

/// For programs; docs/contract.md, "JSON".
fn report(path: &Path, problems: &[Problem], warnings: &[Warning]) -> Value {
    let each = |list: &[Problem]| -> Value {
        let one = |problem: &Problem| {
            let Problem { line, column, path, message, excerpt } = problem;
            json!({ "line": line, "column": column, "path": path, "message": message, "excerpt": excerpt })
        };
        list.iter().map(one).collect()
    };
    json!({
        "version": 1,
        "file": path.display().to_string(),
        "good": problems.is_empty(),
        "problems": each(problems),
        "warnings": each(warnings),
    })
}

/// For people and editors, as compilers write them.
fn lines(file: &str, problems: &[Problem], warnings: &[Warning], out: &mut dyn Write) -> Result<(), std::io::Error> {
    let counted = |list: &[Problem], what: &str| {
        (!list.is_empty()).then(|| format!("{} {what}{}", list.len(), if list.len() == 1 { "" } else { "s" }))
    };
    if let Some(counts) = counted(problems, "problem") {
        let and = counted(warnings, "warning").map(|counts| format!(", {counts}")).unwrap_or_default();
        writeln!(out, "{file}: {counts}{and}")?;
    }
    let all = problems.iter().map(|problem| (problem, "error")).chain(warnings.iter().map(|one| (one, "warning")));
    for (problem, kind) in all {
        writeln!(out, "{}", problem.in_file(file, kind))?;
        for line in problem.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
            writeln!(out, "  {line}")?;
        }
    }
    Ok(())
}

fn summary(loaded: &Loaded, path: &Path, out: &mut dyn Write) -> Result<(), std::io::Error> {
    let config = &loaded.config;
    let count = config.runners.len();
    let plural = if count == 1 { "" } else { "s" };
    writeln!(
        out,
        "{}: good; manager {}, {count} runner{plural}, at most {} jobs at one time",
        path.display(),
        config.fleet.manager,
        config.concurrent
    )?;
    for runner in &config.runners {
        writeln!(out, "  {}", line(runner))?;
    }
    Ok(())
}

/// One runner in one line.
fn line(runner: &Runner) -> String {
    let fleet = &runner.fleet;
    let ami = match &fleet.ami {
        Ami::Id(id) => id.clone(),
        Ami::Parameter(name) => format!("ssm:{name}"),
    };
    let queue = match &fleet.api_token {
        Some(token) => format!("sees the queue with {token}"),
        None => "does not see the queue".to_owned(),
    };
    let idle = match fleet.idle_count {
        // With a factor it follows the slots in use, between the two.
        IdleCount::Fixed(count) if fleet.idle_scale_factor > 0.0 => format!("{} to {count}", fleet.idle_count_min),
        IdleCount::Fixed(count) => count.to_string(),
        IdleCount::Auto => "as many as the forecast says".to_owned(),
    };
    let for_long = match fleet.idle_time {
        IdleTime::Fixed(time) => format!("{}s", time.as_secs()),
        IdleTime::Auto => "as long as a boot takes".to_owned(),
    };
    format!(
        "{}: {}, token {}, {queue}; {} type{} of {} on {}, image {ami}; up to {} workers of capacity {}, {idle} idle for {for_long}",
        runner.name,
        runner.server,
        runner.token,
        fleet.instance_types.len(),
        if fleet.instance_types.len() == 1 { "" } else { "s" },
        fleet.arch,
        fleet.market,
        fleet.max_workers,
        fleet.capacity,
    )
}

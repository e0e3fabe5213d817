//! `plan`: what would be done now, and why.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use crate::control::{Answer, Plan, Request};

use super::output::{Look, brief, write_json, write_table};
use super::{CliError, Global, service};

/// Show what would be done now, and why; change nothing.
///
/// Asks the running service what a step taken now would do, what holds it back, and why each job waits.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet plan\n  runner-fleet plan --json | jq '.actions[].what'")]
pub(super) struct PlanArgs {
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(crate) fn run(global: &Global, args: &PlanArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let plan = match service::ask(&service::socket(global)?, &Request::Plan)? {
        Answer::Plan { plan } => plan,
        other => return Err(service::unexpected(&other)),
    };
    if args.json {
        write_json(out, &plan)?;
    } else {
        show(&plan, Look::of_stdout(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan as text.
pub(crate) fn show(plan: &Plan, look: Look, out: &mut dyn Write) -> Result<(), CliError> {
    if plan.actions.is_empty() {
        writeln!(out, "Nothing to do.")?;
    }
    for action in &plan.actions {
        match &action.why {
            Some(why) => writeln!(out, "{}\n    because: {why}", action.what)?,
            None => writeln!(out, "{}", action.what)?,
        }
    }
    for held in &plan.held_back {
        writeln!(out, "{} launches nothing: {}", held.runner, held.why)?;
    }
    for left_out in &plan.left_out {
        writeln!(out, "{} leaves out: {}", left_out.runner, left_out.why)?;
    }
    if !plan.waiting.is_empty() {
        writeln!(out)?;
        let mut table = look.table(&["JOB", "NAME", "WAITS", "RUNNER", "WHY"]);
        for job in &plan.waiting {
            table.add_row([
                job.id.to_string(),
                job.name.clone(),
                brief(Some(job.waited)),
                job.runner.as_ref().map_or_else(|| "-".into(), ToString::to_string),
                job.why.clone(),
            ]);
        }
        write_table(out, &table)?;
    }
    Ok(())
}

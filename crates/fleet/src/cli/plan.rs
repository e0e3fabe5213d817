//! `plan`: what would be done now, and why.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;

use crate::control::{Answer, Plan, Request};
use crate::live::clock::Clock;
use crate::live::preview::plan_once;
use crate::live::regions::Regions;
use crate::live::ssh_key;
use crate::ssh::ManagerKey;
use runner_fleet_config::Config;

use super::fit::{Fit, FitTable};
use super::output::{OutputStyle, brief, write_json, write_table};
use super::{CliError, Global, service};

/// Show what would be done now, and why; change nothing.
///
/// Asks the running service what a step taken now would do, what holds it back, and why each job waits. When the service
/// does not run, looks once at GitLab, EC2 and the workers, and shows what the service would do first.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet plan\n  runner-fleet plan --json | jq '.actions[].what'")]
pub(super) struct PlanArgs {
    /// Print the plan as JSON.
    #[arg(long)]
    json: bool,
}

/// Asks or looks, and prints.
pub(crate) fn run(global: &Global, args: &PlanArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    let plan = match service::ask_if_running(&config.fleet.control_socket, &Request::Plan)? {
        Some(Answer::Plan { plan }) => plan,
        Some(other) => return Err(service::unexpected(&other)),
        None => gather(config)?,
    };
    if args.json {
        write_json(out, &plan)?;
    } else {
        show(&plan, OutputStyle::of_stdout(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The plan of a service that would start now.
fn gather(config: Config) -> Result<Plan, CliError> {
    let mut notes = anstream::stderr();
    let found = service::block_on(async { ssh_key::find(&config, &Regions::default()).await })?;
    let key = found
        .map_err(|error| CliError::failed("use the manager's SSH key (run this as root or runner-fleet)", &error))?
        .unwrap_or_else(ManagerKey::fresh);
    // Lost if nobody reads it.
    let _ = writeln!(notes, "The service does not run: looking at GitLab, EC2 and the workers without it.");
    let planned = service::block_on(plan_once(config, &key, rand::random(), Clock::real()))?;
    planned.map_err(|error| CliError::failed("look at the fleet", &error))
}

/// The plan as text.
pub(crate) fn show(plan: &Plan, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    if plan.actions.is_empty() {
        writeln!(out, "Nothing to do.")?;
    }
    for action in &plan.actions {
        match &action.reason {
            Some(reason) => writeln!(out, "{}\n    because: {reason}", action.what)?,
            None => writeln!(out, "{}", action.what)?,
        }
    }
    for held in &plan.held_back {
        writeln!(out, "{} launches nothing: {}", held.runner, held.reason)?;
    }
    for left_out in &plan.left_out {
        writeln!(out, "{} leaves out: {}", left_out.runner, left_out.offer)?;
    }
    if !plan.waiting.is_empty() {
        writeln!(out)?;
        let name = Fit::Name { least: 10, most: 40 };
        let mut table = FitTable::new([
            ("JOB", Fit::Whole),
            ("NAME", name),
            ("WAITS", Fit::Whole),
            ("RUNNER", name),
            ("WHY", Fit::Sentence),
        ]);
        for job in &plan.waiting {
            table.add([
                job.id.into(),
                job.name.as_str().into(),
                brief(Some(job.waited)).into(),
                job.runner.as_ref().map_or_else(|| "-".into(), ToString::to_string).into(),
                job.reason.text.as_str().into(),
            ]);
        }
        write_table(out, &table.laid_out(style, false))?;
    }
    Ok(())
}

//! `drain`, `undrain`, `pause`, `resume`, `retry`, `reload`: what an operator may do to the running service.

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;

use crate::control::{Answer, Request};
use crate::live::clock::Clock;
use runner_fleet_engine::{RunnerName, WorkerId};

use super::{CliError, Global, service};

/// Between two looks of `--wait`.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Retire workers: they take no more jobs, finish what they run, and end.
///
/// Holds until `undrain`, over restarts of the service too. Workers that a person holds by the tag runner-fleet:hold are
/// left alone by --runner and --all.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet drain i-0123456789abcdef0\n  \
                        runner-fleet drain --runner spot --wait          # returns when they are gone\n  \
                        runner-fleet drain --force i-0123456789abcdef0   # kills its running jobs")]
pub(super) struct DrainArgs {
    /// Instance ids, as `status` shows them.
    #[arg(required_unless_present_any = ["runner", "all"], value_name = "WORKER", value_parser = instance_id)]
    workers: Vec<WorkerId>,
    /// All workers of this runner.
    #[arg(long, value_name = "NAME", conflicts_with = "all")]
    runner: Option<String>,
    /// All workers of all runners.
    #[arg(long)]
    all: bool,
    /// Do not wait for running jobs: they fail.
    #[arg(long)]
    force: bool,
    /// Return when the workers are gone, and not before.
    #[arg(long)]
    wait: bool,
}

/// Undo `drain`: workers that were drained by an operator take jobs again.
///
/// Possible until the worker's runner was told to exit, which is when it has finished its jobs.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet undrain i-0123456789abcdef0")]
pub(super) struct UndrainArgs {
    /// Instance ids, as `status` shows them.
    #[arg(required = true, value_name = "WORKER", value_parser = instance_id)]
    workers: Vec<WorkerId>,
}

/// Launch nothing more for a runner, and retire its idle workers.
///
/// Running jobs finish. Holds until `resume`, over restarts of the service too.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet pause graviton-spot")]
pub(super) struct PauseArgs {
    /// The runner's name in the configuration.
    runner: String,
}

/// Undo `pause`, and try at once what has failed before, as `retry` does.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet resume graviton-spot")]
pub(super) struct ResumeArgs {
    /// The runner's name in the configuration.
    runner: String,
}

/// Try launches for a runner again at once: what was wrong has been mended.
///
/// Forgets the boots that failed (the breaker), launches that EC2 refused, and types and zones that cool down. What EC2
/// asks of everybody ("slow down") is minded all the same.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet retry graviton-spot")]
pub(super) struct RetryArgs {
    /// The runner's name in the configuration.
    runner: String,
}

/// Read the configuration again, and say what came of it.
///
/// A file that is refused changes nothing: the previous configuration holds, and the exit code is 2. SIGHUP does the same,
/// and tells the log alone.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  runner-fleet reload")]
pub(super) struct ReloadArgs {}

/// What AWS calls an instance id: said here, so that a runner's name in its place is answered without the service.
pub(super) fn instance_id(text: &str) -> Result<WorkerId, String> {
    let hex =
        text.strip_prefix("i-").filter(|rest| !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match hex {
        Some(_) => Ok(WorkerId::new(text)),
        None => Err("an instance id is i- and hexadecimal digits, as `runner-fleet status` shows it".into()),
    }
}

/// `drain`.
pub(crate) fn drain(global: &Global, args: &DrainArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let socket = service::socket(global)?;
    let DrainArgs { workers, runner, all, force, wait } = args;
    let runner = runner.as_ref().map(RunnerName::new);
    let request = Request::Drain { workers: workers.clone(), runner, all: *all, force: *force };
    let workers = match service::ask(&socket, &request)? {
        Answer::Done { told, workers } => {
            writeln!(out, "{told}")?;
            workers
        }
        other => return Err(service::unexpected(&other)),
    };
    if *wait {
        out.flush()?;
        service::block_on(until_gone(&socket, workers.into_iter().collect(), out))??;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns when none of these workers is there any more; a service that is being restarted is waited for.
async fn until_gone(socket: &Path, mut left: BTreeSet<WorkerId>, out: &mut dyn Write) -> Result<(), CliError> {
    let clock = Clock::real();
    while !left.is_empty() {
        clock.sleep(LOOK_EVERY).await;
        let Ok(Answer::Status { snapshot }) = crate::control::ask(socket, &Request::Status).await else { continue };
        // Before its first listing a service knows of no worker.
        if !snapshot.ec2.is_known() {
            continue;
        }
        let is_there = |id: &WorkerId| snapshot.workers.iter().any(|worker| worker.id == *id);
        let gone: Vec<WorkerId> = left.iter().filter(|id| !is_there(id)).cloned().collect();
        for id in gone {
            left.remove(&id);
            writeln!(out, "{id} is gone, {} left", left.len())?;
        }
        out.flush()?;
    }
    Ok(())
}

/// `undrain`.
pub(crate) fn undrain(global: &Global, args: &UndrainArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Undrain { workers: args.workers.clone() }, out)
}

/// `pause`.
pub(crate) fn pause(global: &Global, args: &PauseArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Pause { runner: RunnerName::new(&args.runner) }, out)
}

/// `resume`.
pub(crate) fn resume(global: &Global, args: &ResumeArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Resume { runner: RunnerName::new(&args.runner) }, out)
}

/// `retry`.
pub(crate) fn retry(global: &Global, args: &RetryArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Retry { runner: RunnerName::new(&args.runner) }, out)
}

/// `reload`. A file with problems is refused here already, in the same words as the service's.
pub(crate) fn reload(global: &Global, _args: &ReloadArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    request(global, &Request::Reload, out)
}

fn request(global: &Global, request: &Request, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    match service::ask(&service::socket(global)?, request)? {
        Answer::Done { told, workers: _ } => writeln!(out, "{told}")?,
        other => return Err(service::unexpected(&other)),
    }
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instance_id_is_known_by_its_looks() {
        for good in ["i-1", "i-0123456789abcdef0"] {
            assert!(instance_id(good).is_ok(), "{good}");
        }
        for bad in ["", "i-", "spot", "i-xyz", "0123456789abcdef0", "I-0123"] {
            assert!(instance_id(bad).is_err(), "{bad}");
        }
    }
}

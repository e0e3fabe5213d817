//! `completions` and `man`: what the shell and the manual need to know about this program.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::{Cli, CliError, manual};

/// Print shell completions.
///
/// bash, zsh and fish also offer the names of runners and the ids of workers that there are.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet completions bash > /etc/bash_completion.d/runner-fleet\n  \
                        runner-fleet completions zsh > /usr/share/zsh/site-functions/_runner-fleet")]
pub(super) struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

/// Print a manual page in roff.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet man | man -l -\n  \
                        runner-fleet man status > /usr/local/share/man/man1/runner-fleet-status.1")]
pub(super) struct ManArgs {
    /// The page of this subcommand; the program's own page when absent.
    subcommand: Option<String>,
}

/// `completions`.
pub(crate) fn completions(args: &CompletionsArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "runner-fleet", &mut script);
    let script = String::from_utf8_lossy(&script);
    match args.shell {
        Shell::Bash => write!(out, "{script}{}", include_str!("shell/live.bash"))?,
        Shell::Fish => write!(out, "{script}{}", include_str!("shell/live.fish"))?,
        Shell::Zsh => write!(out, "{}", live_zsh(&script))?,
        _ => write!(out, "{script}")?,
    }
    Ok(ExitCode::SUCCESS)
}

/// zsh's specifications name what stands in each place: where that is a worker or a runner, the program is asked.
fn live_zsh(script: &str) -> String {
    let kind = |line: &str| {
        let spec = line.trim_start();
        let is = |starts: [&str; 2]| starts.iter().any(|start| spec.starts_with(start));
        if is(["'*::workers --", "':worker --"]) {
            Some("workers")
        } else if is(["':runner --", "'::runner --"]) || spec.contains("--runner=[") {
            Some("runners")
        } else {
            None
        }
    };
    let line = |line: &str| match kind(line) {
        Some(kind) => line.replace(":_default'", &format!(":{{compadd $(runner-fleet names {kind} 2>/dev/null)}}'")),
        None => line.to_owned(),
    };
    script.lines().map(|text| line(text) + "\n").collect()
}

/// `man`.
pub(crate) fn man(args: &ManArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let mut program = Cli::command();
    program.build();
    let whole = program.clone();
    let page = match &args.subcommand {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                return Err(CliError::BadUsage(format!("there is no subcommand `{name}`; see `runner-fleet help`")));
            }
        },
    };
    manual::page(&page, &whole, out)?;
    Ok(ExitCode::SUCCESS)
}

//! `completions` and `man`: what the shell and the manual need to know about this program.

use std::io::Write;
use std::process::ExitCode;

use clap::{Args, CommandFactory};

use super::{Cli, CliError};

/// Print shell completions.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet completions bash > /etc/bash_completion.d/runner-fleet\n  \
                        runner-fleet completions zsh > /usr/local/share/zsh/site-functions/_runner-fleet")]
pub(super) struct CompletionsArgs {
    /// For which shell.
    shell: clap_complete::Shell,
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
    out.write_all(&script)?;
    Ok(ExitCode::SUCCESS)
}

/// `man`.
pub(crate) fn man(args: &ManArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let mut program = Cli::command();
    program.build();
    let page = match &args.subcommand {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                return Err(CliError::BadUsage(format!("there is no subcommand `{name}`; see `runner-fleet help`")));
            }
        },
    };
    clap_mangen::Man::new(page).render(out)?;
    Ok(ExitCode::SUCCESS)
}

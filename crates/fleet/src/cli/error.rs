//! How a subcommand can end badly, and with which exit code.

use runner_fleet_engine::failure::chain;
use std::error::Error;
use std::io;
use std::process::ExitCode;

/// Printed to stderr as one sentence: what was being done, what went wrong, what to do.
#[derive(Debug, thiserror::Error)]
pub enum CliError {
    /// The configuration is not usable; the text is the whole report. Exit code 2.
    #[error("{0}")]
    BadConfig(String),
    /// The arguments make no sense together, or name something that does not exist. Exit code 2.
    #[error("{0}")]
    BadUsage(String),
    /// It was tried and failed. Exit code 1.
    #[error("{0}")]
    Failed(String),
    /// The output could not be written. Exit code 1; silent, with 0, when the reader has simply left.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
}

impl CliError {
    /// `cannot <doing>: <the error and all its causes>`.
    pub fn failed(doing: &str, error: &dyn Error) -> Self {
        Self::Failed(format!("cannot {doing}: {}", chain(error)))
    }

    /// Contract, section 1: 1 failed, 2 bad usage or bad configuration.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::BadConfig(_) | Self::BadUsage(_) => ExitCode::from(2),
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Failed(_) | Self::Output(_) => ExitCode::FAILURE,
        }
    }

    /// Whether the user is to be told: not when `| head` has read enough.
    pub fn is_worth_telling(&self) -> bool {
        !matches!(self, Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("read the queue")]
    struct Outer(#[source] io::Error);

    #[test]
    fn the_whole_chain_is_said_once() {
        let error = Outer(io::Error::other("connection refused"));
        let said = CliError::failed("plan", &error).to_string();
        assert_eq!(said, "cannot plan: read the queue: connection refused");
    }

    #[test]
    fn a_reader_that_left_is_no_failure() {
        let gone = CliError::Output(io::ErrorKind::BrokenPipe.into());
        assert!(!gone.is_worth_telling());
        assert!(CliError::BadUsage(String::new()).is_worth_telling());
    }
}

//! Parse, dispatch, exit code.

use std::io::{stderr, stdout};
use std::process::ExitCode;

fn main() -> ExitCode {
    runner_fleet::core_files::none();
    runner_fleet::cli::main(std::env::args_os(), &mut stdout().lock(), &mut stderr())
}

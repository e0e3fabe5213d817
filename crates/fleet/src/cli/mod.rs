//! The command line: one file per subcommand, each thin: load, ask one room, print.

pub mod check;
mod costs;
mod demo;
mod doctor;
pub mod error;
mod events;
mod fit;
mod iam_policy;
mod logging;
mod manual;
pub mod migrate;
mod money;
mod names;
mod operate;
mod output;
mod plan;
mod progress;
mod record;
mod render;
mod run;
mod schema;
mod service;
mod shadow;
mod shell;
mod simulate;
mod ssh;
mod status;
mod support_bundle;
mod trouble_test;
mod when;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Parser, Subcommand, ValueEnum};
use tracing::level_filters::LevelFilter;

use runner_fleet_config::{LogFormat, LogLevel};

pub use error::CliError;

/// EC2 spot workers for GitLab Runner, as many as the queue needs.
///
/// Polls GitLab for waiting jobs, launches EC2 workers that run the official gitlab-runner, and ends them when nothing
/// needs them. It never takes a job itself: stop it at any time, and running jobs go on.
#[derive(Debug, Parser)]
#[command(
    name = "runner-fleet",
    version = crate::version::text(),
    propagate_version = false,
    max_term_width = 100,
    after_help = "Examples:\n  runner-fleet demo                       # the whole service, simulated, in this terminal\n  \
                  runner-fleet check --config config.toml\n  runner-fleet status --watch\n\n\
                  Exit codes: 0 done, 1 failed, 2 bad usage or bad configuration."
)]
pub struct Cli {
    #[command(flatten, next_help_heading = "Global options")]
    global: Global,
    #[command(subcommand)]
    command: Command,
}

/// Options of every subcommand.
#[derive(Args, Debug)]
pub struct Global {
    /// The configuration.
    #[arg(
        long,
        global = true,
        value_name = "FILE",
        env = "RUNNER_FLEET_CONFIG",
        default_value = "/etc/runner-fleet/config.toml"
    )]
    pub config: PathBuf,
    /// How log lines are written; the configuration's `log_format` when absent.
    #[arg(long, global = true, value_enum)]
    pub log_format: Option<LogFormatArg>,
    /// Log more; twice for everything.
    #[arg(short, long, global = true, action = clap::ArgAction::Count, conflicts_with = "quiet")]
    pub verbose: u8,
    /// Log less: only warnings and errors, which need a person.
    #[arg(short, long, global = true)]
    pub quiet: bool,
}

/// `--log-format`.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub enum LogFormatArg {
    /// Sentences with fields behind them.
    Text,
    /// One JSON object a line.
    Json,
}

impl From<LogFormatArg> for LogFormat {
    fn from(arg: LogFormatArg) -> Self {
        match arg {
            LogFormatArg::Text => Self::Text,
            LogFormatArg::Json => Self::Json,
        }
    }
}

impl Global {
    fn level_over(&self, configured: LogLevel) -> LevelFilter {
        match (self.quiet, self.verbose) {
            (true, _) => LevelFilter::WARN,
            (_, 1) => LevelFilter::DEBUG,
            (_, 2..) => LevelFilter::TRACE,
            (_, 0) => match configured {
                LogLevel::Error => LevelFilter::ERROR,
                LogLevel::Warn => LevelFilter::WARN,
                LogLevel::Info => LevelFilter::INFO,
                LogLevel::Debug => LevelFilter::DEBUG,
                LogLevel::Trace => LevelFilter::TRACE,
            },
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    Run(run::RunArgs),
    Check(check::CheckArgs),
    Plan(plan::PlanArgs),
    Status(status::StatusArgs),
    Costs(costs::CostsArgs),
    Events(events::EventsArgs),
    Doctor(doctor::DoctorArgs),
    SupportBundle(support_bundle::SupportBundleArgs),
    TroubleTest(trouble_test::TroubleTestArgs),
    Drain(operate::DrainArgs),
    Pause(operate::PauseArgs),
    Resume(operate::ResumeArgs),
    Undrain(operate::UndrainArgs),
    Retry(operate::RetryArgs),
    Reload(operate::ReloadArgs),
    Ssh(ssh::SshArgs),
    Render(render::RenderArgs),
    Migrate(migrate::MigrateArgs),
    Schema(schema::SchemaArgs),
    Simulate(simulate::SimulateArgs),
    Record(record::RecordArgs),
    Shadow(shadow::ShadowArgs),
    Demo(demo::DemoArgs),
    IamPolicy(iam_policy::IamPolicyArgs),
    Completions(shell::CompletionsArgs),
    Man(shell::ManArgs),
    Names(names::NamesArgs),
}

/// Parses, dispatches, and turns the outcome into an exit code; data goes to `out`, errors go to `err`.
pub fn main(args: impl IntoIterator<Item = OsString>, out: &mut dyn Write, err: &mut dyn Write) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to stdout with 0, usage errors to stderr with 2; nothing is left to do when that fails.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    match dispatch(&cli.global, &cli.command, out, err) {
        Ok(code) => code,
        Err(error) => {
            if error.is_worth_telling() {
                let _ = writeln!(err, "runner-fleet: {error}");
            }
            error.exit_code()
        }
    }
}

fn dispatch(
    global: &Global,
    command: &Command,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    match command {
        Command::Run(args) => run::run(global, args),
        Command::Check(args) => check::run(args, &global.config, global.quiet, out).map(ExitCode::from),
        Command::Plan(args) => plan::run(global, args, out),
        Command::Status(args) => status::run(global, args, out),
        Command::Costs(args) => costs::run(global, args, out),
        Command::Events(args) => events::run(global, args, out),
        Command::Doctor(args) => doctor::run(global, args, out),
        Command::SupportBundle(args) => support_bundle::run(global, args, out),
        Command::TroubleTest(_) => trouble_test::run(global, out),
        Command::Drain(args) => operate::drain(global, args, out),
        Command::Pause(args) => operate::pause(global, args, out),
        Command::Resume(args) => operate::resume(global, args, out),
        Command::Undrain(args) => operate::undrain(global, args, out),
        Command::Retry(args) => operate::retry(global, args, out),
        Command::Reload(args) => operate::reload(global, args, out),
        Command::Ssh(args) => ssh::run(global, args),
        Command::Render(args) => render::run(global, args, out),
        Command::Simulate(args) => simulate::run(global, args, out, err),
        Command::Record(args) => record::run(global, args, out),
        Command::Shadow(args) => shadow::run(global, args, out, err),
        Command::Demo(args) => demo::run(args, out, err),
        Command::Migrate(args) => migrate::run(args, out, err).map(ExitCode::from).map_err(CliError::from),
        Command::Schema(_) => schema::run(out),
        Command::IamPolicy(args) => iam_policy::run(global, args, out, err),
        Command::Completions(args) => shell::completions(args, out),
        Command::Man(args) => shell::man(args, out),
        Command::Names(args) => names::run(global, args, out),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn quiet_is_warnings_and_errors() {
        use clap::Parser;
        let level = |args: &[&str]| {
            let cli = super::Cli::try_parse_from([&["runner-fleet"], args, &["plan"]].concat()).unwrap();
            cli.global.level_over(runner_fleet_config::LogLevel::Info)
        };
        use tracing::level_filters::LevelFilter;
        assert_eq!(level(&["-q"]), LevelFilter::WARN);
        assert_eq!(
            (level(&[]), level(&["-v"]), level(&["-vv"])),
            (LevelFilter::INFO, LevelFilter::DEBUG, LevelFilter::TRACE)
        );
    }

    #[test]
    fn verify_cli() {
        super::Cli::command().debug_assert();
    }
}

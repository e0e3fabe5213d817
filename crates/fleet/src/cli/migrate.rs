//! `runner-fleet migrate`: a docker+machine or docker-autoscaler configuration in our form.

use std::io::Write;
use std::path::PathBuf;

use runner_fleet_config as config;
use runner_fleet_config::Surroundings;

/// Turn a docker+machine or docker-autoscaler config.toml into ours, on standard output.
///
/// Every option that is not kept as it was gets a comment line that says why; every key that only you can know gets a
/// line that begins with "TO DO", and until it is done `check` refuses the result. The old file is not changed. Tokens
/// are written as they stand in it. Exit code 0 when the file could be translated, 2 when not: then nothing is printed
/// but the problems, on standard error.
#[derive(Clone, Debug, clap::Args)]
#[command(after_help = "Example:\n  runner-fleet migrate /etc/gitlab-runner/config.toml --manager ci-eu > new.toml")]
pub struct MigrateArgs {
    /// The old configuration file.
    pub file: PathBuf,
    /// The owner name for every tag, when the file has no fleet table.
    #[arg(long, default_value = "gitlab-runner")]
    pub manager: String,
    /// The environment of the old service, as NAME=value lines: docker-machine took defaults of its options from it.
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
    /// The time zone of the old machine (IANA), for schedules that name none.
    #[arg(long, value_name = "ZONE")]
    pub timezone: Option<String>,
}

/// Prints the translated file to `out`, or the problems to `err`; the exit code is 0 or 2.
///
/// # Errors
/// When they cannot be written to.
pub fn run(args: &MigrateArgs, out: &mut dyn Write, err: &mut dyn Write) -> Result<u8, std::io::Error> {
    let MigrateArgs { file, manager, env_file, timezone } = args;
    let migrated = config::read_file(file).and_then(|text| {
        let environment = match env_file {
            Some(path) => config::read_file(path)?,
            None => String::new(),
        };
        let surroundings = surroundings(&environment, timezone.as_deref());
        config::migrate(&text, &file.display().to_string(), manager, &surroundings)
    });
    match migrated {
        Ok(text) => {
            write!(out, "{text}")?;
            Ok(0)
        }
        Err(problems) => {
            writeln!(err, "{problems}")?;
            Ok(2)
        }
    }
}

/// `NAME=value`, also with quotes, with `export`, and as in a systemd unit (`Environment=NAME=value`).
fn surroundings(environment: &str, zone: Option<&str>) -> Surroundings {
    let pairs = environment.lines().filter_map(|line| {
        let line = line.trim();
        let line = line.strip_prefix("Environment=").or_else(|| line.strip_prefix("export ")).unwrap_or(line);
        let (name, value) = line.trim_matches('"').split_once('=')?;
        Some((name.trim().to_owned(), value.trim().trim_matches('"').to_owned()))
    });
    Surroundings { environment: pairs.collect(), zone: zone.map(str::to_owned) }
}

//! `simulate`: what a configuration would have cost, and how long jobs would have waited.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, ValueEnum};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::{SignedDuration, Timestamp};

use runner_fleet_config as config;
use runner_fleet_engine::RunnerName;
use runner_fleet_sim::assumptions::Assumptions;
use runner_fleet_sim::comparison::{Comparison, Policy};
use runner_fleet_sim::figures::Figures;
use runner_fleet_sim::recommend::Recommendation;
use runner_fleet_sim::report::{self, Curve, Report, Run};
use runner_fleet_sim::workloads::Workload;

use super::output::{OutputStyle, write_json, write_table};
use super::when::time;
use super::{CliError, Global, service};

/// Replay a workload against a configuration in virtual time: waits, cost, use.
///
/// The production engine decides, in a simulated GitLab and EC2 with boot times, prices, interruptions and shortages. What
/// is measured and what is assumed stands in the report. Other ways of scaling run the same jobs beside it.
///
/// A workload is a bundled one (office-hours, merge-trains, nightly-bursts), a CSV file with the columns
/// queued_at,duration_s,tags,project, GitLab's job JSON as `record` fetches it, or a generator's description (.toml).
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    runner-fleet simulate --config config.toml --workload office-hours\n  \
    runner-fleet simulate --config config.toml --workload march.json \\\n      \
    --compare docker+machine docker-autoscaler\n  \
    runner-fleet simulate --config now.toml --workload march.csv \\\n      \
    --compare cheaper.toml --html report.html\n  \
    runner-fleet simulate --config config.toml --workload office-hours \\\n      \
    --equal-wait 30s --compare docker+machine --json\n  \
    runner-fleet simulate --config now.toml --workload week.csv --recommend 30s")]
pub(super) struct SimulateArgs {
    /// A bundled workload, or a .csv, .json or .toml file.
    #[arg(long, value_name = "W")]
    workload: String,
    /// Only jobs queued from then on: a time, a date, yesterday, or how long ago (7d).
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// Only jobs queued before then; the same forms.
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// Fixes what is left to chance (boot times, shortages, interruptions): equal seeds give equal reports.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = seed)]
    seed: u64,
    /// Run these beside it: docker+machine, docker-autoscaler, or other configurations of runner-fleet.
    #[arg(long, value_name = "POLICY|FILE", num_args = 1..)]
    compare: Vec<String>,
    /// Tune everyone's idle count and idle time: the cheapest with which 95 of 100 jobs wait no longer than this.
    #[arg(long, value_name = "TIME", value_parser = length)]
    equal_wait: Option<Duration>,
    /// Search the cheapest idle policy with which 95 of 100 jobs wait no longer than this, and print it: many runs.
    #[arg(long, value_name = "TIME", value_parser = length,
        conflicts_with_all = ["compare", "equal_wait", "curve", "json", "html", "svg"])]
    recommend: Option<Duration>,
    /// A runner's tags in GitLab, as RUNNER=TAG,TAG; a runner without may take every job.
    #[arg(long, value_name = "RUNNER=TAGS")]
    tags: Vec<String>,
    /// The median boot, from the launch until Docker and gitlab-runner are there; single boots take 0.7 to 2 times as long.
    #[arg(long, value_name = "TIME", default_value = "45s", value_parser = length)]
    boot: Duration,
    /// Spot interruptions for each machine and hour.
    #[arg(long, value_name = "RATE", default_value_t = 0.005, value_parser = rate)]
    interruptions: f64,
    /// What a job request that hangs when a job is queued brings: nothing (GitLab's way; asked again within 3 s), or the job.
    #[arg(long, value_name = "WHAT", value_enum, default_value_t = HeldRequests::Empty)]
    held_requests: HeldRequests,
    /// docker+machine and docker-autoscaler: job requests that a section has open at one time.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1000))]
    request_concurrency: u32,
    /// docker-autoscaler: ask for jobs only with a free slot, or not; unset: on where slots are kept idle, tuned the better.
    #[arg(long, value_name = "MODE", value_enum)]
    preemptive_mode: Option<PreemptiveMode>,
    /// docker+machine: from a booted machine to one that takes jobs; a prepared image needs about 13s.
    #[arg(long, value_name = "TIME", default_value = "64s", value_parser = length)]
    machine_provisioning: Duration,
    /// docker-autoscaler: from a changed desired capacity to the group's launch, as LEAST,MOST.
    #[arg(long, value_name = "TIMES", default_value = "5s,15s", value_parser = lengths)]
    group_delay: (Duration, Duration),
    /// Count waits and money only from then on, the same forms as --from: what lies before is warm-up.
    #[arg(long, value_name = "TIME", value_parser = time)]
    count_from: Option<Timestamp>,
    /// Also tell what each policy costs at waits of 5, 15, 30, 60 and 120 s: many runs.
    #[arg(long)]
    curve: bool,
    /// Print the numbers as JSON.
    #[arg(long)]
    json: bool,
    /// Write the whole report, with plots, as one HTML file.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Write the plots as SVG files into this directory.
    #[arg(long, value_name = "DIR")]
    svg: Option<PathBuf>,
}

/// What a hanging job request brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum HeldRequests {
    Empty,
    Job,
}

/// docker-autoscaler's `preemptive_mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PreemptiveMode {
    On,
    Off,
}

/// What chance begins with.
pub(super) fn seed(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "write a whole number, such as 1 or 42".into())
}

/// Two lengths of time, the shorter one first.
fn lengths(text: &str) -> Result<(Duration, Duration), String> {
    let why = "write two times, the shorter one first: \"5s,15s\"";
    let (least, most) = text.split_once(',').ok_or(why)?;
    let (least, most) = (length(least)?, length(most)?);
    if least <= most { Ok((least, most)) } else { Err(why.into()) }
}

/// Up to a day: `"30s"`, `"2m"`.
fn length(text: &str) -> Result<Duration, String> {
    let parsed: Option<SignedDuration> = text.parse().ok();
    match parsed.map(Duration::try_from) {
        Some(Ok(length)) if length <= Duration::from_secs(86_400) => Ok(length),
        Some(_) | None => Err("write a time up to a day: \"30s\", \"2m\"".into()),
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (0.0..=10.0).contains(&rate) => Ok(rate),
        Ok(_) | Err(_) => Err("write a number from 0 to 10".into()),
    }
}

/// Simulates and tells.
pub(super) fn run(
    global: &Global,
    args: &SimulateArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let (comparison, policies) = prepare(global, args)?;
    for note in &comparison.workload.notes {
        writeln!(err, "{}: {note}", comparison.workload.name)?;
    }
    let bar = bar(&comparison.workload);
    let start = comparison.workload.span().map_or(Timestamp::UNIX_EPOCH, |(first, _)| first);
    let progress = |name: &str, turn: u32, at: Timestamp| {
        bar.set_message(format!("{name}, run {turn}"));
        bar.set_position(at.duration_since(start).as_secs().unsigned_abs());
    };
    if let Some(target) = args.recommend {
        let found = comparison.recommend(target, &progress);
        bar.finish_and_clear();
        return recommend(&comparison, found, target, out);
    }
    let (report, runs) = comparison.run_all(&policies, &progress);
    bar.finish_and_clear();
    draw(args, &report, &runs)?;
    if args.json {
        write_json(out, &report)?;
    } else {
        show(&report, OutputStyle::of_stdout(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Everything that can be wrong is found before anything runs.
fn prepare(global: &Global, args: &SimulateArgs) -> Result<(Comparison, Vec<Policy>), CliError> {
    let config = service::load(global)?.config;
    let workload = Workload::load(&args.workload).map_err(|defects| CliError::BadUsage(defects.to_string()))?;
    let whole = workload.span();
    let workload = workload.between(args.from, args.to);
    if workload.jobs.is_empty() {
        let name = &workload.name;
        let why = match whole {
            Some((first, last)) => {
                format!("no job was queued between --from and --to; its jobs were queued from {first} to {last}")
            }
            None => "it has no jobs".into(),
        };
        return Err(CliError::BadUsage(format!("{name}: {why}")));
    }
    let mut policies = vec![Policy::Fleet("runner-fleet".into(), Box::new(config.clone()))];
    for other in &args.compare {
        policies.push(match other.as_str() {
            "docker+machine" => Policy::DockerMachine,
            "docker-autoscaler" => Policy::DockerAutoscaler,
            path => {
                let loaded =
                    config::load(Path::new(path)).map_err(|problems| CliError::BadConfig(problems.to_string()))?;
                Policy::Fleet(path.to_owned(), Box::new(loaded.config))
            }
        });
    }
    let mut tags: BTreeMap<RunnerName, BTreeSet<String>> = BTreeMap::new();
    for given in &args.tags {
        let (runner, list) = given
            .split_once('=')
            .ok_or_else(|| CliError::BadUsage(format!("--tags {given} names no runner; write RUNNER=TAG,TAG")))?;
        if !config.runners.iter().any(|known| known.name.as_str() == runner) {
            return Err(CliError::BadUsage(format!("--tags {given}: no runner is named {runner}")));
        }
        let list = list.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned);
        tags.entry(RunnerName::new(runner)).or_default().extend(list);
    }
    if let (Some(from), Some((_, last))) = (args.count_from, workload.span())
        && from > last
    {
        return Err(CliError::BadUsage(format!("--count-from {from}: no job was queued from then on")));
    }
    let comparison = Comparison {
        workload,
        config,
        tags,
        assumed: assumed(args),
        seed: args.seed,
        equal_wait: args.equal_wait,
        curve: args.curve,
        count_from: args.count_from,
    };
    Ok((comparison, policies))
}

/// What is taken for granted, with what the arguments say.
fn assumed(args: &SimulateArgs) -> Assumptions {
    Assumptions {
        boot: args.boot,
        interruptions_per_hour: args.interruptions,
        held_end_empty: args.held_requests == HeldRequests::Empty,
        request_concurrency: args.request_concurrency,
        preemptive: args.preemptive_mode.map(|mode| mode == PreemptiveMode::On),
        machine_provisioning: args.machine_provisioning,
        group_delay: args.group_delay,
        ..Assumptions::default()
    }
}

/// Virtual time as a bar, on terminals only.
fn bar(workload: &Workload) -> ProgressBar {
    let whole = workload.span().map_or(0, |(from, to)| to.duration_since(from).as_secs().unsigned_abs());
    let bar = ProgressBar::new(whole);
    if let Ok(style) = ProgressStyle::with_template("{wide_bar} {percent:>3} %  {msg}") {
        bar.set_style(style);
    }
    bar
}

/// The files that were asked for.
fn draw(args: &SimulateArgs, report: &Report, runs: &[Run]) -> Result<(), CliError> {
    if args.html.is_none() && args.svg.is_none() {
        return Ok(());
    }
    let charts =
        report::charts(report, runs).map_err(|error| CliError::Failed(format!("cannot draw the plots: {error}")))?;
    let write = |path: &Path, text: &str| {
        std::fs::write(path, text).map_err(|error| CliError::failed(&format!("write {}", path.display()), &error))
    };
    if let Some(path) = &args.html {
        write(path, &report::page(report, &charts))?;
    }
    if let Some(folder) = &args.svg {
        std::fs::create_dir_all(folder)
            .map_err(|error| CliError::failed(&format!("make the directory {}", folder.display()), &error))?;
        for chart in &charts {
            write(&folder.join(format!("{}.svg", chart.name)), &chart.svg)?;
        }
    }
    Ok(())
}

/// The numbers side by side, and what they rest on.
fn show(report: &Report, style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    let workload = &report.workload;
    writeln!(
        out,
        "{}: {} jobs, queued from {} to {}; seed {}",
        workload.name, workload.jobs, workload.from, workload.to, report.seed
    )?;
    if let Some(wait) = report.equal_wait_seconds {
        writeln!(out, "Idle policies tuned: the cheapest with which 95 of 100 jobs wait at most {wait} s.")?;
    }
    writeln!(out)?;
    let header: Vec<&str> = std::iter::once("").chain(report.policies.iter().map(|one| one.policy.as_str())).collect();
    let mut table = style.table(&header);
    for (name, cell) in report::rows() {
        table.add_row(std::iter::once(name.to_owned()).chain(report.policies.iter().map(cell)));
    }
    write_table(out, &table)?;
    show_curves(&report.curves, style, out)?;
    for sentence in report.result.iter().chain(&report.warnings) {
        writeln!(out, "\n{sentence}")?;
    }
    writeln!(out, "\nAll of this was measured in a simulated world. Assumed were:")?;
    for one in &report.assumed {
        writeln!(out, "  {}: {} ({})", one.what, one.value, one.source)?;
    }
    Ok(())
}

/// What was found, as a comment around the keys, so that the whole may stand in a file.
fn recommend(
    comparison: &Comparison,
    found: Option<Recommendation>,
    target: Duration,
    out: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let found = found.ok_or_else(|| CliError::BadUsage("the configuration has no runner".into()))?;
    let told = |figures: &Figures| {
        let waits = &figures.wait_seconds;
        format!("${:.2}, wait p95 {:.1} s, mean {:.1} s", figures.cost_usd.total, waits.p95, waits.mean)
    };
    if !found.met {
        return Err(CliError::Failed(format!(
            "no idle policy that was tried ({} runs) lets 95 of 100 jobs wait no longer than {} s; nearest came {} ({})",
            found.runs,
            target.as_secs_f64(),
            found.figures.policy,
            told(&found.figures)
        )));
    }
    writeln!(out, "# {}: 95 of 100 jobs wait no longer than {} s.", comparison.workload.name, target.as_secs_f64())?;
    writeln!(out, "# This:  {}", told(&found.figures))?;
    writeln!(out, "# As the file is:  {} ({})", told(&found.as_it_is), found.as_it_is.policy)?;
    writeln!(out, "# The cheapest of {} runs, simulated; for every runner, without schedule.", found.runs)?;
    write!(out, "{}", found.toml())?;
    writeln!(out, "# What fixed idle counts cost, where 95 of 100 jobs wait at most")?;
    for one in &found.curve.points {
        writeln!(out, "#   {} s: {}", one.target_seconds, report::point(one))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What each policy costs at each wait.
fn show_curves(curves: &[Curve], style: OutputStyle, out: &mut dyn Write) -> Result<(), CliError> {
    let Some(first) = curves.first() else { return Ok(()) };
    let names = curves.iter().map(|one| one.policy.as_str());
    let header: Vec<&str> = std::iter::once("95 of 100 jobs wait at most").chain(names).collect();
    let mut table = style.table(&header);
    for (at, target) in first.points.iter().enumerate() {
        let cells = curves.iter().map(|one| one.points.get(at).map(report::point).unwrap_or_default());
        table.add_row(std::iter::once(format!("{} s", target.target_seconds)).chain(cells));
    }
    writeln!(out)?;
    write_table(out, &table)
}

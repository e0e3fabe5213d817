//! `shadow`: a watch beside the manager that is to be replaced.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::SignedDuration;
use tokio_util::sync::CancellationToken;

use crate::aws::{Aws, AwsError, on_demand};
use crate::live::clock::Clock;
use crate::live::past::{self, RunnerIds};
use crate::live::regions::Regions;
use crate::shadow::report::{Allowed, Prices};
use crate::shadow::watch::Plan;
use crate::shadow::{Pattern, Report, Watch, report, watch};
use runner_fleet_config as config;
use runner_fleet_config::Config;
use runner_fleet_engine::{IdleTime, InstanceType, Market, RunnerName};
use runner_fleet_gitlab::history::PastJob;
use runner_fleet_sim::assumptions::Assumptions;
use runner_fleet_sim::comparison::{Comparison, Policy};
use runner_fleet_sim::figures::Figures;
use runner_fleet_sim::workloads::Workload;

use super::output::{OutputStyle, write_json, write_table};
use super::progress::{jobs_read, spinner};
use super::{CliError, Global, service};

/// Boots, removals and looks that are late take no longer: a surplus of machines that lasts as long beyond the idle time is
/// none of these.
const PATIENCE: Duration = Duration::from_secs(30 * 60);

/// Watch another manager's machines and jobs, launch nothing, and tell what runner-fleet would have done.
///
/// For a day or a week beside docker+machine or docker-autoscaler, with read rights alone (ec2:DescribeInstances,
/// ec2:DescribeSpotPriceHistory; an api_token with read_api). Nothing but lists is asked of EC2, and nothing but GET of
/// GitLab. At the end, or at Ctrl-C, the jobs of the time are read from GitLab and simulated under --config, which may be the
/// old config.toml. The folder then holds machines.json (a watch that was ended goes on there), jobs.json (for simulate),
/// report.json, and config.toml where the old one had to be translated.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  \
    runner-fleet shadow --config old.toml --runner spot=42 \\\n      \
    --machines 'Name=runner-*-gitlab-*' --folder /var/tmp/shadow\n  \
    runner-fleet shadow --config old.toml --runner spot=42 --for 7d \\\n      \
    --machines aws:autoscaling:groupName=gitlab-workers --folder week\n  \
    runner-fleet shadow --config old.toml --runner spot=42 --now \\\n      \
    --machines 'Name=runner-*' --folder week --json | jq .orphans")]
pub(super) struct ShadowArgs {
    /// A runner of the configuration, and its number in GitLab; may be repeated.
    #[arg(long, value_name = "RUNNER=ID", required = true, value_parser = numbered)]
    runner: Vec<(String, u64)>,
    /// The other manager's machines: a tag and its value, in which * and ? stand for anything; may be repeated.
    #[arg(long, value_name = "TAG=VALUE", required = true, value_parser = pattern)]
    machines: Vec<Pattern>,
    /// Where the watch is kept and the report is written.
    #[arg(long, value_name = "DIR")]
    folder: PathBuf,
    /// How long to watch: 24h, 7d.
    #[arg(long = "for", value_name = "TIME", default_value = "24h", value_parser = length)]
    lasts: Duration,
    /// How often to look.
    #[arg(long, value_name = "TIME", default_value = "1m", value_parser = length)]
    every: Duration,
    /// Look once, and report on what was watched so far.
    #[arg(long)]
    now: bool,
    /// Print the report as JSON.
    #[arg(long)]
    json: bool,
}

fn numbered(text: &str) -> Result<(String, u64), String> {
    let parsed = text.split_once('=').and_then(|(name, id)| Some((name.to_owned(), id.parse().ok()?)));
    parsed.ok_or_else(|| "write RUNNER=ID, with the number that GitLab's page of the runner shows as #ID".to_owned())
}

fn pattern(text: &str) -> Result<Pattern, String> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() && !value.trim_matches('*').is_empty() => {
            Ok(Pattern { key: key.to_owned(), value: value.to_owned() })
        }
        Some(_) | None => Err("write TAG=VALUE, such as 'Name=runner-*-gitlab-*'".to_owned()),
    }
}

/// From ten seconds to a month.
fn length(text: &str) -> Result<Duration, String> {
    let days = text.strip_suffix('d').and_then(|days| days.parse::<u64>().ok()).map(|days| days.saturating_mul(86_400));
    let parsed = match days {
        Some(seconds) => Some(Duration::from_secs(seconds)),
        None => text.parse::<SignedDuration>().ok().and_then(|length| length.try_into().ok()),
    };
    parsed
        .filter(|length| (Duration::from_secs(10)..=Duration::from_secs(31 * 86_400)).contains(length))
        .ok_or_else(|| "write a time from 10s to 31d: \"1m\", \"24h\", \"7d\"".to_owned())
}

/// Watches, then tells.
pub(super) fn run(
    global: &Global,
    args: &ShadowArgs,
    out: &mut dyn Write,
    err: &mut dyn Write,
) -> Result<ExitCode, CliError> {
    let config = service::load(global)?.config;
    for (name, _) in &args.runner {
        service::runner_named(&config, name)?;
    }
    let failed = |what: &str, error: &dyn std::error::Error| CliError::failed(what, error);
    std::fs::create_dir_all(&args.folder)
        .map_err(|error| failed(&format!("make the folder {}", args.folder.display()), &error))?;
    let file = args.folder.join(Watch::FILE);
    let seen = service::block_on(async {
        let former =
            Watch::kept(&args.folder).map_err(|error| failed(&format!("go on with {}", file.display()), &error))?;
        let regions = regions(&config, args).await.map_err(|error| failed("ask AWS", &error))?;
        let seen = observe(former, regions.clone(), args, err).await?;
        let prices = prices(&seen, &regions, Clock::real()).await;
        Ok::<_, CliError>((seen, prices))
    })?;
    let (seen, prices) = seen?;
    let jobs = jobs(&config, args, &seen)?;
    let figures = simulated(&config, args, &jobs)?;
    let told = report(&seen, &jobs, &prices, figures.as_ref(), allowed(&config, args));
    leave(global, args, &told)?;
    if args.json {
        write_json(out, &told)?;
    } else {
        show(&told, args, out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn watched<'c>(config: &'c Config, args: &ShadowArgs) -> impl Iterator<Item = &'c config::Runner> {
    let names: BTreeSet<String> = args.runner.iter().map(|(name, _)| name.clone()).collect();
    config.runners.iter().filter(move |runner| names.contains(runner.name.as_str()))
}

async fn regions(config: &Config, args: &ShadowArgs) -> Result<Vec<Aws>, AwsError> {
    let regions = Regions::default();
    for runner in watched(config, args) {
        regions.of(runner.fleet.region.as_deref()).await?;
    }
    Ok(regions.all().await)
}

async fn observe(
    former: Option<Watch>,
    regions: Vec<Aws>,
    args: &ShadowArgs,
    err: &mut dyn Write,
) -> Result<Watch, CliError> {
    let clock = Clock::real();
    let begun = former.unwrap_or_else(|| Watch::new(clock.now()));
    let lasts = if args.now { Duration::ZERO } else { args.lasts };
    let until = begun.since.saturating_add(lasts).unwrap_or(begun.until);
    let stop = CancellationToken::new();
    let ended = stop.clone();
    tokio::spawn(async move {
        // Where signals cannot be heard, the time still ends the watch.
        if tokio::signal::ctrl_c().await.is_ok() {
            ended.cancel();
        }
    });
    let bar = spinner();
    let plan = Plan { regions, patterns: args.machines.clone(), every: args.every, until, folder: &args.folder, stop };
    let mut heard = |seen: &Watch, news: Option<&str>| {
        if let Some(news) = news {
            // Without a standard error nobody hears it, and the watch goes on.
            let _ = bar.suspend(|| writeln!(err, "{news}"));
        }
        bar.set_message(format!("{} machines since {}; until {until}, or Ctrl-C", seen.machines.len(), seen.since));
        bar.tick();
    };
    let seen = watch(begun, &plan, clock, &mut heard).await;
    bar.finish_and_clear();
    seen.map_err(|error| CliError::failed(&format!("keep the watch in {}", args.folder.display()), &error))
}

/// As of the end: the prices of a week's every hour are not kept.
async fn prices(seen: &Watch, regions: &[Aws], clock: Clock) -> Prices {
    let mut prices = Prices::new();
    for aws in regions {
        let here = seen.machines.values().filter(|machine| machine.region == aws.region());
        let types: BTreeSet<InstanceType> = here.clone().map(|machine| machine.instance_type.clone()).collect();
        if types.is_empty() {
            continue;
        }
        let listed = on_demand::of_region(aws.region(), &types);
        // Without the right to read them they are unknown, and the report says for how many hours.
        let spot = aws.spot_prices(&types, clock.now()).await.unwrap_or_default();
        for machine in here {
            let usd = match machine.market {
                Market::Spot => spot.get(&(machine.instance_type.clone(), machine.zone.clone())),
                Market::OnDemand => listed.get(&machine.instance_type),
            };
            prices.extend(usd.map(|usd| (machine.offer(), *usd)));
        }
    }
    prices
}

/// The jobs that those runners took within the watch; left in the folder as a recording.
fn jobs(config: &Config, args: &ShadowArgs, seen: &Watch) -> Result<Vec<PastJob>, CliError> {
    let ids: BTreeMap<RunnerName, u64> = args.runner.iter().map(|(name, id)| (RunnerName::new(name), *id)).collect();
    let bar = spinner();
    let mut heard = jobs_read(&bar);
    let ids = RunnerIds::Given(ids);
    let read = past::read(config.clone(), &ids, seen.since, seen.until, &mut heard);
    let jobs = service::block_on(read)?.map_err(|error| CliError::failed("read the jobs of the watch", &error))?;
    bar.finish_and_clear();
    super::record::write_whole(&args.folder.join("jobs.json"), &jobs)?;
    Ok(jobs)
}

/// What the production engine makes of the same jobs; nothing where none began and ended.
fn simulated(config: &Config, args: &ShadowArgs, jobs: &[PastJob]) -> Result<Option<Figures>, CliError> {
    if !jobs.iter().any(|job| job.started_at.is_some() && job.finished_at.is_some()) {
        return Ok(None);
    }
    let path = args.folder.join("jobs.json").display().to_string();
    let workload = Workload::load(&path).map_err(|defects| CliError::Failed(defects.to_string()))?;
    let mut here = config.clone();
    here.runners = watched(config, args).cloned().collect();
    let comparison = Comparison {
        workload,
        config: here.clone(),
        tags: BTreeMap::new(),
        assumed: Assumptions::default(),
        seed: 1,
        equal_wait: None,
        curve: false,
        count_from: None,
    };
    let policy = Policy::Fleet("runner-fleet".to_owned(), Box::new(here));
    let (report, _) = comparison.run_all(&[policy], &|_, _, _| {});
    Ok(report.policies.into_iter().next())
}

/// What explains machines without a job: the idle counts and idle times of those sections.
fn allowed(config: &Config, args: &ShadowArgs) -> Allowed {
    let names: BTreeSet<&str> = args.runner.iter().map(|(name, _)| name.as_str()).collect();
    let settings = config.settings();
    let watched = settings.runners.iter().filter(|runner| names.contains(runner.name.as_str()));
    let (mut idle, mut longest) = (0_u32, Duration::ZERO);
    for runner in watched {
        idle = idle.saturating_add(runner.idle.count.fixed().unwrap_or(runner.idle.count_min));
        longest = longest.max(runner.idle.time.fixed().unwrap_or(IdleTime::AUTO_MAX));
    }
    Allowed { idle, patience: longest + PATIENCE }
}

/// The report, and the configuration in our form where it was in another.
fn leave(global: &Global, args: &ShadowArgs, told: &Report) -> Result<(), CliError> {
    let write = |name: &str, text: &str| {
        let path = args.folder.join(name);
        std::fs::write(&path, text).map_err(|error| CliError::failed(&format!("write {}", path.display()), &error))
    };
    let json = serde_json::to_string_pretty(told).map_err(|error| CliError::failed("write the report", &error))?;
    write("report.json", &json)?;
    let origin = global.config.display().to_string();
    let text = config::read_file(&global.config).map_err(|problems| CliError::BadConfig(problems.to_string()))?;
    match config::migrate(&text, &origin, "gitlab-runner", &config::Surroundings::default()) {
        Ok(ours) if ours != text => write("config.toml", &ours),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The numbers side by side, then what to look at.
fn show(told: &Report, args: &ShadowArgs, out: &mut dyn Write) -> Result<(), CliError> {
    let Report { since, until, looks, theirs, ours, orphans, .. } = told;
    writeln!(out, "watched from {since} to {until}, {looks} looks, {} gaps\n", told.gaps.len())?;
    let mut table = OutputStyle::of_stdout().table(&["", "as it was", "runner-fleet, simulated"]);
    let mut row = |name: &str, was: String, here: Option<String>| {
        table.add_row([name.to_owned(), was, here.unwrap_or_else(|| "-".to_owned())]);
    };
    row("jobs", theirs.jobs.to_string(), ours.map(|ours| ours.jobs.to_string()));
    let waits = |w: crate::shadow::report::Waits| format!("{:.0} / {:.0} / {:.0}", w.mean, w.p50, w.p95);
    row("wait in s: mean / p50 / p95", waits(theirs.wait_seconds), ours.map(|ours| waits(ours.wait_seconds)));
    row("machines", theirs.machines.to_string(), ours.map(|ours| ours.machines.to_string()));
    row("machine hours", format!("{:.1}", theirs.machine_hours), ours.map(|ours| format!("{:.1}", ours.machine_hours)));
    let was = match theirs.unpriced_hours {
        0.0 => format!("{:.2}", theirs.usd),
        hours => format!("{:.2} and {hours:.1} h of unknown price", theirs.usd),
    };
    row("USD for instances", was, ours.map(|ours| format!("{:.2}", ours.usd)));
    write_table(out, &table)?;
    writeln!(out, "\n{:.1} machine hours are explained by no job and no idle count.", orphans.machine_hours)?;
    for (what, suspects) in [("surplus at the end, the oldest", &orphans.now), ("stopped", &orphans.stopped)] {
        for suspect in suspects {
            let crate::shadow::report::Suspect { id, name, region, launched_at } = suspect;
            writeln!(out, "  {what}: {id} ({name}) in {region}, launched {launched_at}")?;
        }
    }
    writeln!(
        out,
        "\nThe left column was seen; its prices are those of the end. The right one is simulated, and assumes what"
    )?;
    writeln!(
        out,
        "simulate does (boots of 45 s, spot at 35 % of on demand): see report.json and jobs.json in {}",
        args.folder.display()
    )?;
    Ok(())
}

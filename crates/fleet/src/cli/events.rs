//! `events`: what has happened, from the running service's memory.

use std::io::Write;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::control::{Answer, Request};
use crate::history::{EventsAnswer, EventsQuestion, PastEvent};
use crate::live::clock::Clock;

use super::output::write_json;
use super::{CliError, Global, service, when};

/// Between two looks of `--follow`.
const EVERY: Duration = Duration::from_secs(2);
/// What frames the life of the worker that ran a job.
const LIFE: &str = "launched,ready,boot_failed,interrupted,terminating,ended";

/// Show what has happened: launches, boots, jobs, ends, interruptions, operators' acts.
///
/// The service remembers the last 10,000 events, over restarts too. With --job, the birth and the end of the worker that ran the job
/// are shown as well.
#[derive(Args, Debug)]
#[command(after_help = "Examples:\n  runner-fleet events\n  runner-fleet events --job 7003\n  \
                        runner-fleet events --worker i-0abc --since yesterday\n  \
                        runner-fleet events --kind boot_failed,interrupted --since 7d\n  \
                        runner-fleet events --follow --json | jq .text")]
pub(super) struct EventsArgs {
    /// Of this runner.
    #[arg(long, value_name = "NAME")]
    runner: Option<String>,
    /// Of this worker.
    #[arg(long, value_name = "WORKER")]
    worker: Option<String>,
    /// Of this job, and what became of the worker that ran it.
    #[arg(long, value_name = "ID", conflicts_with_all = ["worker", "follow"])]
    job: Option<u64>,
    /// Of these kinds, with commas between them (the log's `event`).
    #[arg(long, value_name = "KIND")]
    kind: Option<String>,
    /// From then on: a time, a date, yesterday, or how long ago (6h, 7d).
    #[arg(long, value_name = "TIME", value_parser = when::time)]
    since: Option<Timestamp>,
    /// The newest so many; 1 to 1000.
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: u32,
    /// Go on with what happens, until interrupted; with --json, one line for each event.
    #[arg(long)]
    follow: bool,
    /// Print JSON (the same as /api/v1/events).
    #[arg(long)]
    json: bool,
}

/// Asks and prints.
pub(super) fn run(global: &Global, args: &EventsArgs, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let socket = service::socket(global)?;
    let question = EventsQuestion {
        runner: args.runner.clone(),
        worker: args.worker.clone(),
        job: args.job.map(|job| job.to_string()),
        kind: args.kind.clone(),
        from: args.since.map(|since| since.to_string()),
        limit: Some(args.limit.to_string()),
        ..EventsQuestion::default()
    };
    if args.follow {
        return follow(&socket, question, args.json, out);
    }
    let mut answer = ask(&socket, question)?;
    if args.job.is_some() {
        add_lives(&socket, &mut answer)?;
    }
    if args.json {
        write_json(out, &answer)?;
    } else {
        show(&answer, &TimeZone::system(), out)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(socket: &Path, question: EventsQuestion) -> Result<EventsAnswer, CliError> {
    match service::ask(socket, &Request::Events { question })? {
        Answer::Events { events } => Ok(events),
        other => Err(service::unexpected(&other)),
    }
}

/// When the workers of these events were born, and why they ended.
fn add_lives(socket: &Path, answer: &mut EventsAnswer) -> Result<(), CliError> {
    let mut workers: Vec<_> = answer.events.iter().filter_map(|event| event.worker.clone()).collect();
    workers.sort();
    workers.dedup();
    for worker in workers {
        let question = EventsQuestion {
            worker: Some(worker.to_string()),
            kind: Some(LIFE.to_owned()),
            ..EventsQuestion::default()
        };
        answer.events.extend(ask(socket, question)?.events);
    }
    answer.events.sort_by_key(|event| event.id);
    answer.events.dedup_by_key(|event| event.id);
    Ok(())
}

/// Until SIGINT or SIGTERM, which end it as they end any program.
fn follow(socket: &Path, mut question: EventsQuestion, json: bool, out: &mut dyn Write) -> Result<ExitCode, CliError> {
    let zone = TimeZone::system();
    loop {
        let answer = ask(socket, question.clone())?;
        for event in &answer.events {
            if json {
                let line = serde_json::to_string(event).map_err(|error| CliError::failed("write JSON", &error))?;
                writeln!(out, "{line}")?;
            } else {
                line(event, &zone, out)?;
            }
        }
        out.flush()?;
        let last = answer.events.last().map(|event| event.id.to_string());
        question.after = last.or(question.after).or_else(|| Some("0".to_owned()));
        service::block_on(Clock::real().sleep(EVERY))?;
    }
}

fn show(answer: &EventsAnswer, zone: &TimeZone, out: &mut dyn Write) -> Result<(), CliError> {
    if let Some(why) = &answer.not_kept {
        writeln!(out, "The next start will not know this: {why}\n")?;
    }
    if answer.events.is_empty() {
        let since = answer.since.map(|since| format!(" What is remembered begins at {}.", time(since, zone)));
        writeln!(out, "Nothing of that kind is remembered.{}", since.unwrap_or_default())?;
    }
    answer.events.iter().try_for_each(|event| line(event, zone, out))
}

fn line(event: &PastEvent, zone: &TimeZone, out: &mut dyn Write) -> Result<(), CliError> {
    writeln!(out, "{}  {:<16}  {}", time(event.at, zone), event.event, event.text)?;
    Ok(())
}

fn time(at: Timestamp, zone: &TimeZone) -> String {
    at.to_zoned(zone.clone()).strftime("%Y-%m-%d %H:%M:%S %Z").to_string()
}

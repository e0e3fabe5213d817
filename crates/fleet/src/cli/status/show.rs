//! The state as text.

use std::io::Write;

use jiff::Timestamp;

use runner_fleet_engine::snapshot::{JobSnapshot, RunnerSnapshot};
use runner_fleet_engine::{FleetSnapshot, Knowledge, TokenEnd};

use super::super::CliError;
use super::super::fit::{Field, Fit, FitTable};
use super::super::output::{brief, color_of, write_table};
use super::View;
use super::groups::groups;
use super::spent::spent;
use super::verdict::verdict;

/// Rows of jobs and decisions that fit beside the rest on one screen.
const ROWS_MAX: usize = 20;
/// Runners' names are shortened beyond this, and a little more where the screen is narrow.
const NAME: Fit = Fit::Name { least: 10, most: 60 };

/// The state as text.
pub(in crate::cli) fn show(snapshot: &FleetSnapshot, view: View, out: &mut dyn Write) -> Result<(), CliError> {
    verdict(snapshot, view.style, out)?;
    if let Some(sentence) = knowledge("EC2", &snapshot.ec2) {
        writeln!(out, "{sentence}\n")?;
    }
    runners(snapshot, view, out)?;
    workers(snapshot, view, out)?;
    writeln!(out, "{}", spent(&snapshot.ledger, snapshot.at))?;
    jobs(snapshot, view, out)?;
    if !snapshot.decisions.is_empty() {
        writeln!(out, "\nLast decisions")?;
        for decision in snapshot.decisions.iter().rev().take(ROWS_MAX).rev() {
            writeln!(out, "  {:.0}  {}", decision.at, decision.text)?;
        }
    }
    Ok(())
}

fn runners(snapshot: &FleetSnapshot, view: View, out: &mut dyn Write) -> Result<(), CliError> {
    let mut table = FitTable::new([
        ("RUNNER", NAME),
        ("RUNNING", Fit::Whole),
        ("WAITING", Fit::Whole),
        ("IDLE/WANTED", Fit::Dropped(0)),
        ("WORKERS", Fit::Whole),
        ("NOTE", Fit::Sentence),
    ]);
    // Before the first listing nobody knows what there is.
    let is_seen = !matches!(snapshot.ec2, Knowledge::Unknown { .. });
    let seen = |number: u32| if is_seen { number.to_string() } else { "?".to_owned() };
    for runner in &snapshot.runners {
        table.add([
            (&runner.name).into(),
            seen(runner.running).into(),
            number(runner.waiting).into(),
            format!("{}/{}", seen(runner.idle_ready), runner.idle_wanted).into(),
            format!("{} of {}", seen(runner.workers), runner.max_workers).into(),
            notes(runner, snapshot.at).into(),
        ]);
    }
    write_table(out, &table.laid_out(view.style, view.wide))?;
    for runner in &snapshot.runners {
        if let Some(forecast) = &runner.forecast {
            writeln!(out, "{} {forecast}", runner.name)?;
        }
    }
    for runner in &snapshot.runners {
        for offer in &runner.over_price_cap {
            writeln!(out, "{} leaves out: {offer}", runner.name)?;
        }
    }
    for (region, prices) in &snapshot.prices {
        if let Some(sentence) = knowledge(&format!("spot prices of {region}"), prices) {
            writeln!(out, "{sentence}")?;
        }
    }
    Ok(())
}

/// Unknown is not zero.
fn number(known: Option<u32>) -> String {
    known.map_or_else(|| "?".into(), |number| number.to_string())
}

fn notes(runner: &RunnerSnapshot, now: Timestamp) -> String {
    let paused = runner.paused.then(|| "paused".to_owned());
    let queue = knowledge("queue", &runner.queue);
    let blind = (runner.projects_blind > 0)
        .then(|| format!("its api_token may not see {} of its server's projects", runner.projects_blind));
    let facts = stale("its settings in GitLab", &runner.facts);
    let plan = stale("its image, subnets and template", &runner.launch_plan);
    let token = runner.token_end.and_then(|end| token_note(&end, now));
    let held_back = runner.held_back.as_ref().map(ToString::to_string);
    let notes: Vec<_> = [paused, queue, blind, facts, token, plan, held_back].into_iter().flatten().collect();
    notes.join("; ")
}

fn workers(snapshot: &FleetSnapshot, view: View, out: &mut dyn Write) -> Result<(), CliError> {
    if snapshot.workers.is_empty() {
        let known = !matches!(snapshot.ec2, Knowledge::Unknown { .. });
        writeln!(out, "\n{}", if known { "No workers." } else { "The workers are not known yet." })?;
        return Ok(());
    }
    writeln!(out)?;
    let mut table = FitTable::new([
        ("WORKER", Fit::Whole),
        ("RUNNER", NAME),
        ("STATE", Fit::Whole),
        ("JOBS", Fit::Whole),
        ("AGE", Fit::Whole),
        ("IDLE", Fit::Dropped(4)),
        ("TYPE", Fit::Dropped(5)),
        ("ZONE", Fit::Dropped(2)),
        ("MARKET", Fit::Dropped(3)),
        ("USD/H", Fit::Dropped(1)),
        ("USD", Fit::Dropped(0)),
        ("NOTE", Fit::Sentence),
    ]);
    for worker in &snapshot.workers {
        let hold = worker.hold.then(|| "held".to_owned());
        let ecr = worker.ecr_error.as_ref().map(ToString::to_string);
        let notes: Vec<_> =
            [hold, worker.reason.as_ref().map(ToString::to_string), ecr].into_iter().flatten().collect();
        table.add([
            (&worker.id).into(),
            (&worker.runner).into(),
            Field::colored(worker.state.as_str(), color_of(worker.state)),
            worker.jobs.into(),
            brief(Some(worker.age)).into(),
            brief(worker.idle).into(),
            (&worker.instance_type).into(),
            (&worker.zone).into(),
            worker.market.into(),
            usd(worker.usd_per_hour, 4).into(),
            usd(worker.usd_estimated, 2).into(),
            notes.join("; ").into(),
        ]);
    }
    write_table(out, &table.laid_out(view.style, view.wide))?;
    writeln!(out, "\n{}", cost(snapshot))?;
    Ok(())
}

/// What the workers cost; what is not known is not left out of the sum in silence.
fn cost(snapshot: &FleetSnapshot) -> String {
    let costs = &snapshot.costs;
    let most = match costs.usd_per_hour_at_most {
        Some(most) => format!("at most {most:.2} USD an hour (on demand)"),
        None => "their types are not in the built-in list of prices, either".to_owned(),
    };
    let unknown = match costs.unpriced_workers {
        0 => return format!("About {:.2} USD an hour for instances", costs.usd_per_hour),
        1 => "the price of 1 worker is not known".to_owned(),
        more => format!("the prices of {more} workers are not known"),
    };
    if costs.unpriced_workers as usize >= snapshot.workers.len() {
        return format!("Cost not known; {most}");
    }
    format!("About {:.2} USD an hour for instances; {unknown}; {most}", costs.usd_per_hour)
}

/// Money; unknown is not zero.
fn usd(amount: Option<f64>, digits: usize) -> String {
    amount.map_or_else(|| "?".into(), |amount| format!("{amount:.digits$}"))
}

fn jobs(snapshot: &FleetSnapshot, view: View, out: &mut dyn Write) -> Result<(), CliError> {
    let complete = snapshot.waiting.complete;
    if snapshot.jobs.is_empty() {
        let said = if complete { "No job waits." } else { "Whether jobs wait is not known: see the queues above." };
        writeln!(out, "\n{said}")?;
        return Ok(());
    }
    let old = if complete { "" } else { ", when the queues were last read" };
    writeln!(out, "\n{} waiting{old}", count(snapshot.waiting.total, "job"))?;
    let (table, shown) = if view.all { one_by_one(snapshot) } else { by_reason(snapshot) };
    write_table(out, &table.laid_out(view.style, view.wide))?;
    if let Some(more @ 1..) = (snapshot.waiting.total as usize).checked_sub(shown) {
        writeln!(out, "and {more} more")?;
    }
    Ok(())
}

/// The table, and how many jobs are in it.
fn by_reason(snapshot: &FleetSnapshot) -> (FitTable, usize) {
    let mut table = FitTable::new([
        ("JOBS", Fit::Whole),
        ("LONGEST", Fit::Whole),
        ("RUNNER", NAME),
        ("WHICH", Fit::Name { least: 8, most: 24 }),
        ("WHY", Fit::Sentence),
    ]);
    let groups = groups(&snapshot.jobs);
    let mut shown = 0;
    for group in groups.iter().take(ROWS_MAX) {
        shown += group.jobs.len();
        table.add([
            group.jobs.len().into(),
            brief(Some(group.longest)).into(),
            group.runner.as_ref().map_or_else(|| "-".into(), ToString::to_string).into(),
            group.jobs.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ").into(),
            group.why.as_str().into(),
        ]);
    }
    (table, shown)
}

fn one_by_one(snapshot: &FleetSnapshot) -> (FitTable, usize) {
    let mut table = FitTable::new([
        ("JOB", Fit::Whole),
        ("PROJECT", Fit::Name { least: 8, most: 40 }),
        ("NAME", Fit::Name { least: 10, most: 40 }),
        ("WAITS", Fit::Whole),
        ("RUNNER", NAME),
        ("WHY", Fit::Sentence),
    ]);
    for job in &snapshot.jobs {
        table.add([
            job.id.into(),
            project(job).into(),
            job.name.as_str().into(),
            brief(Some(job.waited)).into(),
            job.runner.as_ref().map_or_else(|| "-".into(), ToString::to_string).into(),
            job.reason.text.as_str().into(),
        ]);
    }
    (table, snapshot.jobs.len())
}

fn project(job: &JobSnapshot) -> String {
    job.project_path.as_ref().map_or_else(|| job.project.to_string(), |path| path.as_str().to_owned())
}

fn count(number: u32, of: &str) -> String {
    format!("{number} {of}{}", if number == 1 { "" } else { "s" })
}

fn knowledge(of: &str, knowledge: &Knowledge) -> Option<String> {
    match knowledge {
        Knowledge::Known => None,
        Knowledge::Stale { age, failure } => Some(format!("{of} last seen {} ago: {failure}", brief(Some(*age)))),
        Knowledge::Unknown { failure } => Some(format!("{of} not known: {failure}")),
    }
}

fn token_note(end: &TokenEnd, now: Timestamp) -> Option<String> {
    let left = end.is_near(now)?;
    let when = if left.is_zero() { "has ended".to_owned() } else { format!("ends in {}", brief(Some(left))) };
    Some(format!("its {} {when}: make a new one", end.key()))
}

/// Of what decisions rest on although it is old; without any answer it holds the runner back, which says the same.
fn stale(of: &str, known: &Knowledge) -> Option<String> {
    knowledge(of, known).filter(|_| matches!(known, Knowledge::Stale { .. }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::OutputStyle;
    use runner_fleet_engine::snapshot::{Costs, WorkerSnapshot, WorkerState};
    use runner_fleet_engine::{
        Engine, Explained, Failure, FailureClass, HeldBack, InstanceType, JobId, JobReason, Market, ProjectId,
        ProjectPath, RunnerName, WorkerId, WorkerReason, Zone,
    };
    use std::time::Duration;

    const IDS: [&str; 3] = ["i-0a1b2c3d4e5f60718", "i-0b1c2d3e4f5061728", "i-0c1d2e3f405162738"];

    /// Three workers that nobody reaches, and two jobs with the longest names that GitLab allows.
    fn failure() -> FleetSnapshot {
        let now = Timestamp::UNIX_EPOCH;
        let mut snapshot = Engine::new("ci", 1, now).snapshot();
        snapshot.ec2 = Knowledge::Known;
        let name = RunnerName::new("graviton-spot-with-a-name-that-somebody-found-descriptive");
        let unseen = Knowledge::Unknown { failure: Failure::new(FailureClass::ServerError, "502 Bad Gateway") };
        snapshot.runners.push(RunnerSnapshot {
            name: name.clone(),
            queue: unseen,
            projects_blind: 0,
            facts: Knowledge::Known,
            token_end: None,
            launch_plan: Knowledge::Known,
            running: 0,
            waiting: None,
            idle_wanted: 2,
            idle_ready: 0,
            workers: 3,
            slots: 1,
            max_workers: 10,
            held_back: Some(Explained::at(now, HeldBack::Paused)),
            paused: true,
            forecast: None,
            over_price_cap: Vec::new(),
            outlook: Default::default(),
            promise: Default::default(),
        });
        for id in IDS {
            let step = "no SSH to a worker whose address is rather far away".into();
            snapshot.workers.push(WorkerSnapshot {
                id: WorkerId::new(id),
                runner: name.clone(),
                state: WorkerState::Unreachable,
                reason: Some(Explained::at(now, WorkerReason::Booting { since: now, step, failure: None })),
                phase: None,
                jobs: 0,
                job_ids: Vec::new(),
                age: Duration::from_secs(3_661),
                idle: None,
                instance_type: InstanceType::new("c7gd.metal"),
                zone: Zone::new("eu-central-1a"),
                market: Market::OnDemand,
                usd_per_hour: None,
                usd_estimated: None,
                hold: false,
                ecr_error: None,
            });
        }
        for id in [7_231_000_001, 7_231_000_002] {
            snapshot.jobs.push(JobSnapshot {
                id: JobId(id),
                project: ProjectId(2),
                project_path: ProjectPath::new(&format!("acme/{}", "p".repeat(255))),
                url: None,
                name: "x".repeat(255),
                waited: Duration::from_secs(61),
                runner: Some(name.clone()),
                reason: Explained::at(now, JobReason::NextStep),
            });
        }
        snapshot.costs = Costs { usd_per_hour: 0.0, unpriced_workers: 3, usd_per_hour_at_most: Some(0.578) };
        snapshot
    }

    fn shown(width: Option<u16>, all: bool, wide: bool) -> String {
        let mut out = Vec::new();
        let style = OutputStyle { color: false, width };
        show(&failure(), View { style, all, wide }, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn ids_and_states_are_whole_at_every_width() {
        for width in [72, 80, 100, 120, 160, 240] {
            for all in [false, true] {
                let text = shown(Some(width), all, false);
                for id in IDS {
                    let line =
                        text.lines().find(|line| line.starts_with(id)).unwrap_or_else(|| panic!("{width}\n{text}"));
                    assert!(line.contains("  unreachable  "), "{width}\n{text}");
                }
                let longest = text.lines().map(|line| line.chars().count()).max().unwrap();
                assert!(longest <= usize::from(width), "{longest} at {width}\n{text}");
            }
        }
    }

    #[test]
    fn narrow_terminals_lose_the_cost_first_and_pipes_nothing() {
        let header = |width| {
            let text = shown(width, false, false);
            text.lines()
                .find(|line| line.starts_with("WORKER"))
                .unwrap()
                .split_whitespace()
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(header(None), "WORKER RUNNER STATE JOBS AGE IDLE TYPE ZONE MARKET USD/H USD NOTE");
        assert_eq!(header(Some(80)), "WORKER RUNNER STATE JOBS AGE NOTE");
        assert!(header(Some(120)).contains("IDLE TYPE"), "{}", header(Some(120)));
        assert!(!shown(None, true, false).contains(&"x".repeat(41)), "a job's name pads every row");
        assert!(shown(Some(80), true, true).contains(&"x".repeat(255)));
    }

    #[test]
    fn what_is_not_known_is_no_zero() {
        let text = shown(None, false, false);
        assert!(text.contains("Cost not known; at most 0.58 USD an hour (on demand)\n"), "{text}");
        let runner = text.lines().find(|line| line.starts_with("graviton")).unwrap();
        let fields: Vec<&str> = runner.split_whitespace().collect();
        assert_eq!(&fields[1..6], ["0", "?", "0/2", "3", "of"], "{runner}");
    }
}

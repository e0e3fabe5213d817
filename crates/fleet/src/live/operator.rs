//! What operators ask, answered from the engine's snapshot; what they request, checked and handed on as an event.

use jiff::Timestamp;

use crate::control::{Action, Answer, Held, LeftOut, Plan, Request};
use runner_fleet_engine::snapshot::{JobStatus, WorkerSnapshot, WorkerState};
use runner_fleet_engine::{
    Command, Engine, Explained, FleetSnapshot, JobId, JobReason, OperatorRequest, RunnerName, WorkerId,
};

/// The answer, and the request that goes into the next step. Refused requests go nowhere.
pub fn consider(engine: &Engine, now: Timestamp, request: Request) -> (Answer, Option<OperatorRequest>) {
    let snapshot = engine.snapshot();
    match request {
        Request::Status => (Answer::Status { snapshot: Box::new(snapshot) }, None),
        Request::Plan => {
            let mut trial = engine.clone();
            let commands = trial.step(now, []);
            (Answer::Plan { plan: plan(&trial.snapshot(), &commands) }, None)
        }
        Request::Job { job, url } => (of_job(engine.job_statuses(job), job, url.as_deref()), None),
        Request::Drain { workers, runner, all, force } => drain(&snapshot, workers, runner, all, force),
        Request::Undrain { workers } => undrain(engine, &snapshot, workers),
        Request::Pause { runner } => of_runner(&snapshot, runner, "takes no new workers", OperatorRequest::Pause),
        Request::Resume { runner } => of_runner(&snapshot, runner, "takes workers again", OperatorRequest::Resume),
        Request::Retry { runner } => {
            of_runner(&snapshot, runner, "forgets what has failed, and tries at once", OperatorRequest::Retry)
        }
        Request::Costs { query: _ } => (Answer::refused("this service keeps no ledger"), None),
        Request::History { .. } | Request::Events { .. } => {
            (Answer::refused("the past is not asked of the loop"), None)
        }
        Request::Reload => (Answer::refused("this service has no configuration to read again"), None),
    }
}

/// The plan that these commands and this snapshot are.
pub fn plan(snapshot: &FleetSnapshot, commands: &[Command]) -> Plan {
    let held_back = snapshot.runners.iter().filter_map(|runner| {
        let queue = runner.queue.clone();
        let unknown = (!queue.is_known()).then(|| Explained::at(snapshot.at, JobReason::QueueUnknown { queue }));
        let held_back = runner.held_back.as_ref().map(|held_back| Explained {
            reason: JobReason::HeldBack { held_back: held_back.reason.clone() },
            text: held_back.text.clone(),
        });
        Some(Held { runner: runner.name.clone(), reason: held_back.or(unknown)? })
    });
    let left_out = snapshot.runners.iter().flat_map(|runner| {
        let offers = runner.over_price_cap.iter();
        offers.map(|offer| LeftOut { runner: runner.name.clone(), offer: offer.clone() })
    });
    Plan {
        version: 1,
        at: snapshot.at,
        actions: commands.iter().flat_map(Action::of).collect(),
        held_back: held_back.collect(),
        left_out: left_out.collect(),
        waiting: snapshot.jobs.clone(),
    }
}

/// What is known of a job on the servers that its page's address fits.
fn of_job(job_statuses: Vec<JobStatus>, job: JobId, url: Option<&str>) -> Answer {
    let fits = |fate: &JobStatus| {
        url.is_none_or(|url| url.strip_prefix(fate.server.as_str()).is_some_and(|path| path.starts_with('/')))
    };
    let (jobs, others): (Vec<_>, Vec<_>) = job_statuses.into_iter().partition(fits);
    if jobs.is_empty() {
        let servers = others.iter().map(|fate| fate.server.as_str()).collect::<Vec<_>>().join(", ");
        let why = format!("no runner here serves the GitLab of job {job}; there are runners of: {servers}");
        return Answer::refused(why);
    }
    Answer::Job { jobs }
}

/// The workers that are named, or those of a runner, or all; those that a person holds only where they are named, to be
/// refused.
fn drain(
    snapshot: &FleetSnapshot,
    mut workers: Vec<WorkerId>,
    runner: Option<RunnerName>,
    all: bool,
    force: bool,
) -> (Answer, Option<OperatorRequest>) {
    if let Some(refusal) = strangers(snapshot, &workers) {
        return (refusal, None);
    }
    if let Some(name) = &runner
        && let Some(refusal) = no_such_runner(snapshot, name)
    {
        return (refusal, None);
    }
    let held = snapshot.workers.iter().filter(|known| known.hold && workers.contains(&known.id));
    let held: Vec<_> = held.map(|worker| worker.id.as_str()).collect();
    if !held.is_empty() {
        let why = format!("{} is held by the tag runner-fleet:hold; remove the tag first", held.join(" and "));
        return (Answer::refused(why), None);
    }
    let is_meant = |known: &&WorkerSnapshot| {
        (all || runner.as_ref() == Some(&known.runner)) && !known.hold && known.state != WorkerState::Terminating
    };
    for known in snapshot.workers.iter().filter(is_meant) {
        if !workers.contains(&known.id) {
            workers.push(known.id.clone());
        }
    }
    if workers.is_empty() {
        let answer = if all || runner.is_some() {
            Answer::done("there is no worker to drain")
        } else {
            Answer::refused("no worker was named; see `runner-fleet status`")
        };
        return (answer, None);
    }
    let fate = if force { "ends now" } else { "drains: it finishes its jobs, then ends" };
    let told = workers.iter().map(|id| format!("{id} {fate}")).collect::<Vec<_>>().join("\n");
    (Answer::Done { told, workers: workers.clone() }, Some(OperatorRequest::Drain { workers, force }))
}

fn undrain(engine: &Engine, snapshot: &FleetSnapshot, workers: Vec<WorkerId>) -> (Answer, Option<OperatorRequest>) {
    if let Some(refusal) = strangers(snapshot, &workers) {
        return (refusal, None);
    }
    let late: Vec<_> = workers.iter().filter(|worker| !engine.can_undrain(worker)).map(WorkerId::as_str).collect();
    if !late.is_empty() {
        let why = format!(
            "{} cannot stay: no operator drains it, or its runner was told to exit already; see `runner-fleet status`",
            late.join(" and ")
        );
        return (Answer::refused(why), None);
    }
    let told = workers.iter().map(|id| format!("{id} takes jobs again")).collect::<Vec<_>>().join("\n");
    (Answer::Done { told, workers: workers.clone() }, Some(OperatorRequest::Undrain(workers)))
}

/// The refusal of a request that names workers which there are not.
fn strangers(snapshot: &FleetSnapshot, workers: &[WorkerId]) -> Option<Answer> {
    let is_strange = |id: &&WorkerId| !snapshot.workers.iter().any(|known| known.id == **id);
    let strangers: Vec<_> = workers.iter().filter(is_strange).map(WorkerId::as_str).collect();
    let why = || format!("no worker of ours is named {}; see `runner-fleet status`", strangers.join(" or "));
    (!strangers.is_empty()).then(|| Answer::unknown(why()))
}

fn of_runner(
    snapshot: &FleetSnapshot,
    name: RunnerName,
    fate: &str,
    request: impl FnOnce(RunnerName) -> OperatorRequest,
) -> (Answer, Option<OperatorRequest>) {
    match no_such_runner(snapshot, &name) {
        Some(refusal) => (refusal, None),
        None => (Answer::done(format!("{name} {fate}")), Some(request(name))),
    }
}

/// The refusal of a request that names a runner which there is not.
fn no_such_runner(snapshot: &FleetSnapshot, name: &RunnerName) -> Option<Answer> {
    if snapshot.runners.iter().any(|runner| runner.name == *name) {
        return None;
    }
    let known = snapshot.runners.iter().map(|runner| runner.name.as_str()).collect::<Vec<_>>().join(", ");
    let there = match known.as_str() {
        "" => "is none yet".into(),
        known => format!("is: {known}"),
    };
    Some(Answer::unknown(format!("no runner is named {name}; there {there}")))
}

//! What GitLab, EC2 and the worker say in this story, with as little in it as the engine takes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::{
    Command, ConfigHash, Event, Health, Instance, InstanceState, InstanceType, JobId, Launch, LaunchAnswer, LaunchPlan,
    LaunchedWorker, Leftover, Market, PendingJob, Phase, Place, ProjectId, QueueSnapshot, Report, RunnerFacts,
    RunnerName, RunnerSettings, RunnerState, Scope, Server, Settings, SubnetId, TemplateName, Want, WorkerEvent,
    WorkerId, Zone,
};

fn runner() -> RunnerName {
    RunnerName::new("graviton")
}

fn server() -> Server {
    Server::new("https://gitlab.example.com")
}

/// One runner that takes every job, and one place where its workers can be launched.
pub(crate) fn beginning() -> Vec<Event> {
    let runners = vec![RunnerSettings::new(runner(), server())];
    let facts = RunnerFacts {
        id: 1,
        tags: BTreeSet::new(),
        run_untagged: true,
        protected_only: false,
        paused: false,
        scope: Scope::Everything,
        token_end: None,
    };
    let place = Place {
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new("eu-central-1a"),
        subnet: SubnetId::new("subnet-1"),
    };
    let plan =
        LaunchPlan { config: ConfigHash::new("c1"), template: TemplateName::new("template-c1"), places: vec![place] };
    vec![
        Event::Configured(Settings { concurrent: 10, check_interval: Duration::from_secs(3), runners }),
        Event::Runner { runner: runner(), facts: Ok(facts) },
        Event::LaunchPlan { runner: runner(), plan: Ok(plan) },
    ]
}

/// All instances with our tag: this one, or none.
pub(crate) fn listing(now: Timestamp, worker: Option<&Instance>) -> Event {
    Event::Instances { asked_at: now, listing: Ok(worker.cloned().into_iter().collect()) }
}

pub(crate) fn job_waits(now: Timestamp) -> Event {
    let job = PendingJob {
        id: JobId(4711),
        project: ProjectId(1),
        project_path: None,
        name: "rspec".into(),
        tags: BTreeSet::new(),
        protected: None,
        offered_to: None,
        queued_at: now,
        seen_at: now,
    };
    Event::Queue {
        server: server(),
        snapshot: Ok(QueueSnapshot { as_of: now, jobs: vec![job], complete: true, blind: 0 }),
    }
}

pub(crate) fn nothing_waits(now: Timestamp) -> Event {
    Event::Queue {
        server: server(),
        snapshot: Ok(QueueSnapshot { as_of: now, jobs: Vec::new(), complete: true, blind: 0 }),
    }
}

/// EC2 gives what the launch asks for.
pub(crate) fn launched(launch: &Launch) -> Event {
    let worker = LaunchedWorker {
        id: WorkerId::new("i-1"),
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new("eu-central-1a"),
        market: launch.market,
    };
    let answer = LaunchAnswer { launched: vec![worker], errors: Vec::new(), leftover: Leftover::None };
    Event::Launched { token: launch.token.clone(), answer }
}

/// The worker in a listing, with the tags that the launch gave it.
pub(crate) fn instance(launch: &Launch, launched_at: Timestamp) -> Instance {
    Instance {
        id: WorkerId::new("i-1"),
        runner: launch.runner.clone(),
        config: launch.config.clone(),
        launch: Some(launch.token.clone()),
        state: InstanceState::Running,
        state_reason: None,
        launched_at,
        ended_at: None,
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new("eu-central-1a"),
        market: Market::Spot,
        address: Some([172, 31, 0, 9].into()),
        hold: false,
        health: Health::Unknown,
    }
}

/// The worker says this over its connection.
pub(crate) fn reports(report: Report) -> Event {
    Event::Worker { worker: WorkerId::new("i-1"), event: WorkerEvent::Report(Box::new(report)) }
}

/// Ready, without a job, with one request for a job open.
pub(crate) fn idle(idle_seconds: u64) -> Report {
    Report {
        phase: Phase::Ready,
        runner: RunnerState::Serving,
        jobs_by_metrics: 0,
        jobs_by_docker: 0,
        job_ids: BTreeSet::new(),
        projects: BTreeMap::new(),
        open_requests: 1,
        jobs_started: 1,
        idle_seconds,
        queue_size: None,
        disk_free_mib: None,
        unfit: None,
        interruption: None,
        rebalance: false,
        ecr_error: None,
    }
}

pub(crate) fn busy() -> Report {
    Report { jobs_by_metrics: 1, job_ids: [JobId(4711)].into(), open_requests: 0, ..idle(0) }
}

/// A command as a line, with its reason where it changes the fleet.
pub(crate) fn words(command: &Command) -> String {
    match command {
        Command::ListInstances { .. } => "list all instances".to_owned(),
        Command::Launch(launch) => {
            let places: Vec<String> = launch.offerings.iter().map(ToString::to_string).collect();
            format!("launch {} ({}): {}", launch.count, places.join(", "), launch.reason)
        }
        Command::Connect { worker, address, .. } => format!("connect to {worker} at {address}"),
        Command::Disconnect { worker } => format!("disconnect from {worker}"),
        Command::Want { worker, want: Want::Serve } => format!("let {worker} take jobs again"),
        Command::Want { worker, want: Want::Fence { reason } } => format!("fence {worker}: {reason}"),
        Command::Want { worker, want: Want::Stop { reason } } => format!("stop {worker}: {reason}"),
        Command::Want { worker, want: Want::HardStop { reason } } => format!("stop {worker} hard: {reason}"),
        Command::Terminate(all) => {
            all.iter().map(|one| format!("terminate {}: {}", one.worker, one.reason)).collect::<Vec<_>>().join("; ")
        }
        Command::Forget { worker, .. } => format!("delete the row of {worker} in GitLab"),
        Command::LookForJobs { worker, .. } => format!("look for jobs of {worker}"),
        Command::Retry { job, .. } => format!("retry job {job}"),
    }
}

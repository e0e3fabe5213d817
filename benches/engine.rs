//! The engine's step, by fleet size: budget 5 ms for 1,000 workers and 10,000 waiting jobs (docs/performance.md).
//!
//! Each measured step takes in a whole new poll of the queue, as the service's steps do every check interval; its
//! base line beside it is a step with nothing new.

use std::collections::BTreeSet;
use std::hint::black_box;
use std::time::Duration;

use criterion::{BatchSize, BenchmarkId, Criterion, criterion_group, criterion_main};
use jiff::Timestamp;
use runner_fleet_engine::{
    ConfigHash, Engine, Event, Health, IdleCount, Instance, InstanceState, InstanceType, JobId, LaunchPlan, Market,
    PendingJob, Phase, Place, ProjectId, QueueSnapshot, Report, RunnerFacts, RunnerName, RunnerSettings, RunnerState,
    Scope, Server, Settings, SubnetId, TemplateName, WorkerEvent, WorkerId, Zone,
};

const SERVER: &str = "https://gitlab.example.com";

/// Twenty runners with tags of their own, as a large installation has.
const RUNNERS: u32 = 20;

fn runner_name(number: u32) -> RunnerName {
    RunnerName::new(format!("runner-{number:02}"))
}

fn settings(workers: u32) -> Settings {
    let runner = |number| {
        let mut runner = RunnerSettings::new(runner_name(number), Server::new(SERVER));
        runner.max_workers = workers / RUNNERS;
        runner.idle.count = IdleCount::Fixed(1);
        runner
    };
    Settings {
        concurrent: workers,
        check_interval: Duration::from_secs(3),
        runners: (0..RUNNERS).map(runner).collect(),
    }
}

fn facts(number: u32) -> RunnerFacts {
    RunnerFacts {
        id: u64::from(number),
        tags: ["docker".to_owned(), format!("pool-{number}")].into(),
        run_untagged: false,
        protected_only: false,
        paused: false,
        scope: Scope::Everything,
        token_end: None,
    }
}

fn plan() -> LaunchPlan {
    let places = ["a", "b", "c"].into_iter().flat_map(|zone| {
        ["c8g.large", "c7g.large", "m8g.large"].into_iter().map(move |instance_type| Place {
            instance_type: InstanceType::new(instance_type),
            zone: Zone::new(zone),
            subnet: SubnetId::new(format!("subnet-{zone}")),
        })
    });
    LaunchPlan { config: ConfigHash::new("c1"), template: TemplateName::new("t"), places: places.collect() }
}

fn instance(number: u32, now: Timestamp) -> Instance {
    Instance {
        id: WorkerId::new(format!("i-{number:017x}")),
        runner: runner_name(number % RUNNERS),
        config: ConfigHash::new("c1"),
        launch: None,
        state: InstanceState::Running,
        state_reason: None,
        launched_at: now,
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new("a"),
        market: Market::Spot,
        address: Some(std::net::Ipv4Addr::from(0x0a00_0000 + number).into()),
        hold: false,
        health: Health::Ok,
        ended_at: None,
    }
}

fn busy(number: u32) -> Report {
    Report {
        phase: Phase::Ready,
        runner: RunnerState::Serving,
        jobs_by_metrics: 1,
        jobs_by_docker: 1,
        job_ids: [JobId(u64::from(number))].into(),
        projects: std::collections::BTreeMap::new(),
        open_requests: 0,
        jobs_started: 1,
        idle_seconds: 0,
        queue_size: None,
        disk_free_mib: Some(20_000),
        unfit: None,
        interruption: None,
        rebalance: false,
        ecr_error: None,
    }
}

fn poll(jobs: u64, now: Timestamp) -> Event {
    let job = |number: u64| PendingJob {
        id: JobId(1_000_000 + number),
        project: ProjectId(number % 500),
        project_path: None,
        name: "test".into(),
        tags: BTreeSet::from(["docker".to_owned(), format!("pool-{}", number % u64::from(RUNNERS))]),
        protected: None,
        offered_to: None,
        queued_at: now,
        seen_at: now,
    };
    let snapshot = QueueSnapshot { as_of: now, jobs: (0..jobs).map(job).collect(), complete: true, blind: 0 };
    Event::Queue { server: Server::new(SERVER), snapshot: Ok(snapshot) }
}

/// A full fleet, every worker busy, every runner at its ceiling.
fn full_fleet(workers: u32, jobs: u64) -> (Engine, Timestamp) {
    let mut now = Timestamp::UNIX_EPOCH;
    let mut engine = Engine::new("bench", 1, now);
    let mut events = vec![Event::Configured(settings(workers))];
    for number in 0..RUNNERS {
        let runner = runner_name(number);
        events.push(Event::Runner { runner: runner.clone(), facts: Ok(facts(number)) });
        events.push(Event::LaunchPlan { runner, plan: Ok(plan()) });
    }
    engine.step(now, events);
    for _ in 0..2 {
        let listing = Ok((0..workers).map(|number| instance(number, now)).collect());
        engine.step(now, vec![Event::Instances { asked_at: now, listing }]);
        now = now.saturating_add(Duration::from_secs(6)).unwrap_or(now);
    }
    let reports = (0..workers).map(|number| Event::Worker {
        worker: WorkerId::new(format!("i-{number:017x}")),
        event: WorkerEvent::Report(Box::new(busy(number))),
    });
    engine.step(now, reports.collect::<Vec<_>>());
    engine.step(now, vec![poll(jobs, now)]);
    (engine, now)
}

fn step(c: &mut Criterion) {
    let mut group = c.benchmark_group("engine_step");
    group.sample_size(20);
    for (workers, jobs) in [(100, 1_000), (1_000, 10_000), (5_000, 100_000)] {
        let name = format!("{workers} workers, {jobs} jobs");
        let (engine, now) = full_fleet(workers, jobs);
        let next = now.saturating_add(Duration::from_secs(1)).unwrap_or(now);
        group.bench_function(BenchmarkId::new("new snapshot", &name), |b| {
            b.iter_batched_ref(
                || (engine.clone(), Some(poll(jobs, next))),
                |(engine, event)| black_box(engine.step(next, event.take())),
                BatchSize::LargeInput,
            );
        });
        group.bench_function(BenchmarkId::new("nothing new", &name), |b| {
            b.iter_batched_ref(|| engine.clone(), |engine| black_box(engine.step(next, None)), BatchSize::LargeInput);
        });
        group.bench_function(BenchmarkId::new("snapshot", &name), |b| b.iter(|| black_box(engine.snapshot())));
    }
    group.finish();
}

criterion_group!(benches, step);
criterion_main!(benches);

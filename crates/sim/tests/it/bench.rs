//! A bench for one engine: says what the world says, checks the laws after every step.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::laws::Laws;
use runner_fleet_engine::{
    Command, ConfigHash, ConnectionFailure, EndedBy, Engine, Event, Failure, FailureClass, Health, IdlePolicy,
    IdleTime, Instance, InstanceState, InstanceType, JobId, Launch, LaunchAnswer, LaunchPlan, LaunchedWorker, Leftover,
    Market, PendingJob, Phase, Place, ProjectId, QueueSnapshot, Report, RunnerFacts, RunnerName, RunnerSettings,
    RunnerState, Scope, Server, Settings, StateReason, SubnetId, TemplateName, Want, WorkerEvent, WorkerId, Zone,
};

pub(crate) const SERVER: &str = "https://gitlab.example.com";
pub(crate) const RUNNER: &str = "graviton";

/// Dull defaults: one runner, twenty workers at most, one job each, nothing idle, five minutes of idle time.
pub(crate) fn runner() -> RunnerSettings {
    let plain = RunnerSettings::new(RunnerName::new(RUNNER), Server::new(SERVER));
    let idle = IdlePolicy { time: IdleTime::Fixed(Duration::from_secs(300)), ..plain.idle };
    RunnerSettings { max_workers: 20, idle, ..plain }
}

pub(crate) fn settings(runners: Vec<RunnerSettings>) -> Settings {
    Settings { concurrent: 100, check_interval: Duration::from_secs(3), runners }
}

/// What GitLab says to a token that may not.
pub(super) fn forbidden() -> Failure {
    Failure::new(FailureClass::Denied, "403 Forbidden")
}

/// What EC2 says of a spot instance that it has interrupted.
pub(super) fn taken_back() -> StateReason {
    StateReason { by: EndedBy::Ec2, code: "Server.SpotInstanceTermination".into() }
}

/// What a proxy says for a GitLab that is down.
pub(super) fn bad_gateway() -> Failure {
    Failure::new(FailureClass::ServerError, "502 Bad Gateway")
}

pub(crate) fn facts() -> RunnerFacts {
    RunnerFacts {
        id: 1,
        tags: BTreeSet::new(),
        run_untagged: true,
        protected_only: false,
        paused: false,
        scope: Scope::Everything,
        token_end: None,
    }
}

pub(crate) fn place(zone: &str) -> Place {
    Place {
        instance_type: InstanceType::new("c8g.large"),
        zone: Zone::new(zone),
        subnet: SubnetId::new(format!("subnet-{zone}")),
    }
}

pub(crate) fn plan() -> LaunchPlan {
    LaunchPlan {
        config: ConfigHash::new("c1"),
        template: TemplateName::new("runner-fleet-ci-graviton-c1"),
        places: vec![place("a"), place("b")],
    }
}

/// A worker that serves and runs these jobs.
pub(crate) fn serving(jobs: u32) -> Report {
    Report {
        phase: Phase::Ready,
        runner: RunnerState::Serving,
        jobs_by_metrics: jobs,
        jobs_by_docker: 0,
        job_ids: BTreeSet::new(),
        projects: std::collections::BTreeMap::new(),
        open_requests: u32::from(jobs == 0),
        jobs_started: u64::from(jobs),
        idle_seconds: 0,
        queue_size: None,
        disk_free_mib: None,
        unfit: None,
        interruption: None,
        rebalance: false,
        ecr_error: None,
    }
}

pub(crate) struct TestBench {
    pub(crate) engine: Engine,
    pub(crate) started_at: Timestamp,
    pub(crate) now: Timestamp,
    pub(crate) instances: Vec<Instance>,
    /// What the engine commanded as soon as it knew enough: idle slots do not wait for the queue.
    pub(crate) opening: Vec<Command>,
    laws: Laws,
    launched: u32,
}

impl TestBench {
    /// An engine that has been told its settings, and whose first listings are good.
    pub(crate) fn with(runners: Vec<RunnerSettings>) -> Self {
        Self::adopting(runners, Vec::new())
    }

    /// The same, with another ceiling over all runners.
    pub(crate) fn with_concurrent(runners: Vec<RunnerSettings>, concurrent: u32) -> Self {
        Self::told(Settings { concurrent, ..settings(runners) }, Vec::new())
    }

    /// The same, with these instances there at the start.
    pub(crate) fn adopting(runners: Vec<RunnerSettings>, instances: Vec<Instance>) -> Self {
        Self::told(settings(runners), instances)
    }

    /// The same, after a restart: the engine is told these events before anything else.
    pub(crate) fn restarted(runners: Vec<RunnerSettings>, instances: Vec<Instance>, events: Vec<Event>) -> Self {
        Self::told_after(events, settings(runners), instances)
    }

    fn told(settings: Settings, instances: Vec<Instance>) -> Self {
        Self::told_after(Vec::new(), settings, instances)
    }

    fn told_after(events: Vec<Event>, settings: Settings, instances: Vec<Instance>) -> Self {
        let now = Timestamp::from_second(1_000_000).unwrap();
        let engine = Engine::new("ci", 7, now);
        let mut bench =
            Self { engine, started_at: now, now, instances, opening: Vec::new(), laws: Laws::new(), launched: 0 };
        let names: Vec<RunnerName> = settings.runners.iter().map(|runner| runner.name.clone()).collect();
        bench.step(events);
        bench.step(vec![Event::Configured(settings)]);
        for runner in names {
            bench.step(vec![
                Event::Runner { runner: runner.clone(), facts: Ok(facts()) },
                Event::LaunchPlan { runner, plan: Ok(plan()) },
            ]);
        }
        bench.list();
        bench.pass(6);
        bench.opening = bench.list();
        bench
    }

    /// One step at the present.
    pub(crate) fn step(&mut self, events: Vec<Event>) -> Vec<Command> {
        events.iter().for_each(|event| self.laws.observe(self.now, event));
        let commands = self.engine.step(self.now, events);
        let broken = self.laws.judge(self.now, &commands);
        assert!(broken.is_empty(), "{broken:?}\n{commands:#?}");
        commands
    }

    /// Lets time pass without a word.
    pub(crate) fn pass(&mut self, seconds: u64) {
        self.now = self.now.saturating_add(Duration::from_secs(seconds)).unwrap();
    }

    /// EC2 lists all instances of the bench, as of now.
    pub(crate) fn list(&mut self) -> Vec<Command> {
        let listing = Ok(self.instances.clone());
        self.step(vec![Event::Instances { asked_at: self.now, listing }])
    }

    /// GitLab shows these jobs as waiting, as of now.
    pub(crate) fn queue(&mut self, ids: &[u64]) -> Vec<Command> {
        self.queue_of(ids.iter().map(|id| self.job(*id)).collect())
    }

    /// The same, of jobs with a past.
    pub(crate) fn queue_of(&mut self, jobs: Vec<PendingJob>) -> Vec<Command> {
        let snapshot = Ok(QueueSnapshot { as_of: self.now, jobs, complete: true, blind: 0 });
        self.step(vec![Event::Queue { server: Server::new(SERVER), snapshot }])
    }

    pub(crate) fn job(&self, id: u64) -> PendingJob {
        PendingJob {
            id: JobId(id),
            project: ProjectId(1),
            project_path: None,
            name: format!("job {id}"),
            tags: BTreeSet::new(),
            protected: None,
            offered_to: None,
            queued_at: self.now,
            seen_at: self.now,
        }
    }

    /// EC2 gives all that the launch asks for.
    pub(crate) fn grant(&mut self, launch: &Launch) -> Vec<WorkerId> {
        let workers: Vec<LaunchedWorker> = (0..launch.count)
            .map(|_| {
                self.launched += 1;
                let offering = &launch.offerings[0];
                LaunchedWorker {
                    id: WorkerId::new(format!("i-{:04}", self.launched)),
                    instance_type: offering.instance_type.clone(),
                    zone: offering.zone.clone(),
                    market: offering.market,
                }
            })
            .collect();
        let ids: Vec<WorkerId> = workers.iter().map(|worker| worker.id.clone()).collect();
        for id in &ids {
            let instance = self.instance(id.as_str());
            self.instances.push(Instance {
                runner: launch.runner.clone(),
                launch: Some(launch.token.clone()),
                config: launch.config.clone(),
                ..instance
            });
        }
        let answer = LaunchAnswer { launched: workers, errors: Vec::new(), leftover: Leftover::None };
        self.step(vec![Event::Launched { token: launch.token.clone(), answer }]);
        ids
    }

    pub(crate) fn instance(&self, id: &str) -> Instance {
        Instance {
            id: WorkerId::new(id),
            runner: RunnerName::new(RUNNER),
            config: ConfigHash::new("c1"),
            launch: None,
            state: InstanceState::Running,
            state_reason: None,
            launched_at: self.now,
            ended_at: None,
            instance_type: InstanceType::new("c8g.large"),
            zone: Zone::new("a"),
            market: Market::Spot,
            address: Some([172, 31, 0, 9].into()),
            hold: false,
            health: Health::Ok,
        }
    }

    /// A worker reports.
    pub(crate) fn report(&mut self, worker: &WorkerId, report: Report) -> Vec<Command> {
        let event = WorkerEvent::Report(Box::new(report));
        self.step(vec![Event::Worker { worker: worker.clone(), event }])
    }

    /// A bench whose runner has launched three workers for three jobs, none of which anybody can reach.
    pub(crate) fn with_three_out_of_reach() -> Self {
        let mut bench = Self::with(vec![RunnerSettings { max_workers: 3, ..runner() }]);
        let launch = launches(&bench.queue(&[1, 2, 3])).remove(0);
        let workers = bench.grant(&launch);
        bench.list();
        for worker in workers {
            let failure =
                ConnectionFailure::Unreachable("cannot connect to 172.31.0.9:22: No route to host".to_owned());
            bench.step(vec![Event::Worker { worker, event: WorkerEvent::Disconnected(failure) }]);
        }
        bench
    }

    /// As many workers as jobs, launched, listed and serving without a job.
    pub(crate) fn with_ready_workers(&mut self, count: u64) -> Vec<WorkerId> {
        let jobs: Vec<u64> = (1..=count).collect();
        let commands = self.queue(&jobs);
        let ids: Vec<WorkerId> = launches(&commands).into_iter().flat_map(|launch| self.grant(&launch)).collect();
        self.list();
        for id in &ids {
            self.report(id, serving(0));
        }
        ids
    }
}

/// The launches among the commands.
pub(crate) fn launches(commands: &[Command]) -> Vec<Launch> {
    commands
        .iter()
        .filter_map(|command| match command {
            Command::Launch(launch) => Some(launch.clone()),
            _ => None,
        })
        .collect()
}

/// What is done to workers, as words: `fence i-0001`.
pub(crate) fn words(commands: &[Command]) -> Vec<String> {
    commands
        .iter()
        .flat_map(|command| match command {
            Command::Want { worker, want: Want::Serve } => vec![format!("unfence {worker}")],
            Command::Want { worker, want } => vec![format!("{} {worker}", <&str>::from(want))],
            Command::Terminate(all) => all.iter().map(|one| format!("terminate {}", one.worker)).collect(),
            Command::Launch(launch) => vec![format!("launch {} {}", launch.count, launch.market)],
            Command::ListInstances { .. }
            | Command::Connect { .. }
            | Command::Disconnect { .. }
            | Command::Forget { .. }
            | Command::LookForJobs { .. }
            | Command::Retry { .. } => Vec::new(),
        })
        .collect()
}

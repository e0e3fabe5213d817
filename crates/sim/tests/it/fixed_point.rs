//! Fixed point: carry out every command perfectly and look again, and there is nothing left to do, whatever the fleet
//! looked like at first. An engine that does not come to rest here would launch and retire for ever.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use runner_fleet_engine::{
    Command, ConfigHash, Event, IdleCount, IdlePolicy, Instance, InstanceState, LaunchAnswer, LaunchPlan,
    LaunchedWorker, Leftover, QueueSnapshot, Report, RunnerName, RunnerSettings, RunnerState, Server, Want,
    WorkerEvent, WorkerId,
};

use super::bench::{SERVER, TestBench, plan, runner, serving};

/// Rounds after which everybody must be at rest: a drifted worker takes four (fence, stop, terminate, replace), and they
/// roll one at a time.
const ROUNDS_PER_WORKER: usize = 6;

/// How a worker is found at first.
#[derive(Clone, Copy, Debug)]
enum Found {
    Idle,
    IdleForLong,
    Busy,
    Fenced,
    FencedAndBusy,
    Stopped,
    Drifted,
    DriftedAndBusy,
    Interrupted,
    Held,
}

fn found() -> impl Strategy<Value = Found> {
    prop::sample::select(vec![
        Found::Idle,
        Found::IdleForLong,
        Found::Busy,
        Found::Fenced,
        Found::FencedAndBusy,
        Found::Stopped,
        Found::Drifted,
        Found::DriftedAndBusy,
        Found::Interrupted,
        Found::Held,
    ])
}

fn report(found: Found, capacity: u32, now: jiff::Timestamp) -> Report {
    let idle = Report { idle_seconds: 30, ..serving(0) };
    match found {
        Found::Idle | Found::Drifted => idle,
        Found::IdleForLong | Found::Held => Report { idle_seconds: 4_000, ..idle },
        Found::Busy | Found::DriftedAndBusy => serving(capacity),
        Found::Fenced => Report { runner: RunnerState::Fenced, open_requests: 0, ..idle },
        Found::FencedAndBusy => Report { runner: RunnerState::Fenced, ..serving(1) },
        Found::Stopped => Report { runner: RunnerState::Stopped, open_requests: 0, ..idle },
        Found::Interrupted => Report { interruption: now.saturating_add(Duration::from_secs(60)).ok(), ..serving(0) },
    }
}

/// A bench on which every command comes true at once.
struct Perfect {
    bench: TestBench,
    reports: BTreeMap<WorkerId, Report>,
    jobs: Vec<u64>,
    launched: u32,
}

impl Perfect {
    /// Looks at everything once; the commands that came of it, without the mere questions.
    fn round(&mut self) -> Vec<Command> {
        self.bench.pass(3);
        let now = self.bench.now;
        let jobs = self.jobs.iter().map(|id| self.bench.job(*id)).collect();
        let snapshot = Ok(QueueSnapshot { as_of: now, jobs, complete: true, blind: 0 });
        let mut events = vec![
            Event::Instances { asked_at: now, listing: Ok(self.bench.instances.clone()) },
            Event::Queue { server: Server::new(SERVER), snapshot },
        ];
        let connections = self.reports.iter().map(|(worker, report)| Event::Worker {
            worker: worker.clone(),
            event: WorkerEvent::Report(Box::new(report.clone())),
        });
        events.extend(connections);
        let asks = |command: &Command| matches!(command, Command::ListInstances { .. } | Command::Connect { .. });
        self.bench.step(events).into_iter().filter(|command| !asks(command)).collect()
    }

    fn carry_out(&mut self, command: Command) {
        match command {
            Command::Launch(launch) => {
                let mut named = Vec::new();
                for _ in 0..launch.count {
                    self.launched += 1;
                    let id = format!("i-new-{}", self.launched);
                    let instance = self.bench.instance(&id);
                    let offering = &launch.offerings[0];
                    named.push(LaunchedWorker {
                        id: instance.id.clone(),
                        instance_type: offering.instance_type.clone(),
                        zone: offering.zone.clone(),
                        market: offering.market,
                    });
                    self.reports.insert(instance.id.clone(), serving(0));
                    self.bench.instances.push(Instance {
                        runner: launch.runner.clone(),
                        config: launch.config.clone(),
                        launch: Some(launch.token.clone()),
                        market: offering.market,
                        ..instance
                    });
                }
                let answer = LaunchAnswer { launched: named, errors: Vec::new(), leftover: Leftover::None };
                let more = self.bench.step(vec![Event::Launched { token: launch.token, answer }]);
                more.into_iter().for_each(|command| self.carry_out(command));
            }
            Command::Want { worker, want: Want::Fence { .. } } => self.turns(&worker, RunnerState::Fenced),
            Command::Want { worker, want: Want::Serve } => self.turns(&worker, RunnerState::Serving),
            Command::Want { worker, want: Want::Stop { .. } | Want::HardStop { .. } } => {
                self.turns(&worker, RunnerState::Stopped)
            }
            Command::Terminate(all) => {
                for one in all {
                    self.reports.remove(&one.worker);
                    let ended = self.bench.instances.iter_mut().filter(|instance| instance.id == one.worker);
                    ended.for_each(|instance| instance.state = InstanceState::Terminated);
                }
            }
            Command::Forget { worker, .. } => {
                let more = self.bench.step(vec![Event::Forgotten { worker, outcome: Ok(()) }]);
                more.into_iter().for_each(|command| self.carry_out(command));
            }
            Command::ListInstances { .. }
            | Command::Connect { .. }
            | Command::Disconnect { .. }
            | Command::LookForJobs { .. }
            | Command::Retry { .. } => {}
        }
    }

    fn turns(&mut self, worker: &WorkerId, state: RunnerState) {
        if let Some(report) = self.reports.get_mut(worker) {
            report.runner = state;
            report.open_requests = u32::from(state == RunnerState::Serving);
        }
    }
}

fn rest(settings: RunnerSettings, concurrent: u32, workers: &[Found], jobs: u64) -> Result<(), TestCaseError> {
    let mut bench = TestBench::with_concurrent(vec![settings.clone()], concurrent);
    let new = LaunchPlan { config: ConfigHash::new("c2"), ..plan() };
    let opening = std::mem::take(&mut bench.opening);
    let mut perfect = Perfect { bench, reports: BTreeMap::new(), jobs: (1..=jobs).collect(), launched: 0 };
    opening.into_iter().for_each(|command| perfect.carry_out(command));
    for (index, found) in workers.iter().enumerate() {
        let instance = perfect.bench.instance(&format!("i-old-{index}"));
        let drifted = matches!(found, Found::Drifted | Found::DriftedAndBusy);
        let config = ConfigHash::new(if drifted { "c1" } else { "c2" });
        let held = matches!(found, Found::Held);
        perfect.reports.insert(instance.id.clone(), report(*found, settings.capacity, perfect.bench.now));
        perfect.bench.instances.push(Instance { config, hold: held, ..instance });
    }
    let plan = Event::LaunchPlan { runner: RunnerName::new(settings.name.as_str()), plan: Ok(new) };
    let first = perfect.bench.step(vec![plan]);
    first.into_iter().for_each(|command| perfect.carry_out(command));

    let rounds = (workers.len() + 12) * ROUNDS_PER_WORKER;
    let mut quiet = 0;
    let mut last = Vec::new();
    for _ in 0..rounds {
        last = perfect.round();
        quiet = if last.is_empty() { quiet + 1 } else { 0 };
        // Row deletions go five at a time, and a drain that was begun in one step is told in the next.
        if quiet == 4 {
            return Ok(());
        }
        last.clone().into_iter().for_each(|command| perfect.carry_out(command));
    }
    Err(TestCaseError::fail(format!("no rest after {rounds} rounds; the last step said {last:#?}")))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    #[test]
    fn a_plan_that_came_true_leaves_nothing_to_do(
        workers in prop::collection::vec(found(), 0..10),
        jobs in 0_u64..12,
        capacity in 1_u32..4,
        max_workers in 1_u32..10,
        concurrent in 1_u32..24,
        limit in 0_u32..8,
        idle in 0_u32..4,
    ) {
        let idle = IdlePolicy { count: IdleCount::Fixed(idle), ..runner().idle };
        rest(RunnerSettings { capacity, max_workers, limit, idle, ..runner() }, concurrent, &workers, jobs)?;
    }
}

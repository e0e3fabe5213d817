//! A job that GitLab does not hand out: two workers that ask must have left it alone.

use runner_fleet_engine::snapshot::DecisionKind;
use runner_fleet_engine::{Command, DrainReason, JobId, Report, RunnerState, Want, WorkerId};

use super::bench::{TestBench, runner, serving};

/// Workers that say this while job 7 waits, and what comes of it.
struct Waiting {
    bench: TestBench,
    workers: Vec<WorkerId>,
}

impl Waiting {
    fn beside(count: u64) -> Self {
        let mut bench = TestBench::with(vec![runner()]);
        let workers = bench.with_ready_workers(count);
        Self { bench, workers }
    }

    fn for_seconds(&mut self, seconds: u64, report: &dyn Fn(u64) -> Report) -> Vec<Command> {
        let mut commands = Vec::new();
        let queued_at = self.bench.now;
        for passed in 1..=seconds / 5 {
            self.bench.pass(5);
            commands.extend(self.bench.list());
            for worker in self.workers.clone() {
                commands.extend(self.bench.report(&worker, report(passed * 5)));
            }
            let job = runner_fleet_engine::PendingJob { queued_at, ..self.bench.job(7) };
            commands.extend(self.bench.queue_of(vec![job]));
        }
        commands
    }

    fn is_quarantined(&self) -> bool {
        let decisions = self.bench.engine.snapshot().decisions;
        decisions.iter().any(|decision| decision.kind == DecisionKind::JobQuarantined)
    }
}

fn idle(seconds: u64) -> Report {
    Report { idle_seconds: seconds, ..serving(0) }
}

fn fences(commands: &[Command]) -> Vec<DrainReason> {
    let fence = |command: &Command| match command {
        Command::Want { want: Want::Fence { reason }, .. } => Some(reason.clone()),
        _ => None,
    };
    commands.iter().filter_map(fence).collect()
}

#[test]
fn two_workers_that_ask_are_witnesses_enough() {
    let mut waiting = Waiting::beside(2);
    assert_eq!(fences(&waiting.for_seconds(115, &idle)), []);
    assert!(!waiting.is_quarantined(), "two long polls are not over");
    assert_eq!(fences(&waiting.for_seconds(10, &|passed| idle(115 + passed))), []);
    assert!(waiting.is_quarantined());
}

#[test]
fn a_single_witness_is_replaced_and_the_next_one_decides() {
    let mut waiting = Waiting::beside(1);
    let commands = waiting.for_seconds(125, &idle);
    assert_eq!(fences(&commands), [DrainReason::TakesNothing { job: JobId(7) }]);
    assert!(!waiting.is_quarantined(), "one worker's word keeps no job from others");
    let launch = super::bench::launches(&commands).pop().expect("another worker for the job");
    let second = waiting.bench.grant(&launch);
    let fenced = Report { runner: RunnerState::Fenced, open_requests: 1, ..serving(0) };
    let first = std::mem::replace(&mut waiting.workers, second);
    waiting.bench.report(&first[0], fenced);
    assert_eq!(fences(&waiting.for_seconds(130, &idle)), []);
    assert!(waiting.is_quarantined());
}

#[test]
fn who_does_not_ask_is_no_witness() {
    let mut waiting = Waiting::beside(2);
    let deaf = |passed| Report { open_requests: 0, ..idle(passed) };
    assert_eq!(fences(&waiting.for_seconds(240, &deaf)), []);
    assert!(!waiting.is_quarantined());
}

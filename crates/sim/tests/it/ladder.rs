//! Obedience has a deadline: each rung of the ladder, a second before and after, for workers that show no job.

use runner_fleet_engine::snapshot::DecisionKind;
use runner_fleet_engine::{Command, EndReason, Event, OperatorRequest, Report, RunnerSettings, RunnerState, WorkerId};

use super::bench::{TestBench, runner, serving, words};

fn fenced(jobs: u32, open_requests: u32) -> Report {
    Report { runner: RunnerState::Fenced, open_requests, idle_seconds: 400, ..serving(jobs) }
}

fn stopping(jobs: u32) -> Report {
    Report { runner: RunnerState::Stopping, ..fenced(jobs, 0) }
}

/// A worker that an operator has drained.
struct Drained {
    bench: TestBench,
    worker: WorkerId,
}

impl Drained {
    fn from(section: RunnerSettings) -> Self {
        let mut bench = TestBench::with(vec![section]);
        let worker = bench.with_ready_workers(1).remove(0);
        let mut drained = Self { bench, worker };
        assert_eq!(drained.drain(false), ["fence"]);
        drained
    }

    fn drain(&mut self, force: bool) -> Vec<String> {
        let request = OperatorRequest::Drain { workers: vec![self.worker.clone()], force };
        self.verbs(|bench| bench.step(vec![Event::Operator(request)]))
    }

    /// What it is told when it says this, so many seconds later.
    fn says(&mut self, seconds: u64, report: &Report) -> Vec<String> {
        self.bench.pass(seconds);
        let worker = self.worker.clone();
        self.verbs(|bench| {
            let mut commands = bench.list();
            commands.extend(bench.report(&worker, report.clone()));
            commands
        })
    }

    fn verbs(&mut self, act: impl FnOnce(&mut TestBench) -> Vec<Command>) -> Vec<String> {
        let of_it = format!(" {}", self.worker);
        let words = words(&act(&mut self.bench));
        words.into_iter().filter_map(|word| Some(word.strip_suffix(&of_it)?.to_owned())).collect()
    }

    /// It says this from now on: nothing comes of it before so many seconds, and then this.
    fn is_told_after(&mut self, seconds: u64, report: &Report, verb: &str) {
        let (whole, rest) = (seconds / 15, seconds % 15);
        let (whole, rest) = if rest == 0 { (whole - 1, 15) } else { (whole, rest) };
        for step in 0..whole {
            assert_eq!(self.says(15, report), [""; 0], "{} s before {verb} is due", seconds - 15 * (step + 1));
        }
        assert_eq!(self.says(rest - 1, report), [""; 0], "a second before {verb} is due");
        assert_eq!(self.says(1, report), [verb]);
    }

    /// The reason of the termination that it says this leads to, `seconds` later.
    fn ends_for(&mut self, seconds: u64, report: &Report) -> EndReason {
        self.bench.pass(seconds);
        self.bench.list();
        let commands = self.bench.report(&self.worker, report.clone());
        let ends = commands.into_iter().find_map(|command| match command {
            Command::Terminate(mut all) => Some(all.remove(0).reason),
            _ => None,
        });
        ends.expect("a termination")
    }
}

#[test]
fn a_fence_that_fails_leads_to_a_hard_stop_even_with_a_job() {
    for jobs in [0, 1] {
        let mut drained = Drained::from(runner());
        drained.is_told_after(120, &serving(jobs), "hard-stop");
    }
}

#[test]
fn a_request_that_stays_open_leads_to_a_hard_stop() {
    for (max_jobs, patience) in [(0, 180), (1, 300)] {
        let mut drained = Drained::from(RunnerSettings { max_jobs, ..runner() });
        assert_eq!(drained.says(1, &fenced(0, 1)), [""; 0]);
        drained.is_told_after(patience, &fenced(0, 1), "hard-stop");
    }
}

#[test]
fn a_request_that_brought_a_job_has_its_time_anew() {
    let mut drained = Drained::from(runner());
    drained.says(1, &fenced(0, 1));
    (0..11).for_each(|_| assert_eq!(drained.says(15, &fenced(0, 1)), [""; 0]));
    assert_eq!(drained.says(14, &fenced(1, 0)), [""; 0]);
    assert_eq!(drained.says(1, &fenced(0, 1)), [""; 0]);
    drained.is_told_after(180, &fenced(0, 1), "hard-stop");
}

#[test]
fn a_stop_without_effect_leads_to_a_hard_stop() {
    let mut drained = Drained::from(runner());
    assert_eq!(drained.says(1, &fenced(0, 0)), ["stop"]);
    drained.is_told_after(120, &fenced(0, 0), "hard-stop");
}

#[test]
fn a_runner_that_says_it_stops_and_does_not_is_terminated() {
    let mut drained = Drained::from(runner());
    assert_eq!(drained.says(1, &fenced(0, 0)), ["stop"]);
    assert_eq!(drained.says(1, &stopping(0)), [""; 0]);
    drained.is_told_after(120, &stopping(0), "terminate");
    assert!((0..3).all(|_| drained.says(15, &stopping(0)).is_empty()), "EC2 is given a minute");
    assert_eq!(drained.says(15, &stopping(0)), ["terminate"]);
}

#[test]
fn a_hard_stop_without_effect_ends_in_a_termination() {
    for report in [serving(0), fenced(0, 0), fenced(0, 1), stopping(0)] {
        let mut drained = Drained::from(runner());
        drained.is_told_after(120, &serving(0), "hard-stop");
        drained.is_told_after(140, &report, "terminate");
    }
}

#[test]
fn the_reason_of_the_end_is_what_was_not_done() {
    let mut drained = Drained::from(runner());
    drained.is_told_after(120, &serving(0), "hard-stop");
    let stopped = Report { runner: RunnerState::Stopped, open_requests: 0, ..serving(0) };
    assert_eq!(drained.ends_for(1, &stopped).to_string(), "told to take no more jobs 2m ago, and its runner goes on");
}

#[test]
fn no_rung_ends_a_worker_that_shows_a_job() {
    for report in [fenced(1, 0), stopping(1)] {
        let mut drained = Drained::from(runner());
        drained.says(1, &fenced(0, 0));
        (0..120).for_each(|_| assert_eq!(drained.says(15, &report), [""; 0]));
    }
    let mut drained = Drained::from(runner());
    drained.is_told_after(120, &serving(1), "hard-stop");
    (0..120).for_each(|_| assert_eq!(drained.says(15, &stopping(1)), [""; 0]));
    assert_eq!(drained.says(1, &stopping(0)), [""; 0]);
    drained.is_told_after(140, &stopping(0), "terminate");
}

#[test]
fn time_in_which_it_was_not_heard_does_not_count() {
    let mut drained = Drained::from(runner());
    assert_eq!(drained.says(1, &fenced(0, 0)), ["stop"]);
    (0..7).for_each(|_| assert_eq!(drained.says(15, &fenced(0, 0)), [""; 0]));
    (0..60).for_each(|_| {
        drained.bench.pass(15);
        drained.bench.list();
    });
    assert_eq!(drained.says(1, &fenced(0, 0)), [""; 0], "it was silent for a quarter of an hour");
    drained.is_told_after(120, &fenced(0, 0), "hard-stop");
}

#[test]
fn a_second_drain_goes_on_where_the_first_one_is() {
    let mut drained = Drained::from(runner());
    assert_eq!(drained.says(1, &fenced(0, 0)), ["stop"]);
    (0..7).for_each(|_| assert_eq!(drained.says(15, &fenced(0, 0)), [""; 0]));
    assert_eq!(drained.drain(false), [""; 0]);
    assert_eq!(drained.says(15, &fenced(0, 0)), ["hard-stop"], "two minutes after the first word to stop");
    assert_eq!(drained.drain(false), [""; 0]);
    assert_eq!(drained.drain(true), ["terminate"], "an operator need not wait");
}

#[test]
fn an_end_that_ec2_does_not_carry_out_is_told_once() {
    let mut drained = Drained::from(runner());
    assert_eq!(drained.drain(true), ["terminate"]);
    let told = |drained: &Drained| {
        let decisions = drained.bench.engine.snapshot().decisions;
        decisions.iter().filter(|decision| decision.kind == DecisionKind::TerminateFailed).count()
    };
    let mut asked = 0;
    for _ in 0..39 {
        asked += drained.says(15, &serving(0)).len();
    }
    assert_eq!((asked, told(&drained)), (9, 0), "asked for once a minute");
    drained.says(15, &serving(0));
    assert_eq!(told(&drained), 1, "after ten minutes");
    (0..100).for_each(|_| drop(drained.says(15, &serving(0))));
    assert_eq!(told(&drained), 1);
}

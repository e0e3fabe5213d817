//! A worker on which jobs would fail says so, and takes no more of them.

use std::io::{BufRead, BufReader, Lines};
use std::process::{Child, ChildStdout};

use runner_fleet_engine::{Report, RunnerState, Unfit};
use runner_fleet_worker::agent::AgentExit;
use runner_fleet_worker::parse_line;

use super::machine::{Machine, on_each_shell};
use super::specs::{minimal, worker};

/// `agent watch`, until it is dropped.
struct Watch {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Watch {
    fn of(machine: &Machine) -> Self {
        let mut child = machine.agent_command(&["watch"]).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, lines }
    }

    /// The next line of which this is so.
    fn until(&mut self, is_so: impl Fn(&Report) -> bool) -> Report {
        let report = |line: std::io::Result<String>| parse_line(line.unwrap().as_bytes(), &worker()).unwrap();
        self.lines.by_ref().map(report).find(is_so).expect("such a line")
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _ = self.child.wait();
    }
}

fn is_fenced(machine: &Machine) -> bool {
    machine.read("/run/runner-fleet/draining").starts_with("unfit ")
}

/// A worker with this disk, whose runner asks no more once it is fenced.
fn with_disk(machine: &Machine, mib: (u64, u64), inodes: (u64, u64)) {
    machine.serving();
    machine.docker(&[]);
    machine.disk(mib, inodes);
}

/// The report after the fence was taken up, and the worker has been empty for a while.
fn emptied(machine: &Machine) -> Report {
    machine.report();
    machine.metrics(0, 0, 0, 2);
    machine.set_uptime(300);
    machine.report();
    machine.set_uptime(304);
    machine.report()
}

#[test]
fn a_disk_that_stays_nearly_full_is_unfit() {
    let disks = [
        ((5_119, 100_000), (3_000_000, 6_000_000), Some(Unfit::Disk)),
        ((5_120, 100_000), (3_000_000, 6_000_000), None),
        ((900, 8_000), (400_000, 500_000), None),
        ((700, 8_000), (400_000, 500_000), Some(Unfit::Disk)),
        ((50_000, 100_000), (249_999, 6_000_000), Some(Unfit::Inodes)),
        ((50_000, 100_000), (40_000, 500_000), None),
        ((50_000, 100_000), (0, 0), None),
    ];
    for (mib, inodes, unfit) in disks {
        on_each_shell(&minimal(), |machine| {
            with_disk(machine, mib, inodes);
            let report = machine.report();
            assert_eq!((report.unfit, report.disk_free_mib), (None, Some(mib.0)), "it is cleaned first");
            assert_eq!(emptied(machine).unfit, unfit, "{mib:?} {inodes:?}");
            assert_eq!(is_fenced(machine), unfit.is_some());
            assert_eq!(machine.posted().contains("/images/prune"), unfit.is_some());
        });
    }
}

#[test]
fn a_disk_is_cleaned_when_no_job_can_come() {
    on_each_shell(&minimal(), |machine| {
        with_disk(machine, (1_000, 100_000), (1, 1));
        machine.report();
        assert_eq!(machine.report().runner, RunnerState::Serving, "the fence is on its way");
        machine.metrics(1, 0, 1, 2);
        machine.set_uptime(300);
        assert_eq!(machine.report().runner, RunnerState::Fenced);
        let (code, text) = machine.agent_with(&["unfence"], b"");
        assert_eq!(AgentExit::of(code.unsigned_abs()), AgentExit::Busy, "{text}");
        assert_eq!(machine.posted(), "", "a job runs");

        machine.disk((60_000, 100_000), (1, 1)); // as its end frees much
        machine.report();
        assert!(!machine.exists("/run/runner-fleet/draining"), "there is nothing to be done any more");
        assert_eq!(machine.posted(), "");
    });
}

#[test]
fn a_disk_that_fills_again_within_the_hour_is_unfit() {
    on_each_shell(&minimal(), |machine| {
        with_disk(machine, (1_000, 100_000), (1, 1));
        machine.write("/run/runner-fleet/cleaned", "150\n");
        machine.set_uptime(3_749);
        assert_eq!(machine.report().unfit, Some(Unfit::Disk));
        assert_eq!(machine.posted(), "");
    });
}

#[test]
fn once_unfit_it_stays_so_and_takes_no_job_again() {
    on_each_shell(&minimal(), |machine| {
        with_disk(machine, (1, 100_000), (1, 1));
        emptied(machine);
        machine.disk((50_000, 100_000), (1, 1));
        assert_eq!(machine.report().unfit, Some(Unfit::Disk));
        let (code, text) = machine.agent_with(&["unfence"], b"");
        assert_eq!(AgentExit::of(code.unsigned_abs()), AgentExit::Ending, "{text}");
    });
}

#[test]
fn a_booting_worker_is_not_judged() {
    on_each_shell(&minimal(), |machine| {
        machine.write("/run/runner-fleet/phase", "booting installing docker\n");
        machine.disk((1, 100_000), (1, 1));
        assert_eq!(machine.report().unfit, None);
    });
}

#[test]
fn a_docker_that_is_silent_for_a_minute_is_unfit() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.docker(&[]);
        let mut watch = Watch::of(machine);
        watch.until(|_| true);
        machine.no_page("/containers/json");
        machine.set_uptime(290);
        assert_eq!(watch.until(|report| report.idle_seconds >= 90).unfit, None, "it answers a ping");
        machine.no_page("/_ping");
        machine.set_uptime(340);
        assert_eq!(watch.until(|report| report.idle_seconds >= 140).unfit, None, "silent for 50 s");
        machine.set_uptime(360);
        assert_eq!(watch.until(|report| report.unfit.is_some()).unfit, Some(Unfit::Docker));
        assert!(is_fenced(machine));
    });
}

#[test]
fn three_jobs_in_a_row_that_the_runner_fails_are_unfit() {
    on_each_shell(&minimal(), |machine| {
        machine.serving();
        machine.failed_jobs(0, 0, 0);
        assert_eq!(machine.report().unfit, None);
        for (started, by_runner, by_script) in [(1, 1, 0), (2, 2, 0), (3, 2, 1), (4, 3, 1), (5, 4, 1), (6, 4, 1)] {
            machine.failed_jobs(started, by_runner, by_script);
            assert_eq!(machine.report().unfit, None, "{started} {by_runner} {by_script}");
        }
        for failures in [5, 6] {
            machine.failed_jobs(failures + 2, failures, 1);
            assert_eq!(machine.report().unfit, None);
        }
        machine.failed_jobs(9, 7, 1);
        assert_eq!(machine.report().unfit, Some(Unfit::SystemFailures));
        assert!(is_fenced(machine));
    });
}

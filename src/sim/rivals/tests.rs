//! Tiny scenarios, computed by hand from the sources' rules: boots take no time, so that only the rules do.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{DockerAutoscaler, DockerMachine};
use crate::sim::assumptions::Assumptions;
use crate::sim::configured::{Setting, setting};
use crate::sim::tape::{Fate, Tape};
use crate::sim::workloads::{Workload, WorkloadJob};

const SECOND: Duration = Duration::from_secs(1);

/// Machines are there 64 s after docker+machine creates them, and 13 s after the group is asked.
fn assumed() -> Assumptions {
    Assumptions {
        boot: Duration::ZERO,
        interruptions_per_hour: 0.0,
        no_capacity: 0.0,
        group_delay: (SECOND * 10, SECOND * 10),
        group_ready: (SECOND * 3, SECOND * 3),
        ..Assumptions::default()
    }
}

/// Jobs of 100 s, queued at these seconds.
fn jobs(seconds: &[i64]) -> Setting {
    let job = |second: &i64| WorkloadJob {
        queued_at: Timestamp::from_second(*second).unwrap(),
        takes: SECOND * 100,
        tags: std::collections::BTreeSet::new(),
        project: "p".into(),
    };
    let workload = Workload { name: "tiny".into(), jobs: seconds.iter().map(job).collect(), notes: Vec::new() };
    let config = crate::config::parse(include_str!("../../../config/workloads/runner.toml"), "runner.toml").unwrap();
    setting(&config.config, &workload, &BTreeMap::new(), &assumed(), 1)
}

fn machine(idle_count: u32) -> DockerMachine {
    DockerMachine { idle_count, idle_time: SECOND * 60, limit: 0, concurrent: 100, max_builds: 0 }
}

fn autoscaler(idle_count: u32) -> DockerAutoscaler {
    DockerAutoscaler { idle_count, idle_time: SECOND * 60, capacity: 1, max_instances: 0, concurrent: 100 }
}

fn waits(tape: &Tape) -> Vec<f64> {
    tape.jobs.iter().map(|job| job.wait().unwrap().as_secs_f64()).collect()
}

fn assert_between(value: f64, least: f64, most: f64) {
    assert!((least..=most).contains(&value), "{value} is not from {least} to {most}");
}

fn ended_at(tape: &Tape, machine: usize) -> f64 {
    tape.machines[machine].ended_at.unwrap().as_second() as f64
}

#[test]
fn docker_machine_asks_for_no_job_before_an_idle_machine_is_there() {
    let tape = machine(1).run(&jobs(&[0]), &assumed(), 1);

    // Created in the first pass; ready at 64 s; the feeder comes every 3 s, so at 66 s; 2 s of docker-machine processes.
    assert_between(waits(&tape)[0], 68.0, 68.4);
    // The pass after the job was taken sees no available machine, and makes the next.
    assert_eq!(tape.machines.len(), 2);
}

#[test]
fn docker_machine_without_idle_machines_takes_the_job_and_makes_one_for_it() {
    let tape = machine(0).run(&jobs(&[0, 0, 0]), &assumed(), 1);

    for wait in waits(&tape) {
        assert_between(wait, 66.0, 67.5);
    }
    assert_eq!(tape.machines.len(), 3);
    assert!(tape.jobs.iter().all(|job| job.fate == Fate::Done));
}

#[test]
fn docker_machine_does_not_see_the_queue() {
    let tape = machine(1).run(&jobs(&[0, 0, 0]), &assumed(), 1);

    // One idle machine at a time: the second job waits for a create that began when the first was taken; the third for
    // the first machine, which is done with its job before a third machine is there.
    let waits = waits(&tape);
    assert_between(waits[1] - waits[0], 64.0, 68.0);
    assert_between(waits[2], 168.0, 176.0);
    assert_eq!(tape.jobs[2].machine, tape.jobs[0].machine);
}

#[test]
fn docker_machine_removes_in_a_pass_what_was_idle_for_too_long() {
    let tape = machine(0).run(&jobs(&[0, 600]), &assumed(), 1);

    // Begins at 66 s, done at about 167 to 171 s; idle for 60 s at 231 s at the latest; then the next pass, which an open
    // poll puts off by up to 50 s and the feeder by 3 s; 5 s until the terminate call.
    assert_between(ended_at(&tape, 0), 227.0, 295.0);
    assert_eq!(tape.machines.len(), 2);
}

#[test]
fn docker_machine_uses_a_machine_for_max_builds_jobs() {
    let policy = DockerMachine { max_builds: 1, ..machine(1) };
    let tape = policy.run(&jobs(&[0, 400]), &assumed(), 1);
    assert_ne!(tape.jobs[0].machine, tape.jobs[1].machine);
    assert_between(ended_at(&tape, 0), 168.0, 180.0);
}

#[test]
fn docker_autoscaler_reserves_before_it_asks() {
    let tape = autoscaler(1).run(&jobs(&[0]), &assumed(), 1);
    // Wanted at the start; launched after 10 s, ready after 13 s; the feeder comes at 15 s.
    assert_between(waits(&tape)[0], 15.0, 15.4);
}

#[test]
fn docker_autoscaler_grows_with_the_jobs_that_it_has_taken_and_not_with_the_queue() {
    let waits = waits(&autoscaler(1).run(&jobs(&[0, 0, 0]), &assumed(), 1));
    // The poll at 15 s reserves the only slot: one more is wanted, and ready 13 s later.
    assert_between(waits[1] - waits[0], 12.0, 17.0);
    assert!(waits[2] >= waits[1], "{waits:?}");
}

#[test]
fn docker_autoscaler_without_idle_slots_takes_the_jobs_and_waits() {
    let tape = autoscaler(0).run(&jobs(&[0, 0, 0]), &assumed(), 1);
    for wait in waits(&tape) {
        assert_between(wait, 13.0, 14.5);
    }
    assert_eq!(tape.machines.len(), 3);
}

#[test]
fn docker_autoscaler_ends_instances_that_were_idle_for_their_time() {
    let tape = autoscaler(0).run(&jobs(&[0, 600]), &assumed(), 1);
    // Begins at 13 s, done at about 114 to 119 s, idle for 60 s.
    assert_between(ended_at(&tape, 0), 173.0, 180.0);
}

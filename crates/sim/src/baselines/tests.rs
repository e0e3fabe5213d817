//! Tiny scenarios, computed by hand from the sources' rules: boots take no time, so that only the rules do.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::{docker_autoscaler, docker_machine, section_by_section};
use crate::assumptions::Assumptions;
use crate::configured::{Setting, setting};
use crate::recording::{JobOutcome, Recording};
use crate::workloads::{Workload, WorkloadJob};
use runner_fleet_engine::{IdleCount, IdleTime, RunnerName, ScheduleEntry};

const SECOND: Duration = Duration::from_secs(1);

/// Machines are there 64 s after docker+machine creates them, and 13 s after the group is asked.
fn assumed() -> Assumptions {
    Assumptions {
        boot: Duration::ZERO,
        interruptions_per_hour: 0.0,
        no_capacity: 0.0,
        held_end_empty: false,
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
    let config =
        runner_fleet_config::parse(include_str!("../../../../config/workloads/runner.toml"), "runner.toml").unwrap();
    setting(&config.config, &workload, &BTreeMap::new(), &assumed(), 1)
}

/// So many idle for a minute, and no limit but 100 jobs at one time.
fn keeping(idle_count: u32, mut setting: Setting) -> Setting {
    setting.scenario.settings.concurrent = 100;
    let runner = setting.scenario.runner_mut().unwrap();
    runner.idle.count = IdleCount::Fixed(idle_count);
    runner.idle.time = IdleTime::Fixed(SECOND * 60);
    (runner.limit, runner.max_workers, runner.max_jobs) = (0, 0, 0);
    setting
}

fn machine(idle_count: u32, seconds: &[i64]) -> Recording {
    docker_machine(&keeping(idle_count, jobs(seconds)), &assumed(), 1)
}

fn autoscaler(idle_count: u32, seconds: &[i64]) -> Recording {
    docker_autoscaler(&keeping(idle_count, jobs(seconds)), &assumed(), 1)
}

fn waits(recording: &Recording) -> Vec<f64> {
    recording.jobs.iter().map(|job| job.wait().unwrap().as_secs_f64()).collect()
}

fn assert_between(value: f64, least: f64, most: f64) {
    assert!((least..=most).contains(&value), "{value} is not from {least} to {most}");
}

fn ended_at(recording: &Recording, machine: usize) -> f64 {
    recording.machines[machine].ended_at.unwrap().as_second() as f64
}

#[test]
fn docker_machine_asks_only_with_an_idle_machine() {
    let recording = machine(1, &[0]);

    // Created in the first pass; ready at 64 s; the feeder comes every 3 s, so at 66 s; 2 s of docker-machine processes.
    assert_between(waits(&recording)[0], 68.0, 68.4);
    // The pass after the job was taken sees no available machine, and makes the next.
    assert_eq!(recording.machines.len(), 2);
}

#[test]
fn docker_machine_without_idle_makes_one_for_the_job() {
    let recording = machine(0, &[0, 0, 0]);

    for wait in waits(&recording) {
        assert_between(wait, 66.0, 67.5);
    }
    assert_eq!(recording.machines.len(), 3);
    assert!(recording.jobs.iter().all(|job| job.outcome == JobOutcome::Done));
}

#[test]
fn docker_machine_does_not_see_the_queue() {
    let recording = machine(1, &[0, 0, 0]);

    // One idle machine at a time: the second job waits for a create that began when the first was taken; the third for
    // the first machine, which is done with its job before a third machine is there.
    let waits = waits(&recording);
    assert_between(waits[1] - waits[0], 64.0, 68.0);
    assert_between(waits[2], 168.0, 176.0);
    assert_eq!(recording.jobs[2].machine, recording.jobs[0].machine);
}

#[test]
fn docker_machine_removes_in_a_pass_what_was_idle_for_too_long() {
    let recording = machine(0, &[0, 600]);

    // Begins at 66 s, done at about 167 to 171 s; idle for 60 s at 231 s at the latest; then the next pass, which an open
    // poll puts off by up to 50 s and the feeder by 3 s; 5 s until the terminate call.
    assert_between(ended_at(&recording, 0), 227.0, 295.0);
    assert_eq!(recording.machines.len(), 2);
}

#[test]
fn docker_machine_uses_a_machine_for_max_builds_jobs() {
    let mut setting = keeping(1, jobs(&[0, 400]));
    setting.scenario.runner_mut().unwrap().max_jobs = 1;
    let recording = docker_machine(&setting, &assumed(), 1);
    assert_ne!(recording.jobs[0].machine, recording.jobs[1].machine);
    assert_between(ended_at(&recording, 0), 168.0, 180.0);
}

#[test]
fn docker_autoscaler_reserves_before_it_asks() {
    let recording = autoscaler(1, &[0]);
    // Wanted at the start; launched after 10 s, ready after 13 s; the feeder comes at 15 s.
    assert_between(waits(&recording)[0], 15.0, 15.4);
}

#[test]
fn docker_autoscaler_grows_with_taken_jobs_alone() {
    let waits = waits(&autoscaler(1, &[0, 0, 0]));
    // The poll at 15 s reserves the only slot: one more is wanted, and ready 13 s later.
    assert_between(waits[1] - waits[0], 12.0, 17.0);
    assert!(waits[2] >= waits[1], "{waits:?}");
}

#[test]
fn docker_autoscaler_without_idle_takes_jobs_and_waits() {
    let recording = autoscaler(0, &[0, 0, 0]);
    for wait in waits(&recording) {
        assert_between(wait, 13.0, 14.5);
    }
    assert_eq!(recording.machines.len(), 3);
}

#[test]
fn without_preemption_jobs_are_taken_before_slots_are_free() {
    let assumed = Assumptions { preemptive: Some(false), ..assumed() };
    let waits = waits(&docker_autoscaler(&keeping(1, jobs(&[0, 0, 0])), &assumed, 1));
    // All three are taken at once; with preemption the last waits for a slot that is asked for after the others.
    for wait in waits {
        assert_between(wait, 13.0, 14.5);
    }
}

#[test]
fn several_open_requests_bring_a_burst_sooner() {
    let last = |request_concurrency| {
        let assumed = Assumptions { request_concurrency, ..assumed() };
        let recording = docker_autoscaler(&keeping(0, jobs(&[60; 100])), &assumed, 1);
        waits(&recording).into_iter().fold(0.0, f64::max)
    };
    // One request brings a job each 0.21 s on average; each round of 3 s opens one more.
    assert_between(last(1), 13.0 + 100.0 * 0.15, 13.0 + 100.0 * 0.27);
    assert_between(last(10), 13.0, 13.0 + 12.0);
}

#[test]
fn a_hanging_request_brings_its_job_a_round_later() {
    let mut setting = keeping(1, jobs(&[31]));
    setting.scenario.held_end_empty = true;
    for run in [docker_machine, docker_autoscaler] {
        let mut setting = setting.clone();
        setting.scenario.jobs[0].after = SECOND * 200;
        let wait = waits(&run(&setting, &assumed(), 1))[0];
        setting.scenario.held_end_empty = false;
        let at_once = waits(&run(&setting, &assumed(), 1))[0];
        assert_between(wait - at_once, 0.5, 3.4);
    }
}

#[test]
fn docker_autoscaler_ends_idle_instances() {
    let recording = autoscaler(0, &[0, 600]);
    // Begins at 13 s, done at about 114 to 119 s, idle for 60 s.
    assert_between(ended_at(&recording, 0), 173.0, 180.0);
}

#[test]
fn a_schedule_counts_for_the_others_too() {
    let mut setting = keeping(0, jobs(&[0, 7200]));
    let entry = ScheduleEntry {
        periods: vec![cronexpr::parse_crontab("* 0 * * * UTC").unwrap()],
        written: vec!["* 0 * * * UTC".into()],
        idle_count: Some(IdleCount::Fixed(2)),
        idle_count_min: None,
        idle_scale_factor: None,
        idle_time: None,
        max_workers: None,
    };
    setting.scenario.runner_mut().unwrap().schedule.push(entry);
    for run in [docker_machine, docker_autoscaler] {
        let recording = run(&setting, &assumed(), 1);
        let early: Vec<_> =
            recording.machines.iter().filter(|machine| machine.launched_at.as_second() < 3600).collect();
        assert!(early.len() >= 3, "two idle ones and the job's own: {:?}", recording.machines);
        let lasts = early.iter().filter(|machine| machine.ended_at.is_none_or(|at| at.as_second() > 3900));
        assert_eq!(lasts.count(), 0, "idle ones go when the hour is over: {:?}", recording.machines);
    }
}

#[test]
fn every_section_scales_by_itself_and_every_job_is_told_once() {
    let mut setting = keeping(0, jobs(&[0, 0, 0]));
    let first = setting.scenario.settings.runners[0].clone();
    let second = RunnerName::new("second");
    let mut facts = setting.scenario.facts[&first.name].clone();
    facts.tags = ["big".to_owned()].into();
    setting.scenario.facts.insert(second.clone(), facts);
    setting.scenario.plans.insert(second.clone(), setting.scenario.plans[&first.name].clone());
    setting.scenario.settings.runners.push(runner_fleet_engine::RunnerSettings { name: second, ..first });
    setting.scenario.jobs[1].tags = ["big".to_owned()].into();
    setting.scenario.jobs[2].tags = ["nobody's".to_owned()].into();

    let mut sections = Vec::new();
    let recording = section_by_section(&setting, |part| {
        sections.push((part.scenario.settings.runners[0].name.clone(), part.scenario.jobs.len()));
        docker_autoscaler(part, &assumed(), 1)
    });

    assert_eq!(sections.iter().map(|(_, jobs)| *jobs).collect::<Vec<_>>(), [1, 1]);
    let told: Vec<_> = recording.jobs.iter().map(|job| (job.index, job.outcome, job.machine)).collect();
    assert_eq!(told, [(0, JobOutcome::Done, Some(0)), (1, JobOutcome::Done, Some(1)), (2, JobOutcome::Open, None)]);
}

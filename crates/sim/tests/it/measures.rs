//! What is measured: how long jobs waited, how long boots took and where they failed, how workers ended; and what is not
//! measured, because nobody can know it.

use std::time::Duration;

use runner_fleet_engine::{
    BootStep, Event, FailureClass, JobId, JobWait, Measure, Phase, Report, RetryOutcome, RunnerSettings, RunnerState,
    Server, WorkerEvent, WorkerId,
};

use super::bench::{SERVER, TestBench, launches, runner, serving, taken_back};

/// A report of a worker that has taken so many jobs in its life and runs these, as far as they have names yet.
fn with(taken: u64, running: u32, named: &[u64]) -> Report {
    Report { jobs_started: taken, job_ids: named.iter().map(|id| JobId(*id)).collect(), ..serving(running) }
}

/// The waits that the last step measured.
fn waits(bench: &TestBench) -> Vec<Option<JobWait>> {
    let wait = |measure: &Measure| match measure {
        Measure::JobBegan(began) => Some(began.wait),
        _ => None,
    };
    bench.engine.measures().iter().filter_map(wait).collect()
}

fn waited(seconds: u64, is_kept: bool) -> Vec<Option<JobWait>> {
    vec![Some(JobWait { time: Duration::from_secs(seconds), is_kept })]
}

/// A bench with a worker that serves and has taken nothing, and the queue empty.
fn with_worker(settings: RunnerSettings) -> (TestBench, WorkerId) {
    let mut bench = TestBench::with(vec![settings]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.queue(&[]);
    (bench, worker)
}

#[test]
fn a_job_has_waited_until_it_was_taken_and_not_named() {
    let (mut bench, worker) = with_worker(runner());
    bench.queue(&[7]);
    bench.pass(4);
    bench.report(&worker, with(1, 1, &[]));
    assert_eq!(bench.engine.measures(), [Measure::JobsTaken { runner: runner().name, count: 1 }]);
    // GitLab shows it no more, and the images take a while.
    bench.queue(&[]);
    for _ in 0..4 {
        bench.pass(15);
        bench.step(Vec::new());
        bench.report(&worker, with(1, 1, &[]));
    }
    bench.report(&worker, with(1, 1, &[7]));
    assert_eq!(waits(&bench), waited(4, true));
    let promise = bench.engine.snapshot().runners[0].promise;
    assert_eq!((promise.jobs, promise.kept, promise.target_wait), (1, 1, Duration::from_secs(30)));
    bench.report(&worker, with(1, 0, &[]));
    let ended = Measure::JobEnded { worker, job: JobId(7), at: bench.now };
    assert_eq!(bench.engine.measures(), [ended]);
}

#[test]
fn a_job_that_waits_beyond_the_target_breaks_the_promise() {
    let (mut bench, worker) = with_worker(runner());
    let queued = bench.job(7);
    for _ in 0..3 {
        bench.pass(15);
        bench.queue_of(vec![queued.clone()]);
        bench.report(&worker, serving(0));
    }
    bench.report(&worker, with(1, 1, &[7]));
    assert_eq!(waits(&bench), waited(45, false));
    let promise = bench.engine.snapshot().runners[0].promise;
    assert_eq!((promise.jobs, promise.kept, promise.since), (1, 0, Some(bench.now)));
}

#[test]
fn a_job_that_no_look_has_shown_came_after_the_last_one() {
    let (mut bench, worker) = with_worker(runner());
    bench.pass(2);
    bench.report(&worker, with(1, 1, &[7]));
    assert_eq!(waits(&bench), waited(2, true));

    let (mut bench, worker) = with_worker(runner());
    bench.pass(19);
    bench.report(&worker, serving(0));
    bench.pass(19);
    bench.report(&worker, with(1, 1, &[7]));
    assert_eq!(waits(&bench), [None], "the last look is too old to tell anything");
}

#[test]
fn a_wait_that_nobody_can_know_is_not_measured() {
    let mut bench = TestBench::with(vec![RunnerSettings { sees_queue: false, ..runner() }]);
    bench.instances.push(bench.instance("i-found"));
    bench.list();
    let worker = bench.instances[0].id.clone();
    bench.report(&worker, serving(0));
    bench.report(&worker, with(1, 1, &[7]));
    assert_eq!(waits(&bench), [None], "its queue is not read");

    let (mut bench, worker) = with_worker(runner());
    bench.queue(&[7]);
    for _ in 0..6 {
        bench.pass(15);
        bench.step(Vec::new());
    }
    bench.report(&worker, with(1, 1, &[7]));
    assert!(waits(&bench).is_empty(), "it was silent");

    let mut bench = TestBench::adopting(vec![runner()], Vec::new());
    let adopted = bench.instance("i-adopted");
    bench.instances.push(adopted.clone());
    bench.queue(&[7]);
    bench.list();
    bench.report(&adopted.id, with(1, 1, &[7]));
    assert!(waits(&bench).is_empty(), "it may have been running for hours");
}

#[test]
fn a_clock_that_is_set_makes_no_wait_longer_or_negative() {
    for forward in [true, false] {
        let (mut bench, worker) = with_worker(runner());
        bench.queue(&[7, 8]);
        let hour = Duration::from_secs(3600);
        bench.now = if forward { bench.now.saturating_add(hour) } else { bench.now.saturating_sub(hour) }.unwrap();
        bench.step(Vec::new());
        bench.report(&worker, with(1, 1, &[7]));
        assert_eq!(waits(&bench), [None], "forward: {forward}");
        // A look by the new clock makes it good again.
        bench.queue(&[8]);
        bench.pass(3);
        bench.report(&worker, with(2, 1, &[8]));
        assert_eq!(waits(&bench), waited(3, true), "forward: {forward}");
    }
}

#[test]
fn a_boot_is_measured_phase_by_phase() {
    let mut bench = TestBench::with(vec![runner()]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let mut laps = Vec::new();
    let mut note = |bench: &TestBench| {
        laps.extend(bench.engine.measures().iter().filter_map(|measure| match measure {
            Measure::BootPhase { phase, took, .. } => Some((phase.as_str(), took.as_secs())),
            Measure::BootStep { step, took, .. } => Some((step.as_str(), took.as_secs())),
            Measure::Booted { instance_type, took, .. } if instance_type.as_str() == "c8g.large" => {
                Some(("booted", took.as_secs()))
            }
            _ => None,
        }));
    };
    bench.pass(2);
    let (worker, listed) = (bench.grant(&launch).remove(0), bench.instances.clone());
    note(&bench);
    bench.pass(5);
    bench.list();
    note(&bench);
    assert_eq!(listed.len(), 1);
    bench.pass(10);
    bench.step(vec![Event::Worker { worker: worker.clone(), event: WorkerEvent::Connected }]);
    note(&bench);
    for (seconds, step) in [(1, "installing docker"), (12, "installing gitlab-runner 19.2.0")] {
        bench.pass(seconds);
        let phase = Phase::Booting { step: step.to_owned() };
        bench.report(&worker, Report { phase, runner: RunnerState::Absent, open_requests: 0, ..serving(0) });
        note(&bench);
    }
    bench.pass(8);
    bench.report(&worker, Report { runner: RunnerState::Absent, open_requests: 0, ..serving(0) });
    note(&bench);
    bench.pass(1);
    bench.report(&worker, Report { open_requests: 0, ..serving(0) });
    note(&bench);
    bench.pass(3);
    bench.report(&worker, serving(0));
    note(&bench);

    let expected = [
        ("launch-call", 2),
        ("running", 5),
        ("sshd", 10),
        ("installing-docker", 12),
        ("installing-gitlab-runner", 8),
        ("bootstrap", 21),
        ("configured", 1),
        ("booted", 39),
        ("first-request", 3),
    ];
    assert_eq!(laps, expected);
}

#[test]
fn a_failed_boot_is_counted_where_it_stood() {
    let mut bench = TestBench::with(vec![RunnerSettings { boot_timeout: Duration::from_secs(30), ..runner() }]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let worker = bench.grant(&launch).remove(0);
    bench.list();
    bench.pass(15);
    let phase = Phase::Booting { step: "installing docker".to_owned() };
    let booting = Report { phase, runner: RunnerState::Absent, ..serving(0) };
    bench.report(&worker, booting.clone());
    let phase = Phase::Failed { error: "the disk\n\"is\" full".to_owned() };
    bench.report(&worker, Report { phase, ..booting });
    let failed = Measure::BootFailed { runner: runner().name, step: BootStep::InstallingDocker.as_str() };
    assert!(bench.engine.measures().contains(&failed), "{:?}", bench.engine.measures());

    let mut bench = TestBench::with_three_out_of_reach();
    let mut failed = Vec::new();
    for _ in 0..40 {
        bench.pass(15);
        bench.list();
        failed.extend(bench.engine.measures().iter().filter(|m| matches!(m, Measure::BootFailed { .. })).cloned());
    }
    assert_eq!(failed, vec![Measure::BootFailed { runner: runner().name, step: "sshd" }; 3]);
    assert!(bench.engine.snapshot().runners[0].outlook.breaker_open_until.is_some());
}

#[test]
fn an_end_is_counted_with_its_reason_and_the_jobs_that_it_cost() {
    let (mut bench, worker) = with_worker(RunnerSettings { retry_interrupted: true, ..runner() });
    bench.queue(&[7]);
    let projects = [(JobId(7), runner_fleet_engine::ProjectId(1))].into();
    let busy = Report { projects, ..with(1, 1, &[7]) };
    let notice = Some(bench.now.saturating_add(Duration::from_secs(120)).unwrap());
    bench.report(&worker, Report { interruption: notice, ..busy });
    assert!(bench.engine.measures().contains(&Measure::Interrupted { runner: runner().name }));
    bench.pass(3);
    bench.instances[0].state = runner_fleet_engine::InstanceState::Terminated;
    bench.instances[0].state_reason = Some(taken_back());
    bench.list();
    let ended = Measure::Ended { runner: runner().name, reason: "taken-back", jobs_lost: 1 };
    assert!(bench.engine.measures().contains(&ended), "{:?}", bench.engine.measures());

    let answer = |outcome| Event::Retried { server: Server::new(SERVER), job: JobId(7), outcome };
    bench.step(vec![answer(RetryOutcome::Failed(runner_fleet_engine::Failure::new(FailureClass::Late, "late")))]);
    assert!(bench.engine.measures().is_empty(), "{:?}", bench.engine.measures());
    bench.step(vec![answer(RetryOutcome::Queued(JobId(9))), answer(RetryOutcome::Queued(JobId(9)))]);
    assert_eq!(bench.engine.measures(), [Measure::JobRetried { runner: runner().name }]);
}

//! A worker that lies costs its own slots, and nothing of what belongs to others. Twins: two fleets that differ in one
//! worker's word alone, and of which everything else must go the same way.

use std::collections::BTreeSet;

use runner_fleet_engine::{Event, JobId, Phase, QueueSnapshot, Report, RunnerName, RunnerSettings, Server};

use super::bench::{TestBench, launches, runner, serving, words};

/// What a worker makes of its report.
type Lie = fn(Report) -> Report;

/// What a fleet of two workers, each with a job, does in the half minute after one of them has said this, while five jobs
/// wait.
fn what_is_done(runner: &RunnerSettings, says: impl Fn(Report) -> Report) -> Vec<String> {
    let mut bench = TestBench::with(vec![runner.clone()]);
    let workers = bench.with_ready_workers(2);
    bench.pass(2);
    bench.report(&workers[1], Report { job_ids: BTreeSet::from([JobId(2)]), ..serving(1) });
    let mut done = bench.report(&workers[0], says(Report { job_ids: BTreeSet::from([JobId(1)]), ..serving(1) }));
    for _ in 0..3 {
        bench.pass(15);
        bench.list();
        done.extend(bench.report(&workers[0], says(Report { job_ids: BTreeSet::from([JobId(1)]), ..serving(1) })));
        done.extend(bench.queue(&[3, 4, 5, 6, 7]));
    }
    words(&done).into_iter().filter(|word| !word.contains(workers[0].as_str())).collect()
}

/// Slots that were asked for in all.
fn slots(words: &[String]) -> u32 {
    let counts = words.iter().filter_map(|word| word.strip_prefix("launch ")?.split(' ').next()?.parse::<u32>().ok());
    counts.sum()
}

#[test]
fn no_number_withholds_a_launch() {
    for runner in [runner(), RunnerSettings { limit: 8, ..runner() }] {
        let honest = what_is_done(&runner, |report| report);
        assert_eq!(slots(&honest), 5);
        let lies: [(&str, Lie); 4] = [
            ("a thousand jobs", |report| Report { jobs_by_docker: 1_000, ..report }),
            ("all jobs that there can be", |report| Report { jobs_by_metrics: u32::MAX, ..report }),
            ("started millions", |report| Report { jobs_started: u64::MAX, ..report }),
            ("an endless queue", |report| Report { queue_size: Some(u32::MAX), ..report }),
        ];
        for (name, lie) in lies {
            assert_eq!(what_is_done(&runner, lie), honest, "{name}");
        }
    }
}

#[test]
fn foreign_jobs_are_claimed_for_half_a_minute_at_most() {
    let claims_all = |report| Report { job_ids: (0..9_000).map(JobId).collect(), ..report };
    assert_eq!(slots(&what_is_done(&runner(), claims_all)), 5);
}

#[test]
fn a_job_that_runs_on_one_server_waits_on_another() {
    let elsewhere = Server::new("https://other.example.com");
    let there = RunnerSettings { name: RunnerName::new("there"), server: elsewhere.clone(), ..runner() };
    let mut bench = TestBench::with(vec![runner(), there.clone()]);
    let worker = bench.with_ready_workers(1).remove(0);
    bench.report(&worker, Report { job_ids: BTreeSet::from([JobId(1)]), ..serving(1) });
    bench.queue(&[]);

    let jobs = vec![bench.job(1)];
    let snapshot = Ok(QueueSnapshot { as_of: bench.now, jobs, complete: true, blind: 0 });
    let launched = launches(&bench.step(vec![Event::Queue { server: elsewhere, snapshot }]));

    assert_eq!(launched.iter().map(|launch| (&launch.runner, launch.count)).collect::<Vec<_>>(), [(&there.name, 1)]);
}

#[test]
fn a_queue_without_end_asks_for_no_more_than_there_may_be() {
    let blind = RunnerSettings { sees_queue: false, max_workers: u32::MAX, ..runner() };
    let mut bench = TestBench::with_concurrent(vec![blind], 10);
    bench.instances = vec![bench.instance("i-1"), bench.instance("i-2")];
    let ids: Vec<_> = bench.instances.iter().map(|instance| instance.id.clone()).collect();
    bench.list();
    let mut done = Vec::new();
    for (taken, worker) in (1_u64..).zip([&ids[0], &ids[1], &ids[0], &ids[1]]) {
        bench.pass(3);
        done.extend(bench.report(worker, Report { queue_size: Some(u32::MAX), jobs_started: taken, ..serving(1) }));
    }
    assert_eq!(slots(&words(&done)), 8, "what concurrent leaves beside the two");
}

#[test]
fn a_failed_boot_of_an_earlier_life_opens_no_breaker() {
    let failed = || Report { phase: Phase::Failed { error: "no disk".into() }, ..serving(0) };
    let mut bench = TestBench::adopting(vec![runner()], Vec::new());
    for n in 0..6 {
        let instance = bench.instance(&format!("i-old{n}"));
        bench.instances = vec![instance];
        bench.list();
        let id = bench.instances[0].id.clone();
        bench.report(&id, failed());
        bench.pass(5);
    }
    bench.list();
    assert_eq!(words(&bench.queue(&[1])), ["launch 1 spot"]);
}

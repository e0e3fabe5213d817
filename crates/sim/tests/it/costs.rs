//! The books beside EC2's bill, to the cent.

use std::time::Duration;

use runner_fleet_engine::held_back::HeldBack;
use runner_fleet_engine::ledger::{By, CostQuery, Day, Label, Spending};
use runner_fleet_engine::{Budget, Engine, Event, IdleCount, IdlePolicy, JobId, ProjectId, RunnerSettings, WorkerId};
use runner_fleet_sim::faults::Faults;
use runner_fleet_sim::run::simulate;
use runner_fleet_sim::scenario::Scenario;
use runner_fleet_sim::workload::small;

use super::bench::{TestBench, launches, runner, serving, settings, words};
use super::prices::prices;

const THREE_DAYS: Duration = Duration::from_secs(3 * 24 * 3600);

/// The jobs of a small world, every four hours for three days, with prices that change and a manager that crashes.
fn three_days(seed: u64) -> Scenario {
    let mut scenario = small(seed);
    let jobs = scenario.jobs.clone();
    scenario.jobs = (0..18)
        .flat_map(|round| {
            jobs.iter().cloned().map(move |mut job| {
                job.after += Duration::from_secs(round * 4 * 3600);
                job
            })
        })
        .collect();
    scenario.price_seed = Some(seed);
    scenario.step_every = Duration::from_secs(10);
    if let Some(runner) = scenario.runner_mut() {
        runner.idle.count = IdleCount::Fixed(1);
    }
    let faults = Faults {
        manager_crashes_per_hour: 0.5,
        manager_crash_mid_step: 0.000_1,
        answer_lost: 0.01,
        answer_late: 0.01,
        answer_doubled: 0.01,
        boot_fails: 0.05,
        ..Faults::default()
    };
    scenario.with_faults(Faults { until: THREE_DAYS, ..faults })
}

#[test]
fn after_days_of_faults_the_books_are_the_bill_to_the_cent() {
    let mut starts = 0;
    let outcome = simulate(1, &three_days(1), |manager, seed, at| {
        starts += 1;
        Engine::new(manager, seed, at)
    });
    let balance = outcome.unwrap().balance.unwrap();
    let (booked, billed) = (balance.booked_usd(), balance.billed_usd());
    assert!(starts > 20, "the manager was started {starts} times");
    assert!(billed > 1.0, "EC2 bills {billed}");
    assert!((booked - billed).abs() <= 0.01, "booked {booked}, billed {billed}, {starts} starts");
}

#[test]
fn a_job_pays_for_its_time_and_for_the_boot_that_it_caused() {
    let mut bench = TestBench::with(vec![runner()]);
    let heard = prices(&bench, 0.036, 0.036);
    bench.step(vec![heard]);
    let commands = bench.queue(&[1]);
    let ids: Vec<WorkerId> = launches(&commands).iter().flat_map(|launch| bench.grant(launch)).collect();
    for _ in 0..4 {
        bench.list();
        bench.pass(10);
    }
    bench.list();
    bench.report(&ids[0], serving(0));
    // The worker takes the job, and the next look at the queue does not show it any more.
    bench.queue(&[]);
    let mut runs = serving(1);
    runs.job_ids = [JobId(1)].into();
    bench.report(&ids[0], runs.clone());
    for _ in 0..12 {
        bench.pass(10);
        bench.list();
        bench.report(&ids[0], runs.clone());
    }
    bench.report(&ids[0], serving(0));
    for _ in 0..20 {
        bench.pass(10);
        bench.list();
        bench.report(&ids[0], serving(0));
    }
    let today = Day::at(bench.now);
    let query = CostQuery { from: today, to: today, by: By::Line, runner: None };
    let ledger = bench.engine.ledger().balanced(bench.now);
    let report = query.answer(ledger.days().iter().map(|(day, sums)| (*day, sums)), &ledger, Vec::new());
    let seconds = |account: &str, payer: Option<Label>| {
        let is_it = |key: &runner_fleet_engine::ledger::RowKey| {
            key.account.is_some_and(|there| there.as_str() == account) && key.payer == payer
        };
        let hours: f64 = report.rows.iter().filter(|row| is_it(&row.key)).map(|row| row.cost.hours).sum();
        (hours * 3600.0).round() as u64
    };
    let job = Label::of(ProjectId(1), "job 1");
    assert_eq!(seconds("jobs", Some(job.clone())), 120, "{report:#?}");
    assert!(seconds("boot", Some(job)) > 0, "{report:#?}");
    assert!(seconds("idle", None) >= 200, "{report:#?}");
    assert_eq!(report.total.below_on_demand, Some(0.6), "0.036 beside 0.09");
    let hours: f64 =
        report.rows.iter().filter(|row| row.key.account.unwrap().is_instance_time()).map(|r| r.cost.hours).sum();
    assert!((hours - report.total.hours).abs() < 1e-5);
}

#[test]
fn a_budget_holds_launches_and_idle_slots_back_and_kills_no_job() {
    let idle = IdlePolicy { count: IdleCount::Fixed(1), ..runner().idle };
    let budget = Some(Budget { usd: 0.01, per: Spending::Day });
    let plain = RunnerSettings { budget, ..runner() };
    let mut bench = TestBench::with(vec![plain.clone()]);
    let heard = prices(&bench, 0.036, 0.036);
    bench.step(vec![heard]);
    let ids = bench.with_ready_workers(1);
    bench.report(&ids[0], serving(1));
    let with_idle = settings(vec![RunnerSettings { idle, ..plain }]);
    bench.step(vec![Event::Configured(with_idle)]);
    // A worker of 0.036 USD an hour has cost 0.01 after 1,000 s; its disk beside it is of a region without a price.
    for _ in 0..110 {
        bench.pass(10);
        bench.list();
        bench.report(&ids[0], serving(1));
    }
    let commands = bench.queue(&[7, 8]);
    assert_eq!(words(&commands), Vec::<String>::new());
    let snapshot = bench.engine.snapshot();
    let told = &snapshot.runners[0];
    assert_eq!((told.idle_wanted, told.running), (0, 1), "the job runs on, and no idle slot is wanted");
    let held_back = told.held_back.as_ref().unwrap();
    let HeldBack::Budget { limit, per: Spending::Day, until, .. } = &held_back.reason else { panic!("{held_back:?}") };
    assert_eq!((*limit, *until), (0.01, Day::at(bench.now).ends()));
    assert!(held_back.text.starts_with("its budget is used up: 0.01 of 0.01 USD this day"), "{}", held_back.text);

    // The next day begins with nothing spent.
    let until_midnight = until.duration_since(bench.now).as_secs() as u64;
    bench.pass(until_midnight);
    let mut commands = bench.list();
    commands.extend(bench.report(&ids[0], serving(1)));
    commands.extend(bench.queue(&[7, 8]));
    assert!(!launches(&commands).is_empty(), "{:?}", bench.engine.snapshot().runners[0]);
}

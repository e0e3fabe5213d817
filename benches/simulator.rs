//! The simulator's budget: a week of 10,000 jobs a day in 5 s on one core. `make bench`.

#![expect(clippy::unwrap_used, reason = "a bench that cannot be set up is to stop")]

use std::collections::BTreeMap;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use runner_fleet_config as config;
use runner_fleet_engine::IdleCount;
use runner_fleet_sim::assumptions::Assumptions;
use runner_fleet_sim::configured::setting;
use runner_fleet_sim::workloads::Workload;

fn week(criterion: &mut Criterion) {
    let workload = Workload::load("office-hours").unwrap();
    let text = include_str!("../config/workloads/runner.toml");
    let config = config::parse(text, "runner.toml").unwrap().config;
    let mut setting = setting(&config, &workload, &BTreeMap::new(), &Assumptions::default(), 1);
    setting.scenario.runner_mut().unwrap().idle.count = IdleCount::Fixed(10);
    let mut group = criterion.benchmark_group("simulator");
    group.sample_size(10);
    group.bench_function("a week of office hours, 69,828 jobs", |bencher| {
        bencher.iter(|| black_box(setting.replay(1, &mut |_| ())));
    });
    group.finish();
}

criterion_group!(benches, week);
criterion_main!(benches);

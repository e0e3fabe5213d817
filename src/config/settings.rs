//! The configuration in the engine's words: without secrets, without anything that only adapters need.

use super::{Config, Runner};
use crate::engine::{IdlePolicy, RunnerSettings, Settings};

impl Config {
    /// What the engine decides by.
    pub fn settings(&self) -> Settings {
        Settings {
            concurrent: self.concurrent,
            check_interval: self.check_interval,
            runners: self.runners.iter().map(runner).collect(),
        }
    }
}

fn runner(runner: &Runner) -> RunnerSettings {
    let fleet = &runner.fleet;
    RunnerSettings {
        name: runner.name.clone(),
        server: runner.server.clone(),
        sees_queue: fleet.api_token.is_some(),
        limit: runner.limit,
        max_workers: fleet.max_workers,
        capacity: fleet.capacity,
        max_jobs: fleet.max_jobs,
        max_age: fleet.max_age,
        max_booting: fleet.max_booting,
        boot_timeout: fleet.boot_timeout,
        market: fleet.market,
        on_demand_fallback: fleet.on_demand_fallback,
        // Checked when the file was read: it is a decimal number.
        spot_max_price: fleet.spot_max_price.as_ref().and_then(|text| text.parse().ok()),
        retry_interrupted: fleet.retry_interrupted,
        idle: IdlePolicy {
            count: fleet.idle_count,
            count_min: fleet.idle_count_min,
            scale_factor: fleet.idle_scale_factor,
            time: fleet.idle_time,
            target_wait: fleet.target_wait,
        },
        schedule: fleet.schedule.clone(),
    }
}

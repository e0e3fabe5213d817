//! The configuration in the engine's words: without secrets, without anything that only adapters need.

use super::{Address, Config, Runner};
use runner_fleet_engine::{IdlePolicy, RunnerSettings, Settings};

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
        orphan_timeout: fleet.orphan_timeout,
        market: fleet.market,
        on_demand_fallback: fleet.on_demand_fallback,
        spot_max_price: fleet.spot_max_price.clone(),
        budget: fleet.budget,
        disk_gib: fleet.root_volume.priced_gib(),
        public_address: fleet.address == Address::Public,
        tags: fleet.tags.clone(),
        retry_interrupted: fleet.retry_interrupted,
        idle: IdlePolicy {
            count: fleet.idle_count,
            count_min: fleet.idle_count_min,
            count_max: fleet.idle_count_max,
            scale_factor: fleet.idle_scale_factor,
            time: fleet.idle_time,
            target_wait: fleet.target_wait,
        },
        schedule: fleet.schedule.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Tests and simulations begin with [`RunnerSettings::new`]: it must say what a file says that says nothing.
    #[test]
    fn a_plain_runner_of_the_engine_has_the_files_defaults() {
        let text = r#"
            concurrent = 10
            [fleet]
            manager = "ci"
            [[runners]]
            name = "plain"
            url = "https://gitlab.example.com"
            token = "glrt-t1_plain"
            executor = "docker"
            [runners.docker]
            image = "alpine"
            [runners.fleet]
            api_token = "glpat-plain"
            region = "eu-central-1"
            ami = "ami-0123456789abcdef0"
            instance_types = ["c8g.large"]
            subnets = ["subnet-0123456789abcdef0"]
            security_groups = ["sg-0123456789abcdef0"]
        "#;
        let settings = crate::parse(text, "config.toml").unwrap().config.settings();
        let [runner] = settings.runners.as_slice() else { panic!("{settings:?}") };
        assert_eq!(*runner, RunnerSettings::new(runner.name.clone(), runner.server.clone()));
    }
}

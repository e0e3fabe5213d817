//! What a worker receives, for people: `runner-fleet render`.

use super::docker_config::docker_config;
use super::masked::MASK;
use super::runner_config::masked_runner_config;
use super::spec::WorkerSpec;
use super::user_data::cloud_config;
use runner_fleet_engine::WorkerId;

/// Everything that a worker of one specification receives, with all secrets masked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The `#cloud-config` text, before gzip.
    pub user_data: String,
    /// The worker's config.toml, pushed over SSH.
    pub config_toml: String,
    /// The Docker login configuration; names no host if ECR is off.
    pub docker_config: String,
}

/// Renders all of it. The instance id is only known after a launch; before, any example serves.
pub fn render(spec: &WorkerSpec, worker: &WorkerId) -> Rendered {
    Rendered {
        user_data: cloud_config(spec, MASK),
        config_toml: masked_runner_config(spec, worker),
        docker_config: docker_config(spec),
    }
}

//! The configuration: one file in, a typed [`Config`] or all its problems out.
//!
//! The file is GitLab Runner's own `config.toml` with one more table, `[runners.fleet]`. What stands in our tables is
//! checked key by key; what stands in GitLab Runner's tables and is not read here is kept, in order, for the workers.

pub mod arch;
pub mod ecr;
pub mod load;
pub mod model;
pub mod problems;
pub mod secret;
pub mod tool;
pub mod volume;

pub use arch::Arch;
pub use ecr::{Ecr, EcrHost};
pub use load::{Loaded, load, parse};
pub use model::{Address, Ami, Config, Fleet, LogFormat, LogLevel, Runner, RunnerFleet, SetupScript};
pub use problems::{Problem, Problems, Warning};
pub use secret::{Secret, SecretError};
pub use tool::Tool;
pub use volume::{RootVolume, VolumeType};

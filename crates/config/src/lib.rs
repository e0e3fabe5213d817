//! The configuration: one file in, a typed [`Config`] or all its problems out.
//!
//! ```text
//!                     node             load, runner, fleet, ...
//!   config.toml --> a tree whose --> every key read by name,  --> Ok:  Config and its warnings; Config::settings()
//!                   values know      the rest kept or refused          is what the engine is told of it
//!                   their line           ^                    --> Err: Problems, each with its line, its key, and
//!                                        |                             what to write instead
//!                   legacy: sections of docker+machine and docker-autoscaler become the same tree
//! ```
//!
//! The file is GitLab Runner's own `config.toml` with one more table, `[runners.fleet]`. What stands in our tables is
//! checked key by key; what stands in GitLab Runner's tables and is not read here is kept, in order, for the workers.
//!
//! Reading order: [`model`] (the result), [`mod@load`] (the file), `runner`, `fleet` (our table), `sizes` (how the
//! numbers must fit), then one file per subject; `node`, `reader` and `values` are the tools; [`legacy`] translates
//! docker+machine and docker-autoscaler, `carried` what of GitLab Runner's own keys a worker would not read, and
//! [`migrate()`] writes the result. What is accepted and still told: `strays` (keys that nobody reads, by the
//! tables in `gitlab_keys`), `doubts` (values that can hardly be meant), `trust` and `s3_cache` (what is given away,
//! and what is missing), `unresolved` (as seen from this process). What is not TOML: `syntax`, with an `excerpt`.
//! [`schema()`] is for editors: the same tables of keys, as JSON Schema.
//!
//! Deliberately absent: derived deserializers, which would stop at the first problem; the network (a secret in SSM
//! stays a reference, [`Secret::ssm_parameter`]); and the question whether what is named exists, which is `doctor`'s.

mod address;
#[cfg(test)]
mod alive;
mod budget;
mod carried;
pub mod checksum;
mod document;
mod doubts;
mod duration;
pub mod ecr;
mod ecr_host;
mod ecr_wiring;
mod excerpt;
mod files;
mod fleet;
mod gitlab_keys;
mod ids;
mod key;
pub mod legacy;
mod lines;
pub mod load;
mod migrate;
pub mod model;
mod names;
mod node;
pub mod on_trouble;
mod pins;
mod places;
pub mod problems;
mod proxy;
mod reader;
mod runner;
mod s3_cache;
mod schedule;
mod schema;
pub mod secret;
mod settings;
mod sizes;
mod ssh_key;
mod strays;
mod syntax;
#[cfg(test)]
mod told;
pub mod tool;
mod trust;
mod unresolved;
mod values;
pub mod volume;

pub use checksum::{Checksum, ChecksumList};
pub use document::read_file;
pub use ecr::Ecr;
pub use ecr_host::{EcrHost, HelperVersion, partition_of};
pub use ids::{Ami, is_region};
pub use legacy::Surroundings;
pub use load::{Loaded, load, parse, parse_in};
pub use migrate::migrate;
pub use model::{Address, Config, Fleet, LogFormat, LogLevel, Runner, RunnerFleet, SetupScript};
pub use on_trouble::OnTrouble;
pub use places::Places;
pub use problems::{Problem, Problems, Warning};
pub use proxy::Proxy;
pub use s3_cache::{S3Cache, SignedWith};
pub use schema::schema;
pub use secret::{Found, Secret, SecretError, TokenOf};
pub use ssh_key::{SshKey, SshKeyParameter};
pub use tool::Tool;
pub use volume::{RootVolume, VolumeType};

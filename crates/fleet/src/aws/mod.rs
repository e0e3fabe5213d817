//! EC2 and SSM, behind our own words.
//!
//! Nothing here decides anything: a complete command comes in, one or few calls go out, an answer in the engine's
//! vocabulary comes back. No SDK type appears in a signature (but for [`Aws::from_sdk_config`], for tests).
//!
//! Reading order: the client ([`client`]) and what it asks once (`cache`), what can go wrong ([`error`], [`error_table`]);
//! what a worker is made of ([`spec`], [`image`], [`subnet`], [`key`], [`template`], together the [`launch plan`], and
//! what is kept for it, [`resources`]); the launch ([`fleet`], [`fleet_answer`]), the listing ([`listing`]), the end
//! ([`terminate`]); what it costs ([`prices`], [`on_demand`]); secrets ([`parameter`]); the rights that all of this
//! needs ([`policy`], [`mod@worker_policy`], [`cache_policy`]). What only `doctor` asks: [`dry_run`], [`network`],
//! [`role`], [`quota`].
//!
//! Deliberately absent: choosing a zone or a market, repeating a launch, and any call for a single worker.

pub(crate) mod cache;
pub mod cache_policy;
pub mod calls;
pub mod client;
pub mod dry_run;
pub mod error;
pub mod error_table;
pub mod fleet;
pub mod fleet_answer;
pub mod image;
pub mod key;
pub mod launch_plan;
pub mod listing;
pub mod network;
pub mod on_demand;
pub mod parameter;
pub mod policy;
pub mod prices;
pub mod quota;
pub mod rate_limit;
#[cfg(test)]
pub(crate) mod replay;
pub mod resources;
pub mod role;
pub mod spec;
pub mod subnet;
pub mod tag;
pub mod template;
pub mod terminate;
mod truncation;
pub mod worker_policy;

pub use cache_policy::CacheRights;
pub use calls::CallCounts;
pub use client::Aws;
pub use error::{AwsError, CallError, Meaning};
pub use listing::AddressKind;
pub use network::{GroupSeen, SubnetSeen};
pub use parameter::Kept;
pub use policy::{ManagerPolicy, SshKeyParameter, manager_policy};
pub use quota::quota_code;
pub use role::{Identity, RoleSeen};
pub use spec::{Ami, LaunchSpec, RootVolume};
pub use terminate::TerminateFailure;
pub use worker_policy::{PrivateRegistry, WorkerPolicy, worker_policy};

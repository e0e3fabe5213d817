//! Is everything there that the service and its workers need? One look at the live environment, step by step; changes
//! nothing.
//!
//! A step asks one question of one adapter, under a time limit, and answers with a [`Finding`]: what was found, and what to
//! do. What follows from an answer is judged by pure functions. What could not be looked at is said, and is never taken for
//! good.
//!
//! Reading order: [`finding`] (the words), `context` (what a step is given), [`mod@examine`] (the steps in their
//! order); then a file for each subject: the `manager` itself, its `ssh_key`, `gitlab`, the `cloud` (image, network,
//! launch), `quota`, the workers' `role` and its rights on the `cache`, and on a running `worker` the `ecr` login.

mod cache;
mod cloud;
mod context;
mod ecr;
pub mod examine;
pub mod finding;
mod gitlab;
mod limit;
mod manager;
mod quota;
mod role;
mod ssh_key;
mod worker;

pub use cache::cache_rights;
pub use examine::examine;
pub use finding::{Diagnosis, Finding, Step, Verdict};

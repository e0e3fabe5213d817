//! GitLab's public API, behind our own words.
//!
//! ```text
//!                                    verify, forget    the runner's own token
//!   a question --> GitLab (client) --> discover          --> http --> GitLab
//!                     budget         queue, retry, ...  the api token   |
//!                                                                       v
//!   an answer in the engine's words, or a GitLabError  <-- answer  <-- status, headers, body
//! ```
//!
//! Reading order: [`client`] (the facade [`GitLab`]), [`error`] (what its errors answer), [`runner`] (verify, forget),
//! [`discovery`] (what a runner is, which projects it serves), [`queue`] (what waits), `running` (what runs on a
//! worker), [`retry`], [`history`] (jobs of the past, for simulations), [`own_token`]; below them the HTTP client ([`http`]), the table of answers, pages,
//! [`budget`] and back-off.
//!
//! Deliberately absent: matching jobs to runners (the engine does it), `DELETE /runners` (it would delete the runner
//! with all its workers), and the runner's side of the protocol (the official runner on every worker speaks it).

mod answer;
mod backoff;
pub mod budget;
pub mod client;
pub mod discovery;
pub mod error;
mod graphql;
pub mod history;
pub mod http;
pub mod own_token;
mod page;
mod protected;
pub mod queue;
pub mod retry;
pub mod runner;
mod running;
mod watch;

pub use budget::Budget;
pub use client::{GitLab, Options};
pub use discovery::{Discovered, Restriction};
pub use error::GitLabError;
pub use http::Limits;
pub use own_token::OwnToken;
pub use queue::{QueueReader, QueueScope, RunnerInQueue};
pub use retry::{RanOn, Retried};
pub use runner::{Verified, manager_system_id};
pub use watch::{Ended, Watch};

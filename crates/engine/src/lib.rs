//! The scaling engine: observations in, commands out.
//!
//! ```text
//!   what GitLab, EC2 and workers said      +--------------------------------------+
//!     Event, Event, ...  ----------------> |  Engine::step                        |
//!   what time it is                        |    observe:  what is known now       | --> Command, Command, ...
//!     Timestamp  ------------------------> |    demand:   slots wanted and there  |     each with its Reason
//!                                          |    retirement, launching: what to do | --> snapshot(), for people
//!                                          +--------------------------------------+
//! ```
//!
//! [`Engine::step`] is synchronous and pure: it reads no clock, does no I/O, and has no randomness of its own, so that
//! the live service, the simulator and the tests all run exactly this code.
//!
//! Reading order: the vocabulary ([`ids`], [`offering`], [`job`], [`worker`], [`settings`]), what comes in ([`event`]),
//! what goes out ([`command`]), why ([`reason`], [`held_back`], [`waits`], [`failure`]; their sentences: `prose`), what
//! people see ([`snapshot`]), what it cost ([`ledger`], kept by `bookkeeping`), then the decisions: `step`, `observe`, `demand`, `launching`, `retirement`, `draining`; beside
//! them, what launches are prepared from ([`resources`]), and the [`laws`], an observer that no step may displease.
//!
//! Deliberately absent: a clock, a random source beyond the seed, I/O, async, a logger (what is worth knowing is in the
//! commands and the snapshot), collections in hash order, and anything saved: what an engine holds is safe to lose.
#![warn(clippy::disallowed_types, clippy::wildcard_enum_match_arm)]

pub mod backoff;
pub mod command;
pub mod event;
pub mod explained;
pub mod failure;
pub mod held_back;
pub mod ids;
pub mod job;
pub mod laws;
pub mod ledger;
pub mod money;
pub mod offering;
pub mod prices;
pub mod reason;
pub mod resources;
pub mod settings;
pub mod snapshot;
pub mod text;
pub mod verdict;
pub mod waits;
pub mod worker;

mod activity;
mod arch;
mod attempt;
mod bookkeeping;
mod boot_course;
mod boots;
mod claims;
mod cooldown;
mod demand;
mod departed;
mod diagnosis;
mod doubts;
mod drain;
mod draining;
mod fleet;
mod forecast;
mod jobs_taken;
mod journal;
mod json;
mod launching;
mod listing;
mod matching;
mod measure;
mod measuring;
mod news;
mod note;
mod notices;
mod observe;
mod operators;
mod orders;
mod outdated;
mod placement;
mod project_path;
mod promise;
mod prose;
mod quarantine;
mod queue;
mod retirement;
mod retries;
mod rival;
mod rolling;
mod runner;
mod schedule;
mod shares;
mod sighting;
mod state;
mod status;
mod step;
mod supply;
mod time;
mod token;
mod transition;
mod troubles;
mod unassignable;
mod why;
mod workers;
mod yielding;

pub use arch::Arch;
pub use command::{Command, Goal, Launch, Termination, Want};
pub use event::{
    ConnectionFailure, Event, LaunchAnswer, LaunchError, LaunchErrorClass, LaunchedWorker, Leftover, OperatorRequest,
    RetryOutcome, WorkerEvent,
};
pub use explained::{Explained, Sentence};
pub use failure::{Failure, FailureClass};
pub use held_back::HeldBack;
pub use ids::{
    ConfigHash, InstanceType, JobId, JobName, KeyPairName, LaunchToken, ProjectId, RunnerName, Server, SubnetId,
    SystemId, TemplateName, WorkerId, Zone,
};
pub use job::{Knowledge, PendingJob, QueueSnapshot, RunnerFacts, Scope, TokenEnd, TokenKind};
pub use ledger::{Ledger, LedgerSnapshot};
pub use listing::SETTLING;
pub use measure::{BootPhase, BootStep, JobBegan, JobWait, Measure};
pub use money::UsdPerHour;
pub use note::{Note, NoteKind, NoteLevel};
pub use offering::{LaunchPlan, Market, Offering, Place};
pub use orders::Orders;
pub use prices::{OverPriceCap, PriceSnapshot};
pub use project_path::ProjectPath;
pub use reason::{Brief, Disobedience, DrainReason, EndReason, LaunchReason, Reason};
pub use resources::{Inventory, Required, ResourceAction};
pub use schedule::{Policy, policy_at};
pub use settings::{Budget, IdleCount, IdlePolicy, IdleTime, RunnerSettings, ScheduleEntry, Settings};
pub use snapshot::FleetSnapshot;
pub use state::Engine;
pub use verdict::{Severity, Trouble, TroubleReason, Verdict};
pub use waits::{JobReason, Mismatch, MismatchKind, WorkerReason};
pub use worker::{EcrError, EndedBy, Health, Instance, InstanceState, Phase, Report, RunnerState, StateReason, Unfit};

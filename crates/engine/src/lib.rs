//! The heart: observations in, commands out.
//!
//! [`Engine::step`] is synchronous and pure: it reads no clock, does no I/O, and has no randomness of its own, so that
//! the live service, the simulator and the tests all run exactly this code.
//!
//! Reading order: the vocabulary ([`ids`], [`offering`], [`job`], [`worker`], [`settings`]), what comes in ([`event`]),
//! what goes out ([`command`], each with its [`reason`]), what people see ([`view`]), then the decisions; beside them, what
//! launches are prepared from ([`upkeep`]).
#![warn(clippy::disallowed_types, clippy::wildcard_enum_match_arm)]

pub mod command;
pub mod event;
pub mod ids;
pub mod job;
pub mod laws;
pub mod offering;
pub mod prices;
pub mod reason;
pub mod settings;
pub mod upkeep;
pub mod view;
pub mod worker;

mod backoff;
mod boots;
mod cooldown;
mod demand;
mod drains;
mod fleet;
mod forecast;
mod journal;
mod json;
mod launching;
mod listing;
mod matching;
mod observe;
mod outdated;
mod picture;
mod placement;
mod queue;
mod retirement;
mod retries;
mod rolling;
mod runner;
mod schedule;
mod shares;
mod state;
mod step;
mod time;
mod token;
mod untaken;
mod why;
mod worker_event;
mod workers;
mod yielding;

pub use command::{Command, Launch, Termination};
pub use event::{
    Event, LaunchAnswer, LaunchError, LaunchErrorClass, LaunchedWorker, Leftover, LinkFailure, LinkNews, OperatorWish,
    RetryOutcome,
};
pub use ids::{
    ConfigHash, InstanceType, JobId, KeyPairName, LaunchToken, ProjectId, RunnerName, Server, SubnetId, SystemId,
    TemplateName, WorkerId, Zone,
};
pub use job::{Knowledge, PendingJob, QueueLook, RunnerFacts, Scope};
pub use listing::SETTLING;
pub use offering::{Blueprint, Market, Offering, Place};
pub use prices::PriceLook;
pub use reason::{Brief, Reason};
pub use schedule::{Policy, policy_at};
pub use settings::{IdleCount, IdlePolicy, RunnerSettings, ScheduleEntry, Settings};
pub use state::Engine;
pub use upkeep::{Chore, Holdings, Needs};
pub use view::View;
pub use worker::{EcrError, Health, Instance, InstanceState, Phase, Report, RunnerState};

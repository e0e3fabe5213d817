//! What `/metrics` shows, family by family: the [`catalogue`] is the one place where a family has its name, its type, its
//! labels and its meaning; docs/metrics.md is written from it. Here are also the families that belong to no room above:
//! calls of APIs ([`calls`]) and the process itself ([`process`]).
//!
//! Labels are bounded: runners of the configuration, and kinds that the program knows. Never ids, never messages.

pub mod calls;
pub mod catalogue;
pub mod process;

pub use calls::Calls;
pub use catalogue::{Described, Kind};

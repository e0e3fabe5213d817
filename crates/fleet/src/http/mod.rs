//! Dashboard, metrics and health: read-only. Nothing that arrives here can change anything; actions go through
//! [`control`](crate::control).
//!
//! Reading order: what they are made from ([`Site`]), the pages ([`router`]), the fleet's gauges at a scrape ([`fleet`]),
//! what it costs ([`costs`]), who is let in ([`listener`]).

mod costs;
mod fleet;
mod host;
mod listener;
mod page;
mod pages;
mod past;
mod site;

pub use costs::{CostCollector, Costs, costs_from};
pub use fleet::FleetCollector;
pub use listener::{DoorLimits, serve};
pub use pages::router;
pub use site::{About, Site};

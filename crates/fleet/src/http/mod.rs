//! Dashboard, metrics and health: read-only. Nothing that arrives here can change anything; actions go through
//! [`control`](crate::control).
//!
//! Reading order: the pages ([`router`]), the fleet's gauges at a scrape ([`fleet`]), who is let in ([`door`]).

mod door;
mod fleet;
mod pages;

pub use door::{DoorLimits, serve};
pub use fleet::FleetCollector;
pub use pages::{Site, router};

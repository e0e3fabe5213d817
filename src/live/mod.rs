//! The live driver: ticks, wake-ups and signals; commands become calls, answers become events.

pub mod clock;
pub mod edge;
pub mod link;

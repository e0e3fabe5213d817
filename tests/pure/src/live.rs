//! The live room, as far as the simulated world needs it.

#[path = "../../../src/live/clock.rs"]
pub mod clock;
#[path = "../../../src/live/edge.rs"]
pub mod edge;

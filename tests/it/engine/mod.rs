//! The engine, step by step: what it does with what it is told. The laws are checked after every step.

mod drains;
mod forecasts;
mod launches;
mod prices;
mod stage;
mod unknowns;
mod worlds;

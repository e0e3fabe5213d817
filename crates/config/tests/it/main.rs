//! The configuration as its users meet it: files in, warnings, problems and migrated files out. Old configurations, case by
//! case and by law.
#![cfg(test)]

mod documented;
mod ecr;
mod generated;
mod laws;
mod legacy;
mod old;

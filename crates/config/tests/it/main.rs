//! Old configurations: what they become, case by case and by law. One binary: it links once.
#![cfg(test)]

mod documented;
mod generated;
mod laws;
mod legacy;
mod old;

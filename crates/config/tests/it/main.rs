//! The configuration as its users meet it: files in, warnings, problems and migrated files out.
#![cfg(test)]

mod ecr;

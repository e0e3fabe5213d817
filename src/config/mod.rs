//! The configuration: one file in, a typed `Config` or all its problems out.

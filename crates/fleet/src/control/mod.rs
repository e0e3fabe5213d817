//! The operator's socket: JSON lines over a Unix socket, one request, one answer.
//!
//! Reading order: the words ([`protocol`]), who serves them ([`server`]), who asks ([`client`]).

pub mod client;
pub mod protocol;
pub mod server;

pub use client::{ClientError, ask};
pub use protocol::{Action, Answer, ControlRequest, Held, LeftOut, Plan, RefusalKind, Request};
pub use server::{Bound, ControlError, bind};

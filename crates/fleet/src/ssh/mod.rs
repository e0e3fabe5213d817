//! SSH to the workers: keys, pinned host keys, sessions, streams.
//!
//! Deliberately absent: agent forwarding, port forwarding, passwords, host keys learnt on first use.
//!
//! Reading order: [`keys`] with their [`key_file`], and [`host`] (who we are, whom we trust), [`greeting`] and [`session`] (connect, run
//! a command), [`stream`] (a command that talks for days), both over a `channel`, [`error`], [`shell`] (an operator's
//! own `ssh`).

mod cancellable;
mod channel;
mod client;
pub mod error;
pub mod greeting;
pub mod host;
pub mod key_file;
pub mod keys;
pub mod session;
pub mod shell;
pub mod stream;

pub use error::SshError;
pub use host::{HostKey, HostPublicKey};
pub use key_file::Settled;
pub use keys::{KeyError, ManagerKey};
pub use session::{Limits, Output, RunLimits, Session, Target};
pub use stream::LineStream;

//! The manager trusts one host key, believes no worker, and keeps its links: against SSH servers in this process.
//!
//! If this broke, a stranger could be sent a runner's token, or one broken worker could take the manager down.

mod agent;
mod connections;
mod first_contact;
mod hostile;
pub(crate) mod server;
mod sessions;
mod system;

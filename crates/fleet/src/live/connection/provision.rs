//! What a connection must know about its worker beyond its address.

use secrecy::SecretString;

use runner_fleet_engine::{RunnerName, WorkerId};

/// Knows how to log in to workers and what to configure them with. Asked again at every attempt and for every push, so
/// that the answer is always from the current configuration.
pub trait Provisioner: Send + Sync {
    /// For this worker.
    ///
    /// # Errors
    /// One sentence for people, which becomes the connection's failure; tried again with the usual back-off.
    fn provision(&self, runner: &RunnerName, worker: &WorkerId) -> Result<Provision, String>;
}

/// How to log in to one worker, and its configuration.
#[derive(Clone, Debug)]
pub struct Provision {
    /// As whom.
    pub user: String,
    /// Where sshd listens.
    pub port: u16,
    /// The only host key to accept: `ssh-ed25519 AAAA…`.
    pub host_key_public: String,
    /// The stdin of `agent configure`.
    pub bundle: SecretString,
}

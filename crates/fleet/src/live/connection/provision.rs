//! What a connection must know about its worker beyond its address.

use secrecy::SecretString;

use crate::ssh::HostPublicKey;
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
    /// The only host keys to accept.
    pub host_keys: HostKeys,
    /// The stdin of `agent configure`.
    pub bundle: SecretString,
}

/// The host keys by which one worker is known.
#[derive(Clone, Debug)]
pub struct HostKeys {
    /// The one that it alone has: `ssh-ed25519 AAAA…`.
    pub own_public: String,
    /// While it may not have got that one yet.
    pub first_contact: Option<FirstContact>,
}

/// How a worker is met for the first time.
#[derive(Clone, Debug)]
pub struct FirstContact {
    /// The host key of its launch template: `ssh-ed25519 AAAA…`.
    pub template_public: String,
    /// The stdin of `agent host-key`.
    pub handover: SecretString,
}

/// A host key of ours is none, which only a bug can bring about.
const NO_KEY: &str = "the pinned host key is not an ed25519 key";

impl HostKeys {
    /// The worker's own.
    ///
    /// # Errors
    /// It is no key.
    pub fn own(&self) -> Result<HostPublicKey, &'static str> {
        HostPublicKey::parse(&self.own_public).ok_or(NO_KEY)
    }

    /// All that are accepted, the worker's own first.
    ///
    /// # Errors
    /// One of them is no key.
    pub fn pinned(&self) -> Result<Vec<HostPublicKey>, &'static str> {
        let first = self.first_contact.as_ref().map(|first| &first.template_public);
        let all = [Some(&self.own_public), first].into_iter().flatten();
        all.map(|public| HostPublicKey::parse(public).ok_or(NO_KEY)).collect()
    }
}

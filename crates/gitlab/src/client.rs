//! The facade: one [`GitLab`] per server and api token, cheap to clone; what it can do stands in the other files.

use std::fmt;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::sync::Arc;

use secrecy::SecretString;

use super::budget::{Budget, REQUESTS_PER_MINUTE};
use super::error::{ErrorKind, GitLabError};
use super::http::{Credential, Http, Limits};
use super::watch::Watch;
use runner_fleet_engine::Server;

/// What a [`GitLab`] is made from.
#[derive(Clone, Debug)]
pub struct Options {
    /// The server of a runner's `url`.
    pub server: Server,
    /// A PEM file with certificates trusted besides the system's (`tls-ca-file`).
    pub ca_file: Option<PathBuf>,
    /// A user, group or project access token with scope `read_api`. Without it only the calls with a runner token work.
    pub api_token: Option<SecretString>,
    /// Requests a minute for the queue, [`REQUESTS_PER_MINUTE`] unless a test wants another; see [`Budget`].
    pub requests_per_minute: NonZeroU32,
    /// Time-outs and sizes.
    pub limits: Limits,
    /// Feeds the jitter of back-offs; different managers give different ones.
    pub seed: u64,
    /// Is told of each request.
    pub watch: Watch,
}

impl Options {
    /// The defaults for this server: no token, no own CA.
    pub fn new(server: Server) -> Self {
        Self {
            server,
            ca_file: None,
            api_token: None,
            requests_per_minute: REQUESTS_PER_MINUTE,
            limits: Limits::default(),
            seed: 0,
            watch: Watch::default(),
        }
    }
}

/// A GitLab server, as one api token sees it. Clones share connections and the request budget.
#[derive(Clone)]
pub struct GitLab {
    inner: Arc<Inner>,
}

struct Inner {
    http: Http,
    api_token: Option<SecretString>,
    budget: Budget,
    seed: u64,
}

impl fmt::Debug for GitLab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.http.fmt(f)
    }
}

impl GitLab {
    /// Prepares the client; connects to nothing yet.
    ///
    /// # Errors
    /// The address is none, the CA file cannot be read, or the system has no trusted certificates at all.
    pub fn new(options: Options) -> Result<Self, GitLabError> {
        let Options { server, ca_file, api_token, requests_per_minute, limits, seed, watch } = options;
        let http = Http::new(&server, ca_file.as_deref(), limits)?.watched_by(watch);
        let budget = Budget::per_minute(requests_per_minute);
        Ok(Self { inner: Arc::new(Inner { http, api_token, budget, seed }) })
    }

    pub(super) fn http(&self) -> &Http {
        &self.inner.http
    }

    pub(super) fn budget(&self) -> &Budget {
        &self.inner.budget
    }

    pub(super) fn seed(&self) -> u64 {
        self.inner.seed
    }

    /// Whether both are clones of one client.
    pub fn is_shared_with(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.inner, &other.inner)
    }

    /// The api token; `doing` is told when there is none.
    pub(super) fn api(&self, doing: &str) -> Result<Credential<'_>, GitLabError> {
        match &self.inner.api_token {
            Some(token) => Ok(Credential::Api(token)),
            None => Err(self.http().error(doing, ErrorKind::NoApiToken)),
        }
    }
}

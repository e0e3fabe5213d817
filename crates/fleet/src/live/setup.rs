//! A configuration and all that it takes to act on it: secrets read, clients made, rules for the engine.
//!
//! Secrets are read once, here: at the start and at every reload. They stay wrapped, and go to GitLab and to workers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use secrecy::{ExposeSecret, SecretString};
use tokio::sync::Notify;

use crate::aws::{Aws, AwsError};
use crate::metrics::Calls;
use runner_fleet_config::{Config, Found, Runner, Secret, SecretError};
use runner_fleet_engine::failure::chain;
use runner_fleet_engine::{Failure, FailureClass, RunnerName, Settings};
use runner_fleet_gitlab::{GitLab, GitLabError, Options, Restriction, Watch};

use super::regions::Regions;

/// A configuration, ready to be acted on.
#[derive(Debug)]
pub struct Setup {
    /// The file's content.
    pub config: Config,
    /// What the engine is told of it.
    pub settings: Settings,
    /// In file order; but for those that are not ready.
    pub runners: Vec<Arc<RunnerSetup>>,
    /// Runners that cannot be acted on yet, while the others are.
    pub unready: Vec<Unready>,
    /// Runners that were configured once: their workers are still to be drained and forgotten.
    former: BTreeMap<RunnerName, Arc<RunnerSetup>>,
}

/// A runner whose secrets cannot be read, or whose clients cannot be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unready {
    /// Which.
    pub runner: RunnerName,
    /// Why.
    pub failure: Failure,
}

/// One runner, ready to be acted on.
#[derive(Debug)]
pub struct RunnerSetup {
    /// Its section.
    pub runner: Runner,
    /// The runner token.
    pub token: SecretString,
    /// What the queue is read with; without it the queue is not seen.
    pub api_token: Option<SecretString>,
    /// Asks for the launch to be prepared again: a launch has found something of ours missing.
    pub prepare_again: Notify,
    /// Whether GitLab has refused one of its tokens at the last look.
    refused: AtomicBool,
    /// Its server, seen with its api token. Runners of one server and one api token share one, and with it connections and
    /// the request budget.
    pub gitlab: GitLab,
    /// Its region.
    pub aws: Aws,
}

/// Why a configuration cannot be acted on.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// A secret cannot be read from this machine.
    #[error("read the {what} of runner {runner}")]
    Secret {
        /// Which of its secrets.
        what: &'static str,
        /// Whose.
        runner: RunnerName,
        /// Why.
        source: SecretError,
    },
    /// AWS cannot be asked, or does not give a secret.
    #[error("prepare runner {runner}")]
    Aws {
        /// Whose.
        runner: RunnerName,
        /// Why.
        source: Box<AwsError>,
    },
    /// The client for its server cannot be made.
    #[error("prepare runner {runner}")]
    GitLab {
        /// Whose.
        runner: RunnerName,
        /// Why.
        source: Box<GitLabError>,
    },
    /// Several of these, so that all can be mended at once.
    #[error("{}", .0.iter().map(|error| chain(error)).collect::<Vec<_>>().join("; cannot "))]
    Several(Vec<SetupError>),
}

impl SetupError {
    /// All of them as one; `None` when there is none.
    fn all(mut errors: Vec<Self>) -> Option<Self> {
        match errors.len() {
            0 | 1 => errors.pop(),
            _ => Some(Self::Several(errors)),
        }
    }

    /// As the engine tells it.
    fn failure(&self) -> Failure {
        let class = match self {
            Self::Secret { .. } => FailureClass::NotFound,
            Self::Aws { source, .. } => source.class(),
            Self::GitLab { .. } => FailureClass::Invalid,
            Self::Several(errors) => errors.first().map_or(FailureClass::Other, |error| error.failure().class),
        };
        Failure::new(class, format!("cannot {}", chain(self)))
    }
}

impl Setup {
    /// Reads all secrets and makes all clients; `former` is the setup that this one replaces. A runner for which that fails
    /// goes on with what it had, if its section is the same; else it is not ready, and the others are.
    ///
    /// # Errors
    /// For no runner all secrets can be read, a region is known and the CA file is usable. Nothing has changed then.
    pub async fn prepare(
        config: Config,
        former: Option<&Self>,
        regions: &Regions,
        seed: u64,
    ) -> Result<Self, SetupError> {
        let (mut runners, mut unready): (Vec<Arc<RunnerSetup>>, Vec<Unready>) = (Vec::new(), Vec::new());
        let mut errors = Vec::new();
        for runner in &config.runners {
            let error = match RunnerSetup::prepare(runner, &runners, regions, seed).await {
                Ok(setup) => {
                    runners.push(Arc::new(setup));
                    continue;
                }
                Err(error) => error,
            };
            match former.and_then(|former| former.unchanged(runner)) {
                Some(same) => runners.push(Arc::clone(same)),
                None => unready.push(Unready { runner: runner.name.clone(), failure: error.failure() }),
            }
            errors.push(error);
        }
        if let (true, Some(error)) = (runners.is_empty(), SetupError::all(errors)) {
            return Err(error);
        }
        let mut kept = former.map(|former| former.former.clone()).unwrap_or_default();
        kept.extend(former.into_iter().flat_map(|f| &f.runners).map(|r| (r.runner.name.clone(), Arc::clone(r))));
        kept.retain(|name, _| !config.runners.iter().any(|runner| runner.name == *name));
        Ok(Self { settings: config.settings(), config, runners, unready, former: kept })
    }

    /// Whether there is something that may have changed without the file: a runner that is not ready, or whose token is refused.
    pub(super) fn may_heal(&self) -> bool {
        !self.unready.is_empty() || self.runners.iter().any(|runner| runner.refused.load(Ordering::Relaxed))
    }

    /// Whether other runners are ready than in `former`, or have other tokens.
    pub(super) fn differs_from(&self, former: &Self) -> bool {
        let same = |(one, other): (&Arc<RunnerSetup>, &Arc<RunnerSetup>)| one.has_the_tokens_of(other);
        self.unready != former.unready || !self.runners.iter().zip(&former.runners).all(same)
    }

    /// The runner of this section, if it is ready and its section was the same.
    fn unchanged(&self, section: &Runner) -> Option<&Arc<RunnerSetup>> {
        self.runners.iter().find(|setup| setup.runner == *section)
    }

    /// A runner that is configured, or was.
    pub fn runner(&self, name: &RunnerName) -> Option<&Arc<RunnerSetup>> {
        self.runners.iter().find(|setup| setup.runner.name == *name).or_else(|| self.former.get(name))
    }

    /// The owner's name in every tag.
    pub fn manager(&self) -> &str {
        &self.config.fleet.manager
    }
}

impl RunnerSetup {
    /// One runner by itself, for a look that nothing follows from.
    ///
    /// # Errors
    /// A secret cannot be read, no region is known, or a CA file is unusable.
    pub async fn alone(runner: &Runner, regions: &Regions) -> Result<Self, SetupError> {
        Self::prepare(runner, &[], regions, 0).await
    }

    /// Where its jobs are looked for, of all places where it may take them.
    pub fn restriction(&self) -> Restriction {
        let fleet = &self.runner.fleet;
        Restriction { projects: fleet.projects.clone(), groups: fleet.groups.clone() }
    }

    async fn prepare(runner: &Runner, before: &[Arc<Self>], regions: &Regions, seed: u64) -> Result<Self, SetupError> {
        let of_aws = |source| SetupError::Aws { runner: runner.name.clone(), source: Box::new(source) };
        let aws = regions.of(runner.fleet.region.as_deref()).await.map_err(of_aws)?;
        let token = resolve(&runner.token, "token", runner, &aws).await;
        let api_token = match &runner.fleet.api_token {
            Some(secret) => resolve(secret, "api_token", runner, &aws).await.map(Some),
            None => Ok(None),
        };
        let (token, api_token) = match (token, api_token) {
            (Ok(token), Ok(api_token)) => (token, api_token),
            (Err(error), Ok(_)) | (Ok(_), Err(error)) => return Err(error),
            (Err(one), Err(other)) => return Err(SetupError::Several(vec![one, other])),
        };
        let shared = before.iter().find(|other| other.reaches_the_same(runner, api_token.as_ref()));
        let gitlab = match shared {
            Some(other) => other.gitlab.clone(),
            None => client(runner, api_token.clone(), seed, regions.calls())?,
        };
        Ok(Self {
            runner: runner.clone(),
            token,
            api_token,
            prepare_again: Notify::new(),
            refused: AtomicBool::new(false),
            gitlab,
            aws,
        })
    }

    /// Notes whether one of its tokens was refused: then there may be a new one.
    pub(super) fn notes_refusal(&self, failure: Option<&Failure>) {
        let is_refusal = |failure: &Failure| matches!(failure.class, FailureClass::Denied | FailureClass::TokenRefused);
        self.refused.store(failure.is_some_and(is_refusal), Ordering::Relaxed);
    }

    fn has_the_tokens_of(&self, other: &Self) -> bool {
        let text = |token: &SecretString| token.expose_secret().to_owned();
        text(&self.token) == text(&other.token)
            && self.api_token.as_ref().map(text) == other.api_token.as_ref().map(text)
    }

    fn reaches_the_same(&self, runner: &Runner, api_token: Option<&SecretString>) -> bool {
        let text = |token: Option<&SecretString>| token.map(|token| token.expose_secret().to_owned());
        self.runner.server == runner.server
            && self.runner.tls_ca_file == runner.tls_ca_file
            && text(self.api_token.as_ref()) == text(api_token)
    }
}

fn client(runner: &Runner, api_token: Option<SecretString>, seed: u64, calls: &Calls) -> Result<GitLab, SetupError> {
    let ca_file = runner.tls_ca_file.clone();
    let calls = calls.clone();
    let watch = Watch::new(move |operation| {
        let request = calls.begin("gitlab", operation);
        Box::new(|outcome| request.ended(outcome))
    });
    GitLab::new(Options { ca_file, api_token, seed, watch, ..Options::new(runner.server.clone()) })
        .map_err(|source| SetupError::GitLab { runner: runner.name.clone(), source: Box::new(source) })
}

async fn resolve(secret: &Secret, what: &'static str, runner: &Runner, aws: &Aws) -> Result<SecretString, SetupError> {
    let unread = |source| SetupError::Secret { what, runner: runner.name.clone(), source };
    match secret.resolve_local().map_err(unread)? {
        Found::Here(token) => Ok(token),
        Found::InParameter(name) => {
            let of_aws = |source| SetupError::Aws { runner: runner.name.clone(), source: Box::new(source) };
            aws.secret(name).await.map_err(of_aws)
        }
    }
}

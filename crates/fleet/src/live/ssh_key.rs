//! The manager's SSH key, wherever `ssh_key` says that it is kept: in `state_dir` alone, or in an SSM parameter that
//! outlives this host.
//!
//! With a parameter, what it holds is the key, and the file is a copy for `runner-fleet ssh`. An empty place is filled by
//! whoever comes first: with the key of `state_dir`, so that an installation takes its key along, else with a new one.
//! Nothing in the parameter is ever overwritten, so that managers that start at once end with one key.

use std::path::Path;

use tracing::{debug, info, warn};

use crate::aws::{Aws, AwsError, Kept};
use crate::ssh::{KeyError, ManagerKey, Settled};
use runner_fleet_config::Config;

use super::regions::Regions;

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum SshKeyError {
    /// The file in `state_dir`.
    #[error(transparent)]
    File(#[from] KeyError),
    /// SSM cannot be asked, or has something there that is no secret.
    #[error(transparent)]
    Aws(Box<AwsError>),
    /// The parameter holds something else.
    #[error(
        "the SSM parameter {name} in {region} is not an ed25519 private key without a passphrase; name another one in \
         `ssh_key`, or delete it, and the service puts its key there"
    )]
    NotAKey {
        /// Which parameter.
        name: String,
        /// Where.
        region: String,
    },
}

impl From<AwsError> for SshKeyError {
    fn from(error: AwsError) -> Self {
        Self::Aws(Box::new(error))
    }
}

/// The key that the service works with, in its file in `state_dir` when this returns. Tells the log what was done.
///
/// # Errors
/// See [`SshKeyError`]. Nothing was overwritten; the same again is safe.
pub async fn prepare(config: &Config, regions: &Regions) -> Result<ManagerKey, SshKeyError> {
    let state_dir = &config.fleet.state_dir;
    match Parameter::of(config, regions).await? {
        None => Ok(ManagerKey::load_or_create(state_dir)?),
        Some(parameter) => parameter.prepare(state_dir, &config.fleet.manager).await,
    }
}

/// The key for a look that makes none: from `state_dir`, else from the parameter. `None`: it was not made yet.
///
/// # Errors
/// See [`SshKeyError`].
pub async fn find(config: &Config, regions: &Regions) -> Result<Option<ManagerKey>, SshKeyError> {
    if let Some(key) = in_state_dir(&config.fleet.state_dir)? {
        return Ok(Some(key));
    }
    match Parameter::of(config, regions).await? {
        None => Ok(None),
        Some(parameter) => parameter.read().await,
    }
}

/// The key in its file; `None`: there is no file.
///
/// # Errors
/// There is one, and it cannot be used.
pub fn in_state_dir(state_dir: &Path) -> Result<Option<ManagerKey>, KeyError> {
    match ManagerKey::load(state_dir) {
        Ok(key) => Ok(Some(key)),
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error),
    }
}

/// The parameter that keeps the key.
#[derive(Clone, Debug)]
pub struct Parameter {
    aws: Aws,
    name: String,
}

impl Parameter {
    /// The one of the configuration, if it names one.
    ///
    /// # Errors
    /// No region is known.
    pub async fn of(config: &Config, regions: &Regions) -> Result<Option<Self>, SshKeyError> {
        match config.ssh_key_parameter() {
            None => Ok(None),
            Some(place) => Ok(Some(Self::new(regions.of(place.region).await?, place.name))),
        }
    }

    /// The one of this name in the region of `aws`.
    pub fn new(aws: Aws, name: &str) -> Self {
        Self { aws, name: name.to_owned() }
    }

    /// For people: its name and region.
    pub fn told(&self) -> String {
        format!("the SSM parameter {} in {}", self.name, self.aws.region())
    }

    /// Reads the key; `None`: there is no such parameter yet.
    ///
    /// # Errors
    /// It cannot be read, is no SecureString, or holds something else.
    pub async fn read(&self) -> Result<Option<ManagerKey>, SshKeyError> {
        let Some(secret) = self.aws.kept_secret(&self.name).await? else { return Ok(None) };
        match ManagerKey::from_openssh(&secret) {
            Some(key) => Ok(Some(key)),
            None => Err(SshKeyError::NotAKey { name: self.name.clone(), region: self.aws.region().to_owned() }),
        }
    }

    /// Puts this key there if there still is none. The answer is the key that is there now, whosever it is.
    ///
    /// # Errors
    /// It cannot be written; or somebody was faster, and what is there cannot be read.
    pub async fn fill(&self, key: ManagerKey, manager: &str) -> Result<ManagerKey, SshKeyError> {
        let description = format!("SSH key of the runner-fleet manager {manager}");
        match self.aws.keep_secret(&self.name, &description, &key.to_openssh()).await? {
            Kept::Now => {
                info!("the SSH key {} was put into {}", key.fingerprint(), self.told());
                Ok(key)
            }
            Kept::Before => match self.read().await? {
                Some(theirs) => Ok(theirs),
                None => Err(self.aws.not_yet(&self.name).into()),
            },
        }
    }

    /// The key that the service works with, in its file in `state_dir`.
    ///
    /// # Errors
    /// See [`SshKeyError`].
    pub async fn prepare(&self, state_dir: &Path, manager: &str) -> Result<ManagerKey, SshKeyError> {
        let key = match self.read().await? {
            Some(key) => key,
            None => {
                let own = in_state_dir(state_dir)?.unwrap_or_else(ManagerKey::fresh);
                self.fill(own, manager).await?
            }
        };
        let (key, settled) = key.settle(state_dir)?;
        let (fingerprint, told, path) = (key.fingerprint(), self.told(), key.path().display());
        match settled {
            // Told at every attempt of a start that waits for something else.
            Settled::Already => debug!("the SSH key is {fingerprint}, as in {told}"),
            Settled::Written => info!("the SSH key {fingerprint} of {told} was written to {path}"),
            Settled::Instead { of, kept } => warn!(
                "the SSH key {fingerprint} of {told} takes the place of {of} in {path}; the former one is kept as {}. \
                 Workers that know only that one end themselves after their jobs and are replaced",
                kept.display()
            ),
        }
        Ok(key)
    }
}

//! `[runners.fleet.ecr]`: logging in to Amazon's registries without stored passwords.

use super::Tool;

/// The table, also when it is switched off.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ecr {
    /// The exact hosts that the credential helper answers for; at least one.
    pub registries: Vec<EcrHost>,
    /// Default true.
    pub enabled: bool,
    /// Helper and Docker configuration are wired into job containers too. Default true.
    pub in_jobs: bool,
    /// `docker-credential-ecr-login`, for images that have none.
    pub helper: Tool,
}

/// A registry host that the credential helper recognises.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct EcrHost(String);

impl EcrHost {
    /// The host name, in lower case.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

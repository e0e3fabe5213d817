//! What the runner's own token can do: prove itself, keep the runner alive, and forget workers that have ended.
//!
//! GitLab takes a runner for offline when nothing of it was heard for two hours, and drops jobs that have been pending
//! for an hour while no online runner matches: an empty fleet would lose its jobs. So the service calls
//! [`GitLab::verify`] every 20 minutes (well inside two hours, and inside the 40 minutes after which GitLab writes the
//! contact to its database again). Verify creates a runner-manager row for the system id it is given, hence one stable
//! id for the manager itself, [`manager_system_id`], and never a worker's.
//!
//! Deliberately absent: `DELETE /runners`, which deletes the runner with all its workers.
//! Source: GitLab docs, "Runners API"; `lib/api/ci/runner.rb`; `app/models/ci/runner.rb`.

use jiff::Timestamp;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::client::GitLab;
use super::error::{ErrorKind, GitLabError};
use super::http::{Credential, Request};
use runner_fleet_engine::SystemId;
use runner_fleet_engine::text::short_hex;

/// The answer to [`GitLab::verify`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// GitLab's id of the runner that the token belongs to.
    pub id: u64,
    /// When the token ends; `None`: never. Workers must not be told, or each would rotate it for all the others.
    pub expires_at: Option<Timestamp>,
}

/// The system id under which this manager itself appears among the runner's managers: `r_` and 12 characters from the
/// hash of its configured name, so that a restart or a new host does not add a row.
pub fn manager_system_id(manager: &str) -> SystemId {
    // The prefix keeps a manager named like an instance apart from that instance's worker.
    let digest = Sha256::digest(format!("runner-fleet manager {manager}").as_bytes());
    SystemId::new(format!("r_{}", short_hex(&digest, 12)))
}

/// The body of both calls. Never printed.
#[derive(Serialize)]
struct RunnerCall<'a> {
    token: &'a str,
    system_id: &'a str,
}

#[derive(Deserialize)]
struct VerifyRow {
    id: u64,
    #[serde(default)]
    token_expires_at: Option<Timestamp>,
}

impl GitLab {
    /// Checks a runner authentication token and counts as a sign of life of the runner; call it every 20 minutes.
    ///
    /// # Errors
    /// `is_denied()` when GitLab does not know the token; otherwise as any call.
    pub async fn verify(&self, token: &SecretString, system_id: &SystemId) -> Result<Verified, GitLabError> {
        let url = self.http().api(&["runners", "verify"], &[]);
        let body = RunnerCall { token: token.expose_secret(), system_id: system_id.as_str() };
        let request = Request::post(url, "verify the runner token", Credential::Runner(token)).json(&body);
        let answer = self.http().send(request).await.map_err(about_the_runner_token)?;
        let VerifyRow { id, token_expires_at } = answer.json()?;
        Ok(Verified { id, expires_at: token_expires_at })
    }

    /// Deletes the runner-manager row of a worker that has ended; done as well when GitLab has no such row.
    ///
    /// Without this a busy fleet leaves thousands of rows, which GitLab removes only after seven days.
    ///
    /// # Errors
    /// `is_denied()` when GitLab does not know the token; otherwise as any call.
    pub async fn forget(&self, token: &SecretString, system_id: &SystemId) -> Result<(), GitLabError> {
        let url = self.http().api(&["runners", "managers"], &[]);
        let body = RunnerCall { token: token.expose_secret(), system_id: system_id.as_str() };
        let doing = format!("delete the runner manager {system_id}");
        let request = Request::delete(url, doing, Credential::Runner(token)).json(&body);
        match self.http().send(request).await {
            Ok(_) => Ok(()),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(about_the_runner_token(error)),
        }
    }
}

/// The general advice is about the api token; here it is the runner's.
fn about_the_runner_token(error: GitLabError) -> GitLabError {
    match error.kind() {
        ErrorKind::Refused { status: 422, .. } => error
            .advise("the group or project of this runner is gone: create a new runner and write its token as token"),
        _ if error.is_denied() => {
            error.advise("write the token that GitLab showed when the runner was created (glrt-…) as token")
        }
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_managers_id_is_stable_and_its_own() {
        let id = manager_system_id("ci-eu");
        assert_eq!(id, manager_system_id("ci-eu"));
        assert_ne!(id, manager_system_id("ci-us"));
        assert_ne!(manager_system_id("i-0abc"), SystemId::of(&runner_fleet_engine::WorkerId::new("i-0abc")));
        let (prefix, rest) = id.as_str().split_at(2);
        assert_eq!(prefix, "r_");
        assert!(rest.len() == 12 && rest.chars().all(|c| c.is_ascii_alphanumeric()), "{id}");
    }
}

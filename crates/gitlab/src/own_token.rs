//! What an access token says of itself: scopes and end.
//!
//! Source: GitLab docs, "Personal access tokens API", "Get details on a personal access token", `self`; answers for project
//! and group access tokens, too.

use serde::Deserialize;

use super::client::GitLab;
use super::error::GitLabError;
use super::http::Request;

/// The api token, as GitLab knows it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct OwnToken {
    /// `read_api`, `api`, …
    #[serde(default)]
    pub scopes: Vec<String>,
    /// Its last day; `None`: it does not end.
    #[serde(default)]
    pub expires_at: Option<jiff::civil::Date>,
}

impl GitLab {
    /// Reads the api token's own row.
    ///
    /// # Errors
    /// As any call; older servers do not know the address.
    pub async fn own_token(&self) -> Result<OwnToken, GitLabError> {
        let doing = "read the api_token's scopes";
        let url = self.http().api(&["personal_access_tokens", "self"], &[]);
        self.http().send(Request::get(url, doing, self.api(doing)?)).await?.json()
    }
}

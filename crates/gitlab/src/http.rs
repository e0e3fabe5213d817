//! One HTTP client per GitLab server: TLS always verified, every wait and every body limited.
//!
//! Tokens travel in headers or in the body, never in an address, and only to the server that was configured: a redirect
//! is followed within the same origin alone (GitLab redirects renamed projects), anything else is an error that names
//! the new address.

use std::fmt;
use std::path::Path;
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use reqwest::{Certificate, Method, StatusCode, Url, redirect};
use secrecy::{ExposeSecret, SecretString};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::answer;
use super::error::{ErrorKind, GitLabError};
use super::watch::Watch;
use runner_fleet_engine::Server;

const USER_AGENT: &str = concat!("runner-fleet/", env!("CARGO_PKG_VERSION"));

/// Redirects followed within one origin: GitLab needs one (a renamed project), a slash-adding proxy another.
const REDIRECTS_MAX: usize = 3;

/// Largest CA file read: the whole Mozilla bundle has a quarter of that.
const CA_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What bounds every call. The defaults are for production; tests pass shorter ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// From the first packet to a finished TLS handshake. Default 5 s: one lost SYN is repeated after 1 s, a second after 3 s.
    pub connect: Duration,
    /// The whole call with its body. Default 20 s: GitLab's slowest list answers in a few seconds, and one hanging call
    /// must not outlast several polls of the queue.
    pub total: Duration,
    /// The answer's body. Default 4 MiB: a page of 100 jobs has about 400 KiB, long commit messages may make it some
    /// times larger, and eight at a time must fit a manager with 64 MiB.
    pub body_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), total: Duration::from_secs(20), body_bytes_max: 4 * 1024 * 1024 }
    }
}

/// Whose token goes along.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// A user, group or project access token: `PRIVATE-TOKEN`.
    Api(&'a SecretString),
    /// A runner authentication token: `RUNNER-TOKEN`, as the official runner sends it besides the body.
    Runner(&'a SecretString),
}

impl Credential<'_> {
    fn secret(&self) -> &SecretString {
        match self {
            Self::Api(secret) | Self::Runner(secret) => secret,
        }
    }

    fn header_name(&self) -> HeaderName {
        match self {
            Self::Api(_) => HeaderName::from_static("private-token"),
            Self::Runner(_) => HeaderName::from_static("runner-token"),
        }
    }
}

/// One call, complete.
pub(crate) struct Request<'a> {
    method: Method,
    url: Url,
    /// Verb and object, for errors.
    doing: String,
    credential: Credential<'a>,
    body: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    pub(crate) fn get(url: Url, doing: impl Into<String>, credential: Credential<'a>) -> Self {
        Self { method: Method::GET, url, doing: doing.into(), credential, body: None }
    }

    pub(crate) fn post(url: Url, doing: impl Into<String>, credential: Credential<'a>) -> Self {
        Self { method: Method::POST, ..Self::get(url, doing, credential) }
    }

    pub(crate) fn delete(url: Url, doing: impl Into<String>, credential: Credential<'a>) -> Self {
        Self { method: Method::DELETE, ..Self::get(url, doing, credential) }
    }

    /// With a JSON body. Our bodies are maps of strings and numbers: they always serialise.
    pub(crate) fn json(mut self, body: &impl Serialize) -> Self {
        self.body = serde_json::to_vec(body).ok();
        self
    }
}

/// A success: status 2xx with its whole body.
pub(crate) struct Answer {
    server: String,
    doing: String,
    pub(crate) headers: HeaderMap,
    body: Vec<u8>,
}

impl Answer {
    /// The body as what we need of it; unknown fields are ignored.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, GitLabError> {
        answer::json(&self.body).map_err(|kind| self.error(kind))
    }

    /// An error about this answer.
    pub(crate) fn error(&self, kind: ErrorKind) -> GitLabError {
        GitLabError::new(&self.server, &self.doing, kind)
    }
}

/// The client of one server.
#[derive(Clone)]
pub(crate) struct Http {
    client: reqwest::Client,
    base: Url,
    server: String,
    limits: Limits,
    watch: Watch,
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("server", &self.server).field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl Http {
    pub(crate) fn new(server: &Server, ca_file: Option<&Path>, limits: Limits) -> Result<Self, GitLabError> {
        let failed = |problem: String| {
            GitLabError::new(server.as_str(), "prepare the connection to GitLab", ErrorKind::Setup(problem))
        };
        let base = base_url(server).map_err(failed)?;
        let mut builder = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(limits.connect)
            .timeout(limits.total)
            .redirect(within_one_origin());
        if let Some(path) = ca_file {
            builder = builder.tls_certs_merge(certificates(path).map_err(failed)?);
        }
        let client = builder.build().map_err(|error| failed(chain(&error)))?;
        Ok(Self { client, base, server: server.as_str().to_owned(), limits, watch: Watch::default() })
    }

    /// Tells of each request.
    pub(crate) fn watched_by(self, watch: Watch) -> Self {
        Self { watch, ..self }
    }

    /// The address of an API path, its segments escaped: `["projects", "group/name"]` is one project by its path.
    pub(crate) fn api(&self, segments: &[&str], query: &[(&str, &str)]) -> Url {
        let mut url = self.under(&["api", "v4"], segments);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// The address of the GraphQL API.
    pub(crate) fn graphql(&self) -> Url {
        self.under(&["api", "graphql"], &[])
    }

    fn under(&self, prefix: &[&str], segments: &[&str]) -> Url {
        let mut url = self.base.clone();
        // Fails only for addresses without a path (`mailto:`), which base_url refuses.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(prefix).extend(segments);
        }
        url
    }

    /// The configured address; next pages must lie under it.
    pub(crate) fn base(&self) -> &Url {
        &self.base
    }

    /// An error that is not about an answer.
    pub(crate) fn error(&self, doing: impl Into<String>, kind: ErrorKind) -> GitLabError {
        GitLabError::new(&self.server, doing, kind)
    }

    /// Sends, and reads the whole answer; anything but a 2xx is an error by the one table.
    pub(crate) async fn send(&self, request: Request<'_>) -> Result<Answer, GitLabError> {
        let Request { method, url, doing, credential, body } = request;
        let ended = self.watch.begin(&method, &url);
        let answer = match self.exchange(method, url, credential, body).await {
            Ok((headers, body)) => Ok(Answer { server: self.server.clone(), doing, headers, body }),
            Err(kind) => Err(self.error(doing, kind)),
        };
        ended(answer.as_ref().map(drop).map_err(GitLabError::class));
        answer
    }

    async fn exchange(
        &self,
        method: Method,
        url: Url,
        credential: Credential<'_>,
        body: Option<Vec<u8>>,
    ) -> Result<(HeaderMap, Vec<u8>), ErrorKind> {
        let mut token = HeaderValue::from_str(credential.secret().expose_secret())
            .map_err(|_| ErrorKind::Setup("the token contains characters that no token has".into()))?;
        token.set_sensitive(true);
        let mut builder = self.client.request(method, url).header(credential.header_name(), token);
        if let Some(body) = body {
            builder = builder.header("content-type", "application/json").body(body);
        }
        let mut response = builder.send().await.map_err(|error| self.transport(error))?;
        let body = self.whole_body(&mut response).await?;
        let status = response.status();
        if status.is_success() {
            return Ok((std::mem::take(response.headers_mut()), body));
        }
        Err(match redirected_to(status, &response) {
            Some(origin) => ErrorKind::Redirected(origin),
            None => answer::of_failure(status, response.headers(), &body, Some(credential.secret())),
        })
    }

    async fn whole_body(&self, response: &mut reqwest::Response) -> Result<Vec<u8>, ErrorKind> {
        let limit = self.limits.body_bytes_max;
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(ErrorKind::TooLarge(limit));
        }
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.transport(error))? {
            if body.len() + chunk.len() > limit {
                return Err(ErrorKind::TooLarge(limit));
            }
            body.extend_from_slice(&chunk);
        }
        Ok(body)
    }

    fn transport(&self, error: reqwest::Error) -> ErrorKind {
        let text = chain(&error);
        if text.contains("invalid peer certificate") {
            ErrorKind::Untrusted(text)
        } else if error.is_timeout() {
            ErrorKind::TimedOut(if error.is_connect() { self.limits.connect } else { self.limits.total })
        } else if error.is_connect() {
            ErrorKind::Unreachable(text)
        } else {
            ErrorKind::Cut(text)
        }
    }
}

/// `Server` as an address that paths can be appended to.
fn base_url(server: &Server) -> Result<Url, String> {
    let text = server.as_str();
    let url = Url::parse(text).map_err(|error| format!("url \"{text}\" is no address: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(format!("url \"{text}\" must begin with https:// or http://"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("url must not contain a user name or password".into());
    }
    Ok(url)
}

fn certificates(path: &Path) -> Result<Vec<Certificate>, String> {
    let file = path.display();
    let size = std::fs::metadata(path).map_err(|error| format!("tls-ca-file {file} cannot be read: {error}"))?.len();
    if size > CA_FILE_BYTES_MAX {
        return Err(format!("tls-ca-file {file} is larger than {CA_FILE_BYTES_MAX} bytes"));
    }
    let pem = std::fs::read(path).map_err(|error| format!("tls-ca-file {file} cannot be read: {error}"))?;
    let found = Certificate::from_pem_bundle(&pem).map_err(|error| format!("tls-ca-file {file}: {}", chain(&error)))?;
    if found.is_empty() {
        return Err(format!("tls-ca-file {file} contains no PEM certificate"));
    }
    Ok(found)
}

fn within_one_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let same_origin = attempt.previous().last().is_some_and(|from| from.origin() == attempt.url().origin());
        if same_origin && attempt.previous().len() <= REDIRECTS_MAX { attempt.follow() } else { attempt.stop() }
    })
}

/// The origin that a redirect points to, which is all that is shown of it.
fn redirected_to(status: StatusCode, response: &reqwest::Response) -> Option<String> {
    if !status.is_redirection() {
        return None;
    }
    let location = response.headers().get("location")?.to_str().ok()?;
    Some(response.url().join(location).ok()?.origin().ascii_serialization())
}

/// The causes of an HTTP error in one line, without its address.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut parts: Vec<String> = Vec::new();
    // The outermost error only repeats the address ("error sending request for url …").
    let mut cause = error.source().or(Some(error));
    while let Some(error) = cause {
        let text = error.to_string();
        if parts.last().is_none_or(|last| !last.contains(&text)) {
            parts.push(text);
        }
        cause = error.source();
    }
    answer::quotable(&parts.join(": "), None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn http(url: &str) -> Result<Http, GitLabError> {
        Http::new(&Server::new(url), None, Limits::default())
    }

    #[test]
    fn paths_are_escaped_and_a_relative_root_is_kept() {
        let http = http("https://example.com/gitlab").unwrap();
        let url = http.api(&["projects", "a group/pro?ject", "jobs"], &[("scope[]", "pending"), ("per_page", "100")]);
        assert_eq!(
            url.as_str(),
            "https://example.com/gitlab/api/v4/projects/a%20group%2Fpro%3Fject/jobs?scope%5B%5D=pending&per_page=100"
        );
        assert_eq!(http.graphql().as_str(), "https://example.com/gitlab/api/graphql");
    }

    #[test]
    fn only_web_addresses_are_servers() {
        for (url, problem) in [
            ("gitlab.example.com", "is no address"),
            ("mailto:root@example.com", "must begin with https://"),
            ("https://me:secret@example.com", "must not contain a user name"),
        ] {
            let error = http(url).unwrap_err().to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_bad_ca_file_is_told_with_its_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("ca.pem");
        let open = || Http::new(&Server::new("https://example.com"), Some(&path), Limits::default());
        let told = |problem: &str| {
            let error = open().unwrap_err().to_string();
            assert!(error.contains("ca.pem") && error.contains(problem), "{error}");
        };
        told("cannot be read");
        std::fs::write(&path, "not a certificate").unwrap();
        told("contains no PEM certificate");
        std::fs::write(&path, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(open().is_err(), "garbage inside PEM markers");
    }
}

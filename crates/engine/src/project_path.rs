//! A project's path on its server, and where its jobs are shown to people.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use smol_str::SmolStr;

use super::ids::{JobId, Server};

/// Longest path in bytes. GitLab allows more; who goes that deep is shown the project's number, so that a state with a
/// thousand waiting jobs stays small.
const BYTES_MAX: usize = 255;

/// A project's path with that of its groups (`acme/tools/build`). It comes from GitLab, and is only taken for one if it
/// has nothing but what GitLab allows in paths, so that it is harmless in an address, on a page and on a terminal.
/// Source: GitLab, `lib/gitlab/path_regex.rb`, `PATH_START_CHAR` and `PATH_REGEX_STR`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ProjectPath(SmolStr);

impl ProjectPath {
    /// The path, if it is one.
    pub fn new(text: &str) -> Option<Self> {
        let is_part = |part: &str| {
            part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))
                && part.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_' || c == '.')
                && !matches!(part, "." | "..")
        };
        (text.len() <= BYTES_MAX && text.contains('/') && text.split('/').all(is_part)).then(|| Self(text.into()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Where a server shows this job of the project. It is under the address that is configured, whatever GitLab says.
    pub fn job_url(&self, server: &Server, job: JobId) -> String {
        format!("{}/{}/-/jobs/{job}", server.as_str().trim_end_matches('/'), self.0)
    }
}

impl Serialize for ProjectPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for ProjectPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).ok_or_else(|| serde::de::Error::custom("no path of a project"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_gitlab_allows_is_a_path() {
        for path in ["g/p", "acme/tools/build_2", "a.b/c-d", "_g/.p"] {
            assert_eq!(ProjectPath::new(path).as_ref().map(ProjectPath::as_str), Some(path));
        }
        let long = format!("g/{}", "x".repeat(BYTES_MAX));
        let odd =
            ["", "p", "/p", "g/", "g//p", "g/../p", "g/./p", "g/-/jobs", "g/p?x", "g/p#x", "g/p q", "g/<b>", "g/é"];
        for path in odd.into_iter().chain(["g/p\\q", "g/%2e%2e", "g/p\n", "g/\u{1b}[31m", "@evil.example/p", &long]) {
            assert_eq!(ProjectPath::new(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_job_is_shown_under_the_configured_address() {
        let url = |server| ProjectPath::new("g/p").unwrap().job_url(&Server::new(server), JobId(7231));
        assert_eq!(url("https://gitlab.example.com"), "https://gitlab.example.com/g/p/-/jobs/7231");
        assert_eq!(url("https://example.com/gitlab/"), "https://example.com/gitlab/g/p/-/jobs/7231");
    }
}

//! Who wants to know of each request that goes out: which operation, and what came of it.

use std::fmt;
use std::sync::Arc;

use reqwest::{Method, Url};
use runner_fleet_engine::FailureClass;

/// What is told when a request is over.
pub type Ended = Box<dyn FnOnce(Result<(), FailureClass>) + Send>;

/// Is told of each request when it begins, and gives what is to be told when it is over.
#[derive(Clone)]
pub struct Watch(Arc<dyn Fn(String) -> Ended + Send + Sync>);

/// The words of GitLab's paths; all else in them names something.
const WORDS: [&str; 11] = [
    "groups",
    "jobs",
    "managers",
    "personal_access_tokens",
    "projects",
    "protected_branches",
    "protected_tags",
    "retry",
    "runners",
    "self",
    "verify",
];
/// Segments of a path that are told: no path of ours has more.
const SEGMENTS_MAX: usize = 6;

impl Watch {
    /// Tells this function.
    pub fn new(begins: impl Fn(String) -> Ended + Send + Sync + 'static) -> Self {
        Self(Arc::new(begins))
    }

    pub(crate) fn begin(&self, method: &Method, url: &Url) -> Ended {
        (self.0)(operation(method, url))
    }
}

impl Default for Watch {
    /// Tells nobody.
    fn default() -> Self {
        Self::new(|_| Box::new(|_| {}))
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch")
    }
}

/// The operation without the names in it: `GET /projects/:id/jobs`. As many as there are in this crate, whatever a server says
/// of the next page.
fn operation(method: &Method, url: &Url) -> String {
    let segments: Vec<&str> = url.path_segments().into_iter().flatten().filter(|segment| !segment.is_empty()).collect();
    let below = segments.iter().rposition(|segment| *segment == "api").map_or(0, |at| at + 2);
    let below = segments.get(below..).unwrap_or_default();
    if segments.ends_with(&["api", "graphql"]) {
        return format!("{method} /graphql");
    }
    let told = |segment: &&str| WORDS.iter().find(|word| *word == segment).copied().unwrap_or(":id");
    let path: Vec<&str> = below.iter().take(SEGMENTS_MAX).map(told).collect();
    format!("{method} /{}", path.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_has_no_names_in_it() {
        let of = |url: &str| operation(&Method::GET, &Url::parse(url).unwrap());
        for (url, told) in [
            ("https://gitlab.example.com/api/v4/projects/7/jobs?scope[]=pending", "GET /projects/:id/jobs"),
            ("https://example.com/gitlab/api/v4/groups/a%2Fb/projects", "GET /groups/:id/projects"),
            ("https://example.com/api/v4/projects/7/jobs/9/retry", "GET /projects/:id/jobs/:id/retry"),
            ("https://example.com/api/graphql", "GET /graphql"),
            ("https://example.com/api/v4/a/b/c/d/e/f/g/h", "GET /:id/:id/:id/:id/:id/:id"),
            ("https://example.com", "GET /"),
        ] {
            assert_eq!(of(url), told, "{url}");
        }
    }
}

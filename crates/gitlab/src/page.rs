//! Pages of a list: where the next one is, and whether we may go there.
//!
//! GitLab names the next page in the `Link` header, as a cursor (keyset) or a number (offset); the last page has none.
//! Cursors are followed, never built. Source: GitLab docs, "REST API", Pagination.

use std::collections::BTreeSet;

use reqwest::Url;
use reqwest::header::{HeaderMap, LINK};
use serde::de::DeserializeOwned;

use super::budget::Budget;
use super::error::{ErrorKind, GitLabError};
use super::http::{Credential, Http, Request};

/// Reads a list to its end, at most `pages_max` pages; a list that is longer is an error, not a shorter list.
pub(crate) async fn all<T: DeserializeOwned>(
    http: &Http,
    first: Url,
    doing: &str,
    credential: Credential<'_>,
    pages_max: usize,
) -> Result<Vec<T>, GitLabError> {
    let list = up_to(http, first, doing, credential, pages_max, None).await?;
    if list.whole { Ok(list.rows) } else { Err(http.error(doing, ErrorKind::TooManyPages(pages_max))) }
}

/// What was read of a list.
pub(crate) struct List<T> {
    pub(crate) rows: Vec<T>,
    /// Whether its end was reached.
    pub(crate) whole: bool,
}

/// Reads at most `pages_max` pages; every page after the first takes a token from `budget`, where one is given.
pub(crate) async fn up_to<T: DeserializeOwned>(
    http: &Http,
    first: Url,
    doing: &str,
    credential: Credential<'_>,
    pages_max: usize,
    budget: Option<&Budget>,
) -> Result<List<T>, GitLabError> {
    let mut rows = Vec::new();
    let mut next = Some(first);
    let mut seen = BTreeSet::new();
    while let Some(url) = next {
        if seen.len() >= pages_max {
            return Ok(List { rows, whole: false });
        }
        if let Some(budget) = budget.filter(|_| !seen.is_empty()) {
            budget.take().await;
        }
        if !seen.insert(url.to_string()) {
            return Err(http.error(doing, ErrorKind::Malformed("its pages lead in a circle".into())));
        }
        let answer = http.send(Request::get(url, doing, credential)).await?;
        rows.extend(answer.json::<Vec<T>>()?);
        next = next_page(&answer.headers, http.base()).map_err(|kind| answer.error(kind))?;
    }
    Ok(List { rows, whole: true })
}

/// The next page, if there is one; refused when it lies outside the configured server's API, for the token goes along.
pub(crate) fn next_page(headers: &HeaderMap, base: &Url) -> Result<Option<Url>, ErrorKind> {
    let mut links = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    let Some(target) = links.find_map(rel_next) else { return Ok(None) };
    let foreign = |shown: String| ErrorKind::ForeignPage(shown);
    let url = base.join(target).map_err(|_| foreign("an address that cannot be read".into()))?;
    let api = format!("{}/api/v4/", base.path().trim_end_matches('/'));
    if url.origin() != base.origin() || !url.path().starts_with(&api) {
        return Err(foreign(format!("{}{}", url.origin().ascii_serialization(), url.path())));
    }
    Ok(Some(url))
}

/// The target of `<target>; rel="next"` in a Link header (RFC 8288), which may list several links.
fn rel_next(header: &str) -> Option<&str> {
    let mut rest = header;
    while let Some((_, after)) = rest.split_once('<') {
        let (target, after) = after.split_once('>')?;
        // Parameters end at the comma before the next link's `<`.
        let (params, following) = match after.find('<') {
            Some(position) => after.split_at(position),
            None => (after, ""),
        };
        let is_next = params.split([';', ',']).any(|param| {
            let param = param.trim();
            param.strip_prefix("rel=").is_some_and(|rel| rel.trim_matches('"').split_whitespace().any(|r| r == "next"))
        });
        if is_next {
            return Some(target);
        }
        rest = following;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn next(base: &str, link: &str) -> Result<Option<String>, ErrorKind> {
        let headers = HeaderMap::from_iter([(LINK, link.parse().unwrap())]);
        next_page(&headers, &Url::parse(base).unwrap()).map(|url| url.map(|url| url.to_string()))
    }

    #[test]
    fn the_next_link_is_found_among_others() {
        let page = "https://g.example/api/v4/projects/1/jobs?cursor=a%2Cb&per_page=100";
        for link in [
            format!("<{page}>; rel=\"next\""),
            format!("<{page}>; rel=next"),
            format!(
                "<https://g.example/api/v4/x?page=1>; rel=\"first\", <{page}>; rel=\"next\", <https://g.example/l>; rel=\"last\""
            ),
        ] {
            assert_eq!(next("https://g.example", &link), Ok(Some(page.to_owned())), "{link}");
        }
        assert_eq!(next("https://g.example", "<https://g.example/api/v4/x?page=1>; rel=\"first\""), Ok(None));
        assert_eq!(next("https://g.example", "garbage"), Ok(None));
    }

    #[test]
    fn another_server_scheme_port_or_root_is_refused() {
        for (base, target) in [
            ("https://g.example", "https://evil.example/api/v4/projects"),
            ("https://g.example", "http://g.example/api/v4/projects"),
            ("https://g.example", "https://g.example:8443/api/v4/projects"),
            ("https://g.example", "https://g.example/users/sign_in"),
            ("https://g.example/gitlab", "https://g.example/api/v4/projects"),
            ("https://g.example", "//evil.example/api/v4/"),
        ] {
            let error = next(base, &format!("<{target}>; rel=\"next\"")).unwrap_err();
            assert!(matches!(error, ErrorKind::ForeignPage(_)), "{target}: {error:?}");
        }
    }

    proptest! {
        #[test]
        fn no_header_panics(link in "[ -~]{0,80}") {
            let _ = next("https://g.example", &link);
            let _ = next("https://g.example", &format!("<{link}>; rel=\"next\""));
        }
    }
}

//! The one table from GitLab's answers to their meaning. Pure: status, headers and body in, [`ErrorKind`] out.
//!
//! Bodies: most errors have `message` as a string, the application's 429 has it as an object, authentication errors
//! have `error` and `error_description`, and whatever stands in front of GitLab answers with HTML or plain text.
//! Sources: GitLab docs, "REST API" (status codes) and "User and IP rate limits"; `lib/api/api_guard.rb`.

use std::time::Duration;

use jiff::Timestamp;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use secrecy::{ExposeSecret, SecretString};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::error::{ErrorKind, Says, Throttle};

/// Longest quotation of a server in our messages: two lines of a terminal.
const QUOTE_CHARS_MAX: usize = 200;

/// What an answer that is no success means. `secret` is the token that was sent: a server that repeats it must not
/// get it into our logs.
pub(crate) fn of_failure(
    status: StatusCode,
    headers: &HeaderMap,
    body: &[u8],
    secret: Option<&SecretString>,
) -> ErrorKind {
    let json = serde_json::from_slice::<Value>(body).ok();
    let words = json.as_ref().and_then(words);
    let says = || Says(words.as_deref().map(|words| quotable(words, secret)));
    match status.as_u16() {
        300..=399 => ErrorKind::Redirected("somewhere else".into()),
        401 => ErrorKind::Unauthenticated(says()),
        403 if error_code(json.as_ref()) == Some("insufficient_scope") => ErrorKind::ScopeTooSmall(says()),
        403 => ErrorKind::Forbidden(says()),
        404 if json.is_some() => ErrorKind::NotFound(says()),
        404 => ErrorKind::Malformed("status 404, and the page is not GitLab's".into()),
        408 => ErrorKind::ServerError { status: 408, says: says() },
        429 => ErrorKind::Throttled(throttle(headers, json.as_ref())),
        code @ 500.. => ErrorKind::ServerError { status: code, says: says() },
        code => ErrorKind::Refused { status: code, says: says() },
    }
}

/// Reads a JSON body. The error names the place, never the content, which may be a secret.
pub(crate) fn json<T: DeserializeOwned>(body: &[u8]) -> Result<T, ErrorKind> {
    serde_json::from_slice(body).map_err(|error| {
        let problem = match error.classify() {
            serde_json::error::Category::Eof => "it ends too early",
            serde_json::error::Category::Data => "it has not the fields or types that the API documents",
            serde_json::error::Category::Syntax | serde_json::error::Category::Io => "it is not JSON",
        };
        ErrorKind::Malformed(format!("{problem}, line {} column {}", error.line(), error.column()))
    })
}

fn throttle(headers: &HeaderMap, json: Option<&Value>) -> Throttle {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let retry_after = text("retry-after").and_then(|value| value.parse().ok()).map(Duration::from_secs);
    match json.and_then(|json| json.get("message")) {
        // The per-endpoint limit. RateLimit-* headers beside it describe another, looser limit: not read.
        Some(Value::Object(_)) if retry_after.is_none() => Throttle::Endpoint,
        Some(Value::String(message)) if message.to_ascii_lowercase().contains("migration") => {
            Throttle::Migrations { retry_after }
        }
        _ => Throttle::Everything {
            name: text("ratelimit-name").map(|name| quotable(name, None)),
            retry_after,
            resets_at: text("ratelimit-reset")
                .and_then(|value| Timestamp::from_second(value.parse().ok()?).ok())
                .or_else(|| {
                    text("retry-after").and_then(|value| jiff::fmt::rfc2822::parse(value).ok()).map(|z| z.timestamp())
                }),
        },
    }
}

fn error_code(json: Option<&Value>) -> Option<&str> {
    json?.get("error")?.as_str()
}

/// The human part of an error body.
fn words(json: &Value) -> Option<String> {
    match json.get("message") {
        Some(Value::String(message)) => return Some(message.clone()),
        Some(Value::Object(message)) => {
            let parts = message.iter().map(|(key, value)| match value {
                Value::String(text) if key == "error" => text.clone(),
                other => format!("{key}: {other}"),
            });
            return Some(parts.collect::<Vec<_>>().join(", "));
        }
        _ => {}
    }
    let part = |key| json.get(key).and_then(Value::as_str);
    match (part("error"), part("error_description")) {
        (Some(error), Some(description)) => Some(format!("{error}: {description}")),
        (Some(error), None) => Some(error.to_owned()),
        (None, _) => None,
    }
}

/// One line, short, printable, without the secret and without anything that looks like a GitLab token.
pub(crate) fn quotable(text: &str, secret: Option<&SecretString>) -> String {
    let masked = match secret.map(ExposeSecret::expose_secret) {
        Some(secret) if !secret.is_empty() => text.replace(secret, "[masked]"),
        _ => text.to_owned(),
    };
    let word = |word: &str| if looks_like_token(word) { "[masked]".to_owned() } else { word.to_owned() };
    let one_line = masked.split_whitespace().map(word).collect::<Vec<_>>().join(" ");
    let clean: String = one_line.chars().filter(|c| !c.is_control()).collect();
    let short: String = clean.chars().take(QUOTE_CHARS_MAX).collect();
    if short.len() < clean.len() { format!("{short}…") } else { clean }
}

/// All tokens of GitLab since 14.5 begin with `gl`, a few letters and a dash (`glpat-`, `glrt-`, `gldt-`).
fn looks_like_token(word: &str) -> bool {
    word.split(|c: char| !c.is_ascii_alphanumeric() && !"-_.".contains(c)).any(|part| {
        part.strip_prefix("gl").and_then(|rest| rest.split_once('-')).is_some_and(|(kind, rest)| {
            (1..=8).contains(&kind.len()) && kind.chars().all(|c| c.is_ascii_lowercase()) && rest.len() >= 16
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect()
    }

    fn meaning(status: u16, body: &str) -> ErrorKind {
        of_failure(StatusCode::from_u16(status).unwrap(), &HeaderMap::new(), body.as_bytes(), None)
    }

    #[test]
    fn the_table() {
        let says = |text: &str| Says(Some(text.to_owned()));
        let cases = [
            (401, r#"{"message":"401 Unauthorized"}"#, ErrorKind::Unauthenticated(says("401 Unauthorized"))),
            (
                401,
                r#"{"error":"invalid_token","error_description":"Token was revoked."}"#,
                ErrorKind::Unauthenticated(says("invalid_token: Token was revoked.")),
            ),
            (
                403,
                r#"{"error":"insufficient_scope","error_description":"higher privileges"}"#,
                ErrorKind::ScopeTooSmall(says("insufficient_scope: higher privileges")),
            ),
            (403, r#"{"message":"403 Forbidden"}"#, ErrorKind::Forbidden(says("403 Forbidden"))),
            (404, r#"{"message":"404 Project Not Found"}"#, ErrorKind::NotFound(says("404 Project Not Found"))),
            (404, "<html>nothing here</html>", ErrorKind::Malformed("status 404, and the page is not GitLab's".into())),
            (
                400,
                r#"{"message":{"scope":["is bad"]}}"#,
                ErrorKind::Refused { status: 400, says: says(r#"scope: ["is bad"]"#) },
            ),
            (502, "<html>Bad Gateway</html>", ErrorKind::ServerError { status: 502, says: Says(None) }),
            (500, r#"{"message":null}"#, ErrorKind::ServerError { status: 500, says: Says(None) }),
        ];
        for (status, body, wanted) in cases {
            assert_eq!(meaning(status, body), wanted, "{status} {body}");
        }
    }

    #[test]
    fn the_three_shapes_of_429() {
        let endpoint = r#"{"message":{"error":"This endpoint has been requested too many times. Try again later."}}"#;
        let looser = headers(&[("ratelimit-reset", "1609844400"), ("ratelimit-remaining", "1500")]);
        assert_eq!(
            of_failure(StatusCode::TOO_MANY_REQUESTS, &looser, endpoint.as_bytes(), None),
            ErrorKind::Throttled(Throttle::Endpoint),
            "headers of a looser limit must not decide"
        );
        let rack = headers(&[
            ("retry-after", "30"),
            ("ratelimit-name", "throttle_authenticated_api"),
            ("ratelimit-reset", "1609844400"),
        ]);
        assert_eq!(
            of_failure(StatusCode::TOO_MANY_REQUESTS, &rack, b"Retry later\n", None),
            ErrorKind::Throttled(Throttle::Everything {
                name: Some("throttle_authenticated_api".into()),
                retry_after: Some(Duration::from_secs(30)),
                resets_at: Some(Timestamp::from_second(1_609_844_400).unwrap()),
            })
        );
        let migrations = br#"{"message":"Executing database migrations. Please retry later."}"#;
        assert_eq!(
            of_failure(StatusCode::TOO_MANY_REQUESTS, &headers(&[("retry-after", "60")]), migrations, None),
            ErrorKind::Throttled(Throttle::Migrations { retry_after: Some(Duration::from_secs(60)) })
        );
    }

    #[test]
    fn a_date_in_retry_after_is_understood() {
        let dated = headers(&[("retry-after", "Tue, 05 Jan 2021 11:00:00 GMT")]);
        let ErrorKind::Throttled(Throttle::Everything { resets_at, .. }) =
            of_failure(StatusCode::TOO_MANY_REQUESTS, &dated, b"", None)
        else {
            panic!("not a throttle")
        };
        assert_eq!(resets_at, Some(Timestamp::from_second(1_609_844_400).unwrap()));
    }

    #[test]
    fn a_repeated_token_is_masked() {
        let secret = SecretString::from("s3cr3t-legacy-token");
        assert_eq!(quotable("bad token s3cr3t-legacy-token!", Some(&secret)), "bad token [masked]!");
        assert_eq!(quotable("no glrt-t2_AbCdEfGhIjKlMnOp here", None), "no [masked] here");
        assert_eq!(quotable("token=\"glpat-AbCdEfGhIjKlMnOp1234\"", None), "[masked]");
        assert_eq!(quotable("gl-sast-report.json is global-ish", None), "gl-sast-report.json is global-ish");
        assert_eq!(quotable("a\nb\u{1b}[31m  c", None), "a b[31m c");
        assert_eq!(quotable(&"ä".repeat(500), None), format!("{}…", "ä".repeat(200)));
    }

    #[test]
    fn a_wrong_type_does_not_quote_the_value() {
        let error = json::<u64>(br#""glrt-secret""#).unwrap_err().to_string();
        assert!(!error.contains("secret"), "{error}");
    }

    proptest! {
        #[test]
        fn no_body_and_no_header_panics(
            status in 300u16..600,
            body in proptest::collection::vec(any::<u8>(), 0..200),
            retry in "[ -~]{0,20}",
        ) {
            let map = headers(&[("retry-after", &retry), ("ratelimit-reset", &retry)]);
            let _ = of_failure(StatusCode::from_u16(status).unwrap(), &map, &body, None).to_string();
            let _ = of_failure(StatusCode::from_u16(status).unwrap(), &map, retry.as_bytes(), None).to_string();
        }

        #[test]
        fn quotations_are_short_and_printable(text in any::<String>()) {
            let quoted = quotable(&text, None);
            prop_assert!(quoted.chars().count() <= QUOTE_CHARS_MAX + 1);
            prop_assert!(!quoted.chars().any(char::is_control));
        }
    }
}

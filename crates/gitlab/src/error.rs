//! What can go wrong between us and GitLab, in an administrator's words.
//!
//! [`GitLabError`] is asked, not taken apart: callers want to know whether to wait, for how long, and whether a person
//! must act. No text in here ever holds a token: what servers say is masked and shortened before it is kept.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use runner_fleet_engine::reason::Brief;
use runner_fleet_engine::{Failure, FailureClass};

/// No wait that a server asks for is obeyed for longer than this.
///
/// The longest window GitLab has by default is one hour (the authenticated API throttle of self-managed servers); a
/// larger number is a mistake or a joke, and the fleet must not sleep through a working day because of it.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// The wait when database migrations ask runners to back off and do not say for how long; GitLab's own value.
const MIGRATION_WAIT: Duration = Duration::from_secs(60);

/// A question to GitLab that was not answered as hoped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GitLabError {
    server: String,
    doing: String,
    /// Boxed: errors are rare, results are everywhere.
    kind: Box<ErrorKind>,
    advice: Option<&'static str>,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ErrorKind {
    /// The client cannot be made at all.
    #[error("{0}")]
    Setup(String),
    /// The call needs an api token and there is none.
    #[error("no api_token is configured")]
    NoApiToken,
    /// No connection: DNS, refused, TLS handshake.
    #[error("the server cannot be reached ({0})")]
    Unreachable(String),
    /// The server's certificate is not trusted.
    #[error("the server's TLS certificate is not trusted ({0})")]
    Untrusted(String),
    /// No answer, or no complete one, in time.
    #[error("no answer within {}", Brief(*.0))]
    TimedOut(Duration),
    /// The answer broke off.
    #[error("the answer broke off ({0})")]
    Cut(String),
    /// The answer was larger than any honest one.
    #[error("the answer is larger than {} KiB", .0 / 1024)]
    TooLarge(usize),
    /// The server sends us elsewhere, and no token is carried there.
    #[error("the server redirects to {0}")]
    Redirected(String),
    /// The answer is not what the API documents.
    #[error("unexpected response ({0})")]
    Malformed(String),
    /// The next page lies on another server.
    #[error("the next page is said to be at {0}")]
    ForeignPage(String),
    /// More pages than can be right.
    #[error("the list does not end after {0} pages")]
    TooManyPages(usize),
    /// 401.
    #[error("GitLab does not accept the token{0}")]
    Unauthenticated(Says),
    /// 403 because of the token's scope.
    #[error("the token lacks a required scope{0}")]
    ScopeTooSmall(Says),
    /// Any other 403.
    #[error("GitLab forbids it{0}")]
    Forbidden(Says),
    /// 404, said by GitLab itself.
    #[error("GitLab does not find it{0}")]
    NotFound(Says),
    /// Any other 4xx, or a GraphQL error.
    #[error("GitLab refuses the request (HTTP {status}){says}")]
    Refused {
        /// HTTP status.
        status: u16,
        /// What it says.
        says: Says,
    },
    /// 429.
    #[error("GitLab asks us to slow down: {0}")]
    Throttled(Throttle),
    /// 5xx.
    #[error("server error (HTTP {status}){says}")]
    ServerError {
        /// HTTP status.
        status: u16,
        /// What it says.
        says: Says,
    },
    /// We do not ask, because of an earlier error.
    #[error("not asked again before {until:.0}, because of an earlier error: {why}")]
    BackingOff {
        /// Until then.
        until: Timestamp,
        /// The earlier error.
        why: Box<GitLabError>,
    },
}

/// The server's own words, masked and shortened; prints as ` ("…")`, or as nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Says(pub(crate) Option<String>);

impl fmt::Display for Says {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |words| write!(f, " (\"{words}\")"))
    }
}

/// The three shapes of "too many requests".
///
/// Source: GitLab docs, "User and IP rate limits"; `lib/gitlab/application_rate_limiter.rb`; `lib/api/ci/runner.rb`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Throttle {
    /// The application's limit of one endpoint, per user: a JSON body, no word about when. Counted in fixed minutes.
    Endpoint,
    /// The limit in front of everything (Rack::Attack): a text body and headers.
    Everything {
        /// `RateLimit-Name`.
        name: Option<String>,
        /// `Retry-After`.
        retry_after: Option<Duration>,
        /// `RateLimit-Reset`, or `Retry-After` given as a date.
        resets_at: Option<Timestamp>,
    },
    /// Runner endpoints, while the database is being migrated.
    Migrations {
        /// `Retry-After`.
        retry_after: Option<Duration>,
    },
}

impl fmt::Display for Throttle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Endpoint => f.write_str("the limit of this endpoint is used up for this minute"),
            Self::Everything { name: Some(name), .. } => write!(f, "the limit {name} is used up"),
            Self::Everything { name: None, .. } => f.write_str("the limit for all requests is used up"),
            Self::Migrations { .. } => f.write_str("its database is being migrated"),
        }
    }
}

impl Throttle {
    fn wait(&self, now: Timestamp) -> Duration {
        let wait = match self {
            Self::Endpoint => until_next_minute(now),
            Self::Everything { retry_after: Some(wait), .. } => *wait,
            Self::Everything { resets_at: Some(at), .. } => between(now, *at),
            Self::Everything { .. } => until_next_minute(now),
            Self::Migrations { retry_after } => retry_after.unwrap_or(MIGRATION_WAIT),
        };
        wait.clamp(Duration::from_secs(1), WAIT_MAX)
    }
}

impl GitLabError {
    /// `doing` is a verb and its object in lower case: "list the pending jobs of project 7".
    pub(crate) fn new(server: impl Into<String>, doing: impl Into<String>, kind: ErrorKind) -> Self {
        Self { server: server.into(), doing: doing.into(), kind: Box::new(kind), advice: None }
    }

    /// What to do about it, where the caller knows better than the general advice.
    pub(crate) fn advise(mut self, advice: &'static str) -> Self {
        self.advice = Some(advice);
        self
    }

    pub(crate) fn kind(&self) -> &ErrorKind {
        &self.kind
    }

    /// How long GitLab wants to be left alone, at most one hour; `None` where it did not say anything of the kind.
    ///
    /// `now` is needed because some answers name a point in time, and because the per-endpoint limit counts in fixed
    /// minutes and says nothing: there it is the time to the next full minute. Add jitter, or all managers come at once.
    pub fn retry_after(&self, now: Timestamp) -> Option<Duration> {
        match self.kind() {
            ErrorKind::Throttled(throttle) => Some(throttle.wait(now)),
            ErrorKind::BackingOff { until, .. } => Some(between(now, *until)),
            _ => None,
        }
    }

    /// GitLab asks for fewer requests.
    pub fn is_throttled(&self) -> bool {
        match self.kind() {
            ErrorKind::Throttled(_) => true,
            ErrorKind::BackingOff { why, .. } => why.is_throttled(),
            _ => false,
        }
    }

    /// The token is missing, invalid, or may not do this: a person must act.
    pub fn is_denied(&self) -> bool {
        match self.kind() {
            ErrorKind::NoApiToken
            | ErrorKind::Unauthenticated(_)
            | ErrorKind::ScopeTooSmall(_)
            | ErrorKind::Forbidden(_) => true,
            ErrorKind::BackingOff { why, .. } => why.is_denied(),
            _ => false,
        }
    }

    /// GitLab itself says that there is no such thing, or none that the token may see. A proxy's 404 page is no such
    /// answer.
    pub fn is_not_found(&self) -> bool {
        matches!(self.kind(), ErrorKind::NotFound(_))
    }

    /// The same question may be answered later without anyone's doing.
    pub fn is_transient(&self) -> bool {
        match self.kind() {
            ErrorKind::Unreachable(_)
            | ErrorKind::TimedOut(_)
            | ErrorKind::Cut(_)
            | ErrorKind::Malformed(_)
            | ErrorKind::Throttled(_)
            | ErrorKind::ServerError { .. } => true,
            ErrorKind::BackingOff { why, .. } => why.is_transient(),
            ErrorKind::Setup(_)
            | ErrorKind::NoApiToken
            | ErrorKind::Untrusted(_)
            | ErrorKind::TooLarge(_)
            | ErrorKind::Redirected(_)
            | ErrorKind::ForeignPage(_)
            | ErrorKind::TooManyPages(_)
            | ErrorKind::Unauthenticated(_)
            | ErrorKind::ScopeTooSmall(_)
            | ErrorKind::Forbidden(_)
            | ErrorKind::NotFound(_)
            | ErrorKind::Refused { .. } => false,
        }
    }

    /// What kind of failure it is. One that is not asked about again for a while answers for its cause.
    pub fn class(&self) -> FailureClass {
        match self.kind() {
            ErrorKind::NoApiToken
            | ErrorKind::Unauthenticated(_)
            | ErrorKind::ScopeTooSmall(_)
            | ErrorKind::Forbidden(_) => FailureClass::Denied,
            ErrorKind::Throttled(_) => FailureClass::Throttled,
            ErrorKind::ServerError { .. } => FailureClass::ServerError,
            ErrorKind::Unreachable(_) | ErrorKind::Untrusted(_) | ErrorKind::Cut(_) => FailureClass::Unreachable,
            ErrorKind::TimedOut(_) => FailureClass::Late,
            ErrorKind::Setup(_) | ErrorKind::Redirected(_) | ErrorKind::ForeignPage(_) | ErrorKind::Refused { .. } => {
                FailureClass::Invalid
            }
            ErrorKind::NotFound(_) => FailureClass::NotFound,
            ErrorKind::TooLarge(_) | ErrorKind::Malformed(_) | ErrorKind::TooManyPages(_) => FailureClass::Other,
            ErrorKind::BackingOff { why, .. } => why.class(),
        }
    }

    fn general_advice(&self) -> Option<&'static str> {
        match self.kind() {
            ErrorKind::NoApiToken => Some("set api_token to a token with scope read_api"),
            ErrorKind::Untrusted(_) => {
                Some("give the file of the CA that signed it as tls-ca-file, or add it to the system's trust store")
            }
            ErrorKind::Redirected(_) => Some("write the address that it redirects to as url"),
            ErrorKind::ForeignPage(_) => Some("url and the server's external_url must be the same"),
            ErrorKind::Unauthenticated(_) => Some("replace api_token, it is wrong, expired or revoked"),
            ErrorKind::ScopeTooSmall(_) => Some("create the token with scope read_api (api to retry jobs)"),
            ErrorKind::Malformed(_) => Some("is there a proxy in between, or is url not the address of a GitLab?"),
            _ => None,
        }
    }
}

impl fmt::Display for GitLabError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let ErrorKind::BackingOff { .. } = self.kind() {
            return write!(f, "{}", self.kind);
        }
        write!(f, "cannot {} at {}: {}", self.doing, self.server, self.kind)?;
        match self.advice.or_else(|| self.general_advice()) {
            Some(advice) => write!(f, "; {advice}"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for GitLabError {}

impl From<GitLabError> for Failure {
    fn from(error: GitLabError) -> Self {
        Self::of(error.class(), &error)
    }
}

/// From `from` to `to`; zero when that is in the past.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::try_from(to.duration_since(from)).unwrap_or(Duration::ZERO)
}

/// GitLab's application limits count in fixed minutes of the wall clock.
fn until_next_minute(now: Timestamp) -> Duration {
    let seconds = now.as_second().rem_euclid(60).unsigned_abs();
    Duration::from_secs(60 - seconds)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn throttled(throttle: Throttle) -> GitLabError {
        GitLabError::new("https://gitlab.example.com", "list things", ErrorKind::Throttled(throttle))
    }

    #[test]
    fn each_429_says_how_long_to_wait() {
        let now = at("2026-08-22T10:00:47Z");
        let everything = |retry_after, resets_at| Throttle::Everything { name: None, retry_after, resets_at };
        let cases = [
            (Throttle::Endpoint, 13),
            (everything(Some(Duration::from_secs(30)), None), 30),
            (everything(None, Some(at("2026-08-22T10:02:00Z"))), 73),
            (everything(None, Some(at("2020-01-01T00:00:00Z"))), 1),
            (everything(None, None), 13),
            (everything(Some(Duration::from_secs(999_999_999)), None), 3600),
            (Throttle::Migrations { retry_after: None }, 60),
        ];
        for (throttle, seconds) in cases {
            let error = throttled(throttle.clone());
            assert_eq!(error.retry_after(now), Some(Duration::from_secs(seconds)), "{throttle:?}");
            assert!(error.is_throttled() && error.is_transient() && !error.is_denied());
        }
    }

    #[test]
    fn the_last_second_of_the_epoch_is_no_problem() {
        for now in [Timestamp::MIN, Timestamp::MAX, Timestamp::UNIX_EPOCH] {
            assert!(throttled(Throttle::Endpoint).retry_after(now).unwrap() <= Duration::from_secs(60));
        }
    }

    #[test]
    fn a_resting_error_answers_like_the_one_that_made_us_rest() {
        let now = at("2026-08-22T10:00:47Z");
        let why = Box::new(throttled(Throttle::Endpoint));
        let until = at("2026-08-22T10:01:02Z");
        let backing_off = GitLabError::new("s", "d", ErrorKind::BackingOff { until, why });
        assert!(backing_off.is_throttled());
        assert_eq!(backing_off.retry_after(now), Some(Duration::from_secs(15)));
        assert_eq!(
            backing_off.to_string(),
            "not asked again before 2026-08-22T10:01:02Z, because of an earlier error: cannot list things at \
             https://gitlab.example.com: GitLab asks us to slow down: the limit of this endpoint is used up for this minute"
        );
    }
}

//! A trouble told by HTTP: one POST of JSON. Whatever begins with 2 is an answer that it was heard; what the answer says
//! besides is not read.

use std::fmt;
use std::time::Duration;

use reqwest::header::CONTENT_TYPE;
use reqwest::{StatusCode, Url, redirect};

use runner_fleet_engine::failure::chain;
use runner_fleet_engine::{Failure, FailureClass};

/// To connect.
const CONNECT_MAX: Duration = Duration::from_secs(5);
/// From the first byte to the answer's head: whoever needs longer answers first, and works then.
const TOTAL_MAX: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("runner-fleet/", env!("CARGO_PKG_VERSION"));

/// Where to post to. The address is a secret: it often holds a token.
pub struct Webhook {
    client: reqwest::Client,
    address: Url,
    limit: Duration,
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").finish_non_exhaustive()
    }
}

impl Webhook {
    /// Ready to be told; connects to nothing yet.
    pub(super) fn new(address: &str) -> Result<Self, Failure> {
        Self::within(TOTAL_MAX, address)
    }

    fn within(limit: Duration, address: &str) -> Result<Self, Failure> {
        let invalid = |text: String| Failure::new(FailureClass::Invalid, text);
        let address = Url::parse(address.trim()).ok();
        let address = address.filter(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
        let address = address.ok_or_else(|| invalid("it is no web address; write \"https://…\" there".into()))?;
        let client = reqwest::Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(CONNECT_MAX)
            .timeout(limit)
            // Whoever may redirect it may read it.
            .redirect(redirect::Policy::none())
            .build();
        let client = client.map_err(|error| invalid(chain(&error.without_url())))?;
        Ok(Self { client, address, limit })
    }

    pub(super) async fn tell(&self, body: &str) -> Result<(), Failure> {
        let request = self.client.post(self.address.clone()).header(CONTENT_TYPE, "application/json");
        let answer = request.body(body.to_owned()).send().await.map_err(|error| self.unsent(error))?;
        heard(answer.status())
    }

    fn unsent(&self, error: reqwest::Error) -> Failure {
        let class = match &error {
            error if error.is_timeout() => {
                return Failure::late(if error.is_connect() { CONNECT_MAX } else { self.limit });
            }
            error if error.is_connect() => FailureClass::Unreachable,
            _ => FailureClass::Other,
        };
        Failure::new(class, chain(&error.without_url()))
    }
}

/// Whether it was heard; which answers may be others in a moment, their class says.
fn heard(status: StatusCode) -> Result<(), Failure> {
    let class = match status.as_u16() {
        200..=299 => return Ok(()),
        401 | 403 => FailureClass::Denied,
        404 | 410 => FailureClass::NotFound,
        408 => FailureClass::Late,
        429 => FailureClass::Throttled,
        500..=599 => FailureClass::ServerError,
        _ => FailureClass::Invalid,
    };
    let redirects = if status.is_redirection() { "; write the address that it leads to" } else { "" };
    Err(Failure::new(class, format!("it answers {status}{redirects}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_better_in_a_moment_is_tried_again() {
        for (status, again) in
            [(500, true), (503, true), (429, true), (408, true), (404, false), (403, false), (302, false)]
        {
            let failure = heard(StatusCode::from_u16(status).unwrap()).unwrap_err();
            assert_eq!(failure.class.may_heal(), again, "{status}: {failure}");
        }
        assert!(heard(StatusCode::NO_CONTENT).is_ok());
    }

    #[tokio::test]
    async fn one_that_hangs_is_given_up() {
        let server = wiremock::MockServer::start().await;
        let never = wiremock::ResponseTemplate::new(200).set_delay(Duration::from_secs(600));
        wiremock::Mock::given(wiremock::matchers::any()).respond_with(never).mount(&server).await;
        let webhook = Webhook::within(Duration::from_millis(300), &server.uri()).unwrap();
        let failure = webhook.tell("{}").await.unwrap_err();
        assert!(failure.class == FailureClass::Late && failure.class.may_heal(), "{failure}");
    }

    #[tokio::test]
    async fn an_address_is_in_no_error() {
        let nobody = Webhook::new("http://127.0.0.1:1/T0/very-secret").unwrap();
        let failure = nobody.tell("{}").await.unwrap_err();
        assert_eq!(failure.class, FailureClass::Unreachable);
        assert!(!failure.text.contains("very-secret") && !format!("{nobody:?}").contains("very-secret"), "{failure}");
        assert!(!Webhook::new("very-secret").unwrap_err().text.contains("very-secret"));
    }
}

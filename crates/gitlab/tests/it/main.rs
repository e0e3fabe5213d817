//! GitLab's API over real HTTP, with bodies as GitLab sends them (assembled from its documentation, API entities and
//! specs) and with everything that a server, a proxy or a network may do wrong.
//!
//! If these broke, the fleet would launch for nothing, starve waiting jobs, or hammer a GitLab that asks for mercy.
#![cfg(test)]

mod answers;
mod discovery;
mod queue;
mod runner;
mod running;
mod shortcut;
mod tls;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use runner_fleet_engine::Server;
use runner_fleet_gitlab::{GitLab, Limits, Options};
use secrecy::SecretString;
use wiremock::matchers::{method, path};
use wiremock::{Mock, MockServer, ResponseTemplate};

const API_TOKEN: &str = "glpat-AbCdEfGhIjKlMnOp1234";
const RUNNER_TOKEN: &str = "glrt-t2_AbCdEfGhIjKlMnOpQrSt";

/// A recorded body.
macro_rules! recorded {
    ($file:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/recorded/", $file))
    };
}
use recorded;

/// Virtual time, moved by the test alone.
struct Clock(AtomicI64);

impl Clock {
    /// 47 seconds after a full minute.
    fn start() -> Self {
        Self(AtomicI64::new("2026-08-22T10:00:47Z".parse::<Timestamp>().unwrap().as_second()))
    }

    fn now(&self) -> Timestamp {
        Timestamp::from_second(self.0.load(Ordering::Relaxed)).unwrap()
    }

    fn advance(&self, seconds: i64) {
        self.0.fetch_add(seconds, Ordering::Relaxed);
    }
}

/// A small body, and a time-out and a budget that no test uses up by accident.
fn options(url: &str) -> Options {
    Options {
        api_token: Some(SecretString::from(API_TOKEN)),
        requests_per_minute: NonZeroU32::new(6000).unwrap(),
        limits: Limits { body_bytes_max: 64 * 1024, ..Limits::default() },
        ..Options::new(Server::new(url))
    }
}

fn client(url: &str) -> GitLab {
    GitLab::new(options(url)).unwrap()
}

/// For servers that do not answer.
fn impatient(url: &str) -> GitLab {
    let mut options = options(url);
    options.limits.total = Duration::from_millis(500);
    GitLab::new(options).unwrap()
}

fn runner_token() -> SecretString {
    SecretString::from(RUNNER_TOKEN)
}

fn json(status: u16, body: &str) -> ResponseTemplate {
    ResponseTemplate::new(status).set_body_raw(body, "application/json")
}

/// Answers every GET of this path in this way.
async fn get(server: &MockServer, at: &str, answer: ResponseTemplate) {
    Mock::given(method("GET")).and(path(at)).respond_with(answer).mount(server).await;
}

/// The paths asked for since the last call, in order.
async fn asked(server: &MockServer) -> Vec<String> {
    let requests = server.received_requests().await.unwrap();
    requests.iter().map(|request| request.url.path().trim_start_matches("/api/v4").to_owned()).collect()
}

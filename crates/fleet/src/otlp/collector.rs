//! A collector that is told over HTTP: time-outs, no redirects, and nothing but the status of its answer is read.

use std::time::Duration;

use prost::Message;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Client, StatusCode, redirect};
use runner_fleet_engine::{Failure, FailureClass};

/// To connect; a collector is near.
const CONNECT: Duration = Duration::from_secs(3);
/// The whole request; the next one comes 15 s after it.
const TOTAL: Duration = Duration::from_secs(10);

/// Where telemetry goes.
#[derive(Clone, Debug)]
pub struct Collector {
    client: Client,
    base: String,
}

impl Collector {
    /// The collector at this address (`http://collector:4318`), to which the protocol's paths are appended.
    ///
    /// # Errors
    /// The system has no trusted certificates.
    pub fn new(address: &str) -> Result<Self, Failure> {
        let client = Client::builder()
            .user_agent(concat!("runner-fleet/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(TOTAL)
            .redirect(redirect::Policy::none())
            .build()
            .map_err(|error| Failure::of(FailureClass::Invalid, &error))?;
        Ok(Self { client, base: address.trim_end_matches('/').to_owned() })
    }

    /// Tells it.
    ///
    /// # Errors
    /// It cannot be reached, does not answer in time, or refuses.
    pub async fn tell(&self, path: &str, request: &impl Message) -> Result<(), Failure> {
        let url = format!("{}{path}", self.base);
        let protobuf = HeaderValue::from_static("application/x-protobuf");
        let sent = self.client.post(&url).header(CONTENT_TYPE, protobuf).body(request.encode_to_vec()).send().await;
        match sent {
            Ok(answer) if answer.status().is_success() => Ok(()),
            Ok(answer) => Err(refused(answer.status())),
            Err(error) if error.is_timeout() => Err(Failure::late(TOTAL)),
            Err(error) => Err(Failure::of(FailureClass::Unreachable, &error.without_url())),
        }
    }
}

fn refused(status: StatusCode) -> Failure {
    let class = match status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => FailureClass::Denied,
        StatusCode::NOT_FOUND => FailureClass::NotFound,
        StatusCode::TOO_MANY_REQUESTS => FailureClass::Throttled,
        status if status.is_server_error() => FailureClass::ServerError,
        _ => FailureClass::Invalid,
    };
    Failure::new(class, format!("it answers {status}"))
}

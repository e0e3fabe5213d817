//! The client of AWS: one [`Aws`] per region, cheap to clone.
//!
//! All standard settings of the SDK are honoured (environment, profile, container, instance metadata, `AWS_ENDPOINT_URL`,
//! `AWS_MAX_ATTEMPTS`, …): <https://docs.aws.amazon.com/sdkref/latest/guide/settings-reference.html>.
//! The SDK repeats reads in its standard mode; what may launch something is repeated by the engine alone.

use std::error::Error as StdError;
use std::sync::Arc;
use std::time::Duration;

use aws_config::{AppName, BehaviorVersion, Region, SdkConfig};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use aws_smithy_types::timeout::TimeoutConfig;

use super::cache::Cache;
use super::calls::CallCounts;
use super::error::{AwsError, CallError, Meaning};
use super::rate_limit::RateLimit;
use super::truncation::WholeXml;

/// A TCP connection inside AWS takes milliseconds; 3 s survives one lost SYN (repeated after 1 s).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// A page of 1,000 instances takes EC2 some seconds; nothing that we ask takes longer than this.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(15);
/// Three attempts (standard mode) with their pauses.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(50);

/// The API's largest page: the fewest calls.
const INSTANCES_PER_PAGE: i32 = 1_000;

/// EC2 and SSM of one region.
#[derive(Clone, Debug)]
pub struct Aws {
    pub(crate) ec2: aws_sdk_ec2::Client,
    pub(crate) ssm: aws_sdk_ssm::Client,
    pub(crate) cache: Arc<Cache>,
    pub(crate) instances_per_page: i32,
    region: String,
    /// For the services that only `doctor` asks: their clients are made when they are needed.
    settings: SdkConfig,
    calls: CallCounts,
    rate_limit: RateLimit,
}

impl Aws {
    /// Connects to the given region, else to the one that the environment, the profile or the instance metadata names.
    ///
    /// Sends nothing to EC2 yet: missing rights and wrong credentials show with the first call.
    ///
    /// # Errors
    /// [`AwsError::NoRegion`] when nothing names a region.
    pub async fn connect(region: Option<&str>) -> Result<Self, AwsError> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Some(region) = region {
            loader = loader.region(Region::new(region.to_owned()));
        }
        if let Ok(name) = AppName::new(env!("CARGO_PKG_NAME")) {
            loader = loader.app_name(name);
        }
        Self::from_sdk_config(&loader.load().await)
    }

    /// Connects with settings that were loaded elsewhere: for tests and their emulator.
    ///
    /// Time-outs that the settings leave open are ours.
    ///
    /// # Errors
    /// [`AwsError::NoRegion`] when they name no region.
    pub fn from_sdk_config(settings: &SdkConfig) -> Result<Self, AwsError> {
        let region = settings.region().ok_or(AwsError::NoRegion)?.to_string();
        let calls = CallCounts::default();
        let timeouts = settings
            .timeout_config()
            .map_or_else(TimeoutConfig::builder, TimeoutConfig::to_builder)
            .take_unset_from(default_timeouts())
            .build();
        let settings = settings.to_builder().timeout_config(timeouts.clone()).build();
        let ec2 =
            aws_sdk_ec2::config::Builder::from(&settings).interceptor(calls.clone()).interceptor(WholeXml).build();
        let ssm = aws_sdk_ssm::config::Builder::from(&settings).interceptor(calls.clone()).build();
        Ok(Self {
            ec2: aws_sdk_ec2::Client::from_conf(ec2),
            ssm: aws_sdk_ssm::Client::from_conf(ssm),
            cache: Arc::default(),
            instances_per_page: INSTANCES_PER_PAGE,
            region,
            settings,
            calls,
            rate_limit: RateLimit::new(),
        })
    }

    /// The same client, but listing in smaller pages (5 to 1,000): for tests, since an emulator is slow with thousands.
    #[must_use]
    pub fn with_instances_per_page(self, instances: i32) -> Self {
        Self { instances_per_page: instances, ..self }
    }

    /// The region that is talked to (`eu-central-1`).
    pub fn region(&self) -> &str {
        &self.region
    }

    /// How often AWS was called through this client and its clones.
    pub fn calls(&self) -> &CallCounts {
        &self.calls
    }

    pub(crate) fn iam(&self) -> aws_sdk_iam::Client {
        let config = aws_sdk_iam::config::Builder::from(&self.settings).interceptor(self.calls.clone()).build();
        aws_sdk_iam::Client::from_conf(config)
    }

    pub(crate) fn quotas(&self) -> aws_sdk_servicequotas::Client {
        let config =
            aws_sdk_servicequotas::config::Builder::from(&self.settings).interceptor(self.calls.clone()).build();
        aws_sdk_servicequotas::Client::from_conf(config)
    }

    pub(crate) fn sts(&self) -> aws_sdk_sts::Client {
        let config = aws_sdk_sts::config::Builder::from(&self.settings).interceptor(self.calls.clone()).build();
        aws_sdk_sts::Client::from_conf(config)
    }

    /// Reads a failed call.
    pub(crate) fn failed<E>(
        &self,
        doing: impl Into<String>,
        action: &'static str,
    ) -> impl FnOnce(SdkError<E, HttpResponse>) -> AwsError
    where
        E: ProvideErrorMetadata + StdError + 'static,
    {
        let doing = doing.into();
        move |error| AwsError::Call(Box::new(CallError::read(doing, &self.region, action, &error)))
    }

    /// An answer that lacks what must be in it.
    pub(crate) fn unusable(&self, doing: impl Into<String>, action: &'static str, what: impl Into<String>) -> AwsError {
        AwsError::Unusable { doing: doing.into(), region: self.region.clone(), action, what: what.into() }
    }

    /// Waits for a turn of the bucket of changing calls.
    pub(crate) async fn turn(&self, doing: &str, action: &'static str) -> Result<(), AwsError> {
        self.rate_limit.turn().await.map_err(|waited| {
            AwsError::Call(Box::new(CallError {
                doing: doing.to_owned(),
                region: self.region.clone(),
                action,
                meaning: Meaning::Throttled,
                code: "OwnLimit".to_owned(),
                message: format!("no turn within {} s", waited.as_secs()),
            }))
        })
    }
}

fn default_timeouts() -> aws_smithy_types::timeout::TimeoutConfigBuilder {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .operation_timeout(OPERATION_TIMEOUT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_region_there_is_a_clear_error() {
        let error = Aws::from_sdk_config(&SdkConfig::builder().build()).unwrap_err();
        assert!(matches!(error, AwsError::NoRegion));
        assert!(error.to_string().contains("set `region`"), "{error}");
    }
}

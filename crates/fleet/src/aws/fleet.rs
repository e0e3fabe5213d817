//! The launch: one CreateFleet call of type `instant` for all workers that are needed now.
//!
//! Promises of it that we rely on: instances and errors come in one answer; the same `ClientToken` with the same body
//! launches once; the tags are there from the first second. It is sent exactly once: a repetition is the engine's
//! decision, with the same token. API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateFleet.html>.

use std::time::Duration;

use aws_sdk_ec2::operation::create_fleet::CreateFleetInput;
use aws_sdk_ec2::types::{
    DefaultTargetCapacityType, FleetLaunchTemplateConfigRequest, FleetLaunchTemplateOverridesRequest,
    FleetLaunchTemplateSpecificationRequest, FleetOnDemandAllocationStrategy, FleetType, InstanceType,
    OnDemandOptionsRequest, ResourceType, SpotAllocationStrategy, SpotOptionsRequest, TagSpecification,
    TargetCapacitySpecificationRequest,
};
use aws_smithy_types::error::operation::BuildError;
use aws_smithy_types::retry::RetryConfig;
use aws_smithy_types::timeout::TimeoutConfig;

use super::client::Aws;
use super::fleet_answer;
use super::tag;
use runner_fleet_engine::{Launch, LaunchAnswer, Market, Offering, UsdPerHour};

pub(crate) const CREATE: &str = "ec2:CreateFleet";
/// A call for hundreds of instances takes tens of seconds; one that is given up may have worked, and must be repeated.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(60);

impl Aws {
    /// Launches, and answers what came of it; a failed call is an answer too.
    pub async fn launch(&self, manager: &str, launch: &Launch) -> LaunchAnswer {
        let doing = format!("launch {} {} workers for {}", launch.count, launch.market, launch.runner);
        let input = match request(manager, launch) {
            Ok(input) => input,
            Err(error) => return fleet_answer::not_sent(&error.to_string()),
        };
        if let Err(error) = self.turn(&doing, CREATE).await {
            return fleet_answer::of_error(&error);
        }
        match self.create_fleet(input).await.map_err(self.failed(doing, CREATE)) {
            Ok(output) => fleet_answer::read(launch, &output),
            Err(error) => fleet_answer::of_error(&error),
        }
    }

    pub(super) async fn create_fleet(
        &self,
        input: CreateFleetInput,
    ) -> Result<
        aws_sdk_ec2::operation::create_fleet::CreateFleetOutput,
        aws_sdk_ec2::error::SdkError<aws_sdk_ec2::operation::create_fleet::CreateFleetError>,
    > {
        let timeouts = TimeoutConfig::builder()
            .operation_timeout(LAUNCH_TIMEOUT)
            .operation_attempt_timeout(LAUNCH_TIMEOUT)
            .build();
        let once = aws_sdk_ec2::config::Builder::new().retry_config(RetryConfig::disabled()).timeout_config(timeouts);
        self.ec2
            .create_fleet()
            .set_dry_run(input.dry_run)
            .set_client_token(input.client_token)
            .set_type(input.r#type)
            .set_spot_options(input.spot_options)
            .set_on_demand_options(input.on_demand_options)
            .set_launch_template_configs(input.launch_template_configs)
            .set_target_capacity_specification(input.target_capacity_specification)
            .set_tag_specifications(input.tag_specifications)
            .customize()
            .config_override(once)
            .send()
            .await
    }
}

/// The request; equal commands give equal requests, or EC2 would answer `IdempotentParameterMismatch`.
pub(crate) fn request(manager: &str, launch: &Launch) -> Result<CreateFleetInput, BuildError> {
    let template = FleetLaunchTemplateSpecificationRequest::builder()
        .launch_template_name(launch.template.as_str())
        .version("1") // a template is never changed: its name is its content
        .build();
    let price = launch.spot_max_price.as_ref();
    let places: Vec<_> = (0u16..).zip(&launch.offerings).map(|(rank, o)| place(rank, o, price)).collect();
    let config = FleetLaunchTemplateConfigRequest::builder()
        .launch_template_specification(template)
        .set_overrides(Some(places))
        .build();
    let market = match launch.market {
        Market::Spot => DefaultTargetCapacityType::Spot,
        Market::OnDemand => DefaultTargetCapacityType::OnDemand,
    };
    let capacity = TargetCapacitySpecificationRequest::builder()
        .total_target_capacity(i32::try_from(launch.count).unwrap_or(i32::MAX))
        .default_target_capacity_type(market)
        .build();
    let request = CreateFleetInput::builder()
        .client_token(launch.token.as_str())
        .r#type(FleetType::Instant)
        .launch_template_configs(config)
        .target_capacity_specification(capacity)
        .set_tag_specifications(Some(tag_specifications(manager, launch)));
    match launch.market {
        Market::Spot => request.spot_options(
            SpotOptionsRequest::builder().allocation_strategy(SpotAllocationStrategy::PriceCapacityOptimized).build(),
        ),
        Market::OnDemand => request.on_demand_options(
            OnDemandOptionsRequest::builder().allocation_strategy(FleetOnDemandAllocationStrategy::Prioritized).build(),
        ),
    }
    .build()
}

/// One override. The zone follows from the subnet, but only what is said comes back in an error.
fn place(rank: u16, offering: &Offering, spot_max_price: Option<&UsdPerHour>) -> FleetLaunchTemplateOverridesRequest {
    let place = FleetLaunchTemplateOverridesRequest::builder()
        .instance_type(InstanceType::from(offering.instance_type.as_str()))
        .subnet_id(offering.subnet.as_str())
        .availability_zone(offering.zone.as_str());
    match offering.market {
        Market::Spot => place.set_max_price(spot_max_price.map(|price| price.to_string())),
        Market::OnDemand => place.priority(f64::from(rank)), // lower is taken first
    }
    .build()
}

/// The tags of everything that the call makes. There is no spot request to tag when none is made: EC2 would refuse the
/// whole call. Source: aws/karpenter-provider-aws issue 5850.
fn tag_specifications(manager: &str, launch: &Launch) -> Vec<TagSpecification> {
    let mut all = tag::of_runner(manager, &launch.runner, &launch.tags);
    all.insert(tag::CONFIG.to_owned(), launch.config.as_str().to_owned());
    all.insert(tag::LAUNCH.to_owned(), launch.token.as_str().to_owned());
    let mut resources = vec![ResourceType::Instance, ResourceType::Volume, ResourceType::Fleet];
    if launch.market == Market::Spot {
        resources.push(ResourceType::SpotInstancesRequest);
    }
    resources.into_iter().map(|resource| tag::specification(resource, &all)).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use crate::aws::replay::{Answer, Replay, a_launch, aws_with, aws_without_credentials};
    use runner_fleet_engine::{Launch, LaunchAnswer, LaunchErrorClass, Leftover, Market};

    const LAUNCHED: &str = include_str!("../../tests/recorded/aws/create_fleet.xml");

    async fn launch(market: Market, price: Option<&str>, answer: Answer) -> (LaunchAnswer, Replay) {
        let (aws, replay) = aws_with([answer]);
        let tags = BTreeMap::from([("team".to_owned(), "build".to_owned())]);
        let spot_max_price = price.map(|price| price.parse().unwrap());
        (aws.launch("ci-eu", &Launch { spot_max_price, tags, ..a_launch(market) }).await, replay)
    }

    fn only(answer: &LaunchAnswer) -> (LaunchErrorClass, &str, Leftover) {
        assert!(answer.launched.is_empty(), "{answer:?}");
        assert_eq!(answer.errors.len(), 1, "{answer:?}");
        (answer.errors[0].class, answer.errors[0].code.as_str(), answer.leftover)
    }

    #[tokio::test]
    async fn spot_is_asked_for_in_one_call() {
        let (answer, replay) = launch(Market::Spot, Some("0.05"), Answer::xml(200, LAUNCHED)).await;
        assert_eq!(answer.launched.len(), 3);
        insta::assert_snapshot!("create_fleet_spot", replay.wire(0));
    }

    #[tokio::test]
    async fn on_demand_is_asked_in_file_order_without_price() {
        let (_, replay) = launch(Market::OnDemand, Some("0.05"), Answer::xml(200, LAUNCHED)).await;
        insta::assert_snapshot!("create_fleet_on_demand", replay.wire(0));
    }

    #[tokio::test]
    async fn the_same_command_gives_the_same_request() {
        let (_, one) = launch(Market::Spot, None, Answer::xml(200, LAUNCHED)).await;
        let (_, two) = launch(Market::Spot, None, Answer::xml(200, LAUNCHED)).await;
        assert_eq!(one.bodies(), two.bodies());
        assert!(!one.bodies()[0].contains("MaxPrice"));
    }

    #[tokio::test]
    async fn a_throttled_launch_is_sent_once_and_left_nothing() {
        let throttled = Answer::ec2_error(503, "RequestLimitExceeded", "Request limit exceeded.");
        let (answer, replay) = launch(Market::Spot, None, throttled).await;
        assert_eq!(only(&answer), (LaunchErrorClass::Slow, "RequestLimitExceeded", Leftover::None));
        assert_eq!(replay.bodies().len(), 1);
    }

    #[tokio::test]
    async fn a_launch_without_a_readable_answer_may_have_left_something() {
        let cut = &LAUNCHED[..LAUNCHED.len() / 2];
        let bodies = [
            Answer::lost(),
            Answer::xml(200, cut),
            Answer::xml(200, ""),
            Answer::xml(200, "<html><body>Welcome to the hotel</body></html>"),
            Answer::xml(200, "\u{0}\u{1}garbage"),
            Answer::xml(200, "<CreateFleetResponse/>"),
            Answer::xml(302, ""),
        ];
        for body in bodies {
            let shown = format!("{body:?}");
            let (answer, replay) = launch(Market::Spot, None, body).await;
            let (class, _, leftover) = only(&answer);
            assert_eq!((class, leftover), (LaunchErrorClass::Slow, Leftover::Possible), "{shown}: {answer:?}");
            assert_eq!(replay.bodies().len(), 1, "{shown}");
        }
    }

    #[tokio::test]
    async fn each_class_of_a_failed_call_is_understood() {
        let table = [
            (403, "UnauthorizedOperation", LaunchErrorClass::Denied),
            (400, "InvalidAMIID.NotFound", LaunchErrorClass::Invalid),
            (400, "InvalidParameterValue", LaunchErrorClass::Invalid),
            (400, "InvalidLaunchTemplateName.NotFoundException", LaunchErrorClass::Invalid),
            (400, "IdempotentParameterMismatch", LaunchErrorClass::Slow),
            (400, "MaxFleetCountExceeded", LaunchErrorClass::Quota),
            (500, "InsufficientInstanceCapacity", LaunchErrorClass::Capacity),
            (500, "InternalError", LaunchErrorClass::Slow),
            (503, "ServiceUnavailable", LaunchErrorClass::Slow),
        ];
        for (status, code, class) in table {
            let (answer, _) = launch(Market::Spot, None, Answer::ec2_error(status, code, "because")).await;
            let (found, told, _) = only(&answer);
            assert_eq!((found, told), (class, code), "{answer:?}");
        }
    }

    #[tokio::test]
    async fn without_credentials_nothing_is_sent() {
        let (aws, replay) = aws_without_credentials();
        let answer = aws.launch("ci-eu", &a_launch(Market::Spot)).await;
        let (class, _, leftover) = only(&answer);
        assert_eq!((class, leftover), (LaunchErrorClass::Denied, Leftover::None), "{answer:?}");
        assert!(answer.errors[0].message.contains("has no credentials"), "{answer:?}");
        assert!(replay.bodies().is_empty());
    }
}

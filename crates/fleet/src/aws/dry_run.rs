//! May we? EC2 answers that without doing anything: with `DryRun` a call that would be allowed fails with
//! `DryRunOperation`, one that would not with the usual denial.
//!
//! For `doctor` alone; the service never asks first. API:
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_RunInstances.html>, parameter `DryRun`.

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::{
    HttpTokensState, IamInstanceProfileSpecification, InstanceMetadataOptionsRequest,
    InstanceNetworkInterfaceSpecification, InstanceType, ResourceType,
};

use super::cache::Image;
use super::client::Aws;
use super::error::AwsError;
use super::spec::LaunchSpec;
use super::template::Content;
use super::{fleet, key, tag};
use runner_fleet_engine::{ConfigHash, Launch, LaunchReason, LaunchToken, Market, Offering, Place, TemplateName};

const RUN: &str = "ec2:RunInstances";
const CREATE_TEMPLATE: &str = "ec2:CreateLaunchTemplate";
const IMPORT_KEY: &str = "ec2:ImportKeyPair";
/// The code of a call that would be allowed.
const ALLOWED: &str = "DryRunOperation";

impl Aws {
    /// Whether a worker of this spec could be run as it is: image, subnet, groups, profile and tags in one question.
    ///
    /// # Errors
    /// It is denied, or something named does not exist or fit.
    pub async fn may_run(&self, spec: &LaunchSpec, image_id: &str, place: &Place) -> Result<(), AwsError> {
        let tags = tag::of_runner(&spec.manager, &spec.runner, &spec.tags);
        let metadata = InstanceMetadataOptionsRequest::builder()
            .http_tokens(HttpTokensState::Required)
            .http_put_response_hop_limit(i32::try_from(spec.hop_limit).unwrap_or(i32::MAX))
            .build();
        let mut request = self
            .ec2
            .run_instances()
            .dry_run(true)
            .image_id(image_id)
            .instance_type(InstanceType::from(place.instance_type.as_str()))
            .min_count(1)
            .max_count(1)
            .metadata_options(metadata)
            .set_iam_instance_profile(spec.instance_profile.as_deref().map(profile));
        for resource in [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface] {
            request = request.tag_specifications(tag::specification(resource, &tags));
        }
        let request = if spec.public_address {
            let interface = InstanceNetworkInterfaceSpecification::builder()
                .device_index(0)
                .associate_public_ip_address(true)
                .subnet_id(place.subnet.as_str())
                .set_groups(Some(spec.security_groups.clone()))
                .build();
            request.network_interfaces(interface)
        } else {
            request.subnet_id(place.subnet.as_str()).set_security_group_ids(Some(spec.security_groups.clone()))
        };
        let answer = request.send().await.map(drop).map_err(self.failed("try a launch without doing it", RUN));
        self.allowed(answer, RUN)
    }

    /// Whether the call that launches workers would be allowed, with this template of ours.
    ///
    /// # Errors
    /// It is denied, or something named does not exist or fit.
    pub async fn may_launch(
        &self,
        spec: &LaunchSpec,
        template: &TemplateName,
        market: Market,
        places: &[Place],
    ) -> Result<(), AwsError> {
        let offering = |place: &Place| Offering {
            market,
            instance_type: place.instance_type.clone(),
            zone: place.zone.clone(),
            subnet: place.subnet.clone(),
        };
        let launch = Launch {
            token: LaunchToken::new("runner-fleet-doctor"),
            runner: spec.runner.clone(),
            count: 1,
            market,
            offerings: places.iter().map(offering).collect(),
            template: template.clone(),
            config: ConfigHash::new("doctor"),
            spot_max_price: spec.spot_max_price.clone(),
            tags: spec.tags.clone(),
            reason: LaunchReason::SpotMissing { missing: 0 },
        };
        let doing = "try a fleet without launching it";
        let request = fleet::request(&spec.manager, &launch);
        let mut request = request.map_err(|error| self.unusable(doing, fleet::CREATE, error.to_string()))?;
        request.dry_run = Some(true);
        let answer = self.create_fleet(request).await.map(drop).map_err(self.failed(doing, fleet::CREATE));
        self.allowed(answer, fleet::CREATE)
    }

    /// Whether a runner's first launch template could be made.
    ///
    /// # Errors
    /// It is denied, or EC2 does not take the content.
    pub(crate) async fn may_make_template(&self, spec: &LaunchSpec, image: &Image) -> Result<(), AwsError> {
        let key_pair = key::name(&spec.manager, &spec.key_fingerprint);
        let content = Content::new(spec, image, key_pair.as_str())?;
        let answer = self
            .ec2
            .create_launch_template()
            .dry_run(true)
            .launch_template_name(super::template::name(spec, &content.hash()).as_str())
            .launch_template_data(content.to_sdk())
            .tag_specifications(tag::specification(ResourceType::LaunchTemplate, content.tags()))
            .send()
            .await;
        let doing = "try to create a launch template";
        self.allowed(answer.map(drop).map_err(self.failed(doing, CREATE_TEMPLATE)), CREATE_TEMPLATE)
    }

    /// Whether the manager's public key could be imported.
    ///
    /// # Errors
    /// It is denied.
    pub async fn may_import_key(&self, spec: &LaunchSpec) -> Result<(), AwsError> {
        let tags = [(tag::MANAGER.to_owned(), spec.manager.clone())].into();
        let answer = self
            .ec2
            .import_key_pair()
            .dry_run(true)
            .key_name(key::name(&spec.manager, &spec.key_fingerprint).as_str())
            .public_key_material(Blob::new(spec.public_key_openssh.trim()))
            .tag_specifications(tag::specification(ResourceType::KeyPair, &tags))
            .send()
            .await;
        let doing = "try to import the SSH key pair";
        self.allowed(answer.map(drop).map_err(self.failed(doing, IMPORT_KEY)), IMPORT_KEY)
    }

    /// Reads the answer to a dry run. Success is none: then it was done.
    fn allowed(&self, answer: Result<(), AwsError>, action: &'static str) -> Result<(), AwsError> {
        match answer {
            Err(error) if error.code() == Some(ALLOWED) => Ok(()),
            Err(error) => Err(error),
            Ok(()) => Err(self.unusable("try something without doing it", action, "it was done, in spite of DryRun")),
        }
    }
}

fn profile(name: &str) -> IamInstanceProfileSpecification {
    let profile = IamInstanceProfileSpecification::builder();
    if name.starts_with("arn:") { profile.arn(name) } else { profile.name(name) }.build()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, a_spec, an_image, aws_with};
    use runner_fleet_engine::{InstanceType, SubnetId, Zone};

    fn place() -> Place {
        Place {
            instance_type: InstanceType::new("c8g.large"),
            zone: Zone::new("eu-central-1a"),
            subnet: SubnetId::new("subnet-a"),
        }
    }

    fn would() -> Answer {
        Answer::ec2_error(412, ALLOWED, "Request would have succeeded, but DryRun flag is set.")
    }

    #[tokio::test]
    async fn every_question_is_a_dry_run_and_is_allowed() {
        let (aws, replay) = aws_with([would(), would(), would(), would()]);
        let template = TemplateName::new("runner-fleet-ci-eu-arm-0123");

        aws.may_run(&a_spec(), "ami-0abc", &place()).await.unwrap();
        aws.may_launch(&a_spec(), &template, Market::Spot, &[place()]).await.unwrap();
        aws.may_make_template(&a_spec(), &an_image()).await.unwrap();
        aws.may_import_key(&a_spec()).await.unwrap();

        for body in replay.bodies() {
            assert!(body.contains("DryRun=true"), "{body}");
            assert!(body.contains("runner-fleet%3Amanager"), "a policy by tag would deny it: {body}");
        }
    }

    #[tokio::test]
    async fn a_denial_is_an_error_and_so_is_a_dry_run_that_was_done() {
        let denied = Answer::ec2_error(403, "UnauthorizedOperation", "You are not authorized");
        let (aws, _) = aws_with([denied, Answer::xml(200, "<RunInstancesResponse/>")]);
        assert!(aws.may_run(&a_spec(), "ami-0abc", &place()).await.unwrap_err().is_denied());
        let done = aws.may_run(&a_spec(), "ami-0abc", &place()).await.unwrap_err();
        assert!(done.to_string().contains("in spite of DryRun"), "{done}");
    }
}

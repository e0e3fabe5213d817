//! The launch template: its content, its name by content, and one of them for each runner.
//!
//! Equal content, equal name: a template is never changed, so that a launch names version 1 and gets what was hashed.
//! API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_CreateLaunchTemplate.html>; the pattern is that of
//! `pkg/providers/launchtemplate/launchtemplate.go` in aws/karpenter-provider-aws.

use std::collections::BTreeMap;
use std::io::Write;

use aws_sdk_ec2::types::{
    LaunchTemplateBlockDeviceMappingRequest, LaunchTemplateEbsBlockDeviceRequest, LaunchTemplateHttpTokensState,
    LaunchTemplateIamInstanceProfileSpecificationRequest, LaunchTemplateInstanceMetadataEndpointState,
    LaunchTemplateInstanceMetadataOptionsRequest, LaunchTemplateInstanceNetworkInterfaceSpecificationRequest,
    LaunchTemplateTagSpecificationRequest, LaunchTemplatesMonitoringRequest, RequestLaunchTemplateData, ResourceType,
    ShutdownBehavior, VolumeType,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::{Compression, GzBuilder};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::cache::Image;
use super::error::AwsError;
use super::spec::{LaunchSpec, RootVolume};
use super::tag;
use runner_fleet_engine::TemplateName;
use runner_fleet_engine::text::{hex, short_hex};

/// EC2's limit for user-data, before base64. Source: EC2 User Guide, "Run commands when you launch an EC2 instance".
pub const USER_DATA_BYTES_MAX: usize = 16_384;
/// EC2 takes names of 3 to 128 characters; prefix, hash and dashes need 31.
const PART_LENGTH_MAX: usize = 48;
/// Raised when the request is rendered in another way from equal content: gives every template a new name.
const RENDERING: u32 = 1;

/// Everything that is in a template, resolved; its JSON is what is hashed. Independent of the SDK's types, so that a
/// new SDK is not drift.
#[derive(Debug, Serialize)]
pub(crate) struct Content<'a> {
    rendering: u32,
    image: &'a str,
    key_pair: &'a str,
    security_groups: &'a [String],
    instance_profile: Option<&'a str>,
    device: &'a str,
    root_volume: &'a RootVolume,
    hop_limit: u32,
    public_address: bool,
    tags: BTreeMap<String, String>,
    user_data_sha256: String,
    #[serde(skip)]
    user_data: Vec<u8>,
}

impl<'a> Content<'a> {
    /// Resolves a spec.
    pub(crate) fn new(spec: &'a LaunchSpec, image: &'a Image, key_pair: &'a str) -> Result<Self, AwsError> {
        Ok(Self {
            rendering: RENDERING,
            image: &image.id,
            key_pair,
            security_groups: &spec.security_groups,
            instance_profile: spec.instance_profile.as_deref(),
            device: spec.root_volume.device.as_deref().unwrap_or(&image.root_device),
            root_volume: &spec.root_volume,
            hop_limit: spec.hop_limit,
            public_address: spec.public_address,
            tags: tag::of_runner(&spec.manager, &spec.runner, &spec.tags),
            user_data_sha256: hex(&Sha256::digest(&spec.user_data)),
            user_data: compressed(spec)?,
        })
    }

    /// 16 hexadecimal digits over everything.
    pub(crate) fn hash(&self) -> String {
        // Plain data with text keys always becomes JSON.
        short_hex(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()), 16)
    }

    /// The tags of the runner's resources.
    pub(crate) fn tags(&self) -> &BTreeMap<String, String> {
        &self.tags
    }

    /// The request's data.
    pub(crate) fn to_sdk(&self) -> RequestLaunchTemplateData {
        let mut data = RequestLaunchTemplateData::builder()
            .image_id(self.image)
            .key_name(self.key_pair)
            .set_iam_instance_profile(self.instance_profile.map(instance_profile))
            .block_device_mappings(self.block_device())
            .metadata_options(self.metadata_options())
            .instance_initiated_shutdown_behavior(ShutdownBehavior::Terminate)
            .monitoring(LaunchTemplatesMonitoringRequest::builder().enabled(false).build())
            .user_data(STANDARD.encode(&self.user_data));
        for resource in [ResourceType::Instance, ResourceType::Volume, ResourceType::NetworkInterface] {
            let tags = Some(tag::to_sdk(&self.tags));
            data = data.tag_specifications(
                LaunchTemplateTagSpecificationRequest::builder().resource_type(resource).set_tags(tags).build(),
            );
        }
        if self.public_address {
            // Only a described interface can ask for a public address, and then it carries the groups.
            data.network_interfaces(
                LaunchTemplateInstanceNetworkInterfaceSpecificationRequest::builder()
                    .device_index(0)
                    .associate_public_ip_address(true)
                    .delete_on_termination(true)
                    .set_groups(Some(self.security_groups.to_vec()))
                    .build(),
            )
        } else {
            data.set_security_group_ids(Some(self.security_groups.to_vec()))
        }
        .build()
    }

    fn block_device(&self) -> LaunchTemplateBlockDeviceMappingRequest {
        let volume = self.root_volume;
        let ebs = LaunchTemplateEbsBlockDeviceRequest::builder()
            .volume_size(number(volume.size_gib))
            .volume_type(VolumeType::from(volume.kind.as_str()))
            .encrypted(volume.encrypted)
            .delete_on_termination(true)
            .set_iops(volume.iops.map(number))
            .set_throughput(volume.throughput.map(number))
            .set_kms_key_id(volume.kms_key_id.clone())
            .build();
        LaunchTemplateBlockDeviceMappingRequest::builder().device_name(self.device).ebs(ebs).build()
    }

    /// All set explicitly: an account's own defaults would win over what is left open.
    fn metadata_options(&self) -> LaunchTemplateInstanceMetadataOptionsRequest {
        LaunchTemplateInstanceMetadataOptionsRequest::builder()
            .http_endpoint(LaunchTemplateInstanceMetadataEndpointState::Enabled)
            .http_tokens(LaunchTemplateHttpTokensState::Required)
            .http_put_response_hop_limit(number(self.hop_limit))
            .build()
    }
}

/// The template's name: `runner-fleet-<manager>-<runner>-<hash>`, with `-` for what EC2 does not take in a name.
pub(crate) fn name(spec: &LaunchSpec, hash: &str) -> TemplateName {
    let manager = tag::slug(&spec.manager, PART_LENGTH_MAX);
    let runner = tag::slug(spec.runner.as_str(), PART_LENGTH_MAX);
    TemplateName::new(format!("runner-fleet-{manager}-{runner}-{hash}"))
}

fn instance_profile(name_or_arn: &str) -> LaunchTemplateIamInstanceProfileSpecificationRequest {
    let builder = LaunchTemplateIamInstanceProfileSpecificationRequest::builder();
    if name_or_arn.starts_with("arn:") { builder.arn(name_or_arn) } else { builder.name(name_or_arn) }.build()
}

/// The API's numbers are signed.
fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// User-data as it is sent: gzip, without a time stamp, within EC2's limit.
fn compressed(spec: &LaunchSpec) -> Result<Vec<u8>, AwsError> {
    const GZIP: [u8; 2] = [0x1f, 0x8b];
    let failed =
        |error: std::io::Error| AwsError::Unfit(format!("cannot compress the user-data of {}: {error}", spec.runner));
    let bytes = if spec.user_data.starts_with(&GZIP) {
        spec.user_data.clone()
    } else {
        let mut encoder = GzBuilder::new().mtime(0).write(Vec::new(), Compression::best());
        encoder.write_all(&spec.user_data).and_then(|()| encoder.finish()).map_err(failed)?
    };
    if bytes.len() > USER_DATA_BYTES_MAX {
        return Err(AwsError::Unfit(format!(
            "the user-data of runner {} has {} bytes after compression, and EC2 takes {USER_DATA_BYTES_MAX}; \
             shorten `setup_script` (let it download what it needs)",
            spec.runner,
            bytes.len()
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{a_spec, an_image};
    use runner_fleet_engine::RunnerName;

    fn hash_of(spec: &LaunchSpec) -> String {
        Content::new(spec, &an_image(), "key").unwrap().hash()
    }

    #[test]
    fn equal_content_has_an_equal_name_and_every_part_counts() {
        let base = hash_of(&a_spec());
        assert_eq!(base, hash_of(&a_spec()));

        let changes: [fn(&mut LaunchSpec); 9] = [
            |spec| spec.security_groups.push("sg-2".to_owned()),
            |spec| spec.instance_profile = None,
            |spec| spec.root_volume.size_gib += 1,
            |spec| spec.root_volume.device = Some("/dev/sda1".to_owned()),
            |spec| spec.hop_limit += 1,
            |spec| spec.user_data.push(b'x'),
            |spec| spec.public_address = true,
            |spec| spec.runner = RunnerName::new("arm 2"),
            |spec| spec.tags = BTreeMap::new(),
        ];
        let mut hashes: Vec<String> = changes
            .iter()
            .map(|change| {
                let mut spec = a_spec();
                change(&mut spec);
                hash_of(&spec)
            })
            .collect();
        hashes.push(base);
        hashes.sort();
        hashes.dedup();
        assert_eq!(hashes.len(), changes.len() + 1);
    }

    #[test]
    fn what_is_not_in_the_template_does_not_change_its_name() {
        let other = LaunchSpec {
            extra_hash: "other".to_owned(),
            spot_max_price: Some("1.0".parse().unwrap()),
            instance_types: Vec::new(),
            subnets: Vec::new(),
            ..a_spec()
        };
        assert_eq!(hash_of(&other), hash_of(&a_spec()));
    }

    #[test]
    fn the_hash_does_not_change_from_release_to_release() {
        // A changed value here means that an upgrade replaces every running worker. Raise RENDERING if that is meant.
        assert_eq!(hash_of(&a_spec()), "2f18732ceb470c70");
    }

    #[test]
    fn a_name_fits_into_128_characters_of_ec2s_alphabet() {
        let spec = LaunchSpec { manager: "m ".repeat(200), runner: RunnerName::new("läufer#".repeat(40)), ..a_spec() };
        let name = name(&spec, &"0".repeat(16));
        assert!(name.as_str().len() <= 128 && name.as_str().is_ascii(), "{name}");
    }

    #[test]
    fn too_much_user_data_is_refused_with_its_size() {
        let noise: Vec<u8> = (0..20_000u32).flat_map(|i| Sha256::digest(i.to_le_bytes()).first().copied()).collect();
        let error = Content::new(&LaunchSpec { user_data: noise, ..a_spec() }, &an_image(), "key").unwrap_err();
        assert!(error.to_string().contains("bytes after compression, and EC2 takes 16384"), "{error}");
    }

    #[test]
    fn gzip_is_not_compressed_twice() {
        let once = compressed(&a_spec()).unwrap();
        let again = compressed(&LaunchSpec { user_data: once.clone(), ..a_spec() }).unwrap();
        assert_eq!(once, again);
    }
}

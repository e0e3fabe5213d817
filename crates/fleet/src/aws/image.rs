//! The machine image: which one it is now, and what a launch must know of it.
//!
//! API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeImages.html>. An image never changes, so that
//! it is described once; which image a parameter names may change, so that it is read every time.

use super::cache::Image;
use super::client::Aws;
use super::error::AwsError;
use super::spec::{Ami, LaunchSpec};
use runner_fleet_engine::Arch;

const DESCRIBE: &str = "ec2:DescribeImages";

impl Aws {
    /// Finds the image of a spec and checks that it fits.
    pub(crate) async fn image(&self, spec: &LaunchSpec) -> Result<Image, AwsError> {
        let id = match &spec.ami {
            Ami::Id(id) => id.clone(),
            Ami::Parameter(name) => image_id(name, self.parameter(name).await?)?,
        };
        let known = self.cache.images.lock().await.get(&id).cloned();
        let image = match known {
            Some(image) => image,
            None => {
                let image = self.describe_image(&id).await?;
                self.cache.images.lock().await.insert(id, image.clone());
                image
            }
        };
        check(&image, spec)?;
        Ok(image)
    }

    async fn describe_image(&self, id: &str) -> Result<Image, AwsError> {
        let doing = format!("look up the image {id}");
        let answer = self.ec2.describe_images().image_ids(id).send().await.map_err(self.failed(&doing, DESCRIBE));
        let answer = answer.map_err(|error| match error {
            error if error.is_not_found() => self.no_such_image(id),
            error => error,
        })?;
        let image =
            answer.images().iter().find(|image| image.image_id() == Some(id)).ok_or_else(|| self.no_such_image(id))?;
        let (Some(architecture), Some(root_device)) = (image.architecture(), image.root_device_name()) else {
            return Err(self.unusable(doing, DESCRIBE, "architecture or root device is missing"));
        };
        let root_size_gib = image
            .block_device_mappings()
            .iter()
            .find(|mapping| mapping.device_name() == Some(root_device))
            .and_then(|mapping| mapping.ebs().and_then(|ebs| ebs.volume_size()))
            .and_then(|size| u32::try_from(size).ok())
            .unwrap_or(0);
        Ok(Image {
            id: id.to_owned(),
            architecture: architecture.as_str().to_owned(),
            root_device: root_device.to_owned(),
            root_size_gib,
        })
    }

    fn no_such_image(&self, id: &str) -> AwsError {
        AwsError::Unfit(format!(
            "the image {id} does not exist in {}, or is not shared with this account",
            self.region()
        ))
    }
}

/// The image id that a parameter holds: bare, or as `image_id` of the JSON that AWS's `…/recommended` parameters hold.
fn image_id(name: &str, value: String) -> Result<String, AwsError> {
    let id = match serde_json::from_str::<serde_json::Value>(&value) {
        Ok(json) => json.get("image_id").and_then(|id| id.as_str()).unwrap_or_default().to_owned(),
        Err(_) => value,
    };
    if id.starts_with("ami-") && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') {
        Ok(id)
    } else {
        Err(AwsError::Unfit(format!("the SSM parameter {name} does not hold an image id (ami-…)")))
    }
}

/// As EC2's descriptions of images spell it.
fn ec2_name(arch: Arch) -> &'static str {
    match arch {
        Arch::Arm64 => "arm64",
        Arch::Amd64 => "x86_64",
    }
}

fn check(image: &Image, spec: &LaunchSpec) -> Result<(), AwsError> {
    let wanted = ec2_name(spec.arch);
    if image.architecture != wanted {
        return Err(AwsError::Unfit(format!(
            "the image {} is {}, but the instance types of runner {} are {wanted}; choose an image or types that match",
            image.id, image.architecture, spec.runner
        )));
    }
    let size = spec.root_volume.size_gib;
    if size < image.root_size_gib {
        return Err(AwsError::Unfit(format!(
            "the image {} needs a root volume of {} GiB, but runner {} asks for {size}; set root_volume.size_gib to {} or more",
            image.id, image.root_size_gib, spec.runner, image.root_size_gib
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, a_spec, aws_with};

    const IMAGE: &str = include_str!("../../tests/recorded/aws/describe_images.xml");

    #[tokio::test]
    async fn an_image_is_described_once() {
        let (aws, replay) = aws_with([Answer::xml(200, IMAGE)]);

        let first = aws.image(&a_spec()).await.unwrap();
        let second = aws.image(&a_spec()).await.unwrap();

        assert_eq!(first, second);
        assert_eq!((first.root_device.as_str(), first.root_size_gib), ("/dev/xvda", 8));
        assert_eq!(replay.bodies().len(), 1);
    }

    #[tokio::test]
    async fn an_image_of_another_architecture_is_refused() {
        let (aws, _) = aws_with([Answer::xml(200, IMAGE)]);
        let error = aws.image(&LaunchSpec { arch: Arch::Amd64, ..a_spec() }).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "the image ami-0abc is arm64, but the instance types of runner arm are x86_64; \
             choose an image or types that match"
        );
    }

    #[tokio::test]
    async fn a_root_volume_smaller_than_the_image_is_refused() {
        let (aws, _) = aws_with([Answer::xml(200, IMAGE)]);
        let mut spec = a_spec();
        spec.root_volume.size_gib = 7;
        let error = aws.image(&spec).await.unwrap_err();
        assert!(error.to_string().ends_with("set root_volume.size_gib to 8 or more"), "{error}");
    }

    #[tokio::test]
    async fn an_unknown_image_is_named() {
        let (aws, _) = aws_with([Answer::ec2_error(400, "InvalidAMIID.NotFound", "no")]);
        let error = aws.image(&a_spec()).await.unwrap_err();
        assert!(error.to_string().contains("the image ami-0abc does not exist in eu-central-1"), "{error}");
    }

    #[test]
    fn a_parameter_holds_an_id_or_json_with_one() {
        assert_eq!(image_id("p", "ami-1".to_owned()).unwrap(), "ami-1");
        assert_eq!(image_id("p", r#"{"image_id":"ami-2","os":"x"}"#.to_owned()).unwrap(), "ami-2");
        for bad in ["", "glrt-secret", "{}", "ami-1 ami-2", "ami-\u{e4}"] {
            let error = image_id("p", bad.to_owned()).unwrap_err().to_string();
            assert_eq!(error, "the SSM parameter p does not hold an image id (ami-…)", "never the value: {bad}");
        }
    }
}

//! From what a runner's workers shall be made of to a [`LaunchPlan`]: image resolved, key pair and launch template there.
//!
//! Of images and types of zones is asked once, since they do not change; doing this hourly and after a reload costs four
//! reads (image parameter, subnets, key pairs, templates). What somebody deleted is thereby made again.

use sha2::{Digest, Sha256};

use super::client::Aws;
use super::error::AwsError;
use super::key;
use super::spec::LaunchSpec;
use super::template::{self, Content};
use runner_fleet_engine::text::short_hex;
use runner_fleet_engine::{ConfigHash, LaunchPlan, Place, Required};

/// Digits of a config hash: enough to tell a runner's last thousand configurations apart, short enough to read.
const CONFIG_HASH_DIGITS: usize = 12;

impl Aws {
    /// Prepares the launch of a runner's workers.
    ///
    /// The config hash covers the template's content and `extra_hash`, but neither instance types nor subnets: a worker
    /// of a type that is no longer listed is as good as before. What the new template replaces stays until [`Aws::collect_garbage`].
    ///
    /// # Errors
    /// A call failed, or the spec does not fit to what AWS says (unknown image, subnet or parameter, another
    /// architecture, too much user-data).
    pub async fn plan(&self, spec: &LaunchSpec) -> Result<LaunchPlan, AwsError> {
        let image = self.image(spec).await?;
        let places = self.places(spec).await?;
        let key_pair = key::name(&spec.manager, &spec.key_fingerprint);
        let content = Content::new(spec, &image, key_pair.as_str())?;
        let plan = of_content(spec, &content, places);
        let required = Required { key_pair: &key_pair, runner: &spec.runner, template: &plan.template };
        self.make_missing(spec, &content, required).await?;
        Ok(plan)
    }

    /// What [`Self::launch plan`] would answer; makes neither key pair nor template.
    ///
    /// # Errors
    /// As [`Self::launch plan`].
    pub async fn preview(&self, spec: &LaunchSpec) -> Result<LaunchPlan, AwsError> {
        let image = self.image(spec).await?;
        let places = self.places(spec).await?;
        let key_pair = key::name(&spec.manager, &spec.key_fingerprint);
        Ok(of_content(spec, &Content::new(spec, &image, key_pair.as_str())?, places))
    }
}

/// The launch plan whose template has this content.
fn of_content(spec: &LaunchSpec, content: &Content<'_>, places: Vec<Place>) -> LaunchPlan {
    let hash = content.hash();
    LaunchPlan { config: config_hash(&hash, &spec.extra_hash), template: template::name(spec, &hash), places }
}

/// One hash of the template's and the runner configuration's.
fn config_hash(template_hash: &str, extra_hash: &str) -> ConfigHash {
    let digest = Sha256::digest(format!("{template_hash}\n{extra_hash}"));
    ConfigHash::new(short_hex(&digest, CONFIG_HASH_DIGITS))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, Replay, a_spec, aws_with};

    const IMAGE: &str = include_str!("../../tests/recorded/aws/describe_images.xml");
    const SUBNETS: &str = include_str!("../../tests/recorded/aws/describe_subnets.xml");
    const TYPES: &str = include_str!("../../tests/recorded/aws/describe_instance_type_offerings.xml");
    const KEYS: &str = "<DescribeKeyPairsResponse><keySet/></DescribeKeyPairsResponse>";
    const IMPORTED: &str = "<ImportKeyPairResponse><keyName>x</keyName></ImportKeyPairResponse>";
    const NO_TEMPLATE: &str = "<DescribeLaunchTemplatesResponse><launchTemplates/></DescribeLaunchTemplatesResponse>";
    const TAGS: &str = "<tagSet><item><key>runner-fleet:manager</key><value>ci-eu</value></item>\
        <item><key>runner-fleet:runner</key><value>arm</value></item></tagSet>";
    const CREATED: &str = "<CreateLaunchTemplateResponse><launchTemplate/></CreateLaunchTemplateResponse>";

    /// A region in which nothing of ours is, up to the answer to CreateLaunchTemplate.
    fn fresh(last: impl IntoIterator<Item = Answer>) -> (Aws, Replay) {
        let first = [IMAGE, SUBNETS, TYPES, KEYS, NO_TEMPLATE, IMPORTED].map(|body| Answer::xml(200, body));
        aws_with(first.into_iter().chain(last))
    }

    #[tokio::test]
    async fn a_second_plan_asks_only_for_what_may_change() {
        let (aws, replay) = fresh([Answer::xml(200, CREATED)]);
        let made = aws.plan(&a_spec()).await.unwrap();
        assert!(made.template.as_str().starts_with("runner-fleet-ci-eu-arm-"), "{made:?}");
        assert_eq!(made.config.as_str().len(), 12);
        insta::assert_snapshot!("create_launch_template", replay.wire(6));

        let key_pair = key::name("ci-eu", &a_spec().key_fingerprint);
        let pairs =
            KEYS.replace("<keySet/>", &format!("<keySet><item><keyName>{key_pair}</keyName>{TAGS}</item></keySet>"));
        let template = format!("<item><launchTemplateName>{}</launchTemplateName>{TAGS}</item>", made.template);
        let templates =
            NO_TEMPLATE.replace("<launchTemplates/>", &format!("<launchTemplates>{template}</launchTemplates>"));
        let (aws, replay) = fresh([CREATED, SUBNETS, &pairs, &templates].map(|body| Answer::xml(200, body)));
        aws.plan(&a_spec()).await.unwrap();

        assert_eq!(aws.plan(&a_spec()).await.unwrap(), made);
        assert_eq!(replay.bodies().len(), 10);
    }

    #[tokio::test]
    async fn a_preview_is_the_same_plan_and_only_asks() {
        let (aws, _) = fresh([Answer::xml(200, CREATED)]);
        let made = aws.plan(&a_spec()).await.unwrap();

        let (aws, replay) = aws_with([IMAGE, SUBNETS, TYPES].map(|body| Answer::xml(200, body)));
        assert_eq!(aws.preview(&a_spec()).await.unwrap(), made);
        assert!(replay.bodies().iter().all(|body| body.contains("Action=Describe")), "{:?}", replay.bodies());
    }

    #[tokio::test]
    async fn a_template_that_someone_else_created_first_is_taken() {
        let (aws, _) = fresh([Answer::ec2_error(400, "InvalidLaunchTemplateName.AlreadyExistsException", "in use")]);
        aws.plan(&a_spec()).await.unwrap();
    }

    #[tokio::test]
    async fn the_runners_config_changes_the_hash_not_the_template() {
        let (aws, _) =
            fresh([CREATED, SUBNETS, KEYS, NO_TEMPLATE, IMPORTED, CREATED].map(|body| Answer::xml(200, body)));
        let one = aws.plan(&a_spec()).await.unwrap();
        let two = aws.plan(&LaunchSpec { extra_hash: "other".to_owned(), ..a_spec() }).await.unwrap();
        assert_eq!(one.template, two.template);
        assert_ne!(one.config, two.config);
    }
}

//! From what a runner's workers shall be made of to a [`Blueprint`]: image resolved, key pair and launch template there.
//!
//! What cannot change is asked once, so that doing this hourly and after a reload costs two reads (image parameter and
//! subnets). A launch that finds the template gone drops it from the cache, and the next blueprint makes it again.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::ResourceType;
use sha2::{Digest, Sha256};
use tokio::sync::Mutex;

use super::client::Aws;
use super::error::AwsError;
use super::image::Image;
use super::key;
use super::spec::LaunchSpec;
use super::subnet::Offered;
use super::tag;
use super::template::{self, Content};
use crate::engine::{Blueprint, ConfigHash, Place, RunnerName, TemplateName};

const DESCRIBE: &str = "ec2:DescribeLaunchTemplates";
const CREATE: &str = "ec2:CreateLaunchTemplate";
const DELETE: &str = "ec2:DeleteLaunchTemplate";

/// The API's largest page.
const TEMPLATES_PER_PAGE: i32 = 200;
/// A manager has one template for each runner; 10 pages are 2,000.
const PAGES_MAX: usize = 10;
/// Digits of a config hash: enough to tell a runner's last thousand configurations apart, short enough to read.
const CONFIG_HASH_DIGITS: usize = 12;

/// What was asked once and does not change, or is ours to change.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    pub(crate) images: Mutex<BTreeMap<String, Image>>,
    pub(crate) offered: Mutex<Offered>,
    pub(crate) keys: Mutex<BTreeSet<String>>,
    pub(crate) templates: Mutex<BTreeSet<TemplateName>>,
}

impl Aws {
    /// Prepares the launch of a runner's workers.
    ///
    /// The config hash covers the template's content and `extra_hash`, but neither instance types nor subnets: a worker
    /// of a type that is no longer listed is as good as before.
    ///
    /// # Errors
    /// A call failed, or the spec does not fit to what AWS says (unknown image, subnet or parameter, another
    /// architecture, too much user-data).
    pub async fn blueprint(&self, spec: &LaunchSpec) -> Result<Blueprint, AwsError> {
        let image = self.image(spec).await?;
        let places = self.places(spec).await?;
        let key_pair = self.key_pair(spec).await?;
        let content = Content::new(spec, &image, &key_pair)?;
        let blueprint = of_content(spec, &content, places);
        self.ensure_template(spec, &content, &blueprint.template).await?;
        Ok(blueprint)
    }

    /// What [`Self::blueprint`] would answer; makes neither key pair nor template.
    ///
    /// # Errors
    /// As [`Self::blueprint`].
    pub async fn preview(&self, spec: &LaunchSpec) -> Result<Blueprint, AwsError> {
        let image = self.image(spec).await?;
        let places = self.places(spec).await?;
        let key_pair = key::name(&spec.manager, &spec.key_fingerprint);
        Ok(of_content(spec, &Content::new(spec, &image, &key_pair)?, places))
    }

    /// Deletes this manager's templates of runners that are not in `runners` (any more); answers how many.
    ///
    /// Running workers do not need their template.
    ///
    /// # Errors
    /// The listing failed. A template that cannot be deleted is only told in the log.
    pub async fn delete_templates_except(
        &self,
        manager: &str,
        runners: &BTreeSet<RunnerName>,
    ) -> Result<usize, AwsError> {
        let leaked: Vec<_> = self
            .templates(manager, None)
            .await?
            .into_iter()
            .filter(|(_, runner)| !runners.contains(runner))
            .map(|(name, _)| name)
            .collect();
        for name in &leaked {
            self.delete_template(name).await;
        }
        Ok(leaked.len())
    }

    /// Forgets what it knows about templates and key pairs: a launch has found one missing.
    pub(crate) async fn forget_templates_and_keys(&self) {
        self.cache.templates.lock().await.clear();
        self.cache.keys.lock().await.clear();
    }

    async fn ensure_template(
        &self,
        spec: &LaunchSpec,
        content: &Content<'_>,
        name: &TemplateName,
    ) -> Result<(), AwsError> {
        // Held over the calls, so that the same template is not created twice.
        let mut known = self.cache.templates.lock().await;
        if known.contains(name) {
            return Ok(());
        }
        let existing = self.templates(&spec.manager, Some(&spec.runner)).await?;
        if !existing.iter().any(|(other, _)| other == name) {
            self.create_template(content, name).await?;
        }
        for (former, _) in existing.iter().filter(|(other, _)| other != name) {
            self.delete_template(former).await;
            known.remove(former);
        }
        known.insert(name.clone());
        Ok(())
    }

    /// The templates that carry our manager tag (and this runner's), by name.
    pub(crate) async fn templates(
        &self,
        manager: &str,
        runner: Option<&RunnerName>,
    ) -> Result<Vec<(TemplateName, RunnerName)>, AwsError> {
        let doing = "look up launch templates";
        let mut filters = vec![tag::filter(tag::MANAGER, manager)];
        filters.extend(runner.map(|runner| tag::filter(tag::RUNNER, runner.as_str())));
        let request = self.ec2.describe_launch_templates().set_filters(Some(filters)).max_results(TEMPLATES_PER_PAGE);
        let (mut found, mut token) = (Vec::new(), None);
        for _ in 0..PAGES_MAX {
            let page = request.clone().set_next_token(token).send().await.map_err(self.failed(doing, DESCRIBE))?;
            for template in page.launch_templates() {
                let tags = template.tags();
                let is_ours = tag::find(tags, tag::MANAGER) == Some(manager);
                let its_runner = tag::find(tags, tag::RUNNER);
                let is_asked = runner.is_none_or(|runner| its_runner == Some(runner.as_str()));
                if let (true, true, Some(name), Some(of)) =
                    (is_ours, is_asked, template.launch_template_name(), its_runner)
                {
                    found.push((TemplateName::new(name), RunnerName::new(of)));
                }
            }
            token = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(found);
            }
        }
        Err(self.unusable(doing, DESCRIBE, format!("more than {PAGES_MAX} pages")))
    }

    async fn create_template(&self, content: &Content<'_>, name: &TemplateName) -> Result<(), AwsError> {
        let doing = format!("create the launch template {name}");
        self.turn(&doing, CREATE).await?;
        let answer = self
            .ec2
            .create_launch_template()
            .launch_template_name(name.as_str())
            .launch_template_data(content.to_sdk())
            .tag_specifications(tag::specification(ResourceType::LaunchTemplate, content.tags()))
            .send()
            .await;
        match answer.map_err(self.failed(doing, CREATE)) {
            Ok(_) => {
                tracing::info!("Created the launch template {name}");
                Ok(())
            }
            // Its name holds the hash of its content: whoever was faster created the same.
            Err(error) if error.code() == Some("InvalidLaunchTemplateName.AlreadyExistsException") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a template of ours; a failure is only untidy, and is tried again with the next new template.
    async fn delete_template(&self, name: &TemplateName) {
        let doing = format!("delete the former launch template {name}");
        let outcome = match self.turn(&doing, DELETE).await {
            Ok(()) => {
                let call = self.ec2.delete_launch_template().launch_template_name(name.as_str()).send();
                call.await.map(drop).map_err(self.failed(doing, DELETE))
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => tracing::info!("Deleted the former launch template {name}"),
            Err(error) if error.is_not_found() => {}
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

/// The blueprint whose template has this content.
fn of_content(spec: &LaunchSpec, content: &Content<'_>, places: Vec<Place>) -> Blueprint {
    let hash = content.hash();
    Blueprint { config: config_hash(&hash, &spec.extra_hash), template: template::name(spec, &hash), places }
}

/// One hash of the template's and the runner configuration's.
fn config_hash(template_hash: &str, extra_hash: &str) -> ConfigHash {
    let digest = Sha256::digest(format!("{template_hash}\n{extra_hash}"));
    ConfigHash::new(template::hex(&digest, CONFIG_HASH_DIGITS))
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
    const FORMER: &str = include_str!("../../tests/recorded/aws/describe_launch_templates.xml");
    const CREATED: &str = "<CreateLaunchTemplateResponse><launchTemplate/></CreateLaunchTemplateResponse>";
    const DELETED: &str = "<DeleteLaunchTemplateResponse><launchTemplate/></DeleteLaunchTemplateResponse>";

    fn fresh(last: impl IntoIterator<Item = Answer>) -> (Aws, Replay) {
        let first = [IMAGE, SUBNETS, TYPES, KEYS, IMPORTED, FORMER].map(|body| Answer::xml(200, body));
        aws_with(first.into_iter().chain(last))
    }

    #[tokio::test]
    async fn the_first_blueprint_makes_everything_and_the_second_asks_for_subnets_alone() {
        let (aws, replay) = fresh([CREATED, DELETED, SUBNETS].map(|body| Answer::xml(200, body)));

        let first = aws.blueprint(&a_spec()).await.unwrap();
        let second = aws.blueprint(&a_spec()).await.unwrap();

        assert_eq!(first, second);
        assert!(first.template.as_str().starts_with("runner-fleet-ci-eu-arm-"), "{first:?}");
        assert_eq!(first.config.as_str().len(), 12);
        insta::assert_snapshot!("create_launch_template", replay.wire(6));
        insta::assert_snapshot!("delete_launch_template", replay.wire(7));
        assert_eq!(replay.bodies().len(), 9);
        assert_eq!(aws.calls().of_service("ec2"), 9);
    }

    #[tokio::test]
    async fn a_preview_is_the_same_blueprint_and_only_asks() {
        let (aws, _) = fresh([CREATED, DELETED].map(|body| Answer::xml(200, body)));
        let made = aws.blueprint(&a_spec()).await.unwrap();

        let (aws, replay) = aws_with([IMAGE, SUBNETS, TYPES].map(|body| Answer::xml(200, body)));
        assert_eq!(aws.preview(&a_spec()).await.unwrap(), made);
        assert!(replay.bodies().iter().all(|body| body.contains("Action=Describe")), "{:?}", replay.bodies());
    }

    #[tokio::test]
    async fn a_template_that_someone_else_created_first_is_taken() {
        let exists = Answer::ec2_error(400, "InvalidLaunchTemplateName.AlreadyExistsException", "in use");
        let (aws, _) = fresh([exists, Answer::xml(200, DELETED)]);
        aws.blueprint(&a_spec()).await.unwrap();
    }

    #[tokio::test]
    async fn a_former_template_that_cannot_be_deleted_is_no_failure() {
        let (aws, _) = fresh([Answer::xml(200, CREATED), Answer::ec2_error(403, "UnauthorizedOperation", "no")]);
        aws.blueprint(&a_spec()).await.unwrap();
    }

    #[tokio::test]
    async fn the_runners_own_configuration_changes_the_config_hash_but_not_the_template() {
        let (aws, _) = fresh([CREATED, DELETED, SUBNETS].map(|body| Answer::xml(200, body)));
        let one = aws.blueprint(&a_spec()).await.unwrap();
        let two = aws.blueprint(&LaunchSpec { extra_hash: "other".to_owned(), ..a_spec() }).await.unwrap();
        assert_eq!(one.template, two.template);
        assert_ne!(one.config, two.config);
    }

    #[tokio::test]
    async fn only_templates_of_removed_runners_are_swept() {
        let (aws, replay) = aws_with([FORMER, FORMER, DELETED].map(|body| Answer::xml(200, body)));
        let arm = BTreeSet::from([RunnerName::new("arm")]);
        assert_eq!(aws.delete_templates_except("ci-eu", &arm).await.unwrap(), 0);
        assert_eq!(aws.delete_templates_except("ci-eu", &BTreeSet::new()).await.unwrap(), 1);
        assert_eq!(replay.bodies().len(), 3);
    }
}

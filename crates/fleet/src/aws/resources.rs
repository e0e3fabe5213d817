//! The key pairs and launch templates that carry our manager tag: looked at, made, deleted. What is to be done is the
//! engine's to say ([`Inventory`]); a call that finds its work done already has done it.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::types::ResourceType;

use super::client::Aws;
use super::error::AwsError;
use super::key;
use super::spec::LaunchSpec;
use super::tag;
use super::template::Content;
use runner_fleet_engine::{Inventory, Required, ResourceAction, RunnerName, TemplateName};

const DESCRIBE: &str = "ec2:DescribeLaunchTemplates";
const CREATE: &str = "ec2:CreateLaunchTemplate";
const DELETE: &str = "ec2:DeleteLaunchTemplate";

/// The API's largest page.
const TEMPLATES_PER_PAGE: i32 = 200;
/// A manager has one template for each runner; 10 pages are 2,000.
const PAGES_MAX: usize = 10;

impl Aws {
    /// Makes the key pair and the template that are not there.
    pub(super) async fn make_missing(
        &self,
        spec: &LaunchSpec,
        content: &Content<'_>,
        required: Required<'_>,
    ) -> Result<(), AwsError> {
        let _turn = self.cache.preparing.lock().await;
        for action in self.inventory(&spec.manager).await?.missing(required) {
            match action {
                ResourceAction::ImportKeyPair(name) => self.import_key_pair(spec, &name).await?,
                ResourceAction::CreateTemplate(name) => self.create_template(content, &name).await?,
                ResourceAction::DeleteTemplate(_) | ResourceAction::DeleteKeyPair(_) => {}
            }
        }
        Ok(())
    }

    /// Deletes our key pairs and templates that nothing needs any more: this runner's other templates than `template`,
    /// those of runners that are not `configured`, and key pairs of former keys. Answers how many.
    ///
    /// # Errors
    /// The listing failed, or the first deletion that did; the others were tried all the same.
    pub async fn collect_garbage(
        &self,
        spec: &LaunchSpec,
        template: &TemplateName,
        configured: &BTreeSet<RunnerName>,
    ) -> Result<usize, AwsError> {
        let key_pair = key::name(&spec.manager, &spec.key_fingerprint);
        let required = Required { key_pair: &key_pair, runner: &spec.runner, template };
        let (mut deleted, mut failure) = (0, None);
        for action in self.inventory(&spec.manager).await?.leftovers(required, configured) {
            let outcome = match action {
                ResourceAction::DeleteTemplate(name) => self.delete_template(&name).await,
                ResourceAction::DeleteKeyPair(name) => self.delete_key_pair(&name).await,
                ResourceAction::ImportKeyPair(_) | ResourceAction::CreateTemplate(_) => continue,
            };
            match outcome {
                Ok(()) => deleted += 1,
                Err(error) => failure = failure.or(Some(error)),
            }
        }
        failure.map_or(Ok(deleted), Err)
    }

    /// What is there.
    async fn inventory(&self, manager: &str) -> Result<Inventory, AwsError> {
        Ok(Inventory { key_pairs: self.key_pairs(manager).await?, templates: self.templates(manager).await? })
    }

    /// The templates that carry our manager tag, and their runners' names.
    pub(crate) async fn templates(&self, manager: &str) -> Result<BTreeMap<TemplateName, RunnerName>, AwsError> {
        let doing = "look up launch templates";
        let filter = tag::filter(tag::MANAGER, manager);
        let request = self.ec2.describe_launch_templates().filters(filter).max_results(TEMPLATES_PER_PAGE);
        let (mut found, mut token) = (BTreeMap::new(), None);
        for _ in 0..PAGES_MAX {
            let page = request.clone().set_next_token(token).send().await.map_err(self.failed(doing, DESCRIBE))?;
            for template in page.launch_templates() {
                let tags = template.tags();
                let is_ours = tag::find(tags, tag::MANAGER) == Some(manager);
                let runner = tag::find(tags, tag::RUNNER);
                if let (true, Some(name), Some(runner)) = (is_ours, template.launch_template_name(), runner) {
                    found.insert(TemplateName::new(name), RunnerName::new(runner));
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
                tracing::info!("created the launch template {name}");
                Ok(())
            }
            // Its name holds the hash of its content: whoever was faster created the same.
            Err(error) if error.code() == Some("InvalidLaunchTemplateName.AlreadyExistsException") => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn delete_template(&self, name: &TemplateName) -> Result<(), AwsError> {
        let doing = format!("delete the launch template {name}");
        self.turn(&doing, DELETE).await?;
        let answer = self.ec2.delete_launch_template().launch_template_name(name.as_str()).send().await;
        match answer.map_err(self.failed(doing, DELETE)) {
            Ok(_) => {
                tracing::info!("deleted the launch template {name}, which nothing needs any more");
                Ok(())
            }
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, a_spec, aws_with};

    const KEYS: &str = include_str!("../../tests/recorded/aws/describe_key_pairs.xml");
    const TEMPLATES: &str = include_str!("../../tests/recorded/aws/describe_launch_templates.xml");
    const DELETED: &str = "<DeleteLaunchTemplateResponse><launchTemplate/></DeleteLaunchTemplateResponse>";
    const KEY_DELETED: &str = "<DeleteKeyPairResponse><return>true</return></DeleteKeyPairResponse>";
    /// The only template of ours in the recording.
    const FORMER: &str = "runner-fleet-ci-eu-arm-0000000000000000";

    fn configured(names: &[&str]) -> BTreeSet<RunnerName> {
        names.iter().map(|name| RunnerName::new(*name)).collect()
    }

    #[tokio::test]
    async fn former_ones_of_ours_are_deleted_and_nobody_elses() {
        let (aws, replay) = aws_with([KEYS, TEMPLATES, DELETED, KEY_DELETED].map(|body| Answer::xml(200, body)));

        let deleted = aws.collect_garbage(&a_spec(), &TemplateName::new("now"), &configured(&["arm"])).await.unwrap();

        assert_eq!(deleted, 2);
        insta::assert_snapshot!("delete_launch_template", replay.wire(2));
        let bodies = replay.bodies();
        assert!(
            bodies[3].contains("Action=DeleteKeyPair&") && bodies[3].contains("runner-fleet-ci-eu-Old"),
            "{bodies:?}"
        );
    }

    #[tokio::test]
    async fn a_deletion_that_fails_is_told_after_the_others_were_tried() {
        let denied = Answer::ec2_error(403, "UnauthorizedOperation", "no");
        let answers = [Answer::xml(200, KEYS), Answer::xml(200, TEMPLATES), denied, Answer::xml(200, KEY_DELETED)];
        let (aws, replay) = aws_with(answers);

        let error = aws.collect_garbage(&a_spec(), &TemplateName::new("now"), &configured(&[])).await.unwrap_err();

        assert!(error.to_string().contains("ec2:DeleteLaunchTemplate is denied"), "{error}");
        assert_eq!(replay.bodies().len(), 4);
    }

    #[tokio::test]
    async fn a_template_that_is_gone_already_is_as_good_as_deleted() {
        let gone = Answer::ec2_error(400, "InvalidLaunchTemplateName.NotFoundException", "gone");
        let answers = [Answer::xml(200, KEYS), Answer::xml(200, TEMPLATES), gone, Answer::xml(200, KEY_DELETED)];
        let (aws, _) = aws_with(answers);
        assert_eq!(aws.collect_garbage(&a_spec(), &TemplateName::new("now"), &configured(&["arm"])).await.unwrap(), 2);
    }

    #[tokio::test]
    async fn the_present_template_stays() {
        let (aws, _) = aws_with([KEYS, TEMPLATES, KEY_DELETED].map(|body| Answer::xml(200, body)));
        assert_eq!(aws.collect_garbage(&a_spec(), &TemplateName::new(FORMER), &configured(&["arm"])).await.unwrap(), 1);
    }
}

//! The manager's public SSH key as an EC2 key pair: imported once, one per manager and region.
//!
//! API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html>. Key pairs have a quota (5,000 a
//! region), so that those of former keys are deleted; running workers do not need them any more. Ours are found by tag:
//! the name's prefix of a manager `ci` is also that of a manager `ci-eu`.

use std::collections::BTreeMap;

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::ResourceType;

use super::client::Aws;
use super::error::AwsError;
use super::spec::LaunchSpec;
use super::tag;

const DESCRIBE: &str = "ec2:DescribeKeyPairs";
const IMPORT: &str = "ec2:ImportKeyPair";
const DELETE: &str = "ec2:DeleteKeyPair";

/// EC2 takes 255 characters; the rest of the name needs about 60.
const MANAGER_LENGTH_MAX: usize = 100;

/// The key pair's name: `runner-fleet-<manager>-<fingerprint>`, the fingerprint without `SHA256:` and with `-` for
/// what EC2 does not take.
pub(crate) fn name(manager: &str, fingerprint: &str) -> String {
    let bare = fingerprint.strip_prefix("SHA256:").unwrap_or(fingerprint);
    format!("runner-fleet-{}-{}", tag::slug(manager, MANAGER_LENGTH_MAX), tag::slug(bare, 64))
}

impl Aws {
    /// Makes sure that the key pair exists and is the only one of this manager; answers its name.
    pub(crate) async fn key_pair(&self, spec: &LaunchSpec) -> Result<String, AwsError> {
        let name = name(&spec.manager, &spec.key_fingerprint);
        // Held over the calls: of two runners that start at once, one imports.
        let mut known = self.cache.keys.lock().await;
        if known.contains(&name) {
            return Ok(name);
        }
        let existing = self.key_pairs(&spec.manager).await?;
        if !existing.contains(&name) {
            self.import_key(spec, &name).await?;
        }
        for former in existing.iter().filter(|other| **other != name) {
            self.delete_key(former).await;
        }
        known.clear();
        known.insert(name.clone());
        Ok(name)
    }

    /// The names of the key pairs that carry our manager tag.
    pub(crate) async fn key_pairs(&self, manager: &str) -> Result<Vec<String>, AwsError> {
        let answer = self.ec2.describe_key_pairs().filters(tag::filter(tag::MANAGER, manager)).send().await;
        let answer = answer.map_err(self.failed("look up the SSH key pair", DESCRIBE))?;
        Ok(answer
            .key_pairs()
            .iter()
            .filter(|pair| tag::find(pair.tags(), tag::MANAGER) == Some(manager))
            .filter_map(|pair| pair.key_name().map(ToOwned::to_owned))
            .collect())
    }

    async fn import_key(&self, spec: &LaunchSpec, name: &str) -> Result<(), AwsError> {
        let doing = "import the SSH key pair";
        self.turn(doing, IMPORT).await?;
        let tags = BTreeMap::from([(tag::MANAGER.to_owned(), spec.manager.clone())]);
        let answer = self
            .ec2
            .import_key_pair()
            .key_name(name)
            .public_key_material(Blob::new(spec.public_key_openssh.trim()))
            .tag_specifications(tag::specification(ResourceType::KeyPair, &tags))
            .send()
            .await;
        match answer.map_err(self.failed(doing, IMPORT)) {
            Ok(_) => {
                tracing::info!("Imported the SSH key pair {name}");
                Ok(())
            }
            // Its name holds the fingerprint: whoever was faster imported the same key.
            Err(error) if error.code() == Some("InvalidKeyPair.Duplicate") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a key pair of ours; a failure is only untidy, and is tried again after the next start.
    async fn delete_key(&self, name: &str) {
        let doing = format!("delete the former SSH key pair {name}");
        let outcome = match self.turn(&doing, DELETE).await {
            Ok(()) => {
                self.ec2.delete_key_pair().key_name(name).send().await.map(drop).map_err(self.failed(doing, DELETE))
            }
            Err(error) => Err(error),
        };
        match outcome {
            Ok(()) => tracing::info!("Deleted the former SSH key pair {name}"),
            Err(error) => tracing::warn!("{error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, a_spec, aws_with};

    const PAIRS: &str = include_str!("../../tests/recorded/aws/describe_key_pairs.xml");
    const NONE: &str = "<DescribeKeyPairsResponse><keySet/></DescribeKeyPairsResponse>";
    const IMPORTED: &str = "<ImportKeyPairResponse><keyName>x</keyName></ImportKeyPairResponse>";
    const DELETED: &str = "<DeleteKeyPairResponse><return>true</return></DeleteKeyPairResponse>";

    #[test]
    fn the_name_holds_manager_and_fingerprint() {
        assert_eq!(name("ci eu", "SHA256:a+b/c9"), "runner-fleet-ci-eu-a-b-c9");
    }

    #[tokio::test]
    async fn an_existing_key_stays_and_a_former_one_of_the_same_manager_goes() {
        let (aws, replay) = aws_with([Answer::xml(200, PAIRS), Answer::xml(200, DELETED)]);

        aws.key_pair(&a_spec()).await.unwrap();
        let name = aws.key_pair(&a_spec()).await.unwrap();

        assert_eq!(name, "runner-fleet-ci-eu-Fp1");
        let bodies = replay.bodies();
        assert_eq!(bodies.len(), 2, "the second time nothing is asked");
        assert!(
            bodies[1].contains("Action=DeleteKeyPair") && bodies[1].contains("runner-fleet-ci-eu-Old"),
            "{bodies:?}"
        );
    }

    #[tokio::test]
    async fn a_missing_key_is_imported_and_losing_the_race_is_fine() {
        for answer in [Answer::xml(200, IMPORTED), Answer::ec2_error(400, "InvalidKeyPair.Duplicate", "exists")] {
            let (aws, replay) = aws_with([Answer::xml(200, NONE), answer]);
            aws.key_pair(&a_spec()).await.unwrap();
            insta::assert_snapshot!("import_key_pair", replay.wire(1));
        }
    }

    #[tokio::test]
    async fn a_refused_import_is_an_error() {
        let (aws, _) = aws_with([Answer::xml(200, NONE), Answer::ec2_error(403, "UnauthorizedOperation", "no")]);
        let error = aws.key_pair(&a_spec()).await.unwrap_err();
        assert!(error.to_string().contains("ec2:ImportKeyPair is denied"), "{error}");
    }
}

//! The manager's public SSH key as an EC2 key pair: imported once, one per manager and region.
//!
//! API: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_ImportKeyPair.html>. Key pairs have a quota (5,000 a
//! region), so that those of former keys are deleted; running workers do not need them any more. Ours are found by tag:
//! the name's prefix of a manager `ci` is also that of a manager `ci-eu`.

use std::collections::{BTreeMap, BTreeSet};

use aws_sdk_ec2::primitives::Blob;
use aws_sdk_ec2::types::ResourceType;

use super::client::Aws;
use super::error::AwsError;
use super::spec::LaunchSpec;
use super::tag;
use runner_fleet_engine::KeyPairName;

const DESCRIBE: &str = "ec2:DescribeKeyPairs";
const IMPORT: &str = "ec2:ImportKeyPair";
const DELETE: &str = "ec2:DeleteKeyPair";

/// EC2 takes 255 characters; the rest of the name needs about 60.
const MANAGER_LENGTH_MAX: usize = 100;

/// The key pair's name: `runner-fleet-<manager>-<fingerprint>`, the fingerprint without `SHA256:` and with `-` for
/// what EC2 does not take.
pub(crate) fn name(manager: &str, fingerprint: &str) -> KeyPairName {
    let bare = fingerprint.strip_prefix("SHA256:").unwrap_or(fingerprint);
    KeyPairName::new(format!("runner-fleet-{}-{}", tag::slug(manager, MANAGER_LENGTH_MAX), tag::slug(bare, 64)))
}

impl Aws {
    /// The names of the key pairs that carry our manager tag.
    pub(crate) async fn key_pairs(&self, manager: &str) -> Result<BTreeSet<KeyPairName>, AwsError> {
        let answer = self.ec2.describe_key_pairs().filters(tag::filter(tag::MANAGER, manager)).send().await;
        let answer = answer.map_err(self.failed("look up the SSH key pair", DESCRIBE))?;
        Ok(answer
            .key_pairs()
            .iter()
            .filter(|pair| tag::find(pair.tags(), tag::MANAGER) == Some(manager))
            .filter_map(|pair| pair.key_name().map(KeyPairName::new))
            .collect())
    }

    pub(super) async fn import_key_pair(&self, spec: &LaunchSpec, name: &KeyPairName) -> Result<(), AwsError> {
        let doing = "import the SSH key pair";
        self.turn(doing, IMPORT).await?;
        let tags = BTreeMap::from([(tag::MANAGER.to_owned(), spec.manager.clone())]);
        let answer = self
            .ec2
            .import_key_pair()
            .key_name(name.as_str())
            .public_key_material(Blob::new(spec.public_key_openssh.trim()))
            .tag_specifications(tag::specification(ResourceType::KeyPair, &tags))
            .send()
            .await;
        match answer.map_err(self.failed(doing, IMPORT)) {
            Ok(_) => {
                tracing::info!("imported the SSH key pair {name}");
                Ok(())
            }
            // Its name holds the fingerprint: whoever was faster imported the same key.
            Err(error) if error.code() == Some("InvalidKeyPair.Duplicate") => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Deletes a key pair of ours; EC2 answers the same where there is none.
    pub(super) async fn delete_key_pair(&self, name: &KeyPairName) -> Result<(), AwsError> {
        let doing = format!("delete the SSH key pair {name}");
        self.turn(&doing, DELETE).await?;
        self.ec2.delete_key_pair().key_name(name.as_str()).send().await.map_err(self.failed(doing, DELETE))?;
        tracing::info!("deleted the SSH key pair {name}, which nothing needs any more");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, a_spec, aws_with};

    const PAIRS: &str = include_str!("../../tests/recorded/aws/describe_key_pairs.xml");
    const IMPORTED: &str = "<ImportKeyPairResponse><keyName>x</keyName></ImportKeyPairResponse>";

    #[test]
    fn the_name_holds_manager_and_fingerprint() {
        assert_eq!(name("ci eu", "SHA256:a+b/c9").as_str(), "runner-fleet-ci-eu-a-b-c9");
    }

    #[tokio::test]
    async fn another_managers_key_pairs_are_not_ours() {
        let (aws, _) = aws_with([Answer::xml(200, PAIRS)]);
        let ours = ["runner-fleet-ci-eu-Fp1", "runner-fleet-ci-eu-Old"].map(KeyPairName::new);
        assert_eq!(aws.key_pairs("ci-eu").await.unwrap(), ours.into());
    }

    #[tokio::test]
    async fn a_key_is_imported_and_losing_the_race_is_fine() {
        for answer in [Answer::xml(200, IMPORTED), Answer::ec2_error(400, "InvalidKeyPair.Duplicate", "exists")] {
            let (aws, replay) = aws_with([answer]);
            aws.import_key_pair(&a_spec(), &KeyPairName::new("runner-fleet-ci-eu-Fp1")).await.unwrap();
            insta::assert_snapshot!("import_key_pair", replay.wire(0));
        }
    }

    #[tokio::test]
    async fn a_refused_import_is_an_error() {
        let (aws, _) = aws_with([Answer::ec2_error(403, "UnauthorizedOperation", "no")]);
        let error = aws.import_key_pair(&a_spec(), &KeyPairName::new("any")).await.unwrap_err();
        assert!(error.to_string().contains("ec2:ImportKeyPair is denied"), "{error}");
    }
}

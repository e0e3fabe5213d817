//! The least-privilege IAM policies: what the manager really calls, and what a worker's ECR login needs. Pure.
//!
//! Everything that changes something is bound to our manager tag: made only with it, changed and ended only with it. The
//! pattern is that of Karpenter's `cloudformation.yaml` (aws/karpenter-provider-aws, getting started).
//! Action reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::tag;

/// What the manager's policy is rendered from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManagerPolicy {
    /// `aws`, `aws-cn` or `aws-us-gov`.
    pub partition: String,
    /// The account's 12 digits; `None`: any, `*` stands in the ARNs.
    pub account: Option<String>,
    /// All regions of the configuration; at least one.
    pub regions: BTreeSet<String>,
    /// The owner's name in every tag.
    pub manager: String,
    /// Names of the SSM parameters that are read: tokens and image ids.
    pub parameters: BTreeSet<String>,
    /// The workers' instance profiles, by name or ARN. Their role is taken to have the same name, as the console makes
    /// it.
    pub instance_profiles: BTreeSet<String>,
    /// ARNs of customer-managed keys that encrypt volumes, images or parameters.
    pub kms_keys: BTreeSet<String>,
}

/// The policy for the manager's role.
pub fn manager_policy(input: &ManagerPolicy) -> Value {
    let request_tag = format!("aws:RequestTag/{}", tag::MANAGER);
    let resource_tag = format!("aws:ResourceTag/{}", tag::MANAGER);
    let regions: Vec<&String> = input.regions.iter().collect();
    let launch = ["ec2:CreateFleet", "ec2:RunInstances"];
    let born = ["fleet", "instance", "network-interface", "spot-instances-request", "volume"];
    let kept = ["key-pair", "launch-template"];
    let mut statements = vec![
        json!({
            "Sid": "Look", "Effect": "Allow",
            "Action": [
                "ec2:DescribeImages", "ec2:DescribeInstanceStatus", "ec2:DescribeInstanceTypeOfferings",
                "ec2:DescribeInstances", "ec2:DescribeKeyPairs", "ec2:DescribeLaunchTemplates",
                "ec2:DescribeSpotPriceHistory", "ec2:DescribeSubnets",
            ],
            "Resource": "*",
            "Condition": { "StringEquals": { "aws:RequestedRegion": regions } },
        }),
        json!({
            "Sid": "LaunchFromParts", "Effect": "Allow", "Action": launch,
            "Resource": input.arns(&["image", "security-group", "snapshot", "subnet"]),
        }),
        json!({
            "Sid": "LaunchFromOurs", "Effect": "Allow", "Action": launch, "Resource": input.arns(&kept),
            "Condition": { "StringEquals": { &resource_tag: input.manager } },
        }),
        json!({
            "Sid": "LaunchWithOurTag", "Effect": "Allow", "Action": launch, "Resource": input.arns(&born),
            "Condition": { "StringEquals": { &request_tag: input.manager } },
        }),
        json!({
            "Sid": "MakeTemplateAndKeyWithOurTag", "Effect": "Allow",
            "Action": ["ec2:CreateLaunchTemplate", "ec2:ImportKeyPair"], "Resource": input.arns(&kept),
            "Condition": { "StringEquals": { &request_tag: input.manager } },
        }),
        json!({
            "Sid": "TagAtBirthOnly", "Effect": "Allow", "Action": "ec2:CreateTags",
            "Resource": input.arns(&[born.as_slice(), kept.as_slice()].concat()),
            "Condition": { "StringEquals": {
                &request_tag: input.manager,
                "ec2:CreateAction": ["CreateFleet", "CreateLaunchTemplate", "ImportKeyPair", "RunInstances"],
            } },
        }),
        json!({
            "Sid": "EndOurs", "Effect": "Allow",
            "Action": ["ec2:DeleteKeyPair", "ec2:DeleteLaunchTemplate", "ec2:TerminateInstances"],
            "Resource": input.arns(&["instance", "key-pair", "launch-template"]),
            "Condition": { "StringEquals": { &resource_tag: input.manager } },
        }),
    ];
    statements.extend(input.pass_role());
    statements.push(input.spot_role());
    statements.extend(input.read_parameters());
    statements.extend(input.use_keys());
    json!({ "Version": "2012-10-17", "Statement": statements })
}

impl ManagerPolicy {
    fn account(&self) -> &str {
        self.account.as_deref().unwrap_or("*")
    }

    /// The one region, or `*`: the Look statement and the tags bind the rest.
    fn region(&self) -> &str {
        match (self.regions.first(), self.regions.len()) {
            (Some(region), 1) => region,
            _ => "*",
        }
    }

    /// ARNs of whole kinds of EC2 resources. Images and snapshots belong to no or another account.
    fn arns(&self, kinds: &[&str]) -> Vec<String> {
        let arn = |kind: &&str| {
            let account = match *kind {
                "image" | "snapshot" => "*",
                _ => self.account(),
            };
            format!("arn:{}:ec2:{}:{account}:{kind}/*", self.partition, self.region())
        };
        let mut arns: Vec<String> = kinds.iter().map(arn).collect();
        arns.sort();
        arns
    }

    fn pass_role(&self) -> Option<Value> {
        let role = |profile: &String| {
            let name = profile.rsplit('/').next().unwrap_or(profile);
            let account = profile.split(':').nth(4).unwrap_or(self.account());
            format!("arn:{}:iam::{account}:role/{name}", self.partition)
        };
        let roles: BTreeSet<String> = self.instance_profiles.iter().map(role).collect();
        let service = if self.partition == "aws-cn" { "ec2.amazonaws.com.cn" } else { "ec2.amazonaws.com" };
        (!roles.is_empty()).then(|| {
            json!({
                "Sid": "GiveWorkersTheirRole", "Effect": "Allow", "Action": "iam:PassRole", "Resource": roles,
                "Condition": { "StringEquals": { "iam:PassedToService": service } },
            })
        })
    }

    /// An account's first spot launch makes this role.
    fn spot_role(&self) -> Value {
        let role = "role/aws-service-role/spot.amazonaws.com/AWSServiceRoleForEC2Spot";
        json!({
            "Sid": "FirstSpotLaunch", "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole",
            "Resource": format!("arn:{}:iam::{}:{role}", self.partition, self.account()),
            "Condition": { "StringEquals": { "iam:AWSServiceName": "spot.amazonaws.com" } },
        })
    }

    fn read_parameters(&self) -> Option<Value> {
        let arn = |name: &String| {
            let account = if name.starts_with("/aws/service/") { "" } else { self.account() };
            let name = name.trim_start_matches('/');
            format!("arn:{}:ssm:{}:{account}:parameter/{name}", self.partition, self.region())
        };
        let arns: BTreeSet<String> = self.parameters.iter().map(arn).collect();
        (!arns.is_empty()).then(|| {
            json!({ "Sid": "ReadTokensAndImageIds", "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arns })
        })
    }

    fn use_keys(&self) -> Vec<Value> {
        if self.kms_keys.is_empty() {
            return Vec::new();
        }
        vec![
            json!({
                "Sid": "UseKeys", "Effect": "Allow",
                "Action": [
                    "kms:Decrypt", "kms:DescribeKey", "kms:GenerateDataKeyWithoutPlaintext", "kms:ReEncryptFrom",
                    "kms:ReEncryptTo",
                ],
                "Resource": self.kms_keys,
            }),
            json!({
                "Sid": "LetEc2UseKeys", "Effect": "Allow", "Action": "kms:CreateGrant", "Resource": self.kms_keys,
                "Condition": { "Bool": { "kms:GrantIsForAWSResource": "true" } },
            }),
        ]
    }
}

/// The policy for the workers' role: to pull from these registries (`<account>.dkr.ecr.<region>.amazonaws.com`,
/// `public.ecr.aws`), nothing else. Other hosts need no AWS rights. `None`: the workers need no role.
///
/// Pushing is a job's business: give that right to a role that the job assumes with its `id_tokens`.
pub fn worker_policy(partition: &str, registries: &[String]) -> Option<Value> {
    let repositories: BTreeSet<String> =
        registries.iter().filter_map(|host| repositories_of(partition, host)).collect();
    let is_public = registries.iter().any(|host| matches!(host.as_str(), "public.ecr.aws" | "ecr-public.aws.com"));
    let mut statements = Vec::new();
    if !repositories.is_empty() {
        statements.push(json!({
            "Sid": "EcrLogin", "Effect": "Allow", "Action": "ecr:GetAuthorizationToken", "Resource": "*",
        }));
        statements.push(json!({
            "Sid": "EcrPull", "Effect": "Allow",
            "Action": ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"],
            "Resource": repositories,
        }));
    }
    if is_public {
        statements.push(json!({
            "Sid": "EcrPublicLogin", "Effect": "Allow",
            "Action": ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"], "Resource": "*",
        }));
    }
    (!statements.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// All repositories of a private ECR host; `None` for any other host.
fn repositories_of(partition: &str, host: &str) -> Option<String> {
    let (account, rest) = host.split_once('.')?;
    let rest = ["dkr.ecr.", "dkr.ecr-fips.", "dkr-ecr.", "dkr-ecr-fips."].iter().find_map(|p| rest.strip_prefix(p))?;
    let (region, _) = rest.split_once('.')?;
    let is_account = account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit());
    is_account.then(|| format!("arn:{partition}:ecr:{region}:{account}:repository/*"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(items: &[&str]) -> BTreeSet<String> {
        items.iter().map(|item| (*item).to_owned()).collect()
    }

    fn pretty(policy: &Value) -> String {
        serde_json::to_string_pretty(policy).unwrap()
    }

    #[test]
    fn the_managers_policy() {
        let input = ManagerPolicy {
            partition: "aws".to_owned(),
            account: Some("123456789012".to_owned()),
            regions: set(&["eu-central-1"]),
            manager: "ci-eu".to_owned(),
            parameters: set(&["/ci/runner-token", "/aws/service/debian/release/12/latest/arm64", "bare"]),
            instance_profiles: set(&["ci-worker", "arn:aws:iam::210987654321:instance-profile/ci/other"]),
            kms_keys: set(&["arn:aws:kms:eu-central-1:123456789012:key/1"]),
        };
        insta::assert_snapshot!("manager_policy", pretty(&manager_policy(&input)));
    }

    #[test]
    fn the_managers_smallest_policy() {
        let input = ManagerPolicy {
            partition: "aws-cn".to_owned(),
            account: None,
            regions: set(&["cn-north-1", "cn-northwest-1"]),
            manager: "ci".to_owned(),
            parameters: BTreeSet::new(),
            instance_profiles: BTreeSet::new(),
            kms_keys: BTreeSet::new(),
        };
        insta::assert_snapshot!("manager_policy_smallest", pretty(&manager_policy(&input)));
    }

    #[test]
    fn the_workers_policy() {
        let registries = [
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com".to_owned(),
            "210987654321.dkr.ecr-fips.us-east-1.amazonaws.com".to_owned(),
            "public.ecr.aws".to_owned(),
            "registry.example.com".to_owned(),
        ];
        insta::assert_snapshot!("worker_policy", pretty(&worker_policy("aws", &registries).unwrap()));
    }

    #[test]
    fn workers_that_pull_from_elsewhere_need_no_role() {
        assert_eq!(worker_policy("aws", &["registry.example.com".to_owned(), String::new()]), None);
    }
}

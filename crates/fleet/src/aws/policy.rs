//! The least-privilege IAM policy of the manager: what it really calls, and nothing else. Pure.
//!
//! Everything that changes something is bound to our manager tag: made only with it, changed and ended only with it. The
//! pattern is that of Karpenter's `cloudformation.yaml` (aws/karpenter-provider-aws, getting started).
//! Action reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonec2.html>.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::tag;

/// The SSM parameter that keeps the manager's SSH key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshKeyParameter {
    /// Where it lies: one of [`ManagerPolicy::regions`].
    pub region: String,
    /// Its name.
    pub name: String,
}

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
    /// Names of the SSM parameters with image ids.
    pub parameters: BTreeSet<String>,
    /// Image ids that are configured as such.
    pub images: BTreeSet<String>,
    /// The instance types of all runners; none: any.
    pub instance_types: BTreeSet<String>,
    /// Names of the SSM parameters with tokens: read and decrypted.
    pub secrets: BTreeSet<String>,
    /// The SSM parameter that keeps the manager's SSH key: made, read and decrypted.
    pub ssh_key: Option<SshKeyParameter>,
    /// The workers' instance profiles, by name or ARN. A profile does not tell its role's name; the console gives both the
    /// same.
    pub instance_profiles: BTreeSet<String>,
    /// The workers' roles, by name or ARN, instead of the profiles' names.
    pub roles: BTreeSet<String>,
    /// Customer-managed keys that encrypt volumes: by id, ARN, or alias.
    pub kms_keys: BTreeSet<String>,
    /// Whether the role may also look at what `doctor` looks at, and the service never does.
    pub with_doctor: bool,
}

/// The policy for the manager's role.
pub fn manager_policy(input: &ManagerPolicy) -> Value {
    let request_tag = format!("aws:RequestTag/{}", tag::MANAGER);
    let resource_tag = format!("aws:ResourceTag/{}", tag::MANAGER);
    let regions: Vec<&String> = input.regions.iter().collect();
    let launch = ["ec2:CreateFleet", "ec2:RunInstances"];
    let born_alike = ["fleet", "network-interface", "spot-instances-request", "volume"];
    let born = [&born_alike[..], &["instance"]].concat();
    let kept = ["key-pair", "launch-template"];
    let parts = [input.image_arns(), input.arns(&["security-group", "subnet"])].concat();
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
            "Resource": parts,
        }),
        json!({
            "Sid": "LaunchFromOurs", "Effect": "Allow", "Action": launch, "Resource": input.arns(&kept),
            "Condition": { "StringEquals": { &resource_tag: input.manager } },
        }),
        json!({
            "Sid": "LaunchWithOurTag", "Effect": "Allow", "Action": launch, "Resource": input.arns(&born_alike),
            "Condition": { "StringEquals": { &request_tag: input.manager } },
        }),
        json!({
            "Sid": "LaunchAsConfigured", "Effect": "Allow", "Action": launch, "Resource": input.arns(&["instance"]),
            "Condition": {
                "StringEquals": { &request_tag: input.manager },
                // Of what a call does not carry nothing is demanded: whether CreateFleet carries it is not documented.
                "StringEqualsIfExists": input.as_configured(),
            },
        }),
        json!({
            "Sid": "MakeTemplateAndKeyWithOurTag", "Effect": "Allow",
            "Action": ["ec2:CreateLaunchTemplate", "ec2:ImportKeyPair"], "Resource": input.arns(&kept),
            "Condition": { "StringEquals": { &request_tag: input.manager } },
        }),
        json!({
            "Sid": "TagAtBirthOnly", "Effect": "Allow", "Action": "ec2:CreateTags",
            "Resource": input.arns(&[&born[..], &kept[..]].concat()),
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
    statements.extend(input.published_images());
    statements.extend(input.pass_role());
    statements.push(input.spot_role());
    statements.extend(input.read_parameters());
    statements.extend(input.keep_ssh_key());
    statements.extend(input.decrypt_parameters());
    statements.extend(input.use_keys());
    if input.with_doctor {
        statements.extend(input.doctor());
    }
    json!({ "Version": "2012-10-17", "Statement": statements })
}

impl ManagerPolicy {
    fn account(&self) -> &str {
        self.account.as_deref().unwrap_or("*")
    }

    /// ARNs of whole kinds of EC2 resources, in each region.
    fn arns(&self, kinds: &[&str]) -> Vec<String> {
        let arn = |(kind, region): (&&str, &String)| {
            format!("arn:{}:ec2:{region}:{}:{kind}/*", self.partition, self.account())
        };
        let mut arns: Vec<String> =
            kinds.iter().flat_map(|kind| self.regions.iter().map(move |region| (kind, region))).map(arn).collect();
        arns.sort();
        arns
    }

    /// ARNs of images, which belong to no account: those that are named; any, where a parameter of the user's own names one.
    fn image_arns(&self) -> Vec<String> {
        let is_own = |parameter: &String| publisher(&self.partition, parameter).is_none();
        if self.parameters.iter().any(is_own) {
            return self.images_in_each_region(["*"]);
        }
        self.images_in_each_region(self.images.iter().map(String::as_str))
    }

    fn images_in_each_region<'i>(&self, images: impl IntoIterator<Item = &'i str> + Clone) -> Vec<String> {
        let in_region = |region| {
            images.clone().into_iter().map(move |image| format!("arn:{}:ec2:{region}::image/{image}", self.partition))
        };
        self.regions.iter().flat_map(in_region).collect()
    }

    /// Images that a publisher's parameter names, whose ids change: those of that publisher.
    fn published_images(&self) -> Option<Value> {
        let owners: BTreeSet<&str> =
            self.parameters.iter().filter_map(|parameter| publisher(&self.partition, parameter)).collect();
        (!owners.is_empty()).then(|| {
            json!({
                "Sid": "LaunchPublishedImages", "Effect": "Allow", "Action": ["ec2:CreateFleet", "ec2:RunInstances"],
                "Resource": self.images_in_each_region(["*"]),
                "Condition": { "StringEqualsIfExists": { "ec2:Owner": owners } },
            })
        })
    }

    /// What an instance must look like.
    fn as_configured(&self) -> Map<String, Value> {
        let types =
            (!self.instance_types.is_empty()).then(|| ("ec2:InstanceType".to_owned(), json!(self.instance_types)));
        let imds = ("ec2:MetadataHttpTokens".to_owned(), json!("required"));
        types.into_iter().chain([imds]).collect()
    }

    /// The ARNs of the workers' roles.
    fn role_arns(&self) -> BTreeSet<String> {
        let named = |name: &str, account: &str| format!("arn:{}:iam::{account}:role/{name}", self.partition);
        if !self.roles.is_empty() {
            let arn = |role: &String| if role.contains(':') { role.clone() } else { named(role, self.account()) };
            return self.roles.iter().map(arn).collect();
        }
        let of_profile = |profile: &String| {
            let account = profile.split(':').nth(4).unwrap_or(self.account());
            named(profile.rsplit('/').next().unwrap_or(profile), account)
        };
        self.instance_profiles.iter().map(of_profile).collect()
    }

    fn pass_role(&self) -> Option<Value> {
        let roles = self.role_arns();
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

    fn parameter_arns(&self, name: &str) -> Vec<String> {
        self.regions.iter().map(|region| self.parameter_arn_in(region, name)).collect()
    }

    fn parameter_arn_in(&self, region: &str, name: &str) -> String {
        let account = if name.starts_with("/aws/service/") { "" } else { self.account() };
        let name = name.trim_start_matches('/');
        format!("arn:{}:ssm:{region}:{account}:parameter/{name}", self.partition)
    }

    fn ssh_key_arn(&self) -> Option<String> {
        self.ssh_key.as_ref().map(|key| self.parameter_arn_in(&key.region, &key.name))
    }

    fn read_parameters(&self) -> Option<Value> {
        let names = self.parameters.iter().chain(&self.secrets);
        let arns: BTreeSet<String> = names.flat_map(|name| self.parameter_arns(name)).collect();
        (!arns.is_empty()).then(|| {
            json!({ "Sid": "ReadTokensAndImageIds", "Effect": "Allow", "Action": "ssm:GetParameter", "Resource": arns })
        })
    }

    /// Made by the manager itself, once, and never changed.
    fn keep_ssh_key(&self) -> Option<Value> {
        self.ssh_key_arn().map(|arn| {
            let actions = ["ssm:GetParameter", "ssm:PutParameter"];
            json!({ "Sid": "KeepSshKey", "Effect": "Allow", "Action": actions, "Resource": arn })
        })
    }

    /// For tokens, and an SSH key that was put there by hand, under a customer-managed key. Which key that is, the configuration does not say; so the right is bound to
    /// SSM as the caller, and to these parameters, which SSM names in the encryption context. With the AWS-managed key
    /// `aws/ssm` nothing of this is needed. Source: Systems Manager User Guide, "How AWS Systems Manager Parameter Store
    /// uses AWS KMS".
    fn decrypt_parameters(&self) -> Option<Value> {
        let tokens = self.secrets.iter().flat_map(|name| self.parameter_arns(name));
        let arns: BTreeSet<String> = tokens.chain(self.ssh_key_arn()).collect();
        let suffixes: &[&str] =
            if self.partition == "aws-cn" { &["amazonaws.com", "amazonaws.com.cn"] } else { &["amazonaws.com"] };
        let names =
            |region: &String| suffixes.iter().map(|suffix| format!("ssm.{region}.{suffix}")).collect::<Vec<_>>();
        let services: Vec<String> = self.regions.iter().flat_map(names).collect();
        (!arns.is_empty()).then(|| {
            json!({
                "Sid": "DecryptTokens", "Effect": "Allow", "Action": "kms:Decrypt", "Resource": self.key_arns("*"),
                "Condition": {
                    "StringEquals": { "kms:ViaService": services },
                    "StringLike": { "kms:EncryptionContext:PARAMETER_ARN": arns },
                },
            })
        })
    }

    fn key_arns(&self, id: &str) -> Vec<String> {
        self.regions
            .iter()
            .map(|region| format!("arn:{}:kms:{region}:{}:key/{id}", self.partition, self.account()))
            .collect()
    }

    /// The rights on keys for volumes: named by their ARN, or, since an alias is no resource of these actions, all keys that
    /// have the alias.
    fn use_keys(&self) -> Vec<Value> {
        let alias = |key: &str| key.split_once("alias/").map(|(_, name)| format!("alias/{name}"));
        let (aliases, keys): (Vec<&String>, Vec<&String>) = self.kms_keys.iter().partition(|key| alias(key).is_some());
        let arns = |key: &&String| if key.starts_with("arn:") { vec![(*key).clone()] } else { self.key_arns(key) };
        let keys: BTreeSet<String> = keys.iter().flat_map(arns).collect();
        let aliases: BTreeSet<String> = aliases.iter().filter_map(|key| alias(key)).collect();
        let mut statements = Vec::new();
        if !keys.is_empty() {
            statements.extend(key_statements("", &json!(keys), None));
        }
        if !aliases.is_empty() {
            let condition = ("ForAnyValue:StringEquals", json!({ "kms:ResourceAliases": aliases }));
            statements.extend(key_statements("ByAlias", &json!(self.key_arns("*")), Some(condition)));
        }
        statements
    }

    /// What `doctor` reads. No statement of the service depends on it.
    fn doctor(&self) -> Vec<Value> {
        let regions: Vec<&String> = self.regions.iter().collect();
        let mut statements = vec![json!({
            "Sid": "DoctorLooks", "Effect": "Allow",
            "Action": ["ec2:DescribeInstanceTypes", "ec2:DescribeSecurityGroups", "servicequotas:GetServiceQuota"],
            "Resource": "*",
            "Condition": { "StringEquals": { "aws:RequestedRegion": regions } },
        })];
        let profile = |profile: &String| {
            if profile.contains(':') {
                return profile.clone();
            }
            format!("arn:{}:iam::{}:instance-profile/{profile}", self.partition, self.account())
        };
        let profiles: BTreeSet<String> = self.instance_profiles.iter().map(profile).collect();
        if !profiles.is_empty() {
            statements.push(json!({
                "Sid": "DoctorLooksAtTheWorkersRole", "Effect": "Allow",
                "Action": ["iam:GetInstanceProfile", "iam:SimulatePrincipalPolicy"],
                "Resource": profiles.into_iter().chain(self.role_arns()).collect::<BTreeSet<_>>(),
            }));
        }
        statements
    }
}

/// Who publishes the images that this parameter names, as `ec2:Owner` has it; `None`: the user, or nobody whom we know.
/// Sources: wiki.debian.org "Cloud/AmazonEC2Image", Ubuntu's "Find Ubuntu images with the AWS CLI", EC2 User Guide "Reference
/// AMIs using Systems Manager parameters".
fn publisher(partition: &str, parameter: &str) -> Option<&'static str> {
    let of = |path: &str| parameter.starts_with(path);
    match partition {
        "aws" if of("/aws/service/debian/") => Some("136693071363"),
        "aws" if of("/aws/service/canonical/") => Some("099720109477"),
        _ if of("/aws/service/ami-amazon-linux-latest/") => Some("amazon"),
        _ => None,
    }
}

/// To use keys, and to let EC2 use them for volumes.
fn key_statements(suffix: &str, keys: &Value, condition: Option<(&str, Value)>) -> [Value; 2] {
    let use_them = [
        "kms:Decrypt",
        "kms:DescribeKey",
        "kms:GenerateDataKeyWithoutPlaintext",
        "kms:ReEncryptFrom",
        "kms:ReEncryptTo",
    ];
    let for_volumes = ("Bool", json!({ "kms:GrantIsForAWSResource": "true" }));
    let statement = |sid: &str, action: Value, conditions: Map<String, Value>| {
        let sid = format!("{sid}{suffix}");
        if conditions.is_empty() {
            return json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": keys });
        }
        json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": keys, "Condition": conditions })
    };
    let conditions =
        |more: Vec<(&str, Value)>| more.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    let own: Vec<(&str, Value)> = condition.into_iter().collect();
    [
        statement("UseKeys", json!(use_them), conditions(own.clone())),
        statement("LetEc2UseKeys", json!("kms:CreateGrant"), conditions([own, vec![for_volumes]].concat())),
    ]
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

    fn typical() -> ManagerPolicy {
        ManagerPolicy {
            partition: "aws".to_owned(),
            account: Some("123456789012".to_owned()),
            regions: set(&["eu-central-1"]),
            manager: "ci-eu".to_owned(),
            parameters: set(&["/aws/service/debian/release/12/latest/arm64"]),
            images: set(&["ami-0123456789abcdef0"]),
            instance_types: set(&["c8g.large", "m8g.large"]),
            secrets: set(&["/ci/runner-token"]),
            ssh_key: None,
            instance_profiles: set(&["ci-worker", "arn:aws:iam::210987654321:instance-profile/ci/other"]),
            roles: BTreeSet::new(),
            kms_keys: set(&[
                "arn:aws:kms:eu-central-1:123456789012:key/1",
                "0a1b2c3d-1111-2222-3333-444455556666",
                "alias/ci-volumes",
                "arn:aws:kms:eu-central-1:123456789012:alias/ci-other",
            ]),
            with_doctor: true,
        }
    }

    #[test]
    fn the_managers_policy() {
        let input = typical();
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
            images: BTreeSet::new(),
            instance_types: BTreeSet::new(),
            secrets: BTreeSet::new(),
            ssh_key: None,
            instance_profiles: BTreeSet::new(),
            roles: BTreeSet::new(),
            kms_keys: BTreeSet::new(),
            with_doctor: false,
        };
        insta::assert_snapshot!("manager_policy_smallest", pretty(&manager_policy(&input)));
    }

    /// Every `*` of the policies that are printed, and why it may stand there.
    #[test]
    fn every_wildcard_has_its_reason() {
        let allowed = [
            ("Look", "EC2's Describe actions take no resource"),
            ("DoctorLooks", "the same"),
            (
                "LaunchFromParts",
                "subnets and groups: ids of the configuration change with it; an own parameter may name any image",
            ),
            ("LaunchPublishedImages", "bound to the publisher"),
            ("LaunchFromOurs", "bound to our tag"),
            ("LaunchWithOurTag", "bound to our tag"),
            ("LaunchAsConfigured", "bound to our tag, types and IMDSv2"),
            ("MakeTemplateAndKeyWithOurTag", "bound to our tag"),
            ("TagAtBirthOnly", "bound to our tag, and to the calls that make things"),
            ("EndOurs", "bound to our tag"),
            ("DecryptTokens", "bound to SSM and the parameters: the configuration does not say which key"),
            ("UseKeysByAlias", "bound to the alias, which is no resource of these actions"),
            ("LetEc2UseKeysByAlias", "the same"),
        ];
        let policy = manager_policy(&typical());
        for statement in policy["Statement"].as_array().unwrap() {
            let sid = statement["Sid"].as_str().unwrap();
            let is_wide =
                statement["Resource"].to_string().contains('*') || statement["Action"].to_string().contains('*');
            assert_eq!(is_wide, allowed.iter().any(|(wide, _)| *wide == sid), "{statement:#}");
        }
    }

    #[test]
    fn an_own_parameter_may_name_any_image() {
        let input = ManagerPolicy { parameters: set(&["/ci/image"]), ..typical() };
        let images = |input: &ManagerPolicy| manager_policy(input)["Statement"][1]["Resource"].to_string();
        assert!(images(&input).contains("::image/*"), "{}", images(&input));
        assert!(!images(&typical()).contains("::image/*"), "{}", images(&typical()));
    }

    #[test]
    fn the_workers_role_may_have_another_name_than_its_profile() {
        let input = ManagerPolicy {
            partition: "aws".to_owned(),
            account: Some("123456789012".to_owned()),
            regions: set(&["eu-central-1"]),
            manager: "ci".to_owned(),
            parameters: BTreeSet::new(),
            images: BTreeSet::new(),
            instance_types: BTreeSet::new(),
            secrets: BTreeSet::new(),
            ssh_key: None,
            instance_profiles: set(&["ci-worker"]),
            roles: set(&["worker-role", "arn:aws:iam::210987654321:role/ci/other"]),
            kms_keys: BTreeSet::new(),
            with_doctor: false,
        };
        let policy = manager_policy(&input);
        let statements = policy["Statement"].as_array().unwrap();
        let passes = statements.iter().find(|statement| statement["Action"] == "iam:PassRole").unwrap();
        let expected = json!(["arn:aws:iam::123456789012:role/worker-role", "arn:aws:iam::210987654321:role/ci/other"]);
        assert_eq!(passes["Resource"], expected);
    }

    #[test]
    fn the_ssh_keys_parameter_has_its_own_region_and_kms() {
        let input = ManagerPolicy {
            partition: "aws".to_owned(),
            account: Some("123456789012".to_owned()),
            regions: set(&["eu-central-1", "us-east-1"]),
            manager: "ci".to_owned(),
            parameters: BTreeSet::new(),
            images: BTreeSet::new(),
            instance_types: BTreeSet::new(),
            secrets: set(&["/ci/runner-token"]),
            ssh_key: Some(SshKeyParameter { region: "us-east-1".to_owned(), name: "/ci/manager-ssh-key".to_owned() }),
            instance_profiles: BTreeSet::new(),
            roles: BTreeSet::new(),
            kms_keys: BTreeSet::new(),
            with_doctor: false,
        };
        let policy = manager_policy(&input);
        let statements = policy["Statement"].as_array().unwrap();
        let with = |sid: &str| statements.iter().find(|statement| statement["Sid"] == sid).unwrap();
        let arn = "arn:aws:ssm:us-east-1:123456789012:parameter/ci/manager-ssh-key";
        let agreed = json!({
            "Sid": "KeepSshKey", "Effect": "Allow", "Action": ["ssm:GetParameter", "ssm:PutParameter"], "Resource": arn,
        });
        assert_eq!(with("KeepSshKey"), &agreed);
        let decrypted = &with("DecryptTokens")["Condition"]["StringLike"]["kms:EncryptionContext:PARAMETER_ARN"];
        assert_eq!(
            decrypted,
            &json!([
                "arn:aws:ssm:eu-central-1:123456789012:parameter/ci/runner-token",
                arn,
                "arn:aws:ssm:us-east-1:123456789012:parameter/ci/runner-token",
            ])
        );
        assert!(!with("ReadTokensAndImageIds").to_string().contains("manager-ssh-key"), "it is told once");
    }
}

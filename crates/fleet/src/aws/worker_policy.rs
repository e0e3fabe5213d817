//! The least-privilege IAM policy of the workers: what the ECR login and caches in S3 need, and nothing else. Pure.
//!
//! Action reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonelasticcontainerregistry.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::cache_policy::{self, CacheRights};

/// What the workers' policy is rendered from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerPolicy {
    /// The private registries of the configuration.
    pub registries: BTreeSet<PrivateRegistry>,
    /// Whether a public registry is configured. Without a login its images can still be pulled, anonymously and slower.
    pub public: bool,
    /// The repositories: `team/app`, `team` (with all below it), or with wildcards as IAM has them; empty: all.
    pub repositories: BTreeSet<String>,
    /// The prefixes of pull-through cache rules; `ROOT` is the one without a prefix.
    pub pull_through: BTreeSet<String>,
    /// Whether jobs may push with the workers' role. Better, a job that pushes assumes a role of its own with its
    /// `id_tokens`: every job on a worker has the worker's rights.
    pub push: bool,
    /// The caches whose addresses the workers sign with their role.
    pub caches: BTreeSet<CacheRights>,
    /// Whether the rights hold only where a call comes through a VPC endpoint of the VPC that the worker itself is in:
    /// credentials that were taken elsewhere are worth nothing then.
    pub vpc_endpoints: bool,
}

/// An account's registry in a region.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PrivateRegistry {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// `eu-central-1`
    pub region: String,
    /// 12 digits.
    pub account: String,
}

/// What a pull calls, besides the login.
pub const PULL: [&str; 3] = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"];
/// What a push calls, besides what a pull does.
const PUSH: [&str; 4] = ["ecr:CompleteLayerUpload", "ecr:InitiateLayerUpload", "ecr:PutImage", "ecr:UploadLayerPart"];
/// What the first pull through a cache calls.
/// Source: Amazon ECR user guide, "IAM permissions required to sync an upstream registry".
const PULL_THROUGH: [&str; 2] = ["ecr:BatchImportUpstreamImage", "ecr:CreateRepository"];
/// The login itself, which knows no resource.
pub const LOGIN: &str = "ecr:GetAuthorizationToken";
/// The login to the public registries.
pub const PUBLIC_LOGIN: [&str; 2] = ["ecr-public:GetAuthorizationToken", "sts:GetServiceBearerToken"];

/// In which VPC the instance is whose role calls; absent where no instance's role does. Source: IAM User Guide, "AWS global
/// condition context keys".
const INSTANCE_VPC: &str = "aws:EC2InstanceSourceVPC";
/// Through which VPC's endpoint the call came; absent without one, and then nothing equals it.
const CALLERS_VPC: &str = "${aws:SourceVpc}";

/// The policy for the workers' role; `None`: the workers need no role.
pub fn worker_policy(input: &WorkerPolicy) -> Option<Value> {
    let WorkerPolicy { registries, public, repositories: _, pull_through, push, caches, vpc_endpoints } = input;
    let allow = |sid: &str, action: Value, resource: Value| {
        let mut statement = json!({ "Sid": sid, "Effect": "Allow", "Action": action, "Resource": resource });
        if let Some(fields) = statement.as_object_mut().filter(|_| *vpc_endpoints) {
            fields.insert("Condition".into(), json!({ "StringEquals": { INSTANCE_VPC: CALLERS_VPC } }));
        }
        statement
    };
    let resources: BTreeSet<String> = registries.iter().flat_map(|registry| registry.arns(input)).collect();
    let cached: BTreeSet<String> = registries
        .iter()
        .flat_map(|registry| pull_through.iter().map(|prefix| registry.repository(&below(prefix))))
        .collect();
    let mut statements = Vec::new();
    if !resources.is_empty() {
        statements.push(allow("EcrLogin", json!(LOGIN), json!("*")));
        // Where repositories are named, what a cache makes is not among them.
        let named = !input.repositories.is_empty();
        let pulled: BTreeSet<&String> = resources.iter().chain(cached.iter().filter(|_| named)).collect();
        statements.push(allow("EcrPull", json!(PULL), json!(pulled)));
        if !cached.is_empty() {
            statements.push(allow("EcrPullThroughCache", json!(PULL_THROUGH), json!(cached)));
        }
        if *push {
            statements.push(allow("EcrPush", json!(PUSH), json!(resources)));
        }
    }
    // The public registries' API has no VPC endpoint.
    if *public {
        statements.push(json!({ "Sid": "EcrPublicLogin", "Effect": "Allow", "Action": PUBLIC_LOGIN, "Resource": "*" }));
    }
    statements.extend(cache_policy::statements(caches));
    (!statements.is_empty()).then(|| json!({ "Version": "2012-10-17", "Statement": statements }))
}

/// The repositories that a pull-through cache rule makes.
fn below(prefix: &str) -> String {
    match prefix.trim_matches('/') {
        "ROOT" => "*".to_owned(),
        prefix => format!("{prefix}/*"),
    }
}

impl PrivateRegistry {
    /// The ARN of a repository, or of several with wildcards.
    pub fn repository(&self, name: &str) -> String {
        let Self { partition, region, account } = self;
        format!("arn:{partition}:ecr:{region}:{account}:repository/{name}")
    }

    fn arns(&self, input: &WorkerPolicy) -> Vec<String> {
        if input.repositories.is_empty() {
            return vec![self.repository("*")];
        }
        let named = input.repositories.iter().map(|name| name.trim_matches('/'));
        named
            .flat_map(|name| {
                let below = (!name.contains(['*', '?'])).then(|| self.repository(&format!("{name}/*")));
                [Some(self.repository(name)), below]
            })
            .flatten()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(account: &str, region: &str) -> PrivateRegistry {
        PrivateRegistry { partition: "aws".into(), region: region.into(), account: account.into() }
    }

    fn pretty(policy: &WorkerPolicy) -> String {
        serde_json::to_string_pretty(&worker_policy(policy).unwrap()).unwrap()
    }

    #[test]
    fn workers_may_pull_and_nothing_else() {
        let registries =
            BTreeSet::from([registry("123456789012", "eu-central-1"), registry("210987654321", "us-east-1")]);
        let policy = WorkerPolicy { registries, public: true, ..WorkerPolicy::default() };
        insta::assert_snapshot!("worker_policy", pretty(&policy));
    }

    #[test]
    fn pushing_and_naming_repositories_are_asked_for() {
        let policy = WorkerPolicy {
            registries: BTreeSet::from([registry("123456789012", "eu-central-1")]),
            repositories: ["team", "other/*", "/base/"].map(str::to_owned).into(),
            push: true,
            ..WorkerPolicy::default()
        };
        insta::assert_snapshot!("worker_policy_push", pretty(&policy));
    }

    /// Of the public registries' login alone it cannot be demanded.
    #[test]
    fn through_vpc_endpoints_every_private_right_has_the_condition() {
        let registries = BTreeSet::from([registry("123456789012", "eu-central-1")]);
        let input =
            WorkerPolicy { registries, public: true, push: true, vpc_endpoints: true, ..WorkerPolicy::default() };
        let same_vpc = json!({ "StringEquals": { "aws:EC2InstanceSourceVPC": "${aws:SourceVpc}" } });
        let policy = worker_policy(&input).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let expected = if statement["Sid"] == "EcrPublicLogin" { &Value::Null } else { &same_vpc };
            assert_eq!(&statement["Condition"], expected, "{statement}");
        }
        let without = worker_policy(&WorkerPolicy { vpc_endpoints: false, ..input }).unwrap();
        assert!(!without.to_string().contains("Condition"));
    }

    #[test]
    fn pulling_through_a_cache_makes_repositories() {
        let policy = WorkerPolicy {
            registries: BTreeSet::from([
                registry("123456789012", "eu-central-1"),
                registry("210987654321", "us-east-1"),
            ]),
            repositories: BTreeSet::from(["team".to_owned()]),
            pull_through: ["docker-hub", "quay/"].map(str::to_owned).into(),
            ..WorkerPolicy::default()
        };
        insta::assert_snapshot!("worker_policy_pull_through", pretty(&policy));
        let root = WorkerPolicy {
            registries: BTreeSet::from([registry("123456789012", "eu-central-1")]),
            pull_through: BTreeSet::from(["ROOT".to_owned()]),
            ..WorkerPolicy::default()
        };
        assert!(pretty(&root).contains("\"arn:aws:ecr:eu-central-1:123456789012:repository/*\""));
    }

    #[test]
    fn without_a_registry_workers_need_no_role() {
        assert_eq!(worker_policy(&WorkerPolicy { push: true, ..WorkerPolicy::default() }), None);
    }
}

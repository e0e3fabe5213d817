//! The rights of the workers' role on caches in S3. Pure.
//!
//! The runner on a worker signs the addresses under which jobs get and put their caches, so that the rights are its
//! role's. Action reference: <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html>;
//! for KMS <https://docs.aws.amazon.com/AmazonS3/latest/userguide/UsingKMSEncryption.html>.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// What getting a cache calls.
pub const READ: &str = "s3:GetObject";
/// What putting one calls.
pub const WRITE: &str = "s3:PutObject";
/// Without it an object that is missing is a 403, not a 404.
pub const LIST: &str = "s3:ListBucket";

/// What a cache asks of the workers' role.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CacheRights {
    /// `aws`, `aws-cn`, …
    pub partition: String,
    /// The bucket's region; any when absent.
    pub region: Option<String>,
    /// The bucket's name.
    pub bucket: String,
    /// Whether the role itself reads objects.
    pub reads: bool,
    /// Whether the role itself writes objects.
    pub writes: bool,
    /// ARNs of roles that are assumed instead.
    pub assumes: Vec<String>,
    /// The KMS key of its objects: id, ARN or alias.
    pub kms_key: Option<String>,
}

impl CacheRights {
    /// The ARN of its objects.
    pub fn objects(&self) -> String {
        format!("{}/*", self.bucket())
    }

    /// The ARN of its bucket.
    pub fn bucket(&self) -> String {
        format!("arn:{}:s3:::{}", self.partition, self.bucket)
    }

    /// What the role itself does with its objects.
    pub fn actions(&self) -> Vec<&'static str> {
        [(self.reads, READ), (self.writes, WRITE)].into_iter().filter(|(does, _)| *does).map(|(_, it)| it).collect()
    }

    /// The ARN of its key, and the alias by which alone it is known.
    fn key(&self) -> Option<(String, Option<String>)> {
        let key = self.kms_key.as_deref()?;
        let own = || {
            let region = self.region.as_deref().unwrap_or("*");
            format!("arn:{}:kms:{region}:*", self.partition)
        };
        Some(match (key.strip_prefix("arn:"), key.split_once(":alias/")) {
            (Some(_), Some((home, alias))) => (format!("{home}:key/*"), Some(format!("alias/{alias}"))),
            (Some(_), None) => (key.to_owned(), None),
            (None, _) if key.starts_with("alias/") => (format!("{}:key/*", own()), Some(key.to_owned())),
            (None, _) => (format!("{}:key/{key}", own()), None),
        })
    }
}

/// The statements for all of them.
pub(super) fn statements(caches: &BTreeSet<CacheRights>) -> Vec<Value> {
    let mut statements = Vec::new();
    for (sid, reads, writes) in [("Cache", true, true), ("CacheRead", true, false), ("CacheWrite", false, true)] {
        let alike: Vec<_> = caches.iter().filter(|cache| (cache.reads, cache.writes) == (reads, writes)).collect();
        let objects: BTreeSet<String> = alike.iter().map(|cache| cache.objects()).collect();
        if let Some(first) = alike.first() {
            let actions = first.actions();
            statements.push(json!({ "Sid": sid, "Effect": "Allow", "Action": actions, "Resource": objects }));
        }
    }
    let own = || caches.iter().filter(|cache| cache.reads || cache.writes);
    let buckets: BTreeSet<String> = own().map(CacheRights::bucket).collect();
    if !buckets.is_empty() {
        statements.push(json!({ "Sid": "CacheBucket", "Effect": "Allow", "Action": LIST, "Resource": buckets }));
    }
    let keys: BTreeSet<(Option<String>, String)> =
        own().filter_map(CacheRights::key).map(|(arn, alias)| (alias, arn)).collect();
    for (index, (alias, arn)) in keys.into_iter().enumerate() {
        let mut statement = json!({
            "Sid": format!("CacheKey{}", if index == 0 { String::new() } else { (index + 1).to_string() }),
            "Effect": "Allow",
            "Action": ["kms:Decrypt", "kms:GenerateDataKey"],
            "Resource": arn,
        });
        if let (Some(alias), Some(fields)) = (alias, statement.as_object_mut()) {
            let condition = json!({ "ForAnyValue:StringEquals": { "kms:ResourceAliases": alias } });
            fields.insert("Condition".to_owned(), condition);
        }
        statements.push(statement);
    }
    let roles: BTreeSet<&String> = caches.iter().flat_map(|cache| &cache.assumes).collect();
    if !roles.is_empty() {
        statements
            .push(json!({ "Sid": "CacheRole", "Effect": "Allow", "Action": "sts:AssumeRole", "Resource": roles }));
    }
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(bucket: &str) -> CacheRights {
        CacheRights {
            partition: "aws".into(),
            region: Some("eu-central-1".into()),
            bucket: bucket.into(),
            reads: true,
            writes: true,
            assumes: Vec::new(),
            kms_key: None,
        }
    }

    fn pretty(caches: impl IntoIterator<Item = CacheRights>) -> String {
        serde_json::to_string_pretty(&statements(&caches.into_iter().collect())).unwrap()
    }

    #[test]
    fn a_cache_is_read_written_and_looked_for() {
        let china = CacheRights { partition: "aws-cn".into(), region: None, ..cache("ci-cache-cn") };
        insta::assert_snapshot!("cache_policy", pretty([cache("ci-cache-example"), china]));
    }

    #[test]
    fn a_role_that_is_assumed_does_it_instead() {
        let role = |name: &str| vec![format!("arn:aws:iam::123456789012:role/{name}")];
        let both = CacheRights { reads: false, writes: false, assumes: role("cache"), ..cache("a") };
        let uploads = CacheRights { writes: false, assumes: role("upload"), ..cache("b") };
        insta::assert_snapshot!("cache_policy_roles", pretty([both, uploads]));
    }

    #[test]
    fn a_key_is_named_by_id_arn_or_alias() {
        let keys = [
            "0a1b2c3d-0000-0000-0000-000000000000",
            "arn:aws:kms:eu-west-1:123456789012:key/1",
            "alias/ci",
            "arn:aws:kms:eu-west-1:123456789012:alias/ci-other",
        ];
        let caches = keys.map(|key| CacheRights { kms_key: Some(key.into()), ..cache("a") });
        insta::assert_snapshot!("cache_policy_keys", pretty(caches));
    }
}

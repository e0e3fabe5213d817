//! `[runners.cache.s3]`: with whose rights a worker reaches the cache.
//!
//! With GitLab Runner's own executors the manager signs the addresses under which jobs get and put their caches; here
//! each worker's runner does. So the rights that were the manager's must be the workers', or every job goes without
//! its cache, logs a 403, and stays green.
//!
//! Sources: gitlab-runner, `cache/cacheconfig/cacheconfig.go` (`AuthType`, `EncryptionType`), `cache/s3v2/adapter.go`.

use toml::{Table as Toml, Value};

use super::node::{At, Node, Table};

/// A cache in a bucket of S3.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct S3Cache {
    /// The bucket's name.
    pub bucket: String,
    /// The bucket's region, where it is written.
    pub region: Option<String>,
    /// What signs its addresses.
    pub signed_with: SignedWith,
    /// The name of an object as GitLab Runner makes them, for trying rights.
    pub object: String,
    /// The KMS key (id, ARN or alias) that uploads name.
    pub kms_key: Option<String>,
}

/// What a worker's runner signs the addresses of a cache with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SignedWith {
    /// Keys in the file, or a server that is not AWS's: the workers' role is not asked.
    Keys,
    /// The workers' role, which needs these rights of its own.
    Role {
        /// Whether it reads objects itself.
        reads: bool,
        /// Whether it writes objects itself.
        writes: bool,
        /// Roles that it assumes for what it does not do itself: their ARNs.
        assumes: Vec<String>,
    },
}

impl S3Cache {
    /// The cache of a `[[runners]]` section with keys in their canonical spelling; `None`: none, or none in S3.
    pub fn of(section: &Toml) -> Option<Self> {
        let cache = section.get("cache")?.as_table()?;
        if !matches!(text(cache, "Type"), Some("s3" | "s3v2")) {
            return None;
        }
        let s3 = cache.get("s3")?.as_table()?;
        let owned = |key| text(s3, key).map(str::to_owned);
        let is_kms = text(s3, "ServerSideEncryption")
            .is_some_and(|kind| ["KMS", "AWS:KMS", "DSSE-KMS", "AWS:KMS:DSSE"].contains(&&*kind.to_uppercase()));
        Some(Self {
            bucket: owned("BucketName")?,
            region: owned("BucketLocation"),
            signed_with: signed_with(s3),
            object: object(cache),
            kms_key: owned("ServerSideEncryptionKeyID").filter(|_| is_kms),
        })
    }

    /// Whether the workers' role is asked.
    pub fn needs_role(&self) -> bool {
        self.signed_with != SignedWith::Keys
    }
}

/// `PATH/runner/TOKEN/project/ID/KEY`; a shared cache has no runner in it.
fn object(cache: &Toml) -> String {
    let path = text(cache, "Path").map(|path| path.trim_matches('/')).filter(|path| !path.is_empty());
    let is_shared = cache.get("Shared").and_then(Value::as_bool) == Some(true);
    let parts = [path, (!is_shared).then_some("runner/token"), Some("project/1/key")];
    parts.into_iter().flatten().collect::<Vec<_>>().join("/")
}

fn signed_with(s3: &Toml) -> SignedWith {
    let kind = text(s3, "AuthenticationType").map(str::to_lowercase);
    let has_all = ["ServerAddress", "AccessKey", "SecretKey"].iter().all(|key| text(s3, key).is_some());
    let by_keys = kind.as_deref() == Some("access-key") || (kind.is_none() && has_all);
    if by_keys || !text(s3, "ServerAddress").is_none_or(is_aws) {
        return SignedWith::Keys;
    }
    let role = |key| text(s3, key).map(str::to_owned);
    match (role("RoleARN"), role("UploadRoleARN")) {
        (Some(both), _) => SignedWith::Role { reads: false, writes: false, assumes: vec![both] },
        // Assumed for uploads alone: downloads stay the worker's own.
        (None, Some(upload)) => SignedWith::Role { reads: true, writes: false, assumes: vec![upload] },
        (None, None) => SignedWith::Role { reads: true, writes: true, assumes: Vec::new() },
    }
}

/// Whether a server's address is one of AWS's, in any part of its world.
fn is_aws(server: &str) -> bool {
    const SUFFIXES: [&str; 8] = [
        "amazonaws.com",
        "amazonaws.com.cn",
        "amazonaws.eu",
        "api.aws",
        "c2s.ic.gov",
        "sc2s.sgov.gov",
        "cloud.adc-e.uk",
        "csp.hci.ic.gov",
    ];
    let host = server.rsplit("://").next().unwrap_or(server).split([':', '/']).next().unwrap_or_default();
    SUFFIXES.iter().any(|suffix| host.strip_suffix(suffix).is_some_and(|rest| rest.is_empty() || rest.ends_with('.')))
}

fn text<'t>(table: &'t Toml, key: &str) -> Option<&'t str> {
    table.get(key).and_then(Value::as_str).filter(|text| !text.is_empty())
}

/// Whose executor a section was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum WrittenFor {
    /// For us: who wrote it knows where jobs run.
    RunnerFleet,
    /// For docker+machine or docker-autoscaler, whose manager signed.
    GitLabRunner,
}

/// What to know about the section's cache, if anything.
pub(crate) fn warning(section: &Table, written_for: WrittenFor) -> Option<(&At, String)> {
    let s3 = section.get("cache")?.as_table()?.get("s3")?;
    let cache = S3Cache::of(&section.to_toml())?;
    let has_key = s3.as_table().is_some_and(|s3| s3.get("SecretKey").is_some());
    let profile = section.get("fleet").and_then(Node::as_table).and_then(|fleet| fleet.get("instance_profile"));
    let text = match (cache.needs_role(), profile.and_then(Node::as_str)) {
        (false, _) if has_key => "its keys lie on every worker, where a job that is root of its worker can read them; \
                                  without AccessKey and SecretKey the workers' role signs instead"
            .to_owned(),
        (false, _) => return None,
        (true, None) => "the workers sign its addresses, and have no role to sign with: jobs would go without their \
                         cache; write instance_profile = \"…\" in [runners.fleet], whose role has the policy that \
                         `runner-fleet iam-policy --worker` prints"
            .to_owned(),
        (true, Some(profile)) if written_for == WrittenFor::GitLabRunner => format!(
            "the workers sign its addresses now, no longer the manager: the rights on it must move from the manager's \
             role to that of {profile} (`runner-fleet iam-policy --worker` prints them), or jobs go without their cache"
        ),
        (true, Some(_)) => return None,
    };
    Some((&s3.at, text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cache(s3: &str) -> Option<S3Cache> {
        let section = format!("[cache]\nType = \"s3\"\n[cache.s3]\nBucketName = \"b\"\n{s3}");
        S3Cache::of(&section.parse().unwrap())
    }

    #[test]
    fn who_signs_is_decided_as_gitlab_runner_does() {
        let own = SignedWith::Role { reads: true, writes: true, assumes: Vec::new() };
        let both = SignedWith::Role { reads: false, writes: false, assumes: vec!["arn:r".into()] };
        let upload = SignedWith::Role { reads: true, writes: false, assumes: vec!["arn:u".into()] };
        let keys = "AccessKey = \"a\"\nSecretKey = \"s\"\n";
        let cases = [
            ("", own.clone()),
            ("AuthenticationType = \"IAM\"", own.clone()),
            // Without an address GitLab Runner takes the role, whatever keys there are.
            (keys, own.clone()),
            (&format!("ServerAddress = \"s3.amazonaws.com\"\n{keys}"), SignedWith::Keys),
            (&format!("ServerAddress = \"s3.amazonaws.com\"\nAuthenticationType = \"iam\"\n{keys}"), own.clone()),
            (&format!("AuthenticationType = \"access-key\"\n{keys}"), SignedWith::Keys),
            ("ServerAddress = \"s3.cn-north-1.amazonaws.com.cn:443\"", own),
            ("ServerAddress = \"minio.example.com:9000\"", SignedWith::Keys),
            ("ServerAddress = \"notamazonaws.com\"", SignedWith::Keys),
            ("RoleARN = \"arn:r\"", both.clone()),
            ("RoleARN = \"arn:r\"\nUploadRoleARN = \"arn:u\"", both),
            ("UploadRoleARN = \"arn:u\"", upload),
        ];
        for (s3, expected) in cases {
            assert_eq!(cache(s3).unwrap().signed_with, expected, "{s3}");
        }
    }

    #[test]
    fn a_key_counts_where_uploads_are_encrypted_by_it() {
        let key = |kind: &str| cache(&format!("{kind}\nServerSideEncryptionKeyID = \"alias/ci\"")).unwrap().kms_key;
        for kind in ["KMS", "aws:kms", "DSSE-KMS"] {
            assert_eq!(key(&format!("ServerSideEncryption = \"{kind}\"")).as_deref(), Some("alias/ci"), "{kind}");
        }
        assert_eq!((key("ServerSideEncryption = \"S3\""), key("")), (None, None));
    }

    #[test]
    fn other_caches_need_nothing_of_ours() {
        for section in ["", "[cache]\nType = \"gcs\"\n[cache.s3]\nBucketName = \"b\"", "[cache]\nType = \"s3\""] {
            assert_eq!(S3Cache::of(&section.parse().unwrap()), None, "{section}");
        }
    }
}

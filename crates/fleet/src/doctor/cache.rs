//! The jobs' cache in S3: whether the workers' role, with which each worker signs its addresses, may use it.

use std::collections::BTreeMap;

use crate::aws::cache_policy::{CacheRights, LIST};
use crate::aws::{Aws, RoleSeen};
use runner_fleet_config::{Runner, S3Cache, SignedWith, partition_of};

use super::context::STATEMENT;
use super::finding::{Finding, Step};
use super::limit::{told, within};

const ASSUME: &str = "sts:AssumeRole";
const POLICY: &str = "attach the policy that \"runner-fleet iam-policy --worker\" prints to the workers' role";

/// What a runner's cache asks of the workers' role; `None`: nothing. `own_region` is that of runners that name none.
pub fn cache_rights(runner: &Runner, own_region: Option<&str>) -> Option<CacheRights> {
    let S3Cache { bucket, region, signed_with, kms_key, object: _ } = S3Cache::of(&runner.section)?;
    let SignedWith::Role { reads, writes, assumes } = signed_with else { return None };
    let near = region.as_deref().or(runner.fleet.region.as_deref()).or(own_region);
    let partition = near.map_or("aws", partition_of).to_owned();
    Some(CacheRights { partition, region, bucket, reads, writes, assumes, kms_key })
}

/// What there is to say where the workers have no role.
pub(super) fn without_profile(runner: &Runner) -> Option<Finding> {
    let rights = cache_rights(runner, None)?;
    let found =
        format!("no instance_profile, so the workers have no role to sign for the cache {} with", rights.bucket);
    let advice = "write instance_profile = \"…\", whose role has the worker policy";
    Some(Finding::failed(Step::CacheRights, found, advice))
}

/// Tries the role's policies.
pub(super) async fn examine(aws: &Aws, role: &RoleSeen, runner: &Runner) -> Vec<Finding> {
    let Some(rights) = cache_rights(runner, None) else { return Vec::new() };
    let object = S3Cache::of(&runner.section).map(|cache| cache.object).unwrap_or_default();
    let object = format!("{}/{object}", rights.bucket());
    let own = rights.actions();
    let mut wanted: Vec<(Vec<&str>, String)> = rights.assumes.iter().map(|arn| (vec![ASSUME], arn.clone())).collect();
    if !own.is_empty() {
        wanted.extend([(own, object), (vec![LIST], rights.bucket())]);
    }
    let mut findings = Vec::new();
    for (actions, resource) in wanted {
        match within(aws.simulate(&role.arn, &actions, &resource)).await {
            Ok(Ok(seen)) => findings.push(judge(&actions, &resource, &seen)),
            Ok(Err(error)) if error.is_denied() => {
                let found = format!("not looked at: {}", told(&error));
                return vec![Finding::warning(Step::CacheRights, found, STATEMENT)];
            }
            Ok(Err(error)) => findings.push(Finding::not_checked(Step::CacheRights, told(&error))),
            Err(late) => findings.push(Finding::not_checked(Step::CacheRights, late)),
        }
    }
    findings
}

fn judge(actions: &[&str], resource: &str, seen: &BTreeMap<String, bool>) -> Finding {
    let missing: Vec<&str> = actions.iter().copied().filter(|action| seen.get(*action) != Some(&true)).collect();
    if missing.is_empty() {
        return Finding::ok(Step::CacheRights, format!("{} allowed on {resource}", actions.join(", ")));
    }
    let missing_text = missing.join(", ");
    if missing == [LIST] {
        let found =
            format!("{LIST} is not allowed on {resource}: a cache that is not there yet is a 403 in the job's log");
        return Finding::warning(Step::CacheRights, found, POLICY);
    }
    let found = format!("{missing_text} not allowed on {resource}: jobs stay green, and go without their cache");
    Finding::failed(Step::CacheRights, found, POLICY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::cache_policy::{READ, WRITE};
    use crate::doctor::Verdict;

    #[test]
    fn a_cache_without_rights_is_a_failure_and_a_403_a_warning() {
        let seen = |allowed: &[&str]| allowed.iter().map(|action| ((*action).to_owned(), true)).collect();
        let verdict = |actions: &[&str], allowed: &[&str]| judge(actions, "arn:aws:s3:::b/x", &seen(allowed)).verdict;
        assert_eq!(verdict(&[READ, WRITE], &[READ, WRITE]), Verdict::Ok);
        assert_eq!(verdict(&[READ, WRITE], &[READ]), Verdict::Failed);
        assert_eq!(verdict(&[LIST], &[]), Verdict::Warning);
        assert_eq!(verdict(&[ASSUME], &[]), Verdict::Failed);
    }
}

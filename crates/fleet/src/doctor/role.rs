//! The workers' role: that it is there, that EC2 may hand it out, and what it may do at ECR.

use std::collections::{BTreeMap, BTreeSet};

use crate::aws::worker_policy::{LOGIN, PUBLIC_LOGIN, PULL};
use crate::aws::{Aws, AwsError, PrivateRegistry, RoleSeen};
use runner_fleet_config::{Ecr, EcrHost};

use super::cache;
use super::context::{CheckContext, STATEMENT};
use super::finding::{Finding, Step};
use super::limit::{told, within};

const POLICY: &str = "attach the policy that \"runner-fleet iam-policy --worker\" prints to the workers' role";

/// Profile, role and rights.
pub(super) async fn examine(context: &CheckContext<'_>, aws: &Aws) -> Vec<Finding> {
    let fleet = &context.runner.fleet;
    let ecr = fleet.active_ecr();
    let Some(profile) = &fleet.instance_profile else {
        return ecr.into_iter().map(without_profile).chain(cache::without_profile(context.runner)).collect();
    };
    let role = match within(aws.role_of(profile)).await {
        Ok(Ok(Some(role))) => role,
        Ok(Ok(None)) => {
            let advice = "add the workers' role to it: aws iam add-role-to-instance-profile";
            return vec![Finding::failed(Step::WorkerRole, format!("{profile} holds no role"), advice)];
        }
        Ok(Err(error)) => return vec![unseen(Step::WorkerRole, &error, profile)],
        Err(late) => return vec![Finding::not_checked(Step::WorkerRole, late)],
    };
    let mut findings = vec![judge_role(profile, &role)];
    if let Some(ecr) = ecr {
        findings.extend(rights(aws, &role, ecr).await);
    }
    findings.extend(cache::examine(aws, &role, context.runner).await);
    findings
}

fn without_profile(ecr: &Ecr) -> Finding {
    let is_private = |host: &EcrHost| host.account_and_region().is_some();
    if ecr.registries.iter().any(is_private) {
        let found = "no instance_profile, so the workers have no role to log in to ECR with";
        return Finding::failed(
            Step::WorkerRole,
            found,
            "write instance_profile = \"…\", whose role has the worker policy",
        );
    }
    let advice = "nothing, if that is enough; a role with the worker policy raises ECR Public's limits";
    Finding::warning(Step::WorkerRole, "no instance_profile: pulls from ECR Public are anonymous", advice)
}

/// The service does not need these rights, so that their absence is no failure.
fn unseen(step: Step, error: &AwsError, profile: &str) -> Finding {
    if error.is_not_found() {
        let found = format!("the instance profile {profile} does not exist");
        return Finding::failed(step, found, "create it with the workers' role, or correct instance_profile");
    }
    if error.is_denied() {
        return Finding::warning(step, format!("not looked at: {}", told(error)), STATEMENT);
    }
    Finding::not_checked(step, told(error))
}

fn judge_role(profile: &str, role: &RoleSeen) -> Finding {
    let found = format!("{profile} holds {}", role.arn);
    if role.trusts_ec2() {
        return Finding::ok(Step::WorkerRole, found);
    }
    let advice = "let ec2.amazonaws.com assume the role, in its trust policy";
    Finding::failed(Step::WorkerRole, format!("{found}, which EC2 may not assume"), advice)
}

async fn rights(aws: &Aws, role: &RoleSeen, ecr: &Ecr) -> Vec<Finding> {
    let private: BTreeSet<PrivateRegistry> = ecr.registries.iter().filter_map(registry).collect();
    let is_public = ecr.registries.iter().any(|host| host.account_and_region().is_none());
    let mut findings = Vec::new();
    if !private.is_empty() {
        findings.push(match within(aws.simulate(&role.arn, &[LOGIN], "*")).await {
            Ok(Ok(rights)) => judge_login(&rights),
            Ok(Err(error)) => unseen(Step::EcrRights, &error, &role.arn),
            Err(late) => Finding::not_checked(Step::EcrRights, late),
        });
    }
    for registry in &private {
        let resource = registry.repository("*");
        match within(aws.simulate(&role.arn, &PULL, &resource)).await {
            Ok(Ok(rights)) => findings.push(judge_pull(&rights, &resource)),
            // Told above.
            Ok(Err(error)) if error.is_denied() => {}
            Ok(Err(error)) => findings.push(Finding::not_checked(Step::EcrRights, told(&error))),
            Err(late) => findings.push(Finding::not_checked(Step::EcrRights, late)),
        }
    }
    if is_public && let Ok(Ok(rights)) = within(aws.simulate(&role.arn, &PUBLIC_LOGIN, "*")).await {
        findings.push(judge_public(&rights));
    }
    findings
}

fn registry(host: &EcrHost) -> Option<PrivateRegistry> {
    let (account, region) = host.account_and_region()?;
    let partition = host.partition().unwrap_or("aws").to_owned();
    Some(PrivateRegistry { partition, region: region.to_owned(), account: account.to_owned() })
}

fn missing(rights: &BTreeMap<String, bool>, wanted: &[&str]) -> Vec<String> {
    wanted.iter().filter(|action| rights.get(**action) != Some(&true)).map(|action| (*action).to_owned()).collect()
}

fn judge_login(rights: &BTreeMap<String, bool>) -> Finding {
    if missing(rights, &[LOGIN]).is_empty() {
        return Finding::ok(Step::EcrRights, format!("{LOGIN} is allowed"));
    }
    Finding::failed(Step::EcrRights, format!("{LOGIN} is not allowed: no login, every private pull fails"), POLICY)
}

fn judge_pull(rights: &BTreeMap<String, bool>, resource: &str) -> Finding {
    let missing = missing(rights, &PULL);
    if missing.is_empty() {
        return Finding::ok(Step::EcrRights, format!("pulling is allowed from {resource}"));
    }
    // A policy that names repositories does not allow "all of them", and is better for it.
    let found = format!("{} not allowed on all of {resource}", missing.join(", "));
    Finding::warning(
        Step::EcrRights,
        found,
        format!("nothing, if the policy names the repositories in use; else {POLICY}"),
    )
}

fn judge_public(rights: &BTreeMap<String, bool>) -> Finding {
    if missing(rights, &PUBLIC_LOGIN).is_empty() {
        return Finding::ok(Step::EcrRights, "the login to ECR Public is allowed");
    }
    Finding::warning(Step::EcrRights, "the login to ECR Public is not allowed: pulls from there are anonymous", POLICY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn a_login_is_needed_and_pulls_may_be_narrowed() {
        let rights = |allowed: &[&str]| allowed.iter().map(|action| ((*action).to_owned(), true)).collect();
        assert_eq!(judge_login(&rights(&[LOGIN])).verdict, Verdict::Ok);
        assert_eq!(judge_login(&rights(&[])).verdict, Verdict::Failed);
        assert_eq!(judge_pull(&rights(&PULL), "r").verdict, Verdict::Ok);
        assert_eq!(judge_pull(&rights(&PULL[..2]), "r").verdict, Verdict::Warning);
        assert_eq!(judge_public(&rights(&PUBLIC_LOGIN[..1])).verdict, Verdict::Warning);
    }
}

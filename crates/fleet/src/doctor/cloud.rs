//! AWS, as far as a launch needs it: credentials, image, subnets, groups, key pair, and the right to launch.

use std::collections::BTreeSet;

use crate::aws::cache::Image;
use crate::aws::{Aws, AwsError, GroupSeen, LaunchSpec, SubnetSeen};
use crate::live::worker_spec;
use runner_fleet_config::RunnerFleet;
use runner_fleet_engine::{Market, Place};
use runner_fleet_worker::HostKey;

use super::context::{CheckContext, STATEMENT};
use super::finding::{Finding, Step};
use super::limit::{told, within};
use super::quota;

/// Whose credentials are used, and whether any are.
pub(super) async fn credentials(aws: &Aws) -> (Finding, bool) {
    match within(aws.identity()).await {
        Ok(Ok(who)) => {
            let found = format!("{} in {}, account {}", who.arn, aws.region(), who.account);
            (Finding::ok(Step::Credentials, found), true)
        }
        // An organization may forbid even this question.
        Ok(Err(error)) if error.is_denied() && error.code() != Some("AccessDenied") => {
            (Finding::failed_as_told(Step::Credentials, told(&error)), false)
        }
        // The service never asks STS, and a closed network may have no way there: the calls that matter are tried below.
        Ok(Err(error)) => (Finding::not_checked(Step::Credentials, told(&error)), true),
        Err(late) => (Finding::not_checked(Step::Credentials, late), true),
    }
}

/// All other steps.
pub(super) async fn examine(context: &CheckContext<'_>, aws: &Aws) -> Vec<Finding> {
    let spec = match spec(context) {
        Ok(spec) => spec,
        Err(finding) => return vec![finding],
    };
    let fleet = &context.runner.fleet;
    let mut findings = Vec::new();
    let (image, finding) = image(aws, &spec).await;
    findings.push(finding);
    let subnets = match within(aws.look_at_subnets(&fleet.subnets)).await {
        Ok(Ok(subnets)) => subnets,
        Ok(Err(error)) => {
            findings.push(failed(Step::Subnets, &error));
            Vec::new()
        }
        Err(late) => {
            findings.push(Finding::not_checked(Step::Subnets, late));
            Vec::new()
        }
    };
    if !subnets.is_empty() {
        findings.push(judge_subnets(&subnets, fleet));
        findings.push(groups(aws, fleet, &subnets).await);
    }
    let places = match within(aws.places(&spec)).await {
        Ok(Ok(places)) => places,
        Ok(Err(_)) | Err(_) => Vec::new(), // the same call as above, which has told
    };
    findings.extend(key_pair(context, aws, &spec).await);
    match (&image, places.first()) {
        (Some(image), Some(place)) => findings.extend(launch(context, aws, &spec, image, place, &places).await),
        _ => findings.push(Finding::not_checked(Step::Launch, "needs an image and a subnet")),
    }
    findings.extend(unseen_key(fleet));
    findings.extend(quota::examine(aws, fleet).await);
    findings
}

/// EC2 asks KMS only when it starts an instance: a dry run does not.
fn unseen_key(fleet: &RunnerFleet) -> Option<Finding> {
    let key = fleet.root_volume.kms_key_id.as_deref()?;
    let why = format!(
        "no dry run shows whether the manager's role may use the volume's key {key}: it needs the statements UseKeys and \
         LetEc2UseKeys that \"runner-fleet iam-policy --manager\" prints, and the key's own policy must let them count; \
         without them workers end at once with Client.InternalError"
    );
    Some(Finding::not_checked(Step::Launch, why))
}

/// What a launch would be made from; the key is only there for who may read it.
fn spec(context: &CheckContext<'_>) -> Result<LaunchSpec, Finding> {
    let CheckContext { config, runner, key, .. } = context;
    let spec = match key {
        Some(key) => worker_spec::launch_spec(config, runner, key),
        None => worker_spec::spec_without_key(config, runner, HostKey { private: "".into(), public: String::new() }),
    };
    spec.map_err(|error| Finding::failed(Step::Launch, told(&error), "shorten setup_script, or bake it into the image"))
}

/// A failed question; one that AWS had no time for is none.
fn failed(step: Step, error: &AwsError) -> Finding {
    if error.is_throttled() {
        Finding::not_checked(step, told(error))
    } else {
        Finding::failed_as_told(step, told(error))
    }
}

async fn image(aws: &Aws, spec: &LaunchSpec) -> (Option<Image>, Finding) {
    match within(aws.image(spec)).await {
        Ok(Ok(image)) => {
            let found =
                format!("{} is {}, with a root volume of {} GiB", image.id, image.architecture, image.root_size_gib);
            (Some(image), Finding::ok(Step::Image, found))
        }
        Ok(Err(error)) => (None, failed(Step::Image, &error)),
        Err(late) => (None, Finding::not_checked(Step::Image, late)),
    }
}

fn judge_subnets(subnets: &[SubnetSeen], fleet: &RunnerFleet) -> Finding {
    let vpcs: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.vpc.as_str()).collect();
    let zones: BTreeSet<&str> = subnets.iter().map(|subnet| subnet.zone.as_str()).collect();
    let join = |names: &BTreeSet<&str>| names.iter().copied().collect::<Vec<_>>().join(", ");
    if vpcs.len() > 1 {
        let each = subnets.iter().map(|subnet| format!("{} in {}", subnet.id, subnet.vpc)).collect::<Vec<_>>();
        let found = format!("they are in several VPCs: {}", each.join(", "));
        return Finding::failed(Step::Subnets, found, "name subnets of one VPC: the security groups belong to one");
    }
    let free: u32 = subnets.iter().map(|subnet| subnet.free_addresses).sum();
    let ids = subnets.iter().map(|subnet| subnet.id.as_str()).collect::<Vec<_>>().join(", ");
    let found = format!(
        "{} ({ids}) in {}, zones {}; {free} free addresses",
        count(subnets.len(), "subnet"),
        join(&vpcs),
        join(&zones)
    );
    if free < fleet.max_workers {
        let advice = format!("max_workers = {} do not fit; name larger or more subnets", fleet.max_workers);
        return Finding::warning(Step::Subnets, found, advice);
    }
    if zones.len() == 1 && fleet.market == Market::Spot {
        return Finding::warning(
            Step::Subnets,
            found,
            "spot has more capacity, cheaper, over several zones: name a subnet in each",
        );
    }
    Finding::ok(Step::Subnets, found)
}

fn count(number: usize, of: &str) -> String {
    if number == 1 { format!("1 {of}") } else { format!("{number} {of}s") }
}

async fn groups(aws: &Aws, fleet: &RunnerFleet, subnets: &[SubnetSeen]) -> Finding {
    match within(aws.look_at_groups(&fleet.security_groups)).await {
        Ok(Ok(groups)) => judge_groups(&groups, subnets, fleet.ssh_port),
        Ok(Err(error)) if error.is_denied() => {
            Finding::warning(Step::SecurityGroups, "not looked at: ec2:DescribeSecurityGroups is denied", STATEMENT)
        }
        Ok(Err(error)) => failed(Step::SecurityGroups, &error),
        Err(late) => Finding::not_checked(Step::SecurityGroups, late),
    }
}

fn judge_groups(groups: &[GroupSeen], subnets: &[SubnetSeen], ssh_port: u16) -> Finding {
    let vpc = subnets.first().map(|subnet| subnet.vpc.as_str()).unwrap_or_default();
    if let Some(other) = groups.iter().find(|group| group.vpc != vpc) {
        let found = format!("{} is in {}, the subnets are in {vpc}", other.id, other.vpc);
        return Finding::failed(Step::SecurityGroups, found, "name groups of the subnets' VPC");
    }
    let lets_in = |group: &GroupSeen| group.tcp_in.iter().any(|(from, to)| (*from..=*to).contains(&ssh_port));
    let ids = groups.iter().map(|group| group.id.as_str()).collect::<Vec<_>>().join(", ");
    let found = format!("{} ({ids}) in {vpc}", count(groups.len(), "group"));
    if groups.iter().any(lets_in) {
        return Finding::ok(Step::SecurityGroups, format!("{found}; port {ssh_port} is open to somebody"));
    }
    let group = groups.first().map_or("GROUP", |group| group.id.as_str());
    let advice = format!(
        "let the manager's host reach TCP port {ssh_port} of the workers: aws ec2 authorize-security-group-ingress \
         --group-id {group} --protocol tcp --port {ssh_port} --cidr ADDRESS/32, with the host's private ADDRESS"
    );
    Finding::failed(Step::SecurityGroups, format!("{found}; none lets TCP port {ssh_port} in"), advice)
}

async fn key_pair(context: &CheckContext<'_>, aws: &Aws, spec: &LaunchSpec) -> Option<Finding> {
    context.key?;
    let name = crate::aws::key::name(&spec.manager, &spec.key_fingerprint);
    Some(match within(aws.key_pairs(&spec.manager)).await {
        Ok(Ok(names)) if names.contains(&name) => Finding::ok(Step::KeyPair, name.as_str()),
        Ok(Ok(_)) => match within(aws.may_import_key(spec)).await {
            Ok(Ok(())) => Finding::ok(Step::KeyPair, format!("{name} may be imported, and is at the service's start")),
            Ok(Err(error)) => failed(Step::KeyPair, &error),
            Err(late) => Finding::not_checked(Step::KeyPair, late),
        },
        Ok(Err(error)) => failed(Step::KeyPair, &error),
        Err(late) => Finding::not_checked(Step::KeyPair, late),
    })
}

/// Dry runs: a single instance from the parts, then the fleet call itself where there is a template to name.
async fn launch(
    context: &CheckContext<'_>,
    aws: &Aws,
    spec: &LaunchSpec,
    image: &Image,
    place: &Place,
    places: &[Place],
) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut judge = |answer: Result<Result<(), AwsError>, String>, found: String| match answer {
        Ok(Ok(())) => findings.push(Finding::ok(Step::Launch, found)),
        Ok(Err(error)) => findings.push(failed(Step::Launch, &error)),
        Err(late) => findings.push(Finding::not_checked(Step::Launch, late)),
    };
    let single = format!("{} in {} would be allowed (dry run)", place.instance_type, place.zone);
    judge(within(aws.may_run(spec, &image.id, place)).await, single);
    match within(aws.templates(&spec.manager)).await {
        Ok(Ok(templates)) => match templates.iter().find(|(_, runner)| **runner == spec.runner) {
            Some((template, _)) => {
                for market in markets(&context.runner.fleet) {
                    let found = format!("the fleet call on the {market} market would be allowed (dry run)");
                    judge(within(aws.may_launch(spec, template, market, places)).await, found);
                }
            }
            None if context.key.is_some() => {
                let found =
                    "a launch template may be created; the fleet call can be tried when there is one".to_owned();
                judge(within(aws.may_make_template(spec, image)).await, found);
            }
            None => {}
        },
        Ok(Err(error)) => findings.push(failed(Step::Launch, &error)),
        Err(late) => findings.push(Finding::not_checked(Step::Launch, late)),
    }
    findings
}

fn markets(fleet: &RunnerFleet) -> Vec<Market> {
    let fallback = fleet.market == Market::Spot && fleet.on_demand_fallback;
    [Some(fleet.market), fallback.then_some(Market::OnDemand)].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;
    use runner_fleet_engine::SubnetId;

    fn subnet(vpc: &str) -> SubnetSeen {
        SubnetSeen { id: SubnetId::new("subnet-1"), vpc: vpc.into(), zone: "a".into(), free_addresses: 10 }
    }

    fn group(vpc: &str, tcp_in: &[(u16, u16)]) -> GroupSeen {
        GroupSeen { id: "sg-1".into(), vpc: vpc.into(), tcp_in: tcp_in.to_vec() }
    }

    #[test]
    fn groups_must_be_in_the_vpc_and_let_ssh_in() {
        let cases = [
            (vec![group("v", &[(22, 22)])], Verdict::Ok),
            (vec![group("v", &[]), group("v", &[(0, 65_535)])], Verdict::Ok),
            (vec![group("v", &[(80, 443)])], Verdict::Failed),
            (vec![group("v", &[])], Verdict::Failed),
            (vec![group("v", &[(22, 22)]), group("w", &[])], Verdict::Failed),
        ];
        for (groups, verdict) in cases {
            assert_eq!(judge_groups(&groups, &[subnet("v")], 22).verdict, verdict, "{groups:?}");
        }
    }
}

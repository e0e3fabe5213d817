//! Whether the account may run as many vCPUs as `max_workers` could need.

use std::collections::BTreeMap;

use crate::aws::{Aws, quota_code};
use runner_fleet_config::RunnerFleet;
use runner_fleet_engine::{InstanceType, Market};

use super::context::STATEMENT;
use super::finding::{Finding, Step};
use super::limit::{told, within};

/// One finding for the runner's market; the quota is shared with all else that the account runs in the region.
pub(super) async fn examine(aws: &Aws, fleet: &RunnerFleet) -> Option<Finding> {
    let code = fleet.instance_types.first().and_then(|kind| quota_code(kind, fleet.market));
    let Some(code) = code else {
        return Some(Finding::not_checked(Step::Quota, "not known which quota these instance types count against"));
    };
    let denied = |error: &dyn std::error::Error| {
        Finding::warning(Step::Quota, format!("not looked at: {}", told(error)), STATEMENT)
    };
    let limit = match within(aws.vcpu_quota(code)).await {
        Ok(Ok(limit)) => limit,
        Ok(Err(error)) if error.is_denied() => return Some(denied(&error)),
        Ok(Err(error)) => return Some(Finding::not_checked(Step::Quota, told(&error))),
        Err(late) => return Some(Finding::not_checked(Step::Quota, late)),
    };
    Some(match within(aws.vcpus(&fleet.instance_types)).await {
        Ok(Ok(vcpus)) => judge(limit, code, &vcpus, fleet.max_workers, fleet.market),
        Ok(Err(error)) if error.is_denied() => denied(&error),
        Ok(Err(error)) => Finding::not_checked(Step::Quota, told(&error)),
        Err(late) => Finding::not_checked(Step::Quota, late),
    })
}

fn judge(limit: f64, code: &str, vcpus: &BTreeMap<InstanceType, u32>, max_workers: u32, market: Market) -> Finding {
    let Some((largest, most)) = vcpus.iter().max_by_key(|(kind, count)| (**count, *kind)) else {
        return Finding::not_checked(Step::Quota, "EC2 does not say how many vCPUs the instance types have");
    };
    let needed = f64::from(*most) * f64::from(max_workers);
    let found =
        format!("{limit} vCPUs on the {market} market ({code}); {max_workers} workers of {largest} need {needed}");
    if limit < f64::from(*most) {
        return Finding::failed(
            Step::Quota,
            found,
            "ask for an increase in the Service Quotas console: nothing can be launched",
        );
    }
    if limit < needed {
        return Finding::warning(
            Step::Quota,
            found,
            "ask for an increase in the Service Quotas console, or lower max_workers",
        );
    }
    Finding::ok(Step::Quota, found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Verdict;

    #[test]
    fn the_quota_is_compared_with_the_largest_fleet() {
        let vcpus = [("c8g.large", 2), ("c8g.xlarge", 4)].map(|(kind, count)| (InstanceType::new(kind), count)).into();
        let verdict = |limit| judge(limit, "L-1", &vcpus, 10, Market::Spot).verdict;
        assert_eq!((verdict(40.0), verdict(39.0), verdict(3.0)), (Verdict::Ok, Verdict::Warning, Verdict::Failed));
        assert_eq!(judge(1.0, "L-1", &BTreeMap::new(), 1, Market::Spot).verdict, Verdict::NotChecked);
    }
}

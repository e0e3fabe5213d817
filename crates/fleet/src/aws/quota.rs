//! How many vCPUs the account may run, and how many a type has. For `doctor` alone.
//!
//! EC2 counts vCPUs for each market and group of families. Codes: Service Quotas, service `ec2`; EC2 User Guide, "Amazon EC2
//! On-Demand Instance quotas" and "Spot Instance quotas".

use std::collections::BTreeMap;

use super::client::Aws;
use super::error::AwsError;
use runner_fleet_engine::{InstanceType, Market};

const QUOTA: &str = "servicequotas:GetServiceQuota";
const TYPES: &str = "ec2:DescribeInstanceTypes";

/// Groups of families with one quota: how their names begin, and the codes on-demand and on spot.
const GROUPS: [(&[&str], &str, &str); 5] = [
    (&["g", "vt"], "L-DB2E81BA", "L-3819A6DF"),
    (&["p"], "L-417A185B", "L-7212CCBC"),
    (&["x"], "L-7295265B", "L-E3A00192"),
    (&["inf"], "L-1945791B", "L-B5D1601B"),
    (&["a", "c", "d", "h", "i", "is", "im", "m", "r", "t", "z"], "L-1216C47A", "L-34B43A08"),
];

/// The quota code that launches of a type count against; `None` for families that are not in our table.
pub fn quota_code(kind: &InstanceType, market: Market) -> Option<&'static str> {
    let name = kind.as_str();
    let letters = name.find(|c: char| !c.is_ascii_lowercase()).and_then(|end| name.get(..end))?;
    let (_, on_demand, spot) = GROUPS.iter().find(|(families, ..)| families.contains(&letters))?;
    Some(match market {
        Market::OnDemand => on_demand,
        Market::Spot => spot,
    })
}

impl Aws {
    /// How many vCPUs may run at one time, all that the account runs in the region together.
    ///
    /// # Errors
    /// The call failed (the service's own policy does not allow it).
    pub async fn vcpu_quota(&self, code: &str) -> Result<f64, AwsError> {
        let doing = format!("read the quota {code}");
        let answer = self.quotas().get_service_quota().service_code("ec2").quota_code(code).send().await;
        let answer = answer.map_err(self.failed(&doing, QUOTA))?;
        let value = answer.quota().and_then(|quota| quota.value());
        value.ok_or_else(|| self.unusable(doing, QUOTA, "it holds no value"))
    }

    /// How many vCPUs these types have.
    ///
    /// # Errors
    /// The call failed (the service's own policy does not allow it), or EC2 does not know a type.
    pub async fn vcpus(&self, kinds: &[InstanceType]) -> Result<BTreeMap<InstanceType, u32>, AwsError> {
        let names = kinds.iter().map(|kind| aws_sdk_ec2::types::InstanceType::from(kind.as_str())).collect();
        let answer = self.ec2.describe_instance_types().set_instance_types(Some(names)).send().await;
        let answer = answer.map_err(self.failed("look up instance types", TYPES))?;
        let row = |row: &aws_sdk_ec2::types::InstanceTypeInfo| {
            let count = row.v_cpu_info()?.default_v_cpus()?;
            Some((InstanceType::new(row.instance_type()?.as_str()), u32::try_from(count).ok()?))
        };
        Ok(answer.instance_types().iter().filter_map(row).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_family_counts_against_its_own_quota() {
        let code = |name: &str, market| quota_code(&InstanceType::new(name), market);
        assert_eq!(code("c8g.large", Market::Spot), Some("L-34B43A08"));
        assert_eq!(code("m7i-flex.large", Market::OnDemand), Some("L-1216C47A"));
        assert_eq!(code("g5g.xlarge", Market::Spot), Some("L-3819A6DF"));
        assert_eq!(code("inf2.xlarge", Market::OnDemand), Some("L-1945791B"));
        assert_eq!(code("u7i-12tb.224xlarge", Market::Spot), None);
        assert_eq!(code("", Market::Spot), None);
    }
}

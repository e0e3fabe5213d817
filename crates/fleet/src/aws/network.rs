//! Where workers would stand: subnets and security groups as EC2 shows them. For `doctor` alone.

use super::client::Aws;
use super::error::AwsError;
use runner_fleet_engine::SubnetId;

const SUBNETS: &str = "ec2:DescribeSubnets";
const GROUPS: &str = "ec2:DescribeSecurityGroups";

/// A subnet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubnetSeen {
    /// Its id.
    pub id: SubnetId,
    /// The VPC that it is part of.
    pub vpc: String,
    /// Its zone.
    pub zone: String,
    /// Addresses that nobody uses.
    pub free_addresses: u32,
}

/// A security group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupSeen {
    /// Its id.
    pub id: String,
    /// The VPC that it is part of.
    pub vpc: String,
    /// The TCP ports that it lets in from somewhere, as ranges; a rule for all protocols is 0 to 65535.
    pub tcp_in: Vec<(u16, u16)>,
}

impl Aws {
    /// The subnets of these ids, in this order.
    ///
    /// # Errors
    /// The call failed, or one of them does not exist.
    pub async fn look_at_subnets(&self, ids: &[SubnetId]) -> Result<Vec<SubnetSeen>, AwsError> {
        let asked = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let answer = self.ec2.describe_subnets().set_subnet_ids(Some(asked)).send().await;
        let answer = answer.map_err(self.failed("look up subnets", SUBNETS))?;
        let seen = |id: &SubnetId| {
            let found = answer.subnets().iter().find(|subnet| subnet.subnet_id() == Some(id.as_str()));
            let found = found.ok_or_else(|| self.unusable("look up subnets", SUBNETS, format!("{id} is missing")))?;
            Ok(SubnetSeen {
                id: id.clone(),
                vpc: found.vpc_id().unwrap_or_default().to_owned(),
                zone: found.availability_zone().unwrap_or_default().to_owned(),
                free_addresses: found.available_ip_address_count().and_then(|n| u32::try_from(n).ok()).unwrap_or(0),
            })
        };
        ids.iter().map(seen).collect()
    }

    /// The security groups of these ids.
    ///
    /// # Errors
    /// The call failed (the service's own policy does not allow it), or one of them does not exist.
    pub async fn look_at_groups(&self, ids: &[String]) -> Result<Vec<GroupSeen>, AwsError> {
        let answer = self.ec2.describe_security_groups().set_group_ids(Some(ids.to_vec())).send().await;
        let answer = answer.map_err(self.failed("look up security groups", GROUPS))?;
        let seen = |id: &String| {
            let found = answer.security_groups().iter().find(|group| group.group_id() == Some(id.as_str()));
            let missing = || self.unusable("look up security groups", GROUPS, format!("{id} is missing"));
            let found = found.ok_or_else(missing)?;
            let port = |port: Option<i32>, default| port.and_then(|port| u16::try_from(port).ok()).unwrap_or(default);
            let tcp_in = found
                .ip_permissions()
                .iter()
                .filter_map(|rule| match rule.ip_protocol() {
                    Some("-1") => Some((0, u16::MAX)),
                    Some("tcp" | "6") => Some((port(rule.from_port(), 0), port(rule.to_port(), u16::MAX))),
                    Some(_) | None => None,
                })
                .collect();
            Ok(GroupSeen { id: id.clone(), vpc: found.vpc_id().unwrap_or_default().to_owned(), tcp_in })
        };
        ids.iter().map(seen).collect()
    }
}

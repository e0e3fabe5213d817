//! Subnets and the places that they make: types × zones, one subnet per zone.
//!
//! A fleet request cannot span different subnets of one zone, so that the one with the most free addresses stands for
//! its zone (EC2 User Guide, "Create an EC2 Fleet"; `pkg/providers/subnet/subnet.go` of aws/karpenter-provider-aws).
//! APIs: <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeSubnets.html>,
//! <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_DescribeInstanceTypeOfferings.html>.

use std::collections::BTreeSet;

use aws_sdk_ec2::types::{Filter, LocationType};

use super::cache::Offered;
use super::client::Aws;
use super::error::AwsError;
use super::spec::LaunchSpec;
use runner_fleet_engine::{InstanceType, Place, SubnetId, Zone};

const DESCRIBE: &str = "ec2:DescribeSubnets";
const OFFERINGS: &str = "ec2:DescribeInstanceTypeOfferings";
/// 60 types in 6 zones are 360 rows, which one page holds.
const OFFERING_PAGES_MAX: usize = 10;

/// A subnet, as far as a launch needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Subnet {
    id: SubnetId,
    zone: Zone,
    free_addresses: i32,
}

impl Aws {
    /// The places of a spec: for each type, in the file's order, the zones in the order of their first subnet.
    pub(crate) async fn places(&self, spec: &LaunchSpec) -> Result<Vec<Place>, AwsError> {
        let subnets = self.subnets(&spec.subnets).await?;
        let offered = self.offered(&spec.instance_types).await;
        Ok(places(&spec.instance_types, &one_per_zone(&subnets), &offered))
    }

    /// The subnets, in the order asked for.
    async fn subnets(&self, ids: &[SubnetId]) -> Result<Vec<Subnet>, AwsError> {
        let doing = "look up subnets";
        let asked: Vec<String> = ids.iter().map(|id| id.as_str().to_owned()).collect();
        let answer = self.ec2.describe_subnets().set_subnet_ids(Some(asked)).send().await;
        let answer = answer.map_err(self.failed(doing, DESCRIBE)).map_err(|error| match error {
            AwsError::Call(call) if call.code.starts_with("InvalidSubnetID") => AwsError::Unfit(format!(
                "a subnet does not exist in {} ({}); check `subnets` and `region`",
                self.region(),
                call.message
            )),
            error => error,
        })?;
        ids.iter()
            .map(|id| {
                let found = answer.subnets().iter().find(|subnet| subnet.subnet_id() == Some(id.as_str()));
                let zone = found.and_then(|subnet| subnet.availability_zone()).ok_or_else(|| {
                    AwsError::Unfit(format!("the subnet {id} does not exist in {}; check `subnets`", self.region()))
                })?;
                let free_addresses = found.and_then(|subnet| subnet.available_ip_address_count()).unwrap_or(0);
                Ok(Subnet { id: id.clone(), zone: Zone::new(zone), free_addresses })
            })
            .collect()
    }

    /// Where the types can be had. Only an optimisation: EC2 tells the same with every launch, at the price of a
    /// failed offering; so that a failed call is no failure, and is repeated with the next launch plan.
    async fn offered(&self, types: &[InstanceType]) -> Offered {
        let mut known = self.cache.offered.lock().await;
        let missing: Vec<InstanceType> = types.iter().filter(|kind| !known.contains_key(*kind)).cloned().collect();
        if !missing.is_empty() {
            match self.describe_offerings(&missing).await {
                Ok(found) => known.extend(found),
                Err(error) => tracing::warn!("all zones are offered to EC2 for every instance type: {error}"),
            }
        }
        known.clone()
    }

    async fn describe_offerings(&self, types: &[InstanceType]) -> Result<Offered, AwsError> {
        let doing = "look up where instance types are offered";
        let names = types.iter().map(|kind| kind.as_str().to_owned()).collect();
        let filter = Filter::builder().name("instance-type").set_values(Some(names)).build();
        let request =
            self.ec2.describe_instance_type_offerings().location_type(LocationType::AvailabilityZone).filters(filter);
        let mut offered: Offered = types.iter().map(|kind| (kind.clone(), BTreeSet::new())).collect();
        let mut token = None;
        for _ in 0..OFFERING_PAGES_MAX {
            let page = request.clone().set_next_token(token).send().await.map_err(self.failed(doing, OFFERINGS))?;
            for row in page.instance_type_offerings() {
                if let (Some(kind), Some(zone)) = (row.instance_type(), row.location()) {
                    offered.entry(InstanceType::new(kind.as_str())).or_default().insert(Zone::new(zone));
                }
            }
            token = page.next_token().filter(|token| !token.is_empty()).map(ToOwned::to_owned);
            if token.is_none() {
                return Ok(offered);
            }
        }
        Err(self.unusable(doing, OFFERINGS, format!("more than {OFFERING_PAGES_MAX} pages")))
    }
}

/// For each zone the subnet with the most free addresses; of equal ones the first in the file.
fn one_per_zone(subnets: &[Subnet]) -> Vec<Subnet> {
    let mut chosen: Vec<Subnet> = Vec::new();
    for subnet in subnets {
        match chosen.iter_mut().find(|other| other.zone == subnet.zone) {
            Some(other) if other.free_addresses < subnet.free_addresses => *other = subnet.clone(),
            Some(_) => {}
            None => chosen.push(subnet.clone()),
        }
    }
    chosen
}

/// Types × zones, without what is not offered. If that leaves nothing, everything: EC2 then says it in its own words.
fn places(types: &[InstanceType], subnets: &[Subnet], offered: &Offered) -> Vec<Place> {
    let is_offered = |place: &Place| offered.get(&place.instance_type).is_none_or(|zones| zones.contains(&place.zone));
    let all: Vec<Place> = types
        .iter()
        .flat_map(|kind| {
            subnets.iter().map(|subnet| Place {
                instance_type: kind.clone(),
                zone: subnet.zone.clone(),
                subnet: subnet.id.clone(),
            })
        })
        .collect();
    let open: Vec<Place> = all.iter().filter(|place| is_offered(place)).cloned().collect();
    if open.is_empty() { all } else { open }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::replay::{Answer, a_spec, aws_with};

    const SUBNETS: &str = include_str!("../../tests/recorded/aws/describe_subnets.xml");
    const TYPES: &str = include_str!("../../tests/recorded/aws/describe_instance_type_offerings.xml");

    fn told(places: &[Place]) -> Vec<String> {
        places.iter().map(|place| format!("{} {} {}", place.instance_type, place.zone, place.subnet)).collect()
    }

    #[tokio::test]
    async fn places_are_types_by_zones_without_what_is_not_offered() {
        let (aws, replay) = aws_with([Answer::xml(200, SUBNETS), Answer::xml(200, TYPES), Answer::xml(200, SUBNETS)]);

        let places = aws.places(&a_spec()).await.unwrap();

        // subnet-a2 has more free addresses than subnet-a in zone a; c8g.large is not offered in zone b.
        assert_eq!(
            told(&places),
            [
                "c8g.large eu-central-1a subnet-a2",
                "c7g.large eu-central-1a subnet-a2",
                "c7g.large eu-central-1b subnet-b"
            ]
        );
        assert_eq!(places, aws.places(&a_spec()).await.unwrap());
        assert_eq!(replay.bodies().len(), 3, "where types are offered is asked once");
    }

    #[tokio::test]
    async fn when_offerings_cannot_be_read_all_zones_stay() {
        let denied = Answer::ec2_error(403, "UnauthorizedOperation", "no");
        let (aws, _) = aws_with([Answer::xml(200, SUBNETS), denied]);
        assert_eq!(aws.places(&a_spec()).await.unwrap().len(), 4);
    }

    #[tokio::test]
    async fn an_unknown_subnet_is_named() {
        let message = "The subnet ID 'subnet-x' does not exist";
        let (aws, _) = aws_with([Answer::ec2_error(400, "InvalidSubnetID.NotFound", message)]);
        let error = aws.places(&a_spec()).await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "a subnet does not exist in eu-central-1 (The subnet ID 'subnet-x' does not exist); \
             check `subnets` and `region`"
        );
    }

    #[test]
    fn types_that_are_offered_nowhere_are_left_to_ec2() {
        let subnet = Subnet { id: SubnetId::new("s"), zone: Zone::new("z"), free_addresses: 1 };
        let kind = InstanceType::new("x9.nano");
        let offered = Offered::from([(kind.clone(), BTreeSet::new())]);
        assert_eq!(places(&[kind], &[subnet], &offered).len(), 1);
    }
}

//! What EC2 sells: a type, in a zone, on a market.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::ids::{ConfigHash, InstanceType, SubnetId, TemplateName, Zone};

/// How a worker is paid for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Market {
    /// Spare capacity at a discount; EC2 may take it back with two minutes' notice.
    Spot,
    /// The list price; stays until it is terminated.
    OnDemand,
}

impl fmt::Display for Market {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Spot => "spot",
            Self::OnDemand => "on-demand",
        })
    }
}

/// One thing that can be asked for in a launch: the unit that runs out, is cooled down and is probed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Offering {
    /// Spot or on-demand.
    pub market: Market,
    /// The instance type.
    pub instance_type: InstanceType,
    /// The zone that the subnet lies in.
    pub zone: Zone,
    /// Where the worker gets its address. One subnet per zone: a fleet request cannot span two of the same zone.
    pub subnet: SubnetId,
}

impl fmt::Display for Offering {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} in {}", self.market, self.instance_type, self.zone)
    }
}

/// All that a runner's next worker is made of, resolved and ready to be launched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LaunchPlan {
    /// What the tag `runner-fleet:config` of a worker launched now will say.
    pub config: ConfigHash,
    /// The launch template; it exists in EC2.
    pub template: TemplateName,
    /// Types × zones, in the file's order of preference; the market is chosen at the launch.
    pub places: Vec<Place>,
}

/// An offering before the market is chosen.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Place {
    /// The instance type.
    pub instance_type: InstanceType,
    /// The zone of the subnet.
    pub zone: Zone,
    /// The subnet.
    pub subnet: SubnetId,
}

impl Place {
    /// This place on the given market.
    pub fn on(&self, market: Market) -> Offering {
        Offering {
            market,
            instance_type: self.instance_type.clone(),
            zone: self.zone.clone(),
            subnet: self.subnet.clone(),
        }
    }
}

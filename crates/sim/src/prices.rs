//! What EC2 asks for a worker: a small table of list prices, and spot as a fixed share of them.
//!
//! Enough to compare two ways of running the same jobs. The list prices are eu-central-1's for Linux, rounded, from
//! <https://aws.amazon.com/ec2/pricing/on-demand/>; a type that is not in the table costs what a `.large` costs.

use std::time::Duration;

use jiff::Timestamp;

use crate::rng::{Rng, Stream};
use runner_fleet_engine::{InstanceType, Market, Offering};

/// Spot costs about this share of the list price (the usual discount on Graviton is 60 to 70 %).
pub const SPOT_SHARE: f64 = 0.35;

/// USD per hour on demand.
const LIST: &[(&str, f64)] = &[
    ("c7g.large", 0.0825),
    ("c7g.xlarge", 0.1650),
    ("c8g.large", 0.0908),
    ("c8g.xlarge", 0.1816),
    ("m7g.large", 0.0976),
    ("m8g.large", 0.1073),
    ("r8g.large", 0.1423),
    ("t4g.large", 0.0768),
];

/// EC2 bills at least that.
const LEAST: Duration = Duration::from_secs(60);

/// What a type that is not in the table costs: about a `.large`.
const OTHER: f64 = 0.10;

/// USD per hour.
pub fn hourly(market: Market, instance_type: &InstanceType) -> f64 {
    let list = LIST.iter().find(|(name, _)| *name == instance_type.as_str()).map_or(OTHER, |(_, price)| *price);
    match market {
        Market::Spot => list * SPOT_SHARE,
        Market::OnDemand => list,
    }
}

/// USD per hour at `at`: as [`hourly`], and with a seed the spot prices of types, zones and days lie up
/// to 15 % apart from it, evenly.
pub fn rate(seed: Option<u64>, offering: &Offering, at: Timestamp) -> f64 {
    let usual = hourly(offering.market, &offering.instance_type);
    match (offering.market, seed) {
        (Market::Spot, Some(seed)) => {
            let day = at.as_second().div_euclid(86_400);
            let text = offering.instance_type.as_str().bytes().chain(offering.zone.as_str().bytes());
            let place = text.fold(seed, |sum, byte| sum.wrapping_mul(31).wrapping_add(u64::from(byte)));
            let chance = Rng::new(place ^ day.unsigned_abs().wrapping_mul(0x9e37_79b9)).unit(Stream::Market);
            usual * (0.85 + 0.3 * chance)
        }
        (Market::Spot, None) | (Market::OnDemand, _) => usual,
    }
}

/// What EC2 bills for what was launched and ended then, in USD: each day at its price, and at least a minute.
pub fn bill(seed: Option<u64>, offering: &Offering, launched_at: Timestamp, ended_at: Timestamp) -> f64 {
    let lived = Duration::try_from(ended_at.duration_since(launched_at)).unwrap_or_default();
    let (mut usd, mut from) = (0.0, launched_at);
    let until = launched_at.saturating_add(lived.max(LEAST)).unwrap_or(ended_at);
    while from < until {
        let day = from.as_second().div_euclid(86_400) + 1;
        let midnight = Timestamp::from_second(day.saturating_mul(86_400)).unwrap_or(until);
        let to = until.min(midnight);
        usd += rate(seed, offering, from) * to.duration_since(from).as_secs_f64() / 3600.0;
        from = to;
    }
    usd
}

/// Spot offerings in the order of what they cost at `at`.
pub(crate) fn cheapest_first(seed: Option<u64>, offerings: &[Offering], at: Timestamp) -> Vec<Offering> {
    let mut ranked: Vec<(f64, &Offering)> =
        offerings.iter().map(|offering| (rate(seed, offering, at), offering)).collect();
    ranked.sort_by(|(price, a), (other, b)| price.total_cmp(other).then_with(|| a.cmp(b)));
    ranked.into_iter().map(|(_, offering)| offering.clone()).collect()
}

/// USD for one hour of a GiB of gp3 in eu-central-1, from <https://aws.amazon.com/ebs/pricing/>: 0.0952 a month of 730 hours.
pub const GIB_HOUR: f64 = 0.0952 / 730.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_hour_of_spot_costs_its_share_of_the_list_price() {
        let large = InstanceType::new("c8g.large");
        assert!((hourly(Market::OnDemand, &large) - 0.0908).abs() < 1e-9);
        assert!((hourly(Market::Spot, &large) - 0.0908 * 0.35).abs() < 1e-9);
    }
}

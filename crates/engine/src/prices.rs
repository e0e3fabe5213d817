//! What offerings cost, and which spot offers are too dear to ask for.
//!
//! Rule: a spot offer that costs more than the runner's `spot_max_price`, or (without one) more than the same type on
//! demand, is not asked for: on-demand gives the same for less and is not taken back. An offering whose price is not known is
//! asked for: unknown is neither free nor unaffordable, and EC2 itself holds every spot launch to the same ceiling
//! (EC2 API Reference, `SpotOptionsRequest`, `MaxTotalPrice`; the default maximum is the on-demand price).

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::Failure;
use super::ids::{InstanceType, Zone};
use super::job::Knowledge;
use super::offering::{Market, Offering};
use super::time::since;

/// Spot prices change a few times a day (EC2 User Guide, "Spot Instance pricing history"). One that could not be read again
/// for so long says nothing any more.
const SPOT_STALE: Duration = Duration::from_secs(3 * 3600);

/// One read of a region's prices.
#[derive(Clone, Debug, PartialEq)]
pub struct PriceSnapshot {
    /// The region (`eu-central-1`).
    pub region: String,
    /// When spot prices were asked for.
    pub asked_at: Timestamp,
    /// USD per hour for Linux, from the list that is built in; types that it lacks are unknown.
    pub on_demand: BTreeMap<InstanceType, f64>,
    /// USD per hour for Linux now, or why nobody knows.
    pub spot: Result<BTreeMap<(InstanceType, Zone), f64>, Failure>,
}

/// All prices that are known.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    regions: BTreeMap<String, Region>,
}

#[derive(Clone, Debug, Default)]
struct Region {
    on_demand: BTreeMap<InstanceType, f64>,
    spot: BTreeMap<(InstanceType, Zone), f64>,
    spot_asked_at: Option<Timestamp>,
    /// Why nothing newer is known.
    failure: Option<Failure>,
}

/// A spot offer that costs more than it may, and the limit that says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OverPriceCap {
    /// What is on offer.
    #[serde(flatten)]
    pub offering: Offering,
    /// What it costs now.
    pub usd_per_hour: f64,
    /// What it may cost.
    pub limit: Limit,
}

/// What a spot offer may cost.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "from", rename_all = "kebab-case")]
pub enum Limit {
    /// `spot_max_price`.
    Configured {
        /// That price.
        usd_per_hour: f64,
    },
    /// The same type on demand.
    OnDemand {
        /// Its price.
        usd_per_hour: f64,
    },
}

impl Prices {
    /// Takes in one read. A failed one leaves the spot prices that were known; they grow old.
    pub(crate) fn answered(&mut self, snapshot: PriceSnapshot) {
        let PriceSnapshot { region, asked_at, on_demand, spot } = snapshot;
        let usable = |price: &f64| price.is_finite() && *price > 0.0;
        let known = self.regions.entry(region).or_default();
        known.on_demand = on_demand.into_iter().filter(|(_, price)| usable(price)).collect();
        match spot {
            Ok(spot) => {
                known.spot = spot.into_iter().filter(|(_, price)| usable(price)).collect();
                known.spot_asked_at = Some(asked_at);
                known.failure = None;
            }
            Err(failure) => known.failure = Some(failure),
        }
    }

    /// Whether anybody has looked, with or without an answer.
    pub(crate) fn is_heard(&self) -> bool {
        !self.regions.is_empty()
    }

    /// What is known of each region's spot prices.
    pub(crate) fn knowledge(&self, now: Timestamp) -> BTreeMap<String, Knowledge> {
        let of = |known: &Region| Knowledge::of(known.spot_asked_at, known.failure.as_ref(), now);
        self.regions.iter().map(|(region, known)| (region.clone(), of(known))).collect()
    }

    /// USD per hour now; `None`: not known.
    pub(crate) fn hourly(
        &self,
        market: Market,
        instance_type: &InstanceType,
        zone: &Zone,
        now: Timestamp,
    ) -> Option<f64> {
        match market {
            Market::OnDemand => self.of_zone(zone)?.on_demand.get(instance_type).copied(),
            Market::Spot => self.regions.values().find_map(|region| {
                let fresh = region.spot_asked_at.is_some_and(|asked_at| since(now, asked_at) <= SPOT_STALE);
                region.spot.get(&(instance_type.clone(), zone.clone())).filter(|_| fresh).copied()
            }),
        }
    }

    /// Whether this offering costs more than it may. Never for on-demand, which is asked for as the file says.
    pub(crate) fn over_price_cap(
        &self,
        offering: &Offering,
        spot_max_price: Option<f64>,
        now: Timestamp,
    ) -> Option<OverPriceCap> {
        if offering.market == Market::OnDemand {
            return None;
        }
        let hourly = |market| self.hourly(market, &offering.instance_type, &offering.zone, now);
        let price = hourly(Market::Spot)?;
        let (most, limit) = match spot_max_price {
            Some(limit) => (limit, Limit::Configured { usd_per_hour: limit }),
            None => hourly(Market::OnDemand).map(|limit| (limit, Limit::OnDemand { usd_per_hour: limit }))?,
        };
        (price > most).then(|| OverPriceCap { offering: offering.clone(), usd_per_hour: price, limit })
    }

    fn of_zone(&self, zone: &Zone) -> Option<&Region> {
        self.regions.iter().find(|(name, _)| lies_in(zone, name)).map(|(_, region)| region)
    }
}

/// Whether a zone is one of the region's own: its name and a letter. A local zone (`us-west-2-lax-1a`) has other prices.
fn lies_in(zone: &Zone, region: &str) -> bool {
    let letter = zone.as_str().strip_prefix(region).unwrap_or_default();
    letter.len() == 1 && letter.bytes().all(|byte| byte.is_ascii_lowercase())
}

/// USD for an instance that has lived so long at this price: by the second, at least a minute.
///
/// Source: EC2 pricing, "per-second billing" for Linux, with a minimum of 60 seconds.
pub fn cost(usd_per_hour: f64, lived: Duration) -> f64 {
    usd_per_hour * lived.max(Duration::from_secs(60)).as_secs_f64() / 3600.0
}

#[cfg(test)]
mod tests {
    use super::super::explained::Sentence;
    use super::super::failure::FailureClass;
    use super::*;
    use crate::SubnetId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn offering(market: Market, zone: &str) -> Offering {
        Offering {
            market,
            instance_type: InstanceType::new("c8g.large"),
            zone: Zone::new(zone),
            subnet: SubnetId::new("subnet-a"),
        }
    }

    fn prices(on_demand: Option<f64>, spot: Option<f64>) -> Prices {
        let kind = InstanceType::new("c8g.large");
        let mut prices = Prices::default();
        prices.answered(PriceSnapshot {
            region: "eu-central-1".into(),
            asked_at: at(0),
            on_demand: on_demand.map(|price| (kind.clone(), price)).into_iter().collect(),
            spot: Ok(spot.map(|price| ((kind, Zone::new("eu-central-1a")), price)).into_iter().collect()),
        });
        prices
    }

    #[test]
    fn a_spot_offer_is_over_the_cap_above_its_limit_only() {
        // on-demand, spot, spot_max_price, over the cap
        let table = [
            (Some(0.09), Some(0.03), None, false),
            (Some(0.09), Some(0.09), None, false),
            (Some(0.09), Some(0.091), None, true),
            (Some(0.09), Some(0.05), Some(0.04), true),
            (Some(0.09), Some(0.10), Some(0.12), false),
            (None, Some(0.10), None, false),
            (None, Some(0.10), Some(0.05), true),
            (Some(0.09), None, Some(0.05), false),
        ];
        for (on_demand, spot, most, expected) in table {
            let prices = prices(on_demand, spot);
            let verdict = prices.over_price_cap(&offering(Market::Spot, "eu-central-1a"), most, at(1));
            assert_eq!(verdict.is_some(), expected, "{on_demand:?} {spot:?} {most:?}: {verdict:?}");
            assert_eq!(prices.over_price_cap(&offering(Market::OnDemand, "eu-central-1a"), most, at(1)), None);
        }
    }

    #[test]
    fn the_reason_names_offer_price_and_limit() {
        let spot = offering(Market::Spot, "eu-central-1a");
        let why = |most| prices(Some(0.0908), Some(0.1)).over_price_cap(&spot, most, at(1)).unwrap().sentence(at(1));
        assert_eq!(why(None), "spot c8g.large in eu-central-1a costs 0.1000 USD/h, on demand it is 0.0908");
        assert_eq!(why(Some(0.05)), "spot c8g.large in eu-central-1a costs 0.1000 USD/h, spot_max_price is 0.05");
    }

    #[test]
    fn old_prices_nonsense_and_other_zones_are_unknown() {
        let kind = InstanceType::new("c8g.large");
        let known = prices(Some(0.09), Some(0.1));
        let spot = |zone: &str, now| known.hourly(Market::Spot, &kind, &Zone::new(zone), at(now));
        assert_eq!(spot("eu-central-1a", 3 * 3600), Some(0.1));
        assert_eq!(spot("eu-central-1a", 3 * 3600 + 1), None);
        assert_eq!(spot("eu-central-1b", 1), None);
        let on_demand = |zone: &str| known.hourly(Market::OnDemand, &kind, &Zone::new(zone), at(1));
        assert_eq!(on_demand("eu-central-1c"), Some(0.09));
        assert_eq!(on_demand("eu-central-1-ham-1a"), None, "a local zone has prices of its own");
        for nonsense in [f64::NAN, f64::INFINITY, 0.0, -1.0] {
            let known = prices(Some(nonsense), Some(nonsense));
            assert_eq!(known.hourly(Market::OnDemand, &kind, &Zone::new("eu-central-1a"), at(1)), None);
            assert_eq!(known.hourly(Market::Spot, &kind, &Zone::new("eu-central-1a"), at(1)), None);
        }
    }

    #[test]
    fn a_failed_look_keeps_what_was_known() {
        let mut known = prices(Some(0.09), Some(0.03));
        known.answered(PriceSnapshot {
            region: "eu-central-1".into(),
            asked_at: at(600),
            on_demand: BTreeMap::new(),
            spot: Err(Failure::new(FailureClass::Denied, "denied")),
        });
        let zone = Zone::new("eu-central-1a");
        assert_eq!(known.hourly(Market::Spot, &InstanceType::new("c8g.large"), &zone, at(601)), Some(0.03));
    }

    #[test]
    fn a_second_costs_a_minute() {
        assert!((cost(3.6, Duration::from_secs(1)) - 0.06).abs() < 1e-12);
        assert!((cost(3.6, Duration::from_secs(100)) - 0.1).abs() < 1e-12);
    }
}

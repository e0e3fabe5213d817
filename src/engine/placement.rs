//! What a launch asks for: which offerings, on which market, and how many from each.
//!
//! Spot first, wherever it is open; on-demand takes only the part that spot cannot give; what has just failed is probed
//! with one worker, not with the whole backlog. Pure; reads no clock.

use jiff::Timestamp;

use super::cooldown::{Cooldowns, Openness};
use super::offering::{Market, Offering, Place};

/// One launch to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Ask {
    /// How many workers.
    pub(crate) count: u32,
    /// On which market.
    pub(crate) market: Market,
    /// From which offerings, in order of preference.
    pub(crate) offerings: Vec<Offering>,
}

/// How many workers can be asked for now, and where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use]
pub(crate) struct Placement {
    /// At most one launch per market.
    pub(crate) asks: Vec<Ask>,
    /// Workers that nobody offers now.
    pub(crate) unplaced: u32,
    /// When that may change.
    pub(crate) opens_at: Option<Timestamp>,
}

/// Places `count` workers. `market` is the wished one; with `fallback`, on-demand takes what spot cannot give.
pub(crate) fn place(
    places: &[Place],
    market: Market,
    fallback: bool,
    count: u32,
    cooldowns: &Cooldowns,
    now: Timestamp,
) -> Placement {
    let mut placement = Placement { unplaced: count, ..Placement::default() };
    let markets: &[Market] = match (market, fallback) {
        (Market::Spot, true) => &[Market::Spot, Market::OnDemand],
        (Market::Spot, false) => &[Market::Spot],
        (Market::OnDemand, _) => &[Market::OnDemand],
    };
    for market in markets {
        let offerings: Vec<Offering> = places.iter().map(|place| place.on(*market)).collect();
        placement.take_from(offerings, *market, cooldowns, now);
    }
    placement
}

impl Placement {
    /// Asks this market for what is still unplaced: everything if something is open, one worker if something is due for
    /// a probe, nothing otherwise.
    fn take_from(&mut self, offerings: Vec<Offering>, market: Market, cooldowns: &Cooldowns, now: Timestamp) {
        if self.unplaced == 0 {
            return;
        }
        let opens_at = cooldowns.opens_at(&offerings, now);
        let judged: Vec<(Offering, Openness)> = offerings
            .into_iter()
            .map(|offering| {
                let openness = cooldowns.openness(&offering, now);
                (offering, openness)
            })
            .collect();
        let any_open = judged.iter().any(|(_, openness)| *openness == Openness::Open);
        let usable: Vec<Offering> = judged
            .into_iter()
            .filter(|(_, openness)| matches!(openness, Openness::Open | Openness::Probe))
            .map(|(offering, _)| offering)
            .collect();
        if usable.is_empty() {
            self.opens_at = self.opens_at.into_iter().chain(opens_at).min();
            return;
        }
        let count = if any_open { self.unplaced } else { 1 };
        self.unplaced -= count;
        self.asks.push(Ask { count, market, offerings: usable });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{InstanceType, LaunchErrorClass, SubnetId, Zone};

    fn places() -> Vec<Place> {
        ["a", "b"]
            .into_iter()
            .map(|zone| Place {
                instance_type: InstanceType::new("c8g.large"),
                zone: Zone::new(zone),
                subnet: SubnetId::new(format!("subnet-{zone}")),
            })
            .collect()
    }

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn closed(zones: &[&str]) -> Cooldowns {
        let mut cooldowns = Cooldowns::default();
        for place in places().iter().filter(|place| zones.contains(&place.zone.as_str())) {
            cooldowns.close(&place.on(Market::Spot), LaunchErrorClass::Capacity, at(0));
        }
        cooldowns
    }

    fn asked(placement: &Placement) -> Vec<(u32, Market, usize)> {
        placement.asks.iter().map(|ask| (ask.count, ask.market, ask.offerings.len())).collect()
    }

    #[test]
    fn everything_is_asked_of_spot_in_one_launch_over_all_open_offerings() {
        let placement = place(&places(), Market::Spot, true, 5, &Cooldowns::default(), at(1));
        assert_eq!(asked(&placement), [(5, Market::Spot, 2)]);
        assert_eq!(asked(&place(&places(), Market::Spot, true, 5, &closed(&["a"]), at(1))), [(5, Market::Spot, 1)]);
    }

    #[test]
    fn on_demand_takes_what_a_closed_spot_market_cannot_give() {
        let placement = place(&places(), Market::Spot, true, 5, &closed(&["a", "b"]), at(1));
        assert_eq!(asked(&placement), [(5, Market::OnDemand, 2)]);
        let without = place(&places(), Market::Spot, false, 5, &closed(&["a", "b"]), at(1));
        assert_eq!((asked(&without), without.unplaced, without.opens_at), (vec![], 5, Some(at(180))));
    }

    #[test]
    fn what_has_just_failed_is_probed_with_one_worker() {
        let placement = place(&places(), Market::Spot, true, 5, &closed(&["a", "b"]), at(200));
        assert_eq!(asked(&placement), [(1, Market::Spot, 2), (4, Market::OnDemand, 2)]);
        let without = place(&places(), Market::Spot, false, 5, &closed(&["a", "b"]), at(200));
        assert_eq!((asked(&without), without.unplaced), (vec![(1, Market::Spot, 2)], 4));
    }
}

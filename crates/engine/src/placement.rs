//! What a launch asks for: which offerings, on which market, and how many from each.
//!
//! Spot first, wherever it is open and not too dear; on-demand takes only the part that spot cannot give; what has just
//! failed is probed with one worker, not with the whole backlog. Pure; reads no clock.

use jiff::Timestamp;

use super::cooldown::{Cooldowns, Openness};
use super::money::UsdPerHour;
use super::offering::{Market, Offering, Place};
use super::prices::{OverPriceCap, Prices};
use super::settings::RunnerSettings;

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
#[derive(Clone, Debug, Default, PartialEq)]
#[must_use]
pub(crate) struct Placement {
    /// At most one launch per market.
    pub(crate) asks: Vec<Ask>,
    /// Workers that nobody offers now.
    pub(crate) unplaced: u32,
    /// When that may change.
    pub(crate) opens_at: Option<Timestamp>,
    /// What EC2 said when it last gave none.
    pub(crate) said: Option<String>,
    /// Spot offers that were left out because of what they cost, the cheapest first.
    pub(crate) over_price_cap: Vec<OverPriceCap>,
}

/// How many workers, and where a runner wants them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Request {
    pub(crate) count: u32,
    pub(crate) market: Market,
    /// On-demand takes what spot cannot give.
    pub(crate) fallback: bool,
    /// USD per hour.
    pub(crate) spot_max_price: Option<f64>,
    /// Jobs wait for them: where everything is closed, one is tried all the same.
    pub(crate) urgent: bool,
}

impl Request {
    /// `count` of a runner's workers.
    pub(crate) fn of(runner: &RunnerSettings, count: u32) -> Self {
        Self {
            count,
            market: runner.market,
            fallback: runner.on_demand_fallback,
            spot_max_price: runner.spot_max_price.as_ref().map(UsdPerHour::value),
            urgent: false,
        }
    }

    /// The markets that are asked, in order.
    fn markets(self) -> &'static [Market] {
        match (self.market, self.fallback) {
            (Market::Spot, true) => &[Market::Spot, Market::OnDemand],
            (Market::Spot, false) => &[Market::Spot],
            (Market::OnDemand, _) => &[Market::OnDemand],
        }
    }
}

/// Places the workers of a request.
pub(crate) fn place(
    places: &[Place],
    request: Request,
    cooldowns: &Cooldowns,
    prices: &Prices,
    now: Timestamp,
) -> Placement {
    let (mut placement, mut all) = (Placement { unplaced: request.count, ..Placement::default() }, Vec::new());
    for market in request.markets() {
        let mut offerings: Vec<Offering> = places.iter().map(|place| place.on(*market)).collect();
        let dear = over_price_cap(&offerings, request.spot_max_price, prices, now);
        offerings.retain(|offering| dear.iter().all(|dear| dear.offering != *offering));
        placement.over_price_cap.extend(dear);
        placement.take_from(&offerings, *market, cooldowns, now);
        all.extend(offerings);
    }
    if placement.asks.is_empty() {
        placement.said = cooldowns.said(&all);
        if request.urgent && request.count > 0 {
            placement.try_early(&all, cooldowns, now);
        }
    }
    placement
}

/// Whether [`place`] would find something to ask for. Every step wants to know this; few launch anything.
pub(crate) fn is_offered(
    places: &[Place],
    request: Request,
    cooldowns: &Cooldowns,
    prices: &Prices,
    now: Timestamp,
) -> bool {
    request.markets().iter().any(|market| {
        places.iter().map(|place| place.on(*market)).any(|offering| {
            !matches!(cooldowns.openness(&offering, now), Openness::Closed { .. })
                && prices.over_price_cap(&offering, request.spot_max_price, now).is_none()
        })
    })
}

/// Which of these cost more than they may, the cheapest first.
pub(crate) fn over_price_cap(
    offerings: &[Offering],
    spot_max_price: Option<f64>,
    prices: &Prices,
    now: Timestamp,
) -> Vec<OverPriceCap> {
    let mut dear: Vec<OverPriceCap> =
        offerings.iter().filter_map(|offering| prices.over_price_cap(offering, spot_max_price, now)).collect();
    dear.sort_by(|one, other| {
        one.usd_per_hour.total_cmp(&other.usd_per_hour).then_with(|| one.offering.cmp(&other.offering))
    });
    dear
}

impl Placement {
    /// Asks this market for what is still unplaced: everything if something is open, one worker if something is due for
    /// a probe, nothing otherwise.
    fn take_from(&mut self, offerings: &[Offering], market: Market, cooldowns: &Cooldowns, now: Timestamp) {
        if self.unplaced == 0 {
            return;
        }
        let opens_at = cooldowns.opens_at(offerings, now);
        let judged: Vec<(&Offering, Openness)> =
            offerings.iter().map(|offering| (offering, cooldowns.openness(offering, now))).collect();
        let any_open = judged.iter().any(|(_, openness)| *openness == Openness::Open);
        let usable: Vec<Offering> = judged
            .into_iter()
            .filter(|(_, openness)| matches!(openness, Openness::Open | Openness::Probe))
            .map(|(offering, _)| offering.clone())
            .collect();
        if usable.is_empty() {
            self.opens_at = self.opens_at.into_iter().chain(opens_at).min();
            return;
        }
        let count = if any_open { self.unplaced } else { 1 };
        self.unplaced -= count;
        self.asks.push(Ask { count, market, offerings: usable });
    }

    /// Everything is closed: asks for one worker of the offering whose last try is the longest ago, if it is time.
    fn try_early(&mut self, offerings: &[Offering], cooldowns: &Cooldowns, now: Timestamp) {
        let Some((offering, due)) = cooldowns.early(offerings) else { return };
        if due > now {
            self.opens_at = self.opens_at.into_iter().chain([due]).min();
            return;
        }
        self.unplaced = self.unplaced.saturating_sub(1);
        self.asks.push(Ask { count: 1, market: offering.market, offerings: vec![offering.clone()] });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    use crate::{InstanceType, LaunchErrorClass, PriceSnapshot, SubnetId, Zone};

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
            cooldowns.close(&place.on(Market::Spot), LaunchErrorClass::Capacity, "no", at(0));
        }
        cooldowns
    }

    fn placed(fallback: bool, cooldowns: &Cooldowns, now: Timestamp) -> Placement {
        priced(fallback, cooldowns, &Prices::default(), now)
    }

    fn priced(fallback: bool, cooldowns: &Cooldowns, prices: &Prices, now: Timestamp) -> Placement {
        let request = Request { count: 5, market: Market::Spot, fallback, spot_max_price: Some(0.05), urgent: false };
        let placement = place(&places(), request, cooldowns, prices, now);
        assert_eq!(is_offered(&places(), request, cooldowns, prices, now), !placement.asks.is_empty());
        placement
    }

    /// Spot prices of the zones a and b.
    fn spot(prices: [f64; 2]) -> Prices {
        let by_zone = places().into_iter().zip(prices).map(|(place, price)| ((place.instance_type, place.zone), price));
        let mut known = Prices::default();
        known.answered(PriceSnapshot {
            region: String::new(),
            asked_at: at(0),
            on_demand: BTreeMap::new(),
            spot: Ok(by_zone.collect()),
        });
        known
    }

    fn asked(placement: &Placement) -> Vec<(u32, Market, usize)> {
        placement.asks.iter().map(|ask| (ask.count, ask.market, ask.offerings.len())).collect()
    }

    #[test]
    fn spot_is_asked_once_over_all_open_offerings() {
        let placement = placed(true, &Cooldowns::default(), at(1));
        assert_eq!(asked(&placement), [(5, Market::Spot, 2)]);
        assert_eq!(asked(&placed(true, &closed(&["a"]), at(1))), [(5, Market::Spot, 1)]);
    }

    #[test]
    fn on_demand_takes_what_a_closed_spot_market_cannot_give() {
        let placement = placed(true, &closed(&["a", "b"]), at(1));
        assert_eq!(asked(&placement), [(5, Market::OnDemand, 2)]);
        let without = placed(false, &closed(&["a", "b"]), at(1));
        assert_eq!((asked(&without), without.unplaced, without.opens_at), (vec![], 5, Some(at(180))));
    }

    #[test]
    fn what_has_just_failed_is_probed_with_one_worker() {
        let placement = placed(true, &closed(&["a", "b"]), at(200));
        assert_eq!(asked(&placement), [(1, Market::Spot, 2), (4, Market::OnDemand, 2)]);
        let without = placed(false, &closed(&["a", "b"]), at(200));
        assert_eq!((asked(&without), without.unplaced), (vec![(1, Market::Spot, 2)], 4));
    }

    #[test]
    fn spot_offers_above_the_limit_are_left_out_and_told() {
        let one = priced(true, &Cooldowns::default(), &spot([0.06, 0.04]), at(1));
        assert_eq!((asked(&one), one.over_price_cap.len()), (vec![(5, Market::Spot, 1)], 1));
        assert_eq!(one.asks[0].offerings[0].zone, Zone::new("b"));
        let both = priced(true, &Cooldowns::default(), &spot([0.07, 0.06]), at(1));
        assert_eq!(asked(&both), [(5, Market::OnDemand, 2)]);
        let told: Vec<&str> = both.over_price_cap.iter().map(|dear| dear.offering.zone.as_str()).collect();
        assert_eq!(told, ["b", "a"], "the cheapest first");
        let neither = priced(false, &Cooldowns::default(), &spot([0.07, 0.06]), at(1));
        assert_eq!((asked(&neither), neither.unplaced, neither.over_price_cap.len()), (vec![], 5, 2));
    }
}

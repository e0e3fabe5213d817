//! What EC2 asks, told to the manager as its read of the prices is.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::prices;
use runner_fleet_engine::{Event, Market, Place, PriceSnapshot};

use super::World;
use super::agenda::Happening;

/// Between two polls, as live.
const EVERY: Duration = Duration::from_secs(600);
/// How long an answer takes.
const LATENCY: Duration = Duration::from_millis(300);

impl World {
    /// The manager asks for the prices of every region. Worlds without differences between prices have nothing to tell.
    pub(super) fn look_at_prices(&mut self, incarnation: u32) {
        let Some(seed) = self.scenario.price_seed.filter(|_| self.is_current(incarnation)) else { return };
        for (region, places) in self.places_by_region() {
            self.log.call("ec2 prices");
            let spot = places.iter().map(|place| {
                let offering = place.on(Market::Spot);
                let price = prices::rate(Some(seed), &offering, self.now);
                ((offering.instance_type, offering.zone), price)
            });
            let on_demand = places
                .iter()
                .map(|place| (place.instance_type.clone(), prices::hourly(Market::OnDemand, &place.instance_type)));
            let snapshot =
                PriceSnapshot { asked_at: self.now, on_demand: on_demand.collect(), spot: Ok(spot.collect()), region };
            self.soon(LATENCY, Happening::HearBeat { incarnation, event: Box::new(Event::Prices(snapshot)) });
        }
        self.soon(EVERY, Happening::LookAtPrices { incarnation });
    }

    /// A zone's name is its region's and a letter.
    fn places_by_region(&self) -> BTreeMap<String, BTreeSet<Place>> {
        let mut regions: BTreeMap<String, BTreeSet<Place>> = BTreeMap::new();
        for place in self.scenario.plans.values().flat_map(|plan| &plan.places) {
            let region = place.zone.as_str().trim_end_matches(|letter: char| letter.is_ascii_lowercase());
            regions.entry(region.to_owned()).or_default().insert(place.clone());
        }
        regions
    }
}

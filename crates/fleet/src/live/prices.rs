//! Watches what the configured instance types cost: on-demand prices from the list that is built in, spot prices from EC2,
//! one call per region every ten minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc;

use crate::aws::{Aws, on_demand};
use runner_fleet_engine::{Event, Failure, InstanceType, Market, PriceSnapshot, Zone};

use super::clock::Clock;
use super::complaint::Complaint;
use super::setup::RunnerSetup;
use crate::in_time::in_time;

/// Spot prices change a few times a day.
const EVERY: Duration = Duration::from_secs(600);
/// Ten pages, each repeated by the SDK with its own limits; it is never more than one.
const POLL_MAX: Duration = Duration::from_secs(60);

/// A region, and the types that workers are launched from there.
pub(super) struct Types {
    aws: Aws,
    all: BTreeSet<InstanceType>,
    /// Those that are asked for on the spot market; without any, EC2 is not asked.
    spot: BTreeSet<InstanceType>,
}

/// Which types are in use in which region.
pub(super) fn by_region(runners: &[Arc<RunnerSetup>]) -> Vec<Types> {
    let mut regions: BTreeMap<String, Types> = BTreeMap::new();
    for setup in runners {
        let types = regions.entry(setup.aws.region().to_owned()).or_insert_with(|| Types {
            aws: setup.aws.clone(),
            all: BTreeSet::new(),
            spot: BTreeSet::new(),
        });
        let fleet = &setup.runner.fleet;
        types.all.extend(fleet.instance_types.iter().cloned());
        if fleet.market == Market::Spot {
            types.spot.extend(fleet.instance_types.iter().cloned());
        }
    }
    regions.into_values().collect()
}

impl Types {
    async fn spot_prices(&self, now: Timestamp) -> Result<BTreeMap<(InstanceType, Zone), f64>, Failure> {
        if self.spot.is_empty() {
            return Ok(BTreeMap::new());
        }
        in_time(POLL_MAX, self.aws.spot_prices(&self.spot, now)).await
    }
}

/// Watches one region for as long as the configuration stands.
pub(super) async fn run(types: Types, events: mpsc::Sender<Event>, clock: Clock) {
    let region = types.aws.region();
    let mut complaint = Complaint::default();
    loop {
        let asked_at = clock.now();
        let spot = types.spot_prices(asked_at).await;
        complaint.about(&format!("reading spot prices in {region}"), &spot);
        let on_demand = on_demand::of_region(region, &types.all);
        let snapshot = PriceSnapshot { region: region.to_owned(), asked_at, on_demand, spot };
        if events.send(Event::Prices(snapshot)).await.is_err() {
            return;
        }
        clock.sleep(EVERY).await;
    }
}

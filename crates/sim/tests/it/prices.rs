//! A spot worker that costs more than one on demand is a bad bargain: it is not asked for, and people are told why. And what
//! a launch that was never answered was to probe does not stay closed for ever.

use std::collections::BTreeMap;

use runner_fleet_engine::{
    Event, InstanceType, LaunchAnswer, LaunchError, LaunchErrorClass, Leftover, Market, PriceSnapshot, RunnerSettings,
    Zone,
};

use super::bench::{TestBench, launches, runner, serving, words};

/// c8g.large costs 0.09 on demand, and so much as spot in the zones a and b.
pub(crate) fn prices(bench: &TestBench, a: f64, b: f64) -> Event {
    let kind = InstanceType::new("c8g.large");
    let spot = [("a", a), ("b", b)].map(|(zone, price)| ((kind.clone(), Zone::new(zone)), price));
    Event::Prices(PriceSnapshot {
        // A zone is its region's name and a letter.
        region: String::new(),
        asked_at: bench.now,
        on_demand: BTreeMap::from([(kind, 0.09)]),
        spot: Ok(spot.into()),
    })
}

#[test]
fn spot_offers_dearer_than_on_demand_are_left_out_and_told() {
    let mut bench = TestBench::with(vec![runner()]);
    let snapshot = prices(&bench, 0.1, 0.03);
    bench.step(vec![snapshot]);
    let launch = launches(&bench.queue(&[1, 2])).remove(0);
    let zones: Vec<&str> = launch.offerings.iter().map(|offering| offering.zone.as_str()).collect();
    assert_eq!((launch.market, zones), (Market::Spot, vec!["b"]));
    let told = bench.engine.snapshot().runners[0].over_price_cap.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(told, ["spot c8g.large in a costs 0.1000 USD/h, on demand it is 0.0900"]);
}

#[test]
fn where_spot_is_over_the_cap_on_demand_serves_or_nobody() {
    let mut bench = TestBench::with(vec![runner()]);
    let snapshot = prices(&bench, 0.1, 0.11);
    bench.step(vec![snapshot]);
    assert_eq!(words(&bench.queue(&[1, 2])), ["launch 2 on-demand"]);

    let stubborn =
        RunnerSettings { on_demand_fallback: false, spot_max_price: Some("0.02".parse().unwrap()), ..runner() };
    let mut bench = TestBench::with(vec![stubborn]);
    let snapshot = prices(&bench, 0.03, 0.04);
    bench.step(vec![snapshot]);
    assert_eq!(words(&bench.queue(&[1, 2])), Vec::<String>::new());
    let held_back = bench.engine.snapshot().runners[0].held_back.clone().unwrap().text;
    let expected = "every spot offer costs more than it may, even the cheapest: spot c8g.large in a costs 0.0300 USD/h, spot_max_price is 0.02";
    assert_eq!(held_back, expected);
    let snapshot = prices(&bench, 0.015, 0.04);
    assert_eq!(launches(&bench.step(vec![snapshot])).len(), 1, "the price has come down");
}

#[test]
fn workers_show_their_cost_and_unknown_is_not_zero() {
    let mut bench = TestBench::with(vec![runner()]);
    let workers = bench.with_ready_workers(1);
    bench.report(&workers[0], serving(0));
    let snapshot = bench.engine.snapshot();
    assert_eq!((snapshot.workers[0].usd_per_hour, snapshot.workers[0].usd_estimated), (None, None));
    assert_eq!(snapshot.costs.unpriced_workers, 1);

    let snapshot = prices(&bench, 0.03, 0.03);
    bench.step(vec![snapshot]);
    let snapshot = bench.engine.snapshot();
    assert_eq!((snapshot.workers[0].usd_per_hour, snapshot.costs.unpriced_workers), (Some(0.03), 0));
    assert!(snapshot.workers[0].usd_estimated.unwrap() > 0.0004, "a minute at least: {snapshot:?}");
    assert!((snapshot.costs.usd_per_hour - 0.03).abs() < 1e-9);
}

#[test]
fn an_unanswered_probe_reopens_its_offerings() {
    let mut bench = TestBench::with(vec![RunnerSettings { on_demand_fallback: false, ..runner() }]);
    let launch = launches(&bench.queue(&[1])).remove(0);
    let error = |offering| LaunchError {
        offering: Some(offering),
        class: LaunchErrorClass::Capacity,
        code: "InsufficientInstanceCapacity".into(),
        message: String::new(),
    };
    let errors = launch.offerings.iter().cloned().map(error).collect();
    let answer = LaunchAnswer { launched: Vec::new(), errors, leftover: Leftover::None };
    bench.step(vec![Event::Launched { token: launch.token, answer }]);

    let mut tokens = Vec::new();
    for _ in 0..400 {
        bench.pass(3);
        let mut commands = bench.list();
        commands.extend(bench.queue(&[1]));
        for launch in launches(&commands) {
            assert_eq!(launch.count, 1);
            if !tokens.contains(&launch.token) {
                tokens.push(launch.token);
            }
        }
    }
    // Twenty minutes: the first probe after three, given up ten minutes later, and another one.
    assert!(tokens.len() >= 2, "{tokens:?}");
}

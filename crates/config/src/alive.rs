//! Every key of our tables is read: another value gives another configuration, and the complete example explains it. What
//! comes of another configuration, a test of `fleet` looks at.

use std::time::Duration;

use super::legacy::Surroundings;
use runner_fleet_engine::UsdPerHour;
use runner_fleet_engine::{IdleCount, IdleTime};
use runner_fleet_testing::other_values::OTHERS;

use super::{Checksum, Config, budget, ecr, fleet, key, load, on_trouble, parse_in, proxy, schedule, volume};

const COMPLETE: &str = include_str!("../../../config/complete.toml");

fn config(document: &toml::Table) -> Config {
    let text = toml::to_string(document).unwrap();
    parse_in(&text, "config.toml", &Surroundings::default())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
        .config
}

#[test]
fn every_key_changes_the_configuration() {
    let complete: toml::Table = COMPLETE.parse().unwrap();
    let base = config(&complete);
    for other in OTHERS {
        let changed = other.in_place_of(&complete).unwrap();
        assert!(config(&changed) != base, "{other:?} changes nothing");
    }
}

#[test]
fn the_other_values_and_the_complete_example_have_every_key() {
    let listed = [
        ("fleet", load::FLEET_KEYS),
        ("fleet.on_trouble", on_trouble::KEYS),
        ("runners.fleet", fleet::KEYS),
        ("runners.fleet.root_volume", volume::KEYS),
        ("runners.fleet.schedule", schedule::KEYS),
        ("runners.fleet.proxy", proxy::KEYS),
        ("runners.fleet.budget", budget::KEYS),
        ("runners.fleet.ecr", ecr::KEYS),
    ];
    for (path, keys) in listed {
        for key in key::names(keys) {
            assert!(OTHERS.iter().any(|other| (other.table, other.key) == (path, key)), "{path}.{key} is not tried");
            let shown = [format!("{key} ="), format!("[{path}.{key}]"), format!("[[{path}.{key}]]")];
            assert!(shown.iter().any(|text| COMPLETE.contains(text)), "{path}.{key} is not explained");
        }
    }
}

#[test]
fn settings_follow_the_file() {
    let loaded = parse_in(COMPLETE, "config.toml", &Surroundings::default()).unwrap();
    let settings = loaded.config.settings();
    let runner = &settings.runners[0];
    assert_eq!((settings.concurrent, settings.check_interval.as_secs()), (50, 5));
    assert_eq!((runner.limit, runner.max_workers, runner.capacity, runner.max_jobs), (20, 8, 2, 100));
    assert_eq!((runner.max_age.as_secs(), runner.max_booting, runner.boot_timeout.as_secs()), (43_200, 10, 420));
    assert_eq!((runner.idle.count.fixed(), runner.idle.count_min), (Some(4), 1));
    assert_eq!((runner.idle.count_max, runner.idle.time), (Some(40), IdleTime::Fixed(Duration::from_secs(600))));
    assert_eq!(
        (runner.idle.target_wait.as_secs(), runner.spot_max_price.as_ref().map(UsdPerHour::value)),
        (45, Some(0.05))
    );
    let budget = runner.budget.map(|budget| (budget.usd, budget.per.as_str()));
    assert_eq!((budget, runner.disk_gib, runner.public_address), (Some((50.0, "day")), None, true));
    assert!(runner.sees_queue && runner.retry_interrupted && !runner.on_demand_fallback);
    let entry = &runner.schedule[0];
    assert_eq!(entry.written, ["* 8-18 * * mon-fri Europe/Berlin"]);
    let idle_count = entry.idle_count.and_then(IdleCount::fixed);
    assert_eq!((idle_count, entry.idle_count_min, entry.max_workers), (Some(8), Some(2), Some(10)));
    assert!(entry.periods[0].matches("2026-11-20T08:00:00+01:00").unwrap());
}

#[test]
fn defaults_are_those_of_the_documentation() {
    let minimal = include_str!("../../../config/minimal.toml");
    let config = parse_in(minimal, "config.toml", &Surroundings::default()).unwrap().config;
    let fleet = &config.runners[0].fleet;
    assert_eq!(config.check_interval.as_secs(), 3);
    assert_eq!(config.listen_address.unwrap().to_string(), "127.0.0.1:9252");
    assert_eq!((fleet.max_workers, fleet.capacity, fleet.max_jobs, fleet.max_booting), (10, 1, 0, 0));
    assert_eq!((fleet.idle_count.fixed(), fleet.idle_time, fleet.idle_count_min), (Some(0), IdleTime::Auto, 0));
    assert_eq!(fleet.target_wait.as_secs(), 30);
    assert_eq!(
        (fleet.max_age.as_secs(), fleet.boot_timeout.as_secs(), fleet.orphan_timeout.as_secs()),
        (86_400, 300, 1_800)
    );
    assert_eq!((fleet.ssh_user.as_str(), fleet.ssh_port, fleet.metadata_hop_limit), ("admin", 22, 1));
    assert_eq!(fleet.root_volume, super::RootVolume::default());
    let derived = |change: &str, to: &str| {
        let text = minimal.replace(change, to);
        parse_in(&text, "config.toml", &Surroundings::default()).unwrap().config.runners.remove(0).fleet
    };
    assert_eq!(derived("  ami", "  capacity = 4\n  ami").max_workers, 3);
    assert_eq!(derived("limit = 10", "limit = 0").max_workers, 10);
    let with_ecr = |more: &str| {
        let text = format!("{minimal}\n[runners.fleet.ecr]\nregistries = [\"public.ecr.aws\"]\n{more}\n");
        parse_in(&text, "config.toml", &Surroundings::default()).unwrap().config.runners.remove(0).fleet
    };
    assert_eq!(with_ecr("").metadata_hop_limit, 2);
    assert_eq!(with_ecr("in_jobs = false").metadata_hop_limit, 1);
    assert_eq!(with_ecr("enabled = false").metadata_hop_limit, 1);
    assert!(with_ecr("enabled = false").active_ecr().is_none());
    assert!(matches!(with_ecr("").ecr.unwrap().helper.checksum, Checksum::Binary(_)));
}

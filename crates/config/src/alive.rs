//! Every key of our tables is alive: another value gives another configuration, and the complete example explains it.

use super::legacy::Surroundings;
use runner_fleet_engine::IdleCount;
use runner_fleet_engine::UsdPerHour;

use super::{Checksum, Config, ecr, fleet, load, parse_in, schedule, volume};

const COMPLETE: &str = include_str!("../../../config/complete.toml");

/// Another value for every key: table, key, TOML.
const OTHERS: &[(&str, &str, &str)] = &[
    ("fleet", "manager", "'other'"),
    ("fleet", "state_dir", "'/other'"),
    ("fleet", "ssh_key", "'ssm:/other'"),
    ("fleet", "control_socket", "'/other'"),
    ("runners.fleet", "api_token", "'glpat-other'"),
    ("runners.fleet", "projects", "[7]"),
    ("runners.fleet", "groups", "[7]"),
    ("runners.fleet", "retry_interrupted", "false"),
    ("runners.fleet", "region", "'us-east-1'"),
    ("runners.fleet", "ami", "'ami-1'"),
    ("runners.fleet", "instance_types", "['m8g.large']"),
    ("runners.fleet", "market", "'spot'"),
    ("runners.fleet", "on_demand_fallback", "true"),
    ("runners.fleet", "spot_max_price", "0.06"),
    ("runners.fleet", "subnets", "['subnet-1']"),
    ("runners.fleet", "security_groups", "['sg-1']"),
    ("runners.fleet", "instance_profile", "'other'"),
    ("runners.fleet", "address", "'private'"),
    ("runners.fleet", "ssh_user", "'other'"),
    ("runners.fleet", "ssh_port", "23"),
    ("runners.fleet", "root_volume", "{ size_gib = 31 }"),
    ("runners.fleet", "metadata_hop_limit", "4"),
    ("runners.fleet", "tags", "{ other = 'x' }"),
    ("runners.fleet", "max_workers", "9"),
    ("runners.fleet", "capacity", "3"),
    ("runners.fleet", "max_jobs", "7"),
    ("runners.fleet", "max_age", "'7h'"),
    ("runners.fleet", "idle_count", "5"),
    ("runners.fleet", "idle_time", "7"),
    ("runners.fleet", "target_wait", "'20s'"),
    ("runners.fleet", "idle_count_min", "2"),
    ("runners.fleet", "idle_scale_factor", "0.7"),
    ("runners.fleet", "max_booting", "7"),
    ("runners.fleet", "boot_timeout", "'9m'"),
    ("runners.fleet", "orphan_timeout", "'9m'"),
    ("runners.fleet", "setup_script", "'Cargo.toml'"),
    ("runners.fleet", "registry_mirrors", "['http://other']"),
    ("runners.fleet", "docker_daemon", "{ debug = true }"),
    ("runners.fleet", "runner_version", "'19.3.0'"),
    ("runners.fleet", "runner_url", "'https://other'"),
    ("runners.fleet", "runner_sha256", "'abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd'"),
    ("runners.fleet", "schedule", "[{ periods = ['* * * * *'], idle_count = 1, idle_count_min = 1 }]"),
    ("runners.fleet", "ecr", "{ registries = ['public.ecr.aws'] }"),
    ("runners.fleet.root_volume", "size_gib", "61"),
    ("runners.fleet.root_volume", "type", "'io2'"),
    ("runners.fleet.root_volume", "encrypted", "false"),
    ("runners.fleet.root_volume", "iops", "4001"),
    ("runners.fleet.root_volume", "throughput", "251"),
    ("runners.fleet.root_volume", "kms_key_id", "'alias/other'"),
    ("runners.fleet.root_volume", "device", "'/dev/sda1'"),
    ("runners.fleet.schedule", "periods", "['* 9 * * *']"),
    ("runners.fleet.schedule", "timezone", "'Asia/Tokyo'"),
    ("runners.fleet.schedule", "idle_count", "9"),
    ("runners.fleet.schedule", "idle_count_min", "3"),
    ("runners.fleet.schedule", "idle_scale_factor", "2"),
    ("runners.fleet.schedule", "idle_time", "'21m'"),
    ("runners.fleet.schedule", "max_workers", "11"),
    ("runners.fleet.ecr", "registries", "['public.ecr.aws']"),
    ("runners.fleet.ecr", "enabled", "false"),
    ("runners.fleet.ecr", "in_jobs", "false"),
    ("runners.fleet.ecr", "helper_version", "'0.10.1'"),
    ("runners.fleet.ecr", "helper_url", "'https://other'"),
    ("runners.fleet.ecr", "helper_sha256", "'abcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcdefabcd'"),
    ("", "concurrent", "51"),
    ("", "check_interval", "6"),
    ("", "listen_address", "''"),
    ("", "log_level", "'warn'"),
    ("", "log_format", "'text'"),
];

/// A change that only makes sense without another key.
const WITHOUT: &[(&str, &str)] = &[("type", "throughput"), ("encrypted", "kms_key_id")];

fn config(document: &toml::Table) -> Config {
    let text = toml::to_string(document).unwrap();
    parse_in(&text, "config.toml", &Surroundings::default())
        .unwrap_or_else(|problems| panic!("{problems}\n{text}"))
        .config
}

/// The table at a path; the first element of a list of tables.
fn table<'t>(document: &'t mut toml::Table, path: &str) -> &'t mut toml::Table {
    path.split('.').filter(|key| !key.is_empty()).fold(document, |table, key| match table.get_mut(key).unwrap() {
        toml::Value::Table(table) => table,
        toml::Value::Array(tables) => tables[0].as_table_mut().unwrap(),
        other => panic!("{path}: {other}"),
    })
}

#[test]
fn every_key_changes_the_configuration() {
    let complete: toml::Table = COMPLETE.parse().unwrap();
    let base = config(&complete);
    for (path, key, value) in OTHERS {
        let mut changed = complete.clone();
        let other: toml::Table = format!("value = {value}").parse().unwrap();
        let place = table(&mut changed, path);
        place.insert((*key).to_owned(), other["value"].clone());
        for (_, companion) in WITHOUT.iter().filter(|(with, _)| with == key && path.ends_with("root_volume")) {
            let _ = place.remove(*companion);
        }
        assert!(config(&changed) != base, "{path}.{key} changes nothing");
    }
}

#[test]
fn the_table_above_and_the_complete_example_have_every_key() {
    let listed = [
        ("fleet", load::FLEET_KEYS),
        ("runners.fleet", fleet::KEYS),
        ("runners.fleet.root_volume", volume::KEYS),
        ("runners.fleet.schedule", schedule::KEYS),
        ("runners.fleet.ecr", ecr::KEYS),
    ];
    for (path, keys) in listed {
        for key in keys {
            assert!(OTHERS.iter().any(|(table, other, _)| table == &path && other == key), "{path}.{key} is not tried");
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
    assert_eq!((runner.idle.count.fixed(), runner.idle.count_min, runner.idle.time.as_secs()), (Some(4), 1, 600));
    assert_eq!(
        (runner.idle.target_wait.as_secs(), runner.spot_max_price.as_ref().map(UsdPerHour::value)),
        (45, Some(0.05))
    );
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
    assert_eq!((fleet.idle_count.fixed(), fleet.idle_time.as_secs(), fleet.idle_count_min), (Some(0), 300, 0));
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

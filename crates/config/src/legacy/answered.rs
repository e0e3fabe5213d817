//! Nothing is dropped silently: every option and key of the old executors changes the translation, or is told about.

use std::path::Path;

use super::super::node;
use super::super::problems::Note;
use super::flags::{FLAGS, Kind};
use super::translation::{Outside, Section, Surroundings};

/// All that an administrator sees of a translation.
fn shown(section: &Section) -> String {
    let texts = |notes: &[Note]| notes.iter().map(|note| (note.at.path(), note.text.clone())).collect::<Vec<_>>();
    let missing: Vec<_> = section.missing.iter().map(|missing| (missing.key, missing.why.text.clone())).collect();
    format!(
        "{}\n{:?}\n{:?}\n{missing:?}",
        toml::to_string(&section.table.to_toml()).unwrap(),
        texts(&section.errors),
        texts(&section.notes)
    )
}

fn seen(section: &str, surroundings: &Surroundings) -> String {
    let outside = Outside { concurrent: Some(10), directory: Path::new("/etc"), surroundings };
    let sections = super::sections(&[&node::read(section).unwrap()], &outside);
    shown(&sections[0])
}

fn machine(options: &str, more: &str) -> String {
    let text = format!(
        "executor = 'docker+machine'\nlimit = 3\n[machine]\nMachineDriver = 'amazonec2'\nMachineName = 'x-%s'\nMachineOptions = [{options}]\n{more}\n"
    );
    seen(&text, &Surroundings::default())
}

fn autoscaler(more: &str) -> String {
    let text = format!("executor = 'docker-autoscaler'\n[autoscaler]\nplugin = 'aws'\n{more}\n");
    seen(&text, &Surroundings::default())
}

#[test]
fn every_option_is_answered() {
    for flag in FLAGS {
        let value = match (flag.name, flag.kind) {
            ("engine-opt", _) => "mtu=1400",
            ("engine-env", _) => "HTTP_PROXY=x",
            ("amazonec2-tags", _) => "a,b",
            ("amazonec2-security-group", _) => "sg-1",
            (_, Kind::Text | Kind::List) => "x",
            (_, Kind::Integer) => "7",
            (_, Kind::Boolean) => "true",
        };
        let context = match flag.name {
            "amazonec2-spot-price" => "'amazonec2-request-spot-instance'",
            "amazonec2-volume-kms-key" => "'amazonec2-volume-encrypted'",
            _ => "",
        };
        let with = machine(&format!("'{}={value}',{context}", flag.name), "");
        assert_ne!(with, machine(context, ""), "{} is dropped silently", flag.name);
    }
}

#[test]
fn every_variable_is_answered() {
    let section = "executor = 'docker+machine'\n[machine]\nMachineDriver = 'amazonec2'\nMachineName = '%s'\n";
    let without = seen(section, &Surroundings::default());
    for flag in FLAGS {
        // The variable alone has no effect in docker-machine either.
        let Some(variable) = flag.variable.filter(|_| flag.name != "amazonec2-security-group") else { continue };
        let value = if flag.kind == Kind::Text || flag.kind == Kind::List { "x" } else { "1" };
        let environment = [(variable.to_owned(), value.to_owned())].into();
        let with = seen(section, &Surroundings { environment, zone: None });
        assert_ne!(with, without, "{variable} is dropped silently");
    }
}

#[test]
fn every_key_of_machine_is_answered() {
    let keys = [
        "IdleCount = 3",
        "IdleCount = 3\nIdleCountMin = 2",
        "IdleCount = 3\nIdleScaleFactor = 1.5",
        "IdleTime = 60",
        "MaxBuilds = 7",
        "MaxGrowthRate = 7",
        "MachineOptionsWithName = ['amazonec2-tags=a,%s']",
        "MaxRemovalAttempts = 7",
        "OffPeakPeriods = ['* * 1 * * * *']",
        "OffPeakTimezone = 'UTC'",
        "OffPeakIdleCount = 7",
        "OffPeakIdleTime = 7",
        "Unknown = 7",
        "[[machine.autoscaling]]\nPeriods = ['* * 1 * * * *']",
        "[[machine.autoscaling]]",
    ];
    let mut all = vec![machine("", "")];
    for key in keys {
        let with = machine("", key);
        assert!(!all.contains(&with), "{key} is dropped silently");
        all.push(with);
    }
}

#[test]
fn every_key_of_autoscaler_is_answered() {
    let keys = [
        "capacity_per_instance = 2",
        "max_use_count = 2",
        "max_instances = 2",
        "instance_ready_command = 'x'",
        "instance_acquire_timeout = '1m'",
        "update_interval = '1m'",
        "update_interval_when_expecting = '1m'",
        "deletion_retry_interval = '1m'",
        "shutdown_deletion_interval = '1m'",
        "shutdown_deletion_retries = 2",
        "failure_threshold = 2",
        "delete_instances_on_shutdown = true",
        "log_internal_ip = true",
        "log_external_ip = true",
        "reservation_throttling = true",
        "instance_operation_time_buckets = [1]",
        "instance_creation_time_buckets = [1]",
        "instance_is_running_time_buckets = [1]",
        "instance_deletion_time_buckets = [1]",
        "instance_readiness_time_buckets = [1]",
        "instance_life_duration_buckets = [1]",
        "[autoscaler.scale_throttle]\nlimit = 2",
        "[autoscaler.state_storage]\nenabled = true",
        "[autoscaler.vm_isolation]\nenabled = true",
        "[[autoscaler.policy]]\nidle_count = 2",
        "[[autoscaler.policy]]\nidle_time = '1m'",
        "[[autoscaler.policy]]\nidle_count = 2\nscale_factor = 0.5",
        "[[autoscaler.policy]]\nscale_factor_limit = 2",
        "[[autoscaler.policy]]\npreemptive_mode = true",
        "[[autoscaler.policy]]\nperiods = ['* 1 * * *']\ntimezone = 'UTC'",
        "[[autoscaler.policy]]\nperiods = ['* 1 * * *']",
        "[autoscaler.connector_config]\nos = 'windows'",
        "[autoscaler.connector_config]\narch = 'arm64'",
        "[autoscaler.connector_config]\nprotocol = 'winrm'",
        "[autoscaler.connector_config]\nprotocol_port = 23",
        "[autoscaler.connector_config]\nusername = 'x'",
        "[autoscaler.connector_config]\nkey_path = '/x'",
        "[autoscaler.connector_config]\npassword = 'x'",
        "[autoscaler.connector_config]\nkeepalive = '1m'",
        "[autoscaler.connector_config]\nuse_external_addr = true",
        "[autoscaler.plugin_config]\nname = 'x'",
        "[autoscaler.plugin_config]\nregion = 'eu-west-1'",
        "[autoscaler.plugin_config]\nprofile = 'x'",
        "[autoscaler.plugin_config]\nproject = 'x'",
        "unknown = 1",
    ];
    let without = autoscaler("");
    for key in keys {
        assert_ne!(autoscaler(key), without, "{key} is dropped silently");
    }
}

#[test]
fn the_machines_own_zone_is_written_out() {
    let text = "executor = 'docker+machine'\n[machine]\nMachineDriver = 'amazonec2'\nMachineName = '%s'\n[[machine.autoscaling]]\nPeriods = ['* * 9 * * * *']\nTimezone = 'Local'\n";
    let surroundings = Surroundings { zone: Some("Europe/Berlin".to_owned()), ..Surroundings::default() };
    let seen = seen(text, &surroundings);
    assert!(seen.contains("timezone = \"Europe/Berlin\"") && seen.contains("this machine's own"), "{seen}");
}

//! `[runners.autoscaler]`: the docker-autoscaler executor with the AWS plugin.
//!
//! What is launched is not in the file but in the Auto Scaling group, so image, types, subnets and groups are asked for.

use super::super::node::{At, Item, Node, Table, shown_text};
use super::translation::{Outside, Pen, Section};
use super::{limits, policies};

/// What has no counterpart, and why.
const LEFT_OUT: [(&str, &str); 20] = [
    ("instance_acquire_timeout", "jobs wait in GitLab until a worker is ready"),
    ("update_interval", "the manager looks at its own pace"),
    ("update_interval_when_expecting", "the manager looks at its own pace"),
    ("deletion_retry_interval", "termination is repeated until the worker is gone"),
    ("shutdown_deletion_interval", "termination is repeated until the worker is gone"),
    ("shutdown_deletion_retries", "termination is repeated until the worker is gone"),
    ("failure_threshold", "the worker's own agent reports its health"),
    ("log_internal_ip", "the manager is not in the job's path"),
    ("log_external_ip", "the manager is not in the job's path"),
    ("reservation_throttling", "nothing is reserved here"),
    ("instance_operation_time_buckets", "metrics have their own buckets"),
    ("instance_creation_time_buckets", "metrics have their own buckets"),
    ("instance_is_running_time_buckets", "metrics have their own buckets"),
    ("instance_deletion_time_buckets", "metrics have their own buckets"),
    ("instance_readiness_time_buckets", "metrics have their own buckets"),
    ("instance_life_duration_buckets", "metrics have their own buckets"),
    ("scale_throttle", "launches have their own rate limit; max_booting bounds how many boot at one time"),
    ("state_storage", "workers are adopted by their tags after every start"),
    ("instance_ready_command", "write it as setup_script: a worker whose setup fails never takes a job"),
    (
        "delete_instances_on_shutdown",
        "workers outlive the manager and are adopted by the next; those without a manager end themselves",
    ),
];

/// Keys that are translated.
const TRANSLATED: [&str; 8] = [
    "plugin",
    "capacity_per_instance",
    "max_use_count",
    "max_instances",
    "policy",
    "connector_config",
    "plugin_config",
    "vm_isolation",
];

/// Translates a section whose executor is `docker-autoscaler`.
pub(crate) fn translate(section: &Table, outside: &Outside<'_>) -> Section {
    let mut pen = Pen::new(section, "autoscaler", outside);
    match section.get("autoscaler").map(|node| (node, node.as_table())) {
        Some((_, Some(autoscaler))) => table(autoscaler, &mut pen),
        Some((node, None)) => pen.error(&node.at, "not a table; write [runners.autoscaler]"),
        None => pen.error(
            &section.at.key("autoscaler"),
            "missing; docker-autoscaler needs [runners.autoscaler], or write executor = \"docker\" and [runners.fleet]",
        ),
    }
    if let Some(node) = section.get("instance") {
        pen.note(&node.at, "left out: [runners.instance] is for jobs without containers");
    }
    limits::clamp(&mut pen);
    pen.finish()
}

fn table(autoscaler: &Table, pen: &mut Pen<'_>) {
    for (key, node) in &autoscaler.entries {
        if TRANSLATED.contains(&key.as_str()) {
            continue;
        }
        match LEFT_OUT.iter().find(|(known, _)| known == key) {
            Some((_, why)) => pen.note(&node.at, format!("left out: {why}")),
            None => pen.note(&node.at, "GitLab Runner does not read this key; left out"),
        }
    }
    plugin(autoscaler, pen);
    if let Some(node) = autoscaler.get("vm_isolation") {
        let on = node.as_table().and_then(|table| table.get("enabled"));
        if on.is_some_and(|node| matches!(node.item, Item::Boolean(true))) {
            pen.error(&node.at, "nested virtual machines are not supported; remove vm_isolation");
        }
    }
    capacity(autoscaler, pen);
    if let Some(node) = autoscaler.get("max_use_count") {
        let count = pen.not_below_zero(node);
        pen.set("max_jobs", &node.at, count.item);
    }
    limits::capacity(pen);
    match autoscaler.get("max_instances").filter(|node| !is_none(node)) {
        Some(node) => pen.set("max_workers", &node.at, node.item.clone()),
        None if pen.is_given("max_workers") => {}
        None => pen.note(
            &autoscaler.at.key("max_instances"),
            "no max_instances: max_workers follows from limit or concurrent",
        ),
    }
    policies::translate(autoscaler, pen);
    connector(autoscaler.get("connector_config").and_then(Node::as_table), &autoscaler.at, pen);
    plugin_config(autoscaler, pen);
}

/// `name[:version]`, with a repository and registry before it.
fn plugin(autoscaler: &Table, pen: &mut Pen<'_>) {
    let Some(node) = autoscaler.get("plugin") else {
        pen.error(&autoscaler.at.key("plugin"), "missing; write plugin = \"aws\"");
        return;
    };
    let text = node.as_str().unwrap_or_default();
    let last = text.rsplit('/').next().unwrap_or_default();
    let name = last.split(':').next().unwrap_or_default();
    if name.strip_prefix("fleeting-plugin-").unwrap_or(name) != "aws" {
        pen.error(
            &node.at,
            format!("the plugin {} cannot be translated; runner-fleet launches on AWS only", shown_text(text)),
        );
    }
}

fn capacity(autoscaler: &Table, pen: &mut Pen<'_>) {
    match autoscaler.get("capacity_per_instance") {
        Some(node) if !is_none(node) => pen.set("capacity", &node.at, node.item.clone()),
        Some(node) => {
            pen.note(&node.at, format!("{} is no number of jobs: one at one time on a worker", node.shown()));
        }
        None if pen.is_given("capacity") => {}
        None => pen.note(
            &autoscaler.at.key("capacity_per_instance"),
            "no capacity_per_instance: one job at one time on a worker",
        ),
    }
}

/// For GitLab Runner 0 and less are no number at all.
fn is_none(node: &Node) -> bool {
    node.as_integer().is_some_and(|number| number <= 0)
}

fn connector(connector: Option<&Table>, autoscaler: &At, pen: &mut Pen<'_>) {
    let empty = Table::empty(autoscaler);
    let connector = connector.unwrap_or(&empty);
    let mut user = false;
    let mut external = false;
    for (key, node) in &connector.entries {
        let text = node.as_str();
        match key.as_str() {
            "os" if matches!(text, Some("" | "linux")) => {}
            "os" => pen.error(&node.at, format!("{} workers are not supported; only linux", node.shown())),
            "arch" => pen.note(&node.at, "left out: the instance types say the architecture"),
            "protocol" if matches!(text, Some("" | "ssh")) => {}
            "protocol" => pen.error(&node.at, format!("{} is not supported; workers are reached by ssh", node.shown())),
            "protocol_port" if is_none(node) => {}
            "protocol_port" => pen.set("ssh_port", &node.at, node.item.clone()),
            "username" => {
                user = true;
                pen.set("ssh_user", &node.at, node.item.clone());
            }
            "password" => pen.error(&node.at, "workers are reached with a key; remove the password"),
            "key_path" | "use_static_credentials" => {
                pen.note(&node.at, "left out: the manager makes one key of its own")
            }
            "keepalive" | "timeout" => pen.note(&node.at, "left out: connections have their own limits"),
            "use_external_addr" => external = matches!(node.item, Item::Boolean(true)),
            _ => pen.note(&node.at, "GitLab Runner does not read this key; left out"),
        }
    }
    let at = connector.get("use_external_addr").map_or(&connector.at, |node| &node.at);
    if external {
        pen.set_text("address", at, "public");
    } else {
        pen.set_default_text("address", at, "private");
    }
    if !user {
        pen.set_default_text("ssh_user", &connector.at, "ec2-user");
    }
}

fn plugin_config(autoscaler: &Table, pen: &mut Pen<'_>) {
    let node = autoscaler.get("plugin_config");
    let table = node.and_then(Node::as_table);
    let mut group = autoscaler.at.key("plugin_config");
    let mut group_name = "the Auto Scaling group".to_owned();
    for (key, node) in table.map(|table| table.entries.as_slice()).unwrap_or_default() {
        match key.to_ascii_lowercase().as_str() {
            "name" => {
                group = node.at.clone();
                group_name = format!("the Auto Scaling group {}", node.shown());
            }
            "region" => pen.set("region", &node.at, node.item.clone()),
            "profile" | "config_file" | "credentials_file" => {
                pen.note(
                    &node.at,
                    "left out: set AWS_PROFILE, AWS_CONFIG_FILE or AWS_SHARED_CREDENTIALS_FILE for the service",
                );
            }
            _ => pen.note(&node.at, "the AWS plugin does not read this key; left out"),
        }
    }
    if !table.is_some_and(|table| table.entries.iter().any(|(key, _)| key.eq_ignore_ascii_case("region"))) {
        pen.note(&group, "no region: the manager's own is used");
    }
    let asked = [
        ("ami", "its launch template's image"),
        ("instance_types", "its instance types"),
        ("subnets", "its subnets"),
        ("security_groups", "its launch template's security groups"),
    ];
    for (key, what) in asked {
        pen.missing(key, &group, format!("{group_name} cannot be read here: look up {what}"));
    }
    pen.note(&group, format!("{group_name} is not used any more; instance_profile, root_volume, market and tags stand in its launch template too: copy what matters into [runners.fleet], then delete the group"));
}

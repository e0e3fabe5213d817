//! `[runners.autoscaler]`: the docker-autoscaler executor with the AWS plugin.
//!
//! What is launched is not in the file but in the Auto Scaling group, so image, types, subnets and groups are asked for.

use super::super::node::{At, Item, Node, Table, shown_text};
use super::autoscaling;
use super::go;
use super::translation::{Pen, Surroundings, Translation};

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
pub(crate) fn translate(section: &Table, surroundings: &Surroundings) -> Translation {
    let mut pen = Pen::new(section);
    match section.get_any_case("autoscaler").map(|node| (node, node.as_table())) {
        Some((_, Some(autoscaler))) => table(autoscaler, surroundings, &mut pen),
        Some((node, None)) => pen.error(&node.at, "not a table; write [runners.autoscaler]"),
        None => pen.error(
            &section.at.key("autoscaler"),
            "missing; docker-autoscaler needs [runners.autoscaler], or write executor = \"docker\" and [runners.fleet]",
        ),
    }
    if let Some(node) = section.get_any_case("instance") {
        pen.note(&node.at, "[runners.instance] is for jobs without containers; not used");
    }
    pen.finish("autoscaler")
}

fn table(autoscaler: &Table, surroundings: &Surroundings, pen: &mut Pen<'_>) {
    for (key, node) in &autoscaler.entries {
        if TRANSLATED.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            continue;
        }
        match LEFT_OUT.iter().find(|(known, _)| known.eq_ignore_ascii_case(key)) {
            Some((_, why)) => pen.note(&node.at, format!("left out: {why}")),
            None => pen.note(&node.at, "GitLab Runner does not read this key; left out"),
        }
    }
    plugin(autoscaler, pen);
    if let Some(node) = autoscaler.get_any_case("vm_isolation") {
        let on = node.as_table().and_then(|table| table.get_any_case("enabled"));
        if on.is_some_and(|node| matches!(node.item, Item::Boolean(true))) {
            pen.error(&node.at, "nested virtual machines are not supported; remove vm_isolation");
        }
    }
    let capacity = capacity(autoscaler, pen);
    if let Some(node) = autoscaler.get_any_case("max_use_count") {
        pen.set("max_jobs", &node.at, node.item.clone());
    }
    let max_instances = autoscaler.get_any_case("max_instances").filter(|node| !matches!(node.item, Item::Integer(0)));
    match max_instances {
        Some(node) => pen.set("max_workers", &node.at, node.item.clone()),
        None => pen.note(
            &autoscaler.at.key("max_instances"),
            "no max_instances: max_workers follows from limit or concurrent",
        ),
    }
    let ceiling = max_instances.and_then(integer).and_then(|max| max.checked_mul(capacity));
    policies(autoscaler, ceiling, surroundings, pen);
    connector(autoscaler.get_any_case("connector_config").and_then(Node::as_table), &autoscaler.at, pen);
    plugin_config(autoscaler, pen);
}

/// `name[:version]`, with a repository and registry before it.
fn plugin(autoscaler: &Table, pen: &mut Pen<'_>) {
    let Some(node) = autoscaler.get_any_case("plugin") else {
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

fn capacity(autoscaler: &Table, pen: &mut Pen<'_>) -> i64 {
    match autoscaler.get_any_case("capacity_per_instance") {
        Some(node) if !matches!(node.item, Item::Integer(0)) => {
            pen.set("capacity", &node.at, node.item.clone());
            integer(node).unwrap_or(1)
        }
        given => {
            let at = given.map_or_else(|| autoscaler.at.key("capacity_per_instance"), |node| node.at.clone());
            pen.note(&at, "no capacity_per_instance: one job at one time on a worker");
            1
        }
    }
}

fn integer(node: &Node) -> Option<i64> {
    if let Item::Integer(number) = node.item { Some(number) } else { None }
}

/// A first policy that is always active becomes the runner's own values; the others become the schedule.
fn policies(autoscaler: &Table, ceiling: Option<i64>, surroundings: &Surroundings, pen: &mut Pen<'_>) {
    let Some(node) = autoscaler.get_any_case("policy") else { return };
    let tables: Option<Vec<&Table>> = node.as_array().and_then(|nodes| nodes.iter().map(Node::as_table).collect());
    let Some(tables) = tables else {
        pen.error(&node.at, "not a list of tables; write [[runners.autoscaler.policy]]");
        return;
    };
    if pen.is_given("schedule") {
        pen.note(&node.at, "left out, because [runners.fleet] has a schedule of its own");
        return;
    }
    let mut entries = Vec::new();
    for (index, policy) in tables.into_iter().enumerate() {
        let values = policy_values(policy, ceiling, pen);
        let periods = policy.get_any_case("periods");
        let always = periods.is_none_or(|node| node.as_array().is_some_and(|all| all.iter().any(is_always)));
        if index == 0 && always {
            for (key, node) in values.entries {
                pen.set(&key, &node.at, node.item);
            }
            continue;
        }
        let mut entry = Table::empty(&policy.at);
        let every_minute = || Node::new(&policy.at, Item::Array(vec![Node::text(&policy.at, "* * * * *")]));
        entry.push("periods", periods.cloned().unwrap_or_else(every_minute));
        entry.push("timezone", autoscaling::zone(policy.get_any_case("timezone"), &policy.at, surroundings, pen));
        entry.entries.extend(values.entries);
        entries.push(Node { at: policy.at.clone(), item: Item::Table(entry) });
    }
    if !entries.is_empty() {
        pen.set("schedule", &node.at, Item::Array(entries));
    }
}

fn is_always(node: &Node) -> bool {
    node.as_str().is_some_and(|text| text.split_whitespace().eq(["*"; 5]))
}

/// Idle slots: at least `idle_count`, more by the factor, at most its limit. In our words the count is the ceiling.
fn policy_values(policy: &Table, ceiling: Option<i64>, pen: &mut Pen<'_>) -> Table {
    const KNOWN: [&str; 7] =
        ["periods", "timezone", "idle_count", "idle_time", "scale_factor", "scale_factor_limit", "preemptive_mode"];
    for (key, node) in &policy.entries {
        if !KNOWN.iter().any(|known| known.eq_ignore_ascii_case(key)) {
            pen.note(&node.at, "GitLab Runner does not read this key; left out");
        }
    }
    let mut values = Table::empty(&policy.at);
    let zero = || Node::new(&policy.at, Item::Integer(0));
    let count = policy.get_any_case("idle_count").cloned().unwrap_or_else(zero);
    let off = |node: &Node| match node.item {
        Item::Float(number, _) => number <= 0.0,
        Item::Integer(number) => number <= 0,
        Item::String(_) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => false,
    };
    let factor = policy.get_any_case("scale_factor").filter(|node| !off(node));
    let limit = policy.get_any_case("scale_factor_limit").filter(|node| !off(node));
    match factor {
        Some(factor) => {
            let most = limit.cloned().or_else(|| ceiling.map(|slots| Node::new(&factor.at, Item::Integer(slots))));
            if most.is_none() {
                pen.note(&factor.at, "scale_factor needs a ceiling here, and neither scale_factor_limit nor max_instances gives one: idle_count is it, so the factor adds nothing");
            }
            values.push("idle_count", most.unwrap_or_else(|| count.clone()));
            values.push("idle_count_min", count);
            values.push("idle_scale_factor", factor.clone());
        }
        None => {
            if let Some(limit) = limit {
                pen.note(&limit.at, "scale_factor_limit has no effect without scale_factor; left out");
            }
            values.push("idle_count", count);
        }
    }
    let idle_time = policy.get_any_case("idle_time");
    let at = idle_time.map_or(&policy.at, |node| &node.at);
    match idle_time.map_or(Ok(0), go::seconds) {
        Ok(seconds) => values.push("idle_time", Node::new(at, Item::Integer(seconds))),
        Err(why) => pen.error(at, why),
    }
    if let Some(node) = policy.get_any_case("preemptive_mode") {
        pen.note(
            &node.at,
            "left out: workers ask for jobs only when they are ready, and are launched for jobs that wait",
        );
    }
    values
}

fn connector(connector: Option<&Table>, autoscaler: &At, pen: &mut Pen<'_>) {
    let empty = Table::empty(autoscaler);
    let connector = connector.unwrap_or(&empty);
    let mut user = false;
    let mut external = false;
    for (key, node) in &connector.entries {
        let text = node.as_str();
        match key.to_ascii_lowercase().as_str() {
            "os" if matches!(text, Some("" | "linux")) => {}
            "os" => pen.error(&node.at, format!("{} workers are not supported; only linux", node.shown())),
            "arch" => pen.note(&node.at, "left out: the instance types say the architecture"),
            "protocol" if matches!(text, Some("" | "ssh")) => {}
            "protocol" => pen.error(&node.at, format!("{} is not supported; workers are reached by ssh", node.shown())),
            "protocol_port" if integer(node) == Some(0) => {}
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
    let at = connector.get_any_case("use_external_addr").map_or(&connector.at, |node| &node.at);
    pen.set_text("address", at, if external { "public" } else { "private" });
    if !user {
        pen.set_text("ssh_user", &connector.at, "ec2-user");
    }
}

fn plugin_config(autoscaler: &Table, pen: &mut Pen<'_>) {
    let node = autoscaler.get_any_case("plugin_config");
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
            _ => pen.error(&node.at, "belongs to another plugin; remove it"),
        }
    }
    if table.is_none_or(|table| table.get_any_case("region").is_none()) {
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

//! `[runners.machine]`: the docker+machine executor.

use super::super::gitlab_keys;
use super::super::node::{Item, Node, Table};
use super::super::reader::nearest;
use super::options::Options;
use super::translation::{Outside, Pen, Section};
use super::{autoscaling, engine, launch, limits};

/// Translates a section whose executor is `docker+machine`.
pub(crate) fn translate(section: &Table, outside: &Outside<'_>) -> Section {
    let mut pen = Pen::new(section, "machine", outside);
    match section.get("machine").map(|node| (node, node.as_table())) {
        Some((_, Some(machine))) => table(machine, &mut pen),
        Some((node, None)) => pen.error(&node.at, "not a table; write [runners.machine]"),
        None => pen.error(
            &section.at.key("machine"),
            "missing; docker+machine needs [runners.machine], or write executor = \"docker\" and [runners.fleet]",
        ),
    }
    around(&mut pen);
    limits::clamp(&mut pen);
    pen.finish()
}

fn table(machine: &Table, pen: &mut Pen<'_>) {
    let known: Vec<&str> = gitlab_keys::MACHINE.names().collect();
    for (key, node) in &machine.entries {
        if !known.contains(&key.as_str()) {
            let hint = nearest(key, &known).map(|key| format!("; did you mean `{key}`?")).unwrap_or_default();
            pen.note(&node.at, format!("GitLab Runner does not read this key; left out{hint}"));
        }
    }
    match machine.get("MachineDriver").map(|node| (node, node.as_str())) {
        Some((_, Some("amazonec2"))) => {}
        Some((node, _)) => {
            pen.error(
                &node.at,
                format!(
                    "the driver {} cannot be translated; runner-fleet launches on AWS (amazonec2) only",
                    node.shown()
                ),
            );
            return;
        }
        None => {
            pen.error(&machine.at.key("MachineDriver"), "missing; write MachineDriver = \"amazonec2\"");
            return;
        }
    }
    name(machine, pen);
    let options = Options::read(machine, pen);
    launch::translate(&options, pen);
    engine::translate(&options, pen);
    let idle = autoscaling::idle_values(machine, pen);
    pen.set_all(idle);
    for (old, new) in [("MaxBuilds", "max_jobs"), ("MaxGrowthRate", "max_booting")] {
        if let Some(node) = machine.get(old) {
            let count = pen.not_below_zero(node);
            pen.set(new, &node.at, count.item);
        }
    }
    if let Some(node) = machine.get("MaxRemovalAttempts") {
        pen.note(&node.at, "left out: a worker that still exists is never given up on");
    }
    autoscaling::translate(machine, pen);
}

/// docker-machine needs a name with `%s`; here workers are named by EC2.
fn name(machine: &Table, pen: &mut Pen<'_>) {
    match machine.get("MachineName").map(|node| (node, node.as_str())) {
        Some((node, Some(name))) if name.contains("%s") => {
            pen.note(&node.at, "left out: workers are named after manager, runner and instance id");
        }
        Some((node, _)) => pen.error(&node.at, "docker-machine needs %s in MachineName; write \"runner-%s\""),
        None => pen.error(&machine.at.key("MachineName"), "missing; docker-machine needs one: write \"runner-%s\""),
    }
}

/// What stands around the table and means something else now.
fn around(pen: &mut Pen<'_>) {
    let section = pen.section();
    let zero = |node: &Node| matches!(node.item, Item::Integer(0));
    if section.get("limit").is_none_or(zero) {
        pen.note(
            &section.at.key("limit"),
            "no limit: docker+machine had no ceiling of machines then; here max_workers is what `concurrent` allows",
        );
    }
    let machine = section.get("machine").and_then(Node::as_table);
    let one_job =
        machine.and_then(|machine| machine.get("MaxBuilds")).is_some_and(|node| matches!(node.item, Item::Integer(1)));
    let shared = section.get("cache").and_then(Node::as_table).is_some_and(|cache| cache.get("Type").is_some());
    if one_job && !shared {
        pen.note(
            &section.at,
            "every job gets a fresh machine, so a local cache is always empty; [runners.cache] can share one",
        );
    }
}

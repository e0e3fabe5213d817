//! Keys that nobody reads: misspelt, in the wrong table, or of some other program. GitLab Runner says nothing about
//! them, so that a limit that is none is found out by the bill.

use super::carried;
use super::fleet;
use super::gitlab_keys::{FILE, Keys, RUNNER};
use super::node::{Item, Node, Table};
use super::problems::Report;
use super::reader::nearest;

/// Tables whose readers tell of such keys themselves.
const READ_ELSEWHERE: [&str; 3] = ["runners", "machine", "autoscaler"];

/// Warns of those at the top of the file, and in GitLab Runner's tables there.
pub(crate) fn in_file(document: &Table, report: &mut Report) {
    let known: Vec<&str> = FILE.names().collect();
    for (name, node) in &document.entries {
        if FILE.canonical(name).is_none() {
            let hint = hint(name, &known);
            report.warn(&node.at, format!("neither runner-fleet nor GitLab Runner is known to read this{hint}"));
        } else if !READ_ELSEWHERE.contains(&name.as_str())
            && let (Some(table), Some(keys)) = (node.as_table(), FILE.inside(name))
        {
            in_table(table, keys, report);
        }
    }
}

/// Warns of those of a `[[runners]]` section and of the tables in it.
pub(crate) fn in_section(section: &Table, report: &mut Report) {
    in_table(section, &RUNNER, report);
    for name in READ_ELSEWHERE {
        if let (Some(node), Some(keys)) = (section.get(name), RUNNER.inside(name)) {
            // The reader of `machine` gives hints for its own keys, and not for those of the tables in it.
            tables(node, |table| near_misses(table, keys, name != "machine", report));
        }
    }
}

/// The near names in a table whose reader says no more than that a key is unknown.
fn near_misses(table: &Table, keys: &Keys, own_too: bool, report: &mut Report) {
    let known: Vec<&str> = keys.names().collect();
    for (name, node) in &table.entries {
        match (keys.canonical(name), keys.inside(name)) {
            (Some(_), Some(inside)) => tables(node, |table| near_misses(table, inside, true, report)),
            (Some(_), None) => {}
            (None, _) => {
                if let Some(key) = nearest(name, &known).filter(|_| own_too) {
                    report.warn(&node.at, format!("did you mean `{key}`?"));
                }
            }
        }
    }
}

fn in_table(table: &Table, keys: &Keys, report: &mut Report) {
    let known: Vec<&str> = keys.names().collect();
    for (name, node) in &table.entries {
        if keys.canonical(name).is_some() {
            let inside = keys.inside(name).filter(|_| !READ_ELSEWHERE.contains(&name.as_str()));
            inside.into_iter().for_each(|keys| tables(node, |table| in_table(table, keys, report)));
        } else if carried::answers(table, name) {
            // Told where it is renamed or moved.
        } else if fleet::KEYS.iter().any(|key| key.name == name) {
            report.warn(&node.at, format!("has no effect here; write `{name}` in [runners.fleet]"));
        } else {
            let hint = hint(name, &known);
            report.warn(&node.at, format!("GitLab Runner is not known to read this key here{hint}"));
        }
    }
}

/// The table that this is, or those of the list.
fn tables(node: &Node, mut each: impl FnMut(&Table)) {
    match &node.item {
        Item::Table(table) => each(table),
        Item::Array(nodes) => nodes.iter().filter_map(Node::as_table).for_each(each),
        Item::String(_) | Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) => {}
    }
}

/// What to write instead: in the right table, or in the right letters.
fn hint(name: &str, known: &[&str]) -> String {
    let near = || nearest(name, known).map(|key| format!("; did you mean `{key}`?"));
    elsewhere(name).or_else(near).unwrap_or_default()
}

/// The table that has a key of exactly this name: a line below the wrong header is the usual mistake.
fn elsewhere(name: &str) -> Option<String> {
    let docker = RUNNER.inside("docker");
    let cache = RUNNER.inside("cache");
    let tables = [
        (Some(&RUNNER), "in [[runners]]"),
        (docker, "in [runners.docker]"),
        (cache, "in [runners.cache]"),
        (cache.and_then(|cache| cache.inside("s3")), "in [runners.cache.s3]"),
        (Some(&FILE), "at the top of the file, above all tables"),
    ];
    let found = |(keys, place): (Option<&Keys>, &str)| Some(format!("; write `{}` {place}", keys?.canonical(name)?));
    tables.into_iter().find_map(found)
}

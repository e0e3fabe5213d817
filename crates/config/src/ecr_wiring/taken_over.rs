//! What a translated section brings along becomes `[runners.fleet.ecr]`.

use super::super::node::{At, Item, Node, Table};
use super::found::{self, AUTH_CONFIG, Auths, HELPER};
use super::scripts::SETS_UP;

/// Makes the table of a `DOCKER_AUTH_CONFIG` that names registries of ECR, and takes away what the table replaces: that
/// variable, mounts of the helper and of the jobs' Docker configuration. Returns a note for each. Nothing happens where the
/// user has written the table, or no registry is known: [`super::warnings`] speaks of what stays.
pub(crate) fn take_over(section: &mut Table) -> Vec<(At, String)> {
    let Some(hosts) = hosts(section) else { return Vec::new() };
    let mut notes = Vec::new();
    let at = variables(section, &mut notes).unwrap_or_else(|| section.at.clone());
    volumes(section, &mut notes);
    let registries = hosts.iter().map(|host| Node::text(&at, host)).collect();
    if let Some(fleet) = section.table_mut("fleet") {
        if let Some(script) = fleet.get("setup_script") {
            notes.push((script.at.clone(), SETS_UP.to_owned()));
        }
        let mut ecr = Table::empty(&at);
        ecr.push("registries", Node::new(&at, Item::Array(registries)));
        fleet.push("ecr", Node::new(&at, Item::Table(ecr)));
    }
    notes
}

/// The registries to take over, if there is anything to.
fn hosts(section: &Table) -> Option<Vec<String>> {
    let fleet = section.get("fleet").and_then(Node::as_table)?;
    if fleet.get("ecr").is_some() {
        return None;
    }
    let mut hosts = Vec::new();
    let mut names_helper = false;
    for variable in found::environment(section).iter().filter(|variable| variable.name == AUTH_CONFIG) {
        let Some(auths) = Auths::read(variable.value) else { continue };
        names_helper |= auths.names_helper;
        hosts.extend(auths.hosts());
    }
    // `credsStore` names none; what the section itself pulls is known.
    if hosts.is_empty() && names_helper {
        hosts.extend(found::images(section).into_iter().map(|(_, host)| host));
    }
    hosts.sort();
    hosts.dedup();
    (!hosts.is_empty()).then_some(hosts)
}

/// Takes ECR out of `DOCKER_AUTH_CONFIG`; where that stood.
fn variables(section: &mut Table, notes: &mut Vec<(At, String)>) -> Option<At> {
    let Item::Array(variables) = &mut section.get_mut("environment")?.item else { return None };
    let mut place = None;
    let mut kept = Vec::with_capacity(variables.len());
    for mut variable in std::mem::take(variables) {
        let value = variable.as_str().and_then(|text| text.strip_prefix(AUTH_CONFIG)?.strip_prefix('='));
        let Some(value) = value.filter(|value| Auths::read(value).is_some()) else {
            kept.push(variable);
            continue;
        };
        let rest = Auths::rest(value);
        let left = if rest.is_some() { ", and here is what else it says" } else { "" };
        let text = format!("what DOCKER_AUTH_CONFIG says about ECR became [runners.fleet.ecr]{left}");
        notes.push((variable.at.clone(), text));
        place.get_or_insert_with(|| variable.at.clone());
        if let Some(rest) = rest {
            variable.item = Item::String(format!("{AUTH_CONFIG}={rest}"));
            kept.push(variable);
        }
    }
    let is_empty = kept.is_empty();
    *variables = kept;
    if is_empty {
        section.entries.retain(|(key, _)| key != "environment");
    }
    place
}

/// Takes away the mounts that the table replaces.
fn volumes(section: &mut Table, notes: &mut Vec<(At, String)>) {
    let variables = found::environment(section);
    let own =
        variables.iter().find(|variable| variable.name == "DOCKER_CONFIG").map(|variable| variable.value.to_owned());
    let node = section.table_mut("docker").and_then(|docker| docker.get_mut("volumes"));
    let Some(Node { item: Item::Array(volumes), .. }) = node else { return };
    volumes.retain(|volume| {
        let Some(destination) = volume.as_str().map(found::destination) else { return true };
        let what = if destination.rsplit('/').next() == Some(HELPER) {
            "left out: [runners.fleet.ecr] mounts the helper"
        } else if found::covers(destination, own.as_deref()).is_some() {
            "left out: with [runners.fleet.ecr] jobs have a Docker configuration of their own, to which they can log in"
        } else {
            return true;
        };
        notes.push((volume.at.clone(), what.to_owned()));
        false
    });
}

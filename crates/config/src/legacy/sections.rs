//! All `[[runners]]` sections of a file, in our form.

use std::collections::BTreeSet;

use super::super::carried;
use super::super::names::{RUNNER_CHARS_MAX, usable_name};
use super::super::node::{Item, Node, Table, shown_text};
use super::super::problems::Note;
use super::translation::{Outside, Section};
use super::{autoscaler, machine};

const MACHINE: &str = "docker+machine";
const AUTOSCALER: &str = "docker-autoscaler";

/// Translates those of GitLab Runner's autoscaling executors, and takes from all of them what cannot work on a worker.
pub(crate) fn sections(written: &[&Table], outside: &Outside<'_>) -> Vec<Section> {
    let mut sections: Vec<Section> = written.iter().map(|section| section_of(section, outside)).collect();
    settle_names(&mut sections);
    for section in &mut sections {
        carried::section(&mut section.table, &mut section.notes);
    }
    sections
}

/// Whether a section is one of GitLab Runner's autoscaling executors.
pub(crate) fn is_old(section: &Table) -> bool {
    matches!(executor(section), Some(MACHINE | AUTOSCALER))
}

/// What GitLab Runner takes for granted in a file with such a section: `concurrent = 1`, which is told.
pub(crate) fn with_defaults(document: &mut Table) -> Option<Note> {
    let nodes = document.get("runners").and_then(Node::as_array).unwrap_or_default();
    if document.get("concurrent").is_some() || !nodes.iter().filter_map(Node::as_table).any(is_old) {
        return None;
    }
    let at = document.at.key("concurrent");
    document.entries.insert(0, ("concurrent".to_owned(), Node::new(&at, Item::Integer(1))));
    Some(Note::new(&at, "missing: GitLab Runner's own default is kept, one job at one time over all runners"))
}

fn executor(section: &Table) -> Option<&str> {
    section.get("executor").and_then(Node::as_str)
}

fn section_of(written: &Table, outside: &Outside<'_>) -> Section {
    match executor(written) {
        Some(MACHINE) => machine::translate(written, outside),
        Some(AUTOSCALER) => autoscaler::translate(written, outside),
        _ => Section::of_ours(written),
    }
}

/// GitLab Runner's names are words for people: any text, and as often as one likes. Ours tell workers apart, so that
/// translated sections get one that can. A section of ours keeps its name, and its problem.
fn settle_names(sections: &mut [Section]) {
    let written: Vec<Option<String>> = sections.iter().map(|section| name(&section.table)).collect();
    let mut reserved: BTreeSet<String> = written.iter().flatten().cloned().collect();
    let ours = sections.iter().zip(&written).filter(|(section, _)| !section.is_translated);
    let mut taken: BTreeSet<String> = ours.filter_map(|(_, name)| name.clone()).collect();
    for (section, written) in sections.iter_mut().zip(&written).filter(|(section, _)| section.is_translated) {
        // What is no text is told by the ordinary reading.
        let Some(written) = written else { continue };
        let usable = usable_name(written, RUNNER_CHARS_MAX);
        let free = |name: &String| !taken.contains(name) && (name == written || !reserved.contains(name));
        let settled = if free(&usable) { usable.clone() } else { numbered(&usable, free) };
        if settled != *written {
            let told = told(written, &usable, &settled);
            rename(section, &settled, told);
        }
        reserved.insert(settled.clone());
        taken.insert(settled);
    }
}

/// The name as it is written; a section without one has the empty name.
fn name(section: &Table) -> Option<String> {
    section.get("name").map_or(Some(String::new()), |node| node.as_str().map(str::to_owned))
}

/// `name-2`, or the next that is free.
fn numbered(name: &str, is_free: impl Fn(&String) -> bool) -> String {
    let with = |number: u32| {
        let suffix = format!("-{number}");
        let kept: String = name.chars().take(RUNNER_CHARS_MAX.saturating_sub(suffix.len())).collect();
        format!("{kept}{suffix}")
    };
    (2..).map(with).find(is_free).unwrap_or_else(|| name.to_owned())
}

fn told(written: &str, usable: &str, settled: &str) -> String {
    let settled_shown = shown_text(settled);
    if written.is_empty() {
        format!("has no name, by which workers are told apart: it is {settled_shown} here")
    } else if settled == usable {
        format!("{} cannot be part of an EC2 name: it is {settled_shown} here", shown_text(written))
    } else {
        format!(
            "another runner is named {} as well, and workers are told apart by it: this one is {settled_shown} here; \
             where both are one runner of GitLab, one section with the subnets of both does the same",
            shown_text(usable)
        )
    }
}

fn rename(section: &mut Section, name: &str, told: String) {
    match section.table.get_mut("name") {
        Some(node) => {
            *node = Node::text(&node.at, name);
            section.notes.push(Note::new(&node.at, told));
        }
        None => {
            let at = section.table.at.key("name");
            section.notes.push(Note::new(&at, told));
            section.table.entries.insert(0, ("name".to_owned(), Node::text(&at, name)));
        }
    }
}

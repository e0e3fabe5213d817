//! `migrate`: the whole file in our form, as text.

use std::fmt::Write as _;

use super::super::document;
use super::super::node::{Item, Node, Table, shown_text};
use super::super::problems::{Problems, Report};
use super::super::s3_cache::{self, WrittenFor};
use super::super::{ecr_wiring, trust};
use super::environment;
use super::translation::{Note, Surroundings, Translation};

/// Why `[machine]` (`shutdown_drain`) has no counterpart.
pub(crate) const MACHINE_LEFT_OUT: &str =
    "left out: workers outlive the manager and are adopted by the next; nothing is removed at its exit";

/// Top-level keys that end with the old executors.
const NOT_KEPT: [&str; 3] = ["runners", "fleet", "machine"];

/// Turns a docker+machine or docker-autoscaler configuration into ours: valid TOML, with a comment line for every
/// option that was not kept as it was, and a `TO DO` line for every key that only the administrator knows.
///
/// `manager` is written when the file has no `[fleet]` table. Comments of the old file are not kept.
///
/// # Errors
/// All problems, when the text is not TOML or holds what cannot be translated.
pub fn migrate(text: &str, origin: &str, manager: &str, surroundings: &Surroundings) -> Result<String, Problems> {
    let document = document::tree(text, origin)?;
    let mut report = Report::default();
    let mut out = format!(
        "# Made from {} by `runner-fleet migrate`; read every comment, then `runner-fleet check`.\n",
        shown_text(origin)
    );
    for text in environment::notes(&surroundings.environment) {
        let _ = writeln!(out, "# {text}");
    }
    head(&document, manager, &mut out);
    let sections = document.get_any_case("runners").and_then(Node::as_array).unwrap_or_default();
    if sections.is_empty() {
        report.problem(&document.at.key("runners"), "missing; there is nothing to migrate");
    }
    for node in sections {
        match node.as_table() {
            Some(section) => runner(section, surroundings, &mut out, &mut report),
            None => report.problem(&node.at, "not a table; write [[runners]]"),
        }
    }
    report.finish(origin)?;
    Ok(out)
}

/// Everything above the runners.
fn head(document: &Table, manager: &str, out: &mut String) {
    if let Some(machine) = document.get_any_case("machine") {
        comment(out, &Note { at: machine.at.clone(), text: MACHINE_LEFT_OUT.to_owned() });
    }
    let mut table = document.to_toml_without(&NOT_KEPT);
    if document.get_any_case("concurrent").is_none() {
        table.insert("concurrent".to_owned(), toml::Value::Integer(1));
    }
    write_table(table, out);
    out.push('\n');
    let fleet = document.get("fleet").map_or_else(
        || {
            let _ =
                writeln!(out, "# The owner name in every tag: choose it once. Workers of another name are not ours.");
            toml::Table::from_iter([("manager".to_owned(), toml::Value::String(manager.to_owned()))])
        },
        |node| node.as_table().map(Table::to_toml).unwrap_or_default(),
    );
    write_table(toml::Table::from_iter([("fleet".to_owned(), toml::Value::Table(fleet))]), out);
}

fn runner(section: &Table, surroundings: &Surroundings, out: &mut String, report: &mut Report) {
    out.push('\n');
    let executor = section.get_any_case("executor").and_then(Node::as_str);
    let translation = match executor {
        Some("docker+machine") => super::machine(section, surroundings),
        Some("docker-autoscaler") => super::autoscaler(section, surroundings),
        _ => {
            let _ = writeln!(out, "# {}: not an autoscaling executor; kept as it is", section.at.path());
            write_runner(section, out);
            return;
        }
    };
    let Translation { section, errors, missing, notes } = translation;
    for error in &errors {
        report.problem(&error.at, &error.text);
    }
    for (key, note) in &missing {
        let _ = writeln!(
            out,
            "# TO DO: write `{key}` in [runners.fleet] ({}{}: {})",
            line(note),
            note.at.path(),
            one_line(&note.text)
        );
    }
    if needs_token(&section) {
        let _ = writeln!(
            out,
            "# TO DO: write `api_token` (scope read_api) in [runners.fleet], or an idle_count of 1 or more: workers are launched for jobs that are seen waiting"
        );
    }
    for note in &notes {
        comment(out, note);
    }
    for (at, text) in trust::warnings(&section) {
        comment(out, &Note { at: at.clone(), text: text.to_owned() });
    }
    if let Some((at, text)) = s3_cache::warning(&section, WrittenFor::GitLabRunner) {
        comment(out, &Note { at: at.clone(), text });
    }
    for (at, text) in ecr_wiring::warnings(&section) {
        comment(out, &Note { at: at.clone(), text });
    }
    write_runner(&section, out);
}

/// Whether nobody would ever see a waiting job.
fn needs_token(section: &Table) -> bool {
    let Some(fleet) = section.get("fleet").and_then(Node::as_table) else { return true };
    if fleet.get("api_token").is_some() {
        return false;
    }
    let zero = |table: &Table, key: &str| table.get(key).is_some_and(|node| matches!(node.item, Item::Integer(0)));
    let schedule = fleet.get("schedule").and_then(Node::as_array).unwrap_or_default();
    zero(fleet, "idle_count")
        || fleet.get("idle_count").is_none()
        || schedule.iter().filter_map(Node::as_table).any(|entry| zero(entry, "idle_count"))
}

fn write_runner(section: &Table, out: &mut String) {
    let runners = toml::Value::Array(vec![toml::Value::Table(section.to_toml())]);
    write_table(toml::Table::from_iter([("runners".to_owned(), runners)]), out);
}

/// Values first, then tables, as TOML needs them.
fn write_table(table: toml::Table, out: &mut String) {
    match toml::to_string(&table) {
        Ok(text) => out.push_str(&text),
        // A table that was read is always a table that can be written.
        Err(error) => {
            let _ = writeln!(out, "# could not be written: {}", one_line(&error.to_string()));
        }
    }
}

fn comment(out: &mut String, note: &Note) {
    let _ = writeln!(out, "# {}{}: {}", line(note), note.at.path(), one_line(&note.text));
}

fn line(note: &Note) -> String {
    note.at.line().map(|line| format!("line {line}, ")).unwrap_or_default()
}

/// A comment must not end in the middle.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

//! The text that `migrate` prints.

use std::fmt::Write as _;

use super::super::carried;
use super::super::node::{Table, shown_text};
use super::super::problems::Note;
use super::Findings;

/// Top-level tables that are not written with the head, but after it.
const LATER: [&str; 2] = ["runners", "fleet"];

pub(super) struct Page {
    text: String,
}

impl Page {
    pub(super) fn of(origin: &str) -> Self {
        let text = format!(
            "# Made from {} by `runner-fleet migrate`; read every comment, then `runner-fleet check`.\n",
            shown_text(origin)
        );
        Self { text }
    }

    pub(super) fn finish(self) -> String {
        self.text
    }

    pub(super) fn gap(&mut self) {
        self.text.push('\n');
    }

    /// A comment line.
    pub(super) fn remark(&mut self, text: &str) {
        let _ = writeln!(self.text, "# {}", one_line(text));
    }

    /// A comment line about something in the old file.
    pub(super) fn comment(&mut self, note: &Note) {
        self.remark(&placed(note));
    }

    /// Something that is still to be done.
    pub(super) fn todo(&mut self, text: &str) {
        self.remark(&format!("TO DO: {text}"));
    }

    /// What a reading refuses and what it warns of, where `is_here` says so of its path.
    pub(super) fn findings(&mut self, findings: &Findings, is_here: impl Fn(&str) -> bool) {
        self.todos(findings, &is_here);
        self.warnings(findings, &is_here);
    }

    pub(super) fn todos(&mut self, findings: &Findings, is_here: impl Fn(&str) -> bool) {
        for problem in findings.problems.iter().filter(|problem| is_here(&problem.path)) {
            self.todo(&shown(problem.line, &problem.path, &problem.message));
        }
    }

    pub(super) fn warnings(&mut self, findings: &Findings, is_here: impl Fn(&str) -> bool) {
        for warning in findings.warnings.iter().filter(|warning| is_here(&warning.path)) {
            self.remark(&shown(warning.line, &warning.path, &warning.message));
        }
    }

    /// Everything at the top, and an empty line.
    pub(super) fn head(&mut self, head: &Table) {
        let stays = carried::STAYS.map(|(key, _)| key);
        self.toml(&head.to_toml_without(&[&LATER[..], &stays].concat()));
        self.gap();
    }

    /// One table, or list of tables.
    pub(super) fn table(&mut self, name: &str, value: Option<toml::Value>) {
        if let Some(value) = value {
            self.toml(&toml::Table::from_iter([(name.to_owned(), value)]));
        }
    }

    fn toml(&mut self, table: &toml::Table) {
        match toml::to_string(table) {
            Ok(text) => self.text.push_str(&text),
            // A table that was read is always a table that can be written.
            Err(error) => self.remark(&format!("could not be written: {error}")),
        }
    }
}

/// A note with its place in the old file.
pub(super) fn placed(note: &Note) -> String {
    shown(note.at.spot().map(|spot| spot.line), &note.at.path(), &note.text)
}

fn shown(line: Option<usize>, path: &str, message: &str) -> String {
    let line = line.map(|line| format!("line {line}, ")).unwrap_or_default();
    format!("{line}{path}: {message}")
}

/// A comment must not end in the middle.
fn one_line(text: &str) -> String {
    text.replace(|c: char| c.is_control(), " ")
}

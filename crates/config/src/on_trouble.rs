//! `[fleet.on_trouble]`: who is told when something goes wrong, and when it is over.

use std::fmt;
use std::time::Duration;

use super::key::{Key, Kind, words};
use super::node::{Node, Table};
use super::problems::Report;
use super::reader::Reader;
use super::{Secret, duration, trust, values};
use runner_fleet_engine::Severity;

/// The keys of the table.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("command", Kind::SomeOf(&Kind::Text)),
    Key::optional("url", Kind::Text),
    Key::optional("severity", Kind::Word(&[&words(&SEVERITIES)])),
    Key::optional("after", Kind::Time),
];

const SEVERITIES: [(&str, Severity); 2] = [("warning", Severity::Warning), ("critical", Severity::Critical)];

/// How a reference to a secret begins.
const REFERENCES: [&str; 4] = ["ssm:", "env:", "file:", "$"];

/// Who is told of troubles; a command, an address, or both.
#[derive(Clone, PartialEq, Eq)]
pub struct OnTrouble {
    /// A program, by its absolute path, and its arguments; nothing: none.
    pub command: Vec<String>,
    /// Where a message is posted to. It often holds a token, and is a secret.
    pub url: Option<Secret>,
    /// The least that is told: `Warning` or `Critical`.
    pub severity: Severity,
    /// How long a trouble must have lasted since it began.
    pub after: Duration,
}

/// Reads the table.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<OnTrouble> {
    let reader = Reader::new(table, KEYS);
    let command = reader.list_or_empty("command", report, values::text);
    if let (Some(command), Some(node)) = (&command, reader.node("command")) {
        check_command(command, node, report);
    }
    let url = reader.or("url", None, report, |node| url(node).map(Some));
    let severity = reader.or("severity", Severity::Warning, report, |node| values::word(node, &SEVERITIES));
    let after = reader.or("after", Duration::ZERO, report, duration::any);
    if !reader.has("command") && !reader.has("url") {
        report.problem(&table.at, "tells nobody; write url = \"https://…\", or command = [\"/path/of/program\"]");
    }
    if let Some(node) = reader.node("url").filter(|node| node.as_str().is_some_and(trust::is_in_clear)) {
        report.warn(&node.at, "what is told travels in clear; write https");
    }
    reader.finish(report);
    Some(OnTrouble { command: command?, url: url?, severity: severity?, after: after? })
}

fn check_command(command: &[String], node: &Node, report: &mut Report) {
    match command.first() {
        None => report.problem(&node.at, "names no program; write command = [\"/path/of/program\"]"),
        Some(program) if !program.starts_with('/') => {
            let told = "the service has another PATH than your shell; write the program's absolute path first";
            report.problem(&node.at, told);
        }
        Some(_) => {}
    }
}

/// An address, or where it lies. What is written is not repeated: it may hold a token.
fn url(node: &Node) -> Result<Secret, String> {
    let text = values::text(node)?;
    let text = text.trim();
    if REFERENCES.iter().any(|reference| text.starts_with(reference)) {
        return Secret::parse(text);
    }
    match is_web_address(text) {
        true => Secret::parse(text).map_err(|_| ADDRESS.to_owned()),
        false => Err(ADDRESS.to_owned()),
    }
}

const ADDRESS: &str = "no web address; write \"https://…\", or where it lies: \"ssm:/…\", \"env:NAME\", \"file:/…\"";

/// Whether something can be posted there.
pub fn is_web_address(text: &str) -> bool {
    url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host())
}

impl fmt::Debug for OnTrouble {
    /// Arguments may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { command, url, severity, after } = self;
        f.debug_struct("OnTrouble")
            .field("command", &command.first())
            .field("url", url)
            .field("severity", severity)
            .field("after", after)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Surroundings, parse_in};

    fn told(table: &str) -> Vec<String> {
        let minimal = include_str!("../../../config/minimal.toml");
        let text = minimal.replacen("[[runners]]", &format!("[fleet.on_trouble]\n{table}\n[[runners]]"), 1);
        match parse_in(&text, "config.toml", &Surroundings::default()) {
            Ok(loaded) => loaded.warnings.iter().map(|warning| format!("warning: {}", warning.message)).collect(),
            Err(problems) => problems.list.iter().map(|problem| problem.message.clone()).collect(),
        }
    }

    #[test]
    fn a_mistake_is_one_sentence_and_repeats_no_address() {
        let address = "no web address; write \"https://…\", or where it lies: \"ssm:/…\", \"env:NAME\", \"file:/…\"";
        for (table, expected) in [
            ("", "tells nobody; write url = \"https://…\", or command = [\"/path/of/program\"]"),
            ("severity = 'critical'", "tells nobody; write url = \"https://…\", or command = [\"/path/of/program\"]"),
            (
                "command = ['notify']",
                "the service has another PATH than your shell; write the program's absolute path first",
            ),
            ("url = 'hooks.example.com/T0/secret'", address),
            ("url = 'ftp://hooks.example.com/T0/secret'", address),
            ("url = 'https://hooks.example.com/T0 secret'", address),
            ("url = 'env:'", "`env:` needs the name of a variable; write \"env:RUNNER_TOKEN\""),
            ("url = 'http://hooks.example.com/T0/secret'", "warning: what is told travels in clear; write https"),
        ] {
            let said = told(table);
            assert_eq!(said.len(), 1, "{table}: {said:?}");
            assert_eq!(said[0], expected, "{table}");
        }
        for good in ["url = 'https://hooks.example.com/T0/secret'", "url = 'env:HOOK'", "command = ['/bin/true', 'x']"]
        {
            assert_eq!(told(good), [""; 0], "{good}");
        }
    }
}

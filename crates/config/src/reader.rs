//! Reads one of our own tables: every key by name, and whatever is left over is an error.

use super::key::{self, Key};
use super::node::{At, Item, Node, Table};
use super::problems::Report;

/// How alike an unknown key and a known one must be for "did you mean" (Jaro-Winkler, 0 to 1).
const ALIKE: f64 = 0.8;
/// A longer name is no typo of any key.
const NAME_BYTES_MAX: usize = 64;

/// A table being read. `keys` are all that it may hold.
pub(crate) struct Reader<'t> {
    table: &'t Table,
    keys: &'static [Key],
    /// Required keys whose absence has been reported already, in better words.
    excused: &'t [&'static str],
}

impl<'t> Reader<'t> {
    pub(crate) fn new(table: &'t Table, keys: &'static [Key]) -> Self {
        Self { table, keys, excused: &[] }
    }

    pub(crate) fn excusing(mut self, excused: &'t [&'static str]) -> Self {
        self.excused = excused;
        self
    }

    /// The place of a key, whether or not it is there.
    pub(crate) fn at(&self, key: &str) -> At {
        self.table.get(key).map_or_else(|| self.table.at.key(key), |node| node.at.clone())
    }

    /// Whether the key is written.
    pub(crate) fn has(&self, key: &str) -> bool {
        self.table.get(key).is_some()
    }

    /// The value as it stands.
    pub(crate) fn node(&self, key: &'static str) -> Option<&'t Node> {
        debug_assert!(self.keys.iter().any(|known| known.name == key), "{key} is read but not listed");
        self.table.get(key)
    }

    /// The value, or `None` when the key is absent or its value is bad; a bad one is reported.
    pub(crate) fn optional<T>(
        &self,
        key: &'static str,
        report: &mut Report,
        parse: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        let node = self.node(key)?;
        parse(node).map_err(|message| report.problem(&node.at, message)).ok()
    }

    /// The value or its default; `None` only when the value is bad.
    pub(crate) fn or<T>(
        &self,
        key: &'static str,
        default: T,
        report: &mut Report,
        parse: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        if self.has(key) { self.optional(key, report, parse) } else { Some(default) }
    }

    /// The value; its absence is reported with what to write.
    pub(crate) fn required<T>(
        &self,
        key: &'static str,
        write: &str,
        report: &mut Report,
        parse: impl FnOnce(&Node) -> Result<T, String>,
    ) -> Option<T> {
        self.must_have(key, write, report);
        self.optional(key, report, parse)
    }

    /// Every element of a list that can be read; the others are reported, each at its own place.
    pub(crate) fn list<T>(
        &self,
        key: &'static str,
        report: &mut Report,
        parse: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let node = self.node(key)?;
        let Item::Array(elements) = &node.item else {
            report.problem(&node.at, format!("{} is not a list; write [{}]", node.shown(), node.shown()));
            return None;
        };
        let before = report.problem_count();
        let mut values = Vec::with_capacity(elements.len());
        for element in elements {
            match parse(element) {
                Ok(value) => values.push(value),
                Err(message) => report.problem(&element.at, message),
            }
        }
        (report.problem_count() == before).then_some(values)
    }

    /// As [`Reader::list`]; empty when the key is absent.
    pub(crate) fn list_or_empty<T>(
        &self,
        key: &'static str,
        report: &mut Report,
        parse: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        if self.has(key) { self.list(key, report, parse) } else { Some(Vec::new()) }
    }

    /// As [`Reader::list`], but there must be at least one.
    pub(crate) fn required_list<T>(
        &self,
        key: &'static str,
        write: &str,
        report: &mut Report,
        parse: impl Fn(&Node) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        self.must_have(key, write, report);
        let values = self.list(key, report, parse)?;
        if values.is_empty() {
            report.problem(&self.at(key), format!("the list is empty; write {write}"));
            return None;
        }
        Some(values)
    }

    /// A table inside this one, read by its own rules, or its default when the key is absent.
    pub(crate) fn table_or<T>(
        &self,
        key: &'static str,
        default: T,
        report: &mut Report,
        read: impl FnOnce(&Table, &mut Report) -> Option<T>,
    ) -> Option<T> {
        if !self.has(key) {
            return Some(default);
        }
        let table = self.table(key, report)?;
        read(table, report)
    }

    /// A table inside this one.
    fn table(&self, key: &'static str, report: &mut Report) -> Option<&'t Table> {
        let node = self.node(key)?;
        if node.as_table().is_none() {
            report.problem(&node.at, format!("{} is not a table", node.shown()));
        }
        node.as_table()
    }

    fn must_have(&self, key: &'static str, write: &str, report: &mut Report) {
        let is_listed = self.keys.iter().any(|known| known.name == key && known.required);
        debug_assert!(is_listed, "{key} is required but not listed as such");
        if !self.has(key) && !self.excused.contains(&key) {
            report.problem(&self.at(key), format!("missing; write {write}"));
        }
    }

    /// Reports every key that is not one of ours.
    pub(crate) fn finish(self, report: &mut Report) {
        let known = key::names(self.keys);
        for (name, node) in &self.table.entries {
            if !known.contains(&name.as_str()) {
                report.problem(&node.at, unknown_key(name, &known));
            }
        }
    }
}

/// What to say about an unknown key.
pub(crate) fn unknown_key(name: &str, keys: &[&str]) -> String {
    match nearest(name, keys) {
        Some(key) => format!("unknown key; did you mean `{key}`?"),
        None => format!("unknown key; known are {}", keys.join(", ")),
    }
}

/// The known key that is most like `name`, if one is like it at all.
pub(crate) fn nearest<'k>(name: &str, keys: &[&'k str]) -> Option<&'k str> {
    if name.len() > NAME_BYTES_MAX {
        return None;
    }
    let name = name.to_ascii_lowercase();
    let scored = keys.iter().map(|key| (strsim::jaro_winkler(&name, &key.to_ascii_lowercase()), *key));
    scored.filter(|(score, _)| *score >= ALIKE).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, key)| key)
}

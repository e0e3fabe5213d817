//! Where each value of the file stands, for what is found out about it later.

use std::collections::BTreeMap;

use super::lines::Spot;
use super::node::{Item, Node, Table};
use super::problems::Warning;

/// The places of a file's values, by key path.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Places(BTreeMap<String, Spot>);

impl Places {
    pub(crate) fn of(document: &Table) -> Self {
        let mut places = Self::default();
        places.add(document);
        places
    }

    fn add(&mut self, table: &Table) {
        table.entries.iter().for_each(|(_, node)| self.add_node(node));
    }

    fn add_node(&mut self, node: &Node) {
        if let Some(spot) = node.at.spot() {
            self.0.insert(node.at.path(), spot);
        }
        match &node.item {
            Item::Table(table) => self.add(table),
            Item::Array(nodes) => nodes.iter().for_each(|node| self.add_node(node)),
            Item::String(_) | Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) => {}
        }
    }

    /// A warning about the value of this key path; the whole file is its place where the key is not written.
    pub(crate) fn warning(&self, path: String, message: String) -> Warning {
        let spot = self.0.get(&path);
        let (line, column) = (spot.map(|spot| spot.line), spot.map(|spot| spot.column));
        Warning { line, column, path, message, excerpt: None }
    }
}

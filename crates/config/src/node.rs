//! The file as a tree in which every value knows where it stands.
//!
//! Built from `toml`'s spanned document. Translations build nodes too; those take the place of the option that they come
//! from, so that a complaint about them points at what the user wrote.

use std::fmt::Write as _;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

use super::gitlab_keys::{self, Keys};
use super::lines::{Lines, Spot};
use super::syntax::{self, SyntaxError};

/// Keys and values are shown up to here; the file may hold a megabyte without a line break.
const SHOWN_CHARS_MAX: usize = 60;

/// Where something stands: line, column and key path.
#[derive(Clone, Debug)]
pub(crate) struct At {
    spot: Option<Spot>,
    step: Option<Rc<Step>>,
}

#[derive(Debug)]
struct Step {
    parent: Option<Rc<Step>>,
    name: StepName,
}

#[derive(Debug)]
enum StepName {
    Key(String),
    Index(usize),
}

/// A value and its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) at: At,
    pub(crate) item: Item,
}

/// The kinds of TOML.
#[derive(Clone, Debug)]
pub(crate) enum Item {
    String(String),
    Integer(i64),
    /// The number, and its digits as written.
    Float(f64, String),
    Boolean(bool),
    Datetime(Datetime),
    Array(Vec<Node>),
    Table(Table),
}

/// A table, its keys in file order.
#[derive(Clone, Debug)]
pub(crate) struct Table {
    pub(crate) at: At,
    pub(crate) entries: Vec<(String, Node)>,
}

impl At {
    /// The document's own place.
    pub(crate) fn root() -> Self {
        Self { spot: None, step: None }
    }

    /// 1-based.
    pub(crate) fn line(&self) -> Option<usize> {
        self.spot.map(|spot| spot.line)
    }

    /// Line and column; for a key that is missing, those of its table.
    pub(crate) fn spot(&self) -> Option<Spot> {
        self.spot
    }

    /// The place of a key that is, or should be, in the table at this place.
    pub(crate) fn key(&self, key: &str) -> Self {
        self.deeper(StepName::Key(key.to_owned()))
    }

    /// The place of an element of the array at this place.
    pub(crate) fn index(&self, index: usize) -> Self {
        self.deeper(StepName::Index(index))
    }

    fn deeper(&self, name: StepName) -> Self {
        Self { spot: self.spot, step: Some(Rc::new(Step { parent: self.step.clone(), name })) }
    }

    fn found_at(mut self, spot: Spot) -> Self {
        self.spot = Some(spot);
        self
    }

    /// `runners[0].fleet.idle_time`.
    pub(crate) fn path(&self) -> String {
        let mut steps = Vec::new();
        let mut next = self.step.as_ref();
        while let Some(step) = next {
            steps.push(step);
            next = step.parent.as_ref();
        }
        let mut path = String::new();
        for step in steps.into_iter().rev() {
            match &step.name {
                StepName::Index(index) => {
                    let _ = write!(path, "[{index}]");
                }
                StepName::Key(key) => {
                    if !path.is_empty() {
                        path.push('.');
                    }
                    path.push_str(&shown_key(key));
                }
            }
        }
        path
    }
}

impl Node {
    /// A node that a translation makes.
    pub(crate) fn new(at: &At, item: Item) -> Self {
        Self { at: at.clone(), item }
    }

    /// The same, for text.
    pub(crate) fn text(at: &At, text: impl Into<String>) -> Self {
        Self::new(at, Item::String(text.into()))
    }

    /// The table, if it is one.
    pub(crate) fn as_table(&self) -> Option<&Table> {
        match &self.item {
            Item::Table(table) => Some(table),
            Item::String(_)
            | Item::Integer(_)
            | Item::Float(..)
            | Item::Boolean(_)
            | Item::Datetime(_)
            | Item::Array(_) => None,
        }
    }

    /// The same, to be changed by a translation.
    pub(crate) fn as_table_mut(&mut self) -> Option<&mut Table> {
        if let Item::Table(table) = &mut self.item { Some(table) } else { None }
    }

    /// The number, if it is a whole one.
    pub(crate) fn as_integer(&self) -> Option<i64> {
        if let Item::Integer(number) = self.item { Some(number) } else { None }
    }

    /// The text, if it is a string.
    pub(crate) fn as_str(&self) -> Option<&str> {
        if let Item::String(text) = &self.item { Some(text) } else { None }
    }

    /// The elements, if it is an array.
    pub(crate) fn as_array(&self) -> Option<&[Node]> {
        if let Item::Array(nodes) = &self.item { Some(nodes) } else { None }
    }

    /// The value for a message, clipped; a table or array by its kind. Not for secrets.
    pub(crate) fn shown(&self) -> String {
        match &self.item {
            Item::String(text) => shown_text(text),
            Item::Integer(number) => number.to_string(),
            Item::Float(_, digits) => clip(digits),
            Item::Boolean(value) => value.to_string(),
            Item::Datetime(value) => value.to_string(),
            Item::Array(_) => "a list".to_owned(),
            Item::Table(_) => "a table".to_owned(),
        }
    }

    /// The plain value, for what is passed through.
    pub(crate) fn to_value(&self) -> toml::Value {
        match &self.item {
            Item::String(text) => toml::Value::String(text.clone()),
            Item::Integer(number) => toml::Value::Integer(*number),
            Item::Float(number, _) => toml::Value::Float(*number),
            Item::Boolean(value) => toml::Value::Boolean(*value),
            Item::Datetime(value) => toml::Value::Datetime(*value),
            Item::Array(nodes) => toml::Value::Array(nodes.iter().map(Self::to_value).collect()),
            Item::Table(table) => toml::Value::Table(table.to_toml()),
        }
    }
}

impl Table {
    /// An empty table for a translation to fill.
    pub(crate) fn empty(at: &At) -> Self {
        Self { at: at.clone(), entries: Vec::new() }
    }

    /// The value of this key. What GitLab Runner reads has its canonical spelling here, however it is written.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The same, to be changed by a translation.
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut Node> {
        self.entries.iter_mut().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The table of this key, to be changed by a translation.
    pub(crate) fn table_mut(&mut self, key: &str) -> Option<&mut Table> {
        self.get_mut(key)?.as_table_mut()
    }

    /// Adds a value that a translation makes.
    pub(crate) fn push(&mut self, key: &str, node: Node) {
        self.entries.push((key.to_owned(), node));
    }

    /// The plain table, in order.
    pub(crate) fn to_toml(&self) -> toml::Table {
        self.entries.iter().map(|(key, node)| (key.clone(), node.to_value())).collect()
    }

    /// The plain table without some keys.
    pub(crate) fn to_toml_without(&self, keys: &[&str]) -> toml::Table {
        let kept = self.entries.iter().filter(|(name, _)| !keys.contains(&name.as_str()));
        kept.map(|(key, node)| (key.clone(), node.to_value())).collect()
    }
}

/// Text for a message: quoted, escaped, clipped.
pub(crate) fn shown_text(text: &str) -> String {
    format!("{:?}", clip(text))
}

/// The same for an address, which is not shown when it may hold a password.
pub(crate) fn shown_address(text: &str) -> String {
    if text.contains('@') { "the address (with a user or password, so not shown)".to_owned() } else { shown_text(text) }
}

fn shown_key(key: &str) -> String {
    let bare = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
    if bare { clip(key) } else { shown_text(key) }
}

fn clip(text: &str) -> String {
    match text.char_indices().nth(SHOWN_CHARS_MAX) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// A document as a tree, and the keys that it has twice.
pub(crate) struct Read {
    pub(crate) tree: Table,
    pub(crate) twins: Vec<Twins>,
}

/// One key of GitLab Runner in two spellings, side by side.
pub(crate) struct Twins {
    /// The second.
    pub(crate) at: At,
    /// As it is written in the first place.
    pub(crate) first: String,
    pub(crate) first_line: usize,
    /// The canonical spelling.
    pub(crate) key: &'static str,
}

/// Reads a document. Keys of GitLab Runner get their canonical spelling, in the tree and in every path.
///
/// # Errors
/// The first syntax error, when there is any.
pub(crate) fn read_with_twins(text: &str) -> Result<Read, SyntaxError> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        return Err(syntax::first(text, &lines, errors));
    }
    let mut builder = Builder { lines, error: None, twins: Vec::new() };
    let tree = builder.table(document.get_ref(), &At::root(), Some(&gitlab_keys::FILE));
    match builder.error {
        None => Ok(Read { tree, twins: builder.twins }),
        Some(error) => Err(error),
    }
}

/// The tree alone.
#[cfg(test)]
pub(crate) fn read(text: &str) -> Result<Table, SyntaxError> {
    read_with_twins(text).map(|read| read.tree)
}

struct Builder<'t> {
    lines: Lines<'t>,
    error: Option<SyntaxError>,
    twins: Vec<Twins>,
}

impl Builder<'_> {
    fn table(&mut self, table: &DeTable<'_>, at: &At, keys: Option<&'static Keys>) -> Table {
        let mut made = Table { at: at.clone(), entries: Vec::with_capacity(table.len()) };
        let mut written: Vec<(&'static str, &str, usize)> = Vec::new();
        for (key, value) in table {
            let (name, spot) = (key.get_ref().as_ref(), self.lines.spot_of(key.span().start));
            let canonical = keys.and_then(|keys| keys.canonical(name));
            let place = at.key(canonical.unwrap_or(name)).found_at(spot);
            if let Some(canonical) = canonical {
                if let Some((_, first, line)) = written.iter().find(|(known, ..)| *known == canonical) {
                    let first = (*first).to_owned();
                    self.twins.push(Twins { at: place, first, first_line: *line, key: canonical });
                    continue;
                }
                written.push((canonical, name, spot.line));
            }
            let inside = keys.zip(canonical).and_then(|(keys, name)| keys.inside(name));
            let node = self.node(value.get_ref(), place, inside);
            made.push(canonical.unwrap_or(name), node);
        }
        made
    }

    fn node(&mut self, value: &DeValue<'_>, at: At, keys: Option<&'static Keys>) -> Node {
        let item = match value {
            DeValue::String(text) => Item::String(text.as_ref().to_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Item::Integer(number),
                Err(_) => self.out_of_range(&at, number.as_str()),
            },
            DeValue::Float(number) => match number.as_str().parse() {
                Ok(float) => Item::Float(float, number.as_str().to_owned()),
                Err(_) => self.out_of_range(&at, number.as_str()),
            },
            DeValue::Boolean(value) => Item::Boolean(*value),
            DeValue::Datetime(value) => Item::Datetime(*value),
            DeValue::Array(values) => {
                let mut nodes = Vec::with_capacity(values.len());
                for (index, value) in values.iter().enumerate() {
                    let place = at.index(index).found_at(self.lines.spot_of(value.span().start));
                    nodes.push(self.node(value.get_ref(), place, keys));
                }
                Item::Array(nodes)
            }
            DeValue::Table(table) => Item::Table(self.table(table, &at, keys)),
        };
        Node { at, item }
    }

    fn out_of_range(&mut self, at: &At, digits: &str) -> Item {
        let message = format!("{}: {} is no number that fits", at.path(), clip(digits));
        self.error.get_or_insert(SyntaxError { spot: at.spot(), message, excerpt: None });
        Item::Integer(0)
    }
}

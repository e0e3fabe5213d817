//! The file as a tree in which every value knows where it stands.
//!
//! Built from `toml`'s spanned document. Translations build nodes too; those take the place of the option that they come
//! from, so that a complaint about them points at what the user wrote.

use std::fmt::Write as _;
use std::rc::Rc;

use toml::de::{DeTable, DeValue};
use toml::value::Datetime;

/// Keys and values are shown up to here; the file may hold a megabyte without a line break.
const SHOWN_CHARS_MAX: usize = 60;

/// Where something stands: line and key path.
#[derive(Clone, Debug)]
pub(crate) struct At {
    line: Option<usize>,
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
        Self { line: None, step: None }
    }

    /// 1-based.
    pub(crate) fn line(&self) -> Option<usize> {
        self.line
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
        Self { line: self.line, step: Some(Rc::new(Step { parent: self.step.clone(), name })) }
    }

    fn in_line(mut self, line: usize) -> Self {
        self.line = Some(line);
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

    /// The value of exactly this key.
    pub(crate) fn get(&self, key: &str) -> Option<&Node> {
        self.entries.iter().find(|(name, _)| name == key).map(|(_, node)| node)
    }

    /// The value of this key, or of one that differs in case only, as GitLab Runner's TOML reader takes it.
    pub(crate) fn get_any_case(&self, key: &str) -> Option<&Node> {
        let any_case = || self.entries.iter().find(|(name, _)| name.eq_ignore_ascii_case(key)).map(|(_, node)| node);
        self.get(key).or_else(any_case)
    }

    /// Adds a value that a translation makes.
    pub(crate) fn push(&mut self, key: &str, node: Node) {
        self.entries.push((key.to_owned(), node));
    }

    /// The plain table, in order.
    pub(crate) fn to_toml(&self) -> toml::Table {
        self.entries.iter().map(|(key, node)| (key.clone(), node.to_value())).collect()
    }

    /// The plain table without some keys (compared in any case).
    pub(crate) fn to_toml_without(&self, keys: &[&str]) -> toml::Table {
        let kept = self.entries.iter().filter(|(name, _)| !keys.iter().any(|key| name.eq_ignore_ascii_case(key)));
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

/// A syntax error: its line, and what is wrong. Never the text of the line, which may hold a token.
pub(crate) type SyntaxError = (Option<usize>, String);

/// Reads a document.
///
/// # Errors
/// Every syntax error, when there is any.
pub(crate) fn read(text: &str) -> Result<Table, Vec<SyntaxError>> {
    let lines = Lines::of(text);
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let told = |error: toml::de::Error| {
            let line = error.span().map(|span| lines.line_of(span.start));
            (line, format!("not TOML: {}", error.message().replace('\n', ", ")))
        };
        return Err(errors.into_iter().map(told).collect());
    }
    let mut builder = Builder { lines, errors: Vec::new() };
    let table = builder.table(document.get_ref(), &At::root());
    if builder.errors.is_empty() { Ok(table) } else { Err(builder.errors) }
}

struct Lines {
    starts: Vec<usize>,
}

impl Lines {
    fn of(text: &str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { starts: std::iter::once(0).chain(breaks).collect() }
    }

    fn line_of(&self, offset: usize) -> usize {
        self.starts.partition_point(|start| *start <= offset).max(1)
    }
}

struct Builder {
    lines: Lines,
    errors: Vec<SyntaxError>,
}

impl Builder {
    fn table(&mut self, table: &DeTable<'_>, at: &At) -> Table {
        let mut entries = Vec::with_capacity(table.len());
        for (key, value) in table {
            let name = key.get_ref().as_ref();
            let place = at.key(name).in_line(self.lines.line_of(key.span().start));
            entries.push((name.to_owned(), self.node(value.get_ref(), place)));
        }
        Table { at: at.clone(), entries }
    }

    fn node(&mut self, value: &DeValue<'_>, at: At) -> Node {
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
                    let place = at.index(index).in_line(self.lines.line_of(value.span().start));
                    nodes.push(self.node(value.get_ref(), place));
                }
                Item::Array(nodes)
            }
            DeValue::Table(table) => Item::Table(self.table(table, &at)),
        };
        Node { at, item }
    }

    fn out_of_range(&mut self, at: &At, digits: &str) -> Item {
        self.errors.push((at.line(), format!("{}: {} is no number that fits", at.path(), clip(digits))));
        Item::Integer(0)
    }
}

//! What is not TOML: one error, the first, with its place and the line as far as it may be shown. What follows from it
//! would only be noise.

use toml::de::{DeTable, DeValue};

use super::excerpt;
use super::lines::{Lines, Spot};

/// A syntax error. Neither message nor excerpt holds what may be a secret.
#[derive(Debug)]
pub(crate) struct SyntaxError {
    pub(crate) spot: Option<Spot>,
    pub(crate) message: String,
    pub(crate) excerpt: Option<String>,
}

/// The error that stands first in the text.
pub(crate) fn first(text: &str, lines: &Lines<'_>, errors: Vec<toml::de::Error>) -> SyntaxError {
    let start = |error: &toml::de::Error| error.span().map_or(usize::MAX, |span| span.start);
    let Some(error) = errors.into_iter().min_by_key(start) else {
        return SyntaxError { spot: None, message: "not TOML".to_owned(), excerpt: None };
    };
    let Some(span) = error.span() else {
        return SyntaxError { spot: None, message: format!("not TOML: {}", said(error.message())), excerpt: None };
    };
    let spot = lines.spot_of(span.start);
    let message = match text.get(span.clone()) {
        Some(key) if error.message() == "duplicate key" => twice(key, earlier(text, lines, span.start, key)),
        _ => {
            not_closed(text, lines, span.start, spot).unwrap_or_else(|| format!("not TOML: {}", said(error.message())))
        }
    };
    let width = text.get(span).unwrap_or_default().chars().count();
    SyntaxError { spot: Some(spot), message, excerpt: Some(excerpt::of(lines.line(spot.line), spot, width)) }
}

/// The parser's words on one line, and only those that say something.
fn said(message: &str) -> String {
    message.trim_end_matches(", expected nothing").replace('\n', ", ")
}

/// That the error is only where it shows that something above was never closed.
fn not_closed(text: &str, lines: &Lines<'_>, at: usize, spot: Spot) -> Option<String> {
    let (open, opened) = unclosed(text, at).map(|(open, at)| (open, lines.spot_of(at)))?;
    let shows = match open {
        Open::List | Open::Table => begins_anew(lines.line(spot.line)) || is_the_end(text, at),
        Open::Text(_) => is_the_end(text, at),
    };
    let (what, close) = match open {
        Open::List => ("list", "]"),
        Open::Table => ("table", "}"),
        Open::Text(quotes) => ("text", quotes),
    };
    let line = opened.line;
    (shows && line < spot.line)
        .then(|| format!("not TOML: the {what} that begins in line {line} is not closed; write `{close}` at its end"))
}

fn is_the_end(text: &str, at: usize) -> bool {
    text.get(at..).is_none_or(|rest| rest.trim().is_empty())
}

fn twice(key: &str, earlier: Option<Spot>) -> String {
    let line = earlier.map(|spot| format!(" in line {}", spot.line)).unwrap_or_default();
    format!("not TOML: `{key}` is already written{line}; a key may stand once in its table, so leave one of them out")
}

/// Where the key stands that makes the one at this byte a duplicate: the last of its name above.
fn earlier(text: &str, lines: &Lines<'_>, at: usize, key: &str) -> Option<Spot> {
    let (above, _) = DeTable::parse_recoverable(text.get(..at)?);
    let name = key.trim_matches(['"', '\'']);
    last_of(above.get_ref(), name).map(|offset| lines.spot_of(offset))
}

fn last_of(table: &DeTable<'_>, name: &str) -> Option<usize> {
    let own = table.iter().filter(|(key, _)| key.get_ref() == name).map(|(key, _)| key.span().start);
    own.chain(table.iter().filter_map(|(_, value)| last_inside(value.get_ref(), name))).max()
}

fn last_inside(value: &DeValue<'_>, name: &str) -> Option<usize> {
    match value {
        DeValue::Table(table) => last_of(table, name),
        DeValue::Array(values) => values.iter().filter_map(|value| last_inside(value.get_ref(), name)).max(),
        DeValue::String(_) | DeValue::Integer(_) | DeValue::Float(_) | DeValue::Boolean(_) | DeValue::Datetime(_) => {
            None
        }
    }
}

/// Whether a line can only be the next key or table, not an element of a list.
fn begins_anew(line: &str) -> bool {
    let line = line.trim_start();
    let key = line.split(['=', '.']).next().unwrap_or_default().trim();
    let is_key = line.contains('=') && !key.is_empty() && key.bytes().all(is_bare);
    let header = line.trim_start_matches('[').split(']').next().unwrap_or_default();
    is_key || (line.starts_with('[') && !header.is_empty() && header.bytes().all(|b| is_bare(b) || b == b'.'))
}

fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-')
}

/// What can be left open over lines.
#[derive(Clone, Copy)]
enum Open {
    List,
    Table,
    /// Between three quotes, which are these.
    Text(&'static str),
}

/// The innermost part of a value that is open at this byte, and where it begins.
fn unclosed(text: &str, end: usize) -> Option<(Open, usize)> {
    let mut open: Vec<(Open, usize)> = Vec::new();
    let (mut at, mut in_value) = (0, false);
    while let Some(rest) = text.get(at..end).filter(|rest| !rest.is_empty()) {
        let length = match rest.chars().next()? {
            '#' => rest.find('\n').unwrap_or(rest.len()),
            quote @ ('"' | '\'') => match string(rest, quote) {
                Ok(length) => length,
                Err(quotes) => return Some((Open::Text(quotes), at)),
            },
            bracket @ ('[' | '{') if in_value => {
                open.push((if bracket == '[' { Open::List } else { Open::Table }, at));
                1
            }
            ']' | '}' if in_value => {
                open.pop();
                1
            }
            c => {
                in_value = (in_value || c == '=') && (c != '\n' || !open.is_empty());
                c.len_utf8()
            }
        };
        at += length;
    }
    open.last().copied()
}

/// The length of the string that a text begins with, which ends with its line at the latest; or the three quotes that it
/// lacks.
fn string(text: &str, quote: char) -> Result<usize, &'static str> {
    let (triple, single) = if quote == '"' { ("\"\"\"", "\"") } else { ("'''", "'") };
    let is_long = text.starts_with(triple);
    let closing = if is_long { triple } else { single };
    let mut at = closing.len();
    while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
        if rest.starts_with(closing) {
            return Ok(at + closing.len());
        }
        let mut chars = rest.chars();
        match chars.next() {
            Some('\\') if quote == '"' => at += 1 + chars.next().map_or(0, char::len_utf8),
            Some('\n') if !is_long => return Ok(at),
            Some(c) => at += c.len_utf8(),
            None => break,
        }
    }
    if is_long { Err(triple) } else { Ok(text.len()) }
}

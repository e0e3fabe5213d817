//! What each key means, in the words of `config/complete.toml`: the comment above it. A key without one of its own shares
//! that of the key above it.

use std::collections::BTreeMap;

const COMPLETE: &str = include_str!("../../../../config/complete.toml");

/// The comments by key path: `runners.fleet.idle_time`.
pub(super) struct Explained(BTreeMap<String, String>);

enum Line<'l> {
    /// `[fleet]`, `[[runners]]`
    Table(&'l str),
    /// `key = value`, also as a comment: a key that is only shown
    Key(&'l str),
    Comment(&'l str),
    Empty,
}

impl Explained {
    pub(super) fn of_the_complete_example() -> Self {
        Self::of(COMPLETE)
    }

    /// The first place where a key is explained counts.
    fn of(example: &str) -> Self {
        let mut texts = BTreeMap::new();
        let (mut table, mut comment, mut is_used) = (String::new(), String::new(), false);
        let mut tell = |path: String, comment: &str| {
            if !comment.is_empty() {
                texts.entry(path).or_insert_with(|| comment.to_owned());
            }
        };
        for line in example.lines() {
            match Line::read(line.trim()) {
                Line::Table(path) => {
                    path.clone_into(&mut table);
                    tell(table.clone(), &comment);
                    comment.clear();
                }
                Line::Key(key) => {
                    tell(if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }, &comment);
                    is_used = true;
                }
                Line::Comment(text) => {
                    if is_used {
                        comment.clear();
                    }
                    is_used = false;
                    comment.push_str(if comment.is_empty() { "" } else { " " });
                    comment.push_str(text);
                }
                Line::Empty => comment.clear(),
            }
        }
        Self(texts)
    }

    pub(super) fn text(&self, path: &str) -> Option<&str> {
        self.0.get(path).map(String::as_str)
    }
}

impl<'l> Line<'l> {
    fn read(line: &'l str) -> Self {
        let (text, is_comment) = line.strip_prefix('#').map_or((line, false), |text| (text.trim(), true));
        let is_name = |key: &str| key.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        match text.split_once(" = ") {
            _ if text.is_empty() => Self::Empty,
            _ if line.starts_with('[') => Self::Table(text.trim_matches(['[', ']'])),
            Some((key, _)) if is_name(key) => Self::Key(key),
            _ if is_comment => Self::Comment(text),
            _ => Self::Empty,
        }
    }
}

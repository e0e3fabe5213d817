//! What is wrong with a workload file: told all at once, each with its line.

use std::fmt;

/// More are counted and not shown: a file of the wrong kind is wrong in every line.
const SHOWN_MAX: usize = 20;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defect {
    /// Where, from 1; none where the file as a whole is meant.
    pub line: Option<u64>,
    /// What is wrong, and what to write instead.
    pub why: String,
}

/// Everything that is wrong with a file; at least one thing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Defects {
    file: String,
    found: Vec<Defect>,
    /// Found beyond those that are kept.
    more: usize,
}

impl Defects {
    /// None found yet.
    pub(super) fn in_file(file: &str) -> Self {
        Self { file: file.to_owned(), found: Vec::new(), more: 0 }
    }

    /// The file as a whole.
    pub(super) fn of_file(file: &str, why: impl Into<String>) -> Self {
        let mut defects = Self::in_file(file);
        defects.found.push(Defect { line: None, why: why.into() });
        defects
    }

    /// One line.
    pub(super) fn at(file: &str, line: u64, why: impl Into<String>) -> Self {
        let mut defects = Self::in_file(file);
        defects.add(line, why);
        defects
    }

    pub(super) fn add(&mut self, line: u64, why: impl Into<String>) {
        if self.found.len() < SHOWN_MAX {
            self.found.push(Defect { line: Some(line), why: why.into() });
        } else {
            self.more += 1;
        }
    }

    /// The value, unless something was found.
    pub(super) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.found.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Defects {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, found, more } = self;
        match found.as_slice() {
            [Defect { line: None, why }] => return write!(f, "{file}: {why}"),
            [_] => write!(f, "{file}: 1 defect")?,
            _ => write!(f, "{file}: {} defects", found.len() + more)?,
        }
        for Defect { line, why } in found {
            match line {
                Some(line) => write!(f, "\n  line {line}: {why}")?,
                None => write!(f, "\n  {why}")?,
            }
        }
        if *more > 0 {
            write!(f, "\n  and {more} more")?;
        }
        Ok(())
    }
}

impl std::error::Error for Defects {}

/// The text of a file, or the line that is no UTF-8.
pub(super) fn utf8<'a>(file: &str, bytes: &'a [u8]) -> Result<&'a str, Defects> {
    std::str::from_utf8(bytes).map_err(|error| {
        let before = bytes.get(..error.valid_up_to()).unwrap_or_default();
        Defects::at(file, line_of(before), "is not UTF-8 text")
    })
}

/// The line that begins or goes on after `before`, from 1.
pub(super) fn line_of(before: &[u8]) -> u64 {
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u64
}

//! All that is wrong with a file, at once: each problem with its line, its key path, and what to write instead.

use std::fmt;

/// One thing that stops the file from being used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// 1-based; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// `runners[0].fleet.idle_time`; empty when the whole file is meant.
    pub path: String,
    /// What is wrong and what to write instead; never a secret.
    pub message: String,
}

/// A thing that is accepted, but that the administrator should know about.
pub type Warning = Problem;

/// Every problem of one file, by line. Never empty.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub struct Problems {
    /// The file, as it was named.
    pub origin: String,
    /// In file order.
    pub list: Vec<Problem>,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}  ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let count = self.list.len();
        write!(f, "{}: {count} problem{}", self.origin, if count == 1 { "" } else { "s" })?;
        for problem in &self.list {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

//! All that is wrong with a file, at once: each problem with its line, its key path, and what to write instead.

use std::fmt;

use super::node::At;

/// More than a person reads; a file with more is some other file.
const PROBLEMS_MAX: usize = 500;

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
    /// In file order; at most 500.
    pub list: Vec<Problem>,
}

/// What validation writes into while it goes on.
#[derive(Debug, Default)]
pub(crate) struct Report {
    problems: Vec<Problem>,
    warnings: Vec<Warning>,
}

impl Report {
    /// Says that the file cannot be used because of what stands at `at`.
    pub(crate) fn problem(&mut self, at: &At, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { line: at.line(), path: at.path(), message: message.into() });
        }
    }

    /// Says what should be known about what stands at `at`.
    pub(crate) fn warn(&mut self, at: &At, message: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(Warning { line: at.line(), path: at.path(), message: message.into() });
        }
    }

    /// A problem without a key: syntax, or the file as a whole.
    pub(crate) fn problem_in_line(&mut self, line: Option<usize>, message: impl Into<String>) {
        if self.problems.len() < PROBLEMS_MAX {
            self.problems.push(Problem { line, path: String::new(), message: message.into() });
        }
    }

    /// How many problems there are so far.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// The warnings when there is no problem; all problems otherwise.
    pub(crate) fn finish(mut self, origin: &str) -> Result<Vec<Warning>, Problems> {
        self.problems.sort();
        self.problems.dedup();
        if !self.problems.is_empty() {
            return Err(Problems { origin: origin.to_owned(), list: self.problems });
        }
        self.warnings.sort();
        self.warnings.dedup();
        Ok(self.warnings)
    }
}

impl Problems {
    /// One problem with the file as a whole.
    pub(crate) fn whole_file(origin: &str, message: String) -> Self {
        Self { origin: origin.to_owned(), list: vec![Problem { line: None, path: String::new(), message }] }
    }
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

//! All that is wrong with a file, at once: each problem with its line, its key path, and what to write instead.

use std::fmt;

use super::node::At;
use super::syntax::SyntaxError;

/// More than a person reads; a file with more is some other file.
const PROBLEMS_MAX: usize = 500;

/// One thing that stops the file from being used.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Problem {
    /// 1-based; `None` when the whole file is meant.
    pub line: Option<usize>,
    /// 1-based, in characters; there where `line` is.
    pub column: Option<usize>,
    /// `runners[0].fleet.idle_time`; empty when the whole file is meant.
    pub path: String,
    /// What is wrong and what to write instead; never a secret.
    pub message: String,
    /// The line and a caret below it, of a syntax error; secrets are masked.
    pub excerpt: Option<String>,
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
    /// What would be told of the file if it could be used: often the near miss that a problem comes from.
    pub warnings: Vec<Warning>,
}

/// A word about something in the file, whoever says it: `check` as a warning, `migrate` as a comment.
#[derive(Clone, Debug)]
pub(crate) struct Note {
    pub(crate) at: At,
    pub(crate) text: String,
}

impl Note {
    pub(crate) fn new(at: &At, text: impl Into<String>) -> Self {
        Self { at: at.clone(), text: text.into() }
    }
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
            self.problems.push(Problem::new(at, message.into()));
        }
    }

    /// Says what should be known about what stands at `at`.
    pub(crate) fn warn(&mut self, at: &At, message: impl Into<String>) {
        if self.warnings.len() < PROBLEMS_MAX {
            self.warnings.push(Problem::new(at, message.into()));
        }
    }

    /// How many problems there are so far.
    pub(crate) fn problem_count(&self) -> usize {
        self.problems.len()
    }

    /// The warnings when there is no problem; all problems otherwise.
    pub(crate) fn finish(self, origin: &str) -> Result<Vec<Warning>, Problems> {
        let (problems, warnings) = self.into_lists();
        if problems.is_empty() {
            return Ok(warnings);
        }
        Err(Problems { origin: origin.to_owned(), list: problems, warnings })
    }

    /// All problems and all warnings, by line, each once.
    pub(crate) fn into_lists(mut self) -> (Vec<Problem>, Vec<Warning>) {
        for list in [&mut self.problems, &mut self.warnings] {
            list.sort();
            list.dedup();
        }
        (self.problems, self.warnings)
    }
}

impl Problem {
    fn new(at: &At, message: String) -> Self {
        let spot = at.spot();
        Self {
            line: spot.map(|spot| spot.line),
            column: spot.map(|spot| spot.column),
            path: at.path(),
            message,
            excerpt: None,
        }
    }

    /// With the file before it, as compilers write and editors read: `FILE:LINE:COLUMN: warning: KEY: MESSAGE`.
    pub fn in_file(&self, file: &str, kind: &str) -> String {
        let place = |number: Option<usize>| number.map(|number| format!("{number}:")).unwrap_or_default();
        let key = if self.path.is_empty() { String::new() } else { format!("{}: ", self.path) };
        format!("{file}:{}{} {kind}: {key}{}", place(self.line), place(self.column), self.message)
    }
}

impl Problems {
    /// One problem with the file as a whole.
    pub(crate) fn whole_file(origin: &str, message: String) -> Self {
        Self::one(origin, Problem { line: None, column: None, path: String::new(), message, excerpt: None })
    }

    /// The first thing that is not TOML.
    pub(crate) fn syntax(origin: &str, error: SyntaxError) -> Self {
        let SyntaxError { spot, message, excerpt } = error;
        let (line, column) = (spot.map(|spot| spot.line), spot.map(|spot| spot.column));
        Self::one(origin, Problem { line, column, path: String::new(), message, excerpt })
    }

    fn one(origin: &str, problem: Problem) -> Self {
        Self { origin: origin.to_owned(), list: vec![problem], warnings: Vec::new() }
    }
}

/// `1 problem`, `2 problems`
fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
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
        write!(f, "{}: {}", self.origin, counted(self.list.len(), "problem"))?;
        for problem in &self.list {
            write!(f, "\n  {problem}")?;
            for line in problem.excerpt.iter().flat_map(|excerpt| excerpt.lines()) {
                write!(f, "\n    {line}")?;
            }
        }
        if !self.warnings.is_empty() {
            write!(f, "\n{}", counted(self.warnings.len(), "warning"))?;
        }
        for warning in &self.warnings {
            write!(f, "\n  {warning}")?;
        }
        Ok(())
    }
}

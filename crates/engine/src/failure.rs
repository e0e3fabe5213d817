//! Why a question was not answered: a class to decide and to alert by, and a sentence for people.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use strum::{IntoStaticStr, VariantArray};

/// A failure of the world outside, as the adapter that met it understands it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// What kind of failure it is: stable, and equal for as long as an outage is the same one.
    pub class: FailureClass,
    /// One sentence, without secrets. Two failures of one kind may differ in it.
    pub text: String,
}

/// The kinds of failure.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, IntoStaticStr, VariantArray,
)]
#[serde(rename_all = "kebab-case")]
#[strum(serialize_all = "kebab-case")]
pub enum FailureClass {
    /// Nothing has failed yet: the first answer has not come.
    Awaited,
    /// A token or a right is missing: a person must act.
    Denied,
    /// A runner's own token is not accepted: it was reset, or has ended. No worker can ask for jobs with it.
    TokenRefused,
    /// The other side asks for fewer requests.
    Throttled,
    /// The other side says that it has failed (HTTP 5xx).
    ServerError,
    /// No connection, or none to the server that is meant.
    Unreachable,
    /// No answer in time.
    Late,
    /// The request does not fit: the configuration must change.
    Invalid,
    /// What was asked for does not exist, or may not be seen.
    NotFound,
    /// An answer that makes no sense, or a failure of our own.
    Other,
}

impl Failure {
    /// A failure of this class; `text` is a sentence for people.
    pub fn new(class: FailureClass, text: impl Into<String>) -> Self {
        Self { class, text: text.into() }
    }

    /// An error of this class, told with its causes.
    pub fn of(class: FailureClass, error: &dyn Error) -> Self {
        Self::new(class, chain(error))
    }

    /// Nothing has failed: the first answer is still to come.
    pub fn awaited(what: &str) -> Self {
        Self::new(FailureClass::Awaited, format!("{what} is awaited"))
    }

    /// No answer came within this time.
    pub fn late(limit: Duration) -> Self {
        Self::new(FailureClass::Late, format!("no answer within {} s", limit.as_secs()))
    }
}

impl FailureClass {
    /// As in JSON.
    pub fn as_str(self) -> &'static str {
        self.into()
    }

    /// Whether the same question may be answered later without anybody doing anything.
    pub fn may_heal(self) -> bool {
        match self {
            Self::Awaited | Self::Throttled | Self::ServerError | Self::Unreachable | Self::Late | Self::Other => true,
            Self::Denied | Self::TokenRefused | Self::Invalid | Self::NotFound => false,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Display for FailureClass {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the system said, without the number that only its programmers know: "No such file or directory".
pub fn said_by_system(error: &std::io::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" (os error ") {
        Some((said, number)) if number.ends_with(')') => said.to_owned(),
        _ => text,
    }
}

/// An error and its causes as one sentence; what a cause merely repeats is said once.
pub fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let said = cause.to_string();
        if !text.ends_with(&said) {
            text.push_str(": ");
            text.push_str(&said);
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_has_one_name() {
        for class in FailureClass::VARIANTS {
            assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
        }
    }
}

//! JSON whose objects keep the order in which they are written, whatever `serde_json` was built to do.

use serde::{Serialize, Serializer};

/// A value of JSON, as far as a schema needs it.
#[derive(Clone, Debug)]
pub(super) enum Json {
    Boolean(bool),
    Number(u64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(&'static str, Json)>),
}

/// Indented, with a newline at its end.
pub(super) fn pretty(json: &Json) -> String {
    // Cannot fail: every key is text, and nothing here has an error of its own.
    serde_json::to_string_pretty(json).unwrap_or_default() + "\n"
}

impl Serialize for Json {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Boolean(value) => serializer.serialize_bool(*value),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(values) => serializer.collect_seq(values),
            Self::Object(entries) => serializer.collect_map(entries.iter().map(|(name, value)| (name, value))),
        }
    }
}

impl From<u32> for Json {
    fn from(number: u32) -> Self {
        Self::Number(number.into())
    }
}

impl From<&str> for Json {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

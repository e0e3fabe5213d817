//! A `[[runners]]` section as it may be shown: every value that looks like a secret is masked.

use toml::{Table, Value};

/// What stands for a secret in what `render` prints.
pub(super) const MASK: &str = "[MASKED]";

/// Parts of a name, in lower case, that mark its value as a secret. `KeyID`-like names and files are no secrets.
const MARKS: [&str; 8] = ["token", "secret", "password", "passwd", "credential", "private", "auth_config", "apikey"];

/// The section with its secrets masked; names, order and everything else as they were.
pub(super) fn masked(section: &Table) -> Table {
    section.iter().map(|(key, value)| (key.clone(), masked_value(key, value))).collect()
}

fn masked_value(key: &str, value: &Value) -> Value {
    match value {
        Value::Table(table) => Value::Table(masked(table)),
        Value::Array(values) if key.eq_ignore_ascii_case("environment") => {
            Value::Array(values.iter().map(masked_assignment).collect())
        }
        Value::Array(values) => Value::Array(values.iter().map(|value| masked_value(key, value)).collect()),
        Value::String(_) if is_secret(key) => Value::from(MASK),
        Value::String(_) | Value::Integer(_) | Value::Float(_) | Value::Boolean(_) | Value::Datetime(_) => {
            value.clone()
        }
    }
}

/// `NAME=value`, as in `environment`.
fn masked_assignment(value: &Value) -> Value {
    match value.as_str().and_then(|text| text.split_once('=')) {
        // A URL with a login, such as a proxy's, is a secret too.
        Some((name, text)) if is_secret(name) || (text.contains("://") && text.contains('@')) => {
            Value::from(format!("{name}={MASK}"))
        }
        Some(_) | None => value.clone(),
    }
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let is_reference = name.ends_with("file") || name.ends_with("path") || name.ends_with("id");
    !is_reference && (name.ends_with("key") || MARKS.iter().any(|mark| name.contains(mark)))
}

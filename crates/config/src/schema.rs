//! The JSON Schema of the configuration file, for editors: made of the tables of keys that the file is read by, and of the
//! comments of `config/complete.toml`.
//!
//! It knows names, kinds and shapes. Whether values fit together, and what they mean, is for `check`; what `check` takes
//! is never an error here, but for GitLab Runner's own keys in other letters (`Concurrent`).
//! Source: JSON Schema draft 7, which is what editors of TOML know.

mod explained;
mod json;
#[cfg(test)]
mod tests;

use super::gitlab_keys::{FILE, Keys, RUNNER};
use super::key::{Key, Kind};
use super::{fleet, load, runner};
use explained::Explained;
use json::Json;

const DIALECT: &str = "http://json-schema.org/draft-07/schema#";
/// A time in words: `1h30m`.
const TIME: &str = "^([0-9]+h)?([0-9]+m)?([0-9]+s)?$";
/// A price in words: digits, and a point among them.
const PRICE: &str = r"^[0-9]*\.?[0-9]+$";

/// The two ways to write a time.
fn times() -> Vec<Vec<(&'static str, Json)>> {
    let of = |name: &'static str| ("type", Json::from(name));
    vec![
        vec![of("integer"), ("minimum", Json::from(0))],
        vec![of("string"), ("minLength", Json::from(2)), ("pattern", Json::from(TIME))],
    ]
}

/// Whether a table may hold keys that are not ours.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Others {
    /// They are errors.
    Refused,
    /// They are GitLab Runner's.
    HandedOn,
}

/// The schema, as it is printed and as `config/schema.json` has it.
pub fn schema() -> String {
    let explained = Explained::of_the_complete_example();
    let mut properties = properties("", load::KEYS, &explained);
    properties.extend(theirs(&FILE, load::KEYS));
    let mut schema = vec![
        ("$schema", Json::from(DIALECT)),
        ("title", "config.toml of runner-fleet".into()),
        ("description", "GitLab Runner's config.toml, with [fleet] and [runners.fleet] for runner-fleet.".into()),
    ];
    schema.extend(table(properties, required(load::KEYS), Others::HandedOn));
    json::pretty(&Json::Object(schema))
}

fn properties(path: &str, keys: &[Key], explained: &Explained) -> Vec<(&'static str, Json)> {
    let property = |key: &Key| {
        let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let mut property = Vec::new();
        property.extend(explained.text(&path).map(|text| ("description", Json::from(text))));
        property.extend(value(&path, &key.kind, explained));
        (key.name, Json::Object(property))
    };
    keys.iter().map(property).collect()
}

/// The keywords that say which values there are.
fn value(path: &str, kind: &Kind, explained: &Explained) -> Vec<(&'static str, Json)> {
    let of = |name: &'static str| ("type", Json::from(name));
    let range = |from: u32, to: u32| [("minimum", Json::from(from)), ("maximum", Json::from(to))];
    let any_of = |kinds: Vec<Vec<(&'static str, Json)>>| {
        vec![("anyOf", Json::List(kinds.into_iter().map(Json::Object).collect()))]
    };
    let list = |of_each: &Kind| vec![of("array"), ("items", Json::Object(value(path, of_each, explained)))];
    match kind {
        Kind::Text => vec![of("string"), ("minLength", Json::from(1))],
        Kind::AnyText => vec![of("string")],
        Kind::Like(shape) => vec![of("string"), ("pattern", Json::from(*shape))],
        Kind::Word(words) => {
            vec![of("string"), ("enum", Json::List(words.concat().into_iter().map(Json::from).collect()))]
        }
        Kind::Boolean => vec![of("boolean")],
        Kind::Whole(from, to) => [vec![of("integer")], range(*from, *to).into()].concat(),
        Kind::Number(from, to) => [vec![of("number")], range(*from, *to).into()].concat(),
        Kind::Price => any_of(vec![
            vec![of("number"), ("exclusiveMinimum", Json::from(0))],
            vec![of("string"), ("pattern", Json::from(PRICE))],
        ]),
        Kind::IdleCount => any_of(vec![
            value(path, &super::values::COUNT, explained),
            vec![of("string"), ("enum", Json::List(vec![Json::from("auto")]))],
        ]),
        Kind::Time => any_of(times()),
        Kind::IdleTime => {
            let auto = vec![of("string"), ("enum", Json::List(vec![Json::from("auto")]))];
            any_of(times().into_iter().chain([auto]).collect())
        }
        Kind::IdOrPath => any_of(vec![
            vec![of("integer"), ("minimum", Json::from(1))],
            vec![of("string"), ("minLength", Json::from(1))],
        ]),
        Kind::List(of_each) => list(of_each),
        Kind::SomeOf(of_each) => [list(of_each), vec![("minItems", Json::from(1))]].concat(),
        Kind::Table(keys) => our_table(path, keys, explained),
        Kind::Tables(keys) => {
            vec![of("array"), ("items", Json::Object(our_table(path, keys, explained)))]
        }
        Kind::Texts(most) => {
            let text = Json::Object(vec![of("string")]);
            vec![of("object"), ("additionalProperties", text), ("maxProperties", Json::from(*most))]
        }
        Kind::AnyTable => vec![of("object")],
    }
}

/// A table of ours, or a `[[runners]]` section, which is GitLab Runner's and has one of ours in it.
fn our_table(path: &str, keys: &[Key], explained: &Explained) -> Vec<(&'static str, Json)> {
    let mut properties = properties(path, keys, explained);
    match path {
        "runners" => {
            properties.extend(theirs(&RUNNER, keys));
            [table(properties, required(keys), Others::HandedOn), with_docker()].concat()
        }
        // A translation may fill in what is missing.
        "runners.fleet" => table(properties, Vec::new(), Others::Refused),
        _ => table(properties, required(keys), Others::Refused),
    }
}

/// Without a translation `[runners.fleet]` has to say all that is needed.
fn with_docker() -> Vec<(&'static str, Json)> {
    let object = |entries| Json::Object(entries);
    let executor = object(vec![("const", Json::from(runner::DOCKER))]);
    let fleet = object(vec![("required", Json::List(required(fleet::KEYS)))]);
    vec![
        ("if", object(vec![("properties", object(vec![("executor", executor)]))])),
        (
            "then",
            object(vec![
                ("required", Json::List(vec![Json::from("fleet")])),
                ("properties", object(vec![("fleet", fleet)])),
            ]),
        ),
    ]
}

/// GitLab Runner's keys in a table, but for those that are read here: names to complete, of any value.
fn theirs(keys: &Keys, ours: &[Key]) -> Vec<(&'static str, Json)> {
    let others = keys.names().filter(|name| !ours.iter().any(|key| key.name == *name));
    let value = |name: &'static str| match keys.inside(name).map(|inside| Json::Object(theirs(inside, &[]))) {
        // A table, or a list of them.
        Some(names) => {
            let each = Json::Object(vec![("properties", names.clone())]);
            vec![("properties", names), ("items", each)]
        }
        None => Vec::new(),
    };
    others.map(|name| (name, Json::Object(value(name)))).collect()
}

fn table(properties: Vec<(&'static str, Json)>, required: Vec<Json>, others: Others) -> Vec<(&'static str, Json)> {
    vec![
        ("type", Json::from("object")),
        ("properties", Json::Object(properties)),
        ("required", Json::List(required)),
        ("additionalProperties", Json::Boolean(others == Others::HandedOn)),
    ]
}

fn required(keys: &[Key]) -> Vec<Json> {
    keys.iter().filter(|key| key.required).map(|key| Json::from(key.name)).collect()
}

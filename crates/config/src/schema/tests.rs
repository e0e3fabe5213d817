//! The schema and `check` are of one mind: what `check` takes is never an error in an editor, and what an editor can know
//! to be wrong is one.
//!
//! Python's jsonschema is the judge: a validator that is not ours.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use runner_fleet_testing::tools::left_out;
use runner_fleet_testing::{golden, repository};
use serde_json::{Value, json};

use super::schema;
use crate::key::{Key, Kind};
use crate::{Surroundings, load, parse_in};
use runner_fleet_testing::other_values::{OTHERS, table};

const COMPLETE: &str = include_str!("../../../../config/complete.toml");
const MINIMAL: &str = include_str!("../../../../config/minimal.toml");

/// Checks the schema itself, then gives the errors of each document: `runners.fleet.region: ...`.
const JUDGE: &str = "
import json, sys
from jsonschema import Draft7Validator
schema, documents = json.load(sys.stdin)
Draft7Validator.check_schema(schema)
judge = Draft7Validator(schema)
def told(error):
    return '.'.join(step for step in error.absolute_path if isinstance(step, str)) + ': ' + error.message[:200]
json.dump([[told(error) for error in judge.iter_errors(one)] for one in documents], sys.stdout)
";

/// What is wrong with each document; `None` where nobody can judge.
fn judged(documents: &[toml::Table]) -> Option<Vec<Vec<String>>> {
    let has_judge = Command::new("python3").args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
    if !has_judge.is_ok_and(|status| status.success()) {
        left_out("the schema of the configuration", "Python with jsonschema");
        return None;
    }
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    let mut python =
        Command::new("python3").args(["-c", JUDGE]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let input = json!([schema, documents]).to_string();
    python.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    Some(serde_json::from_slice(&python.wait_with_output().unwrap().stdout).unwrap())
}

fn is_taken_by_check(document: &toml::Table) -> bool {
    parse_in(&toml::to_string(document).unwrap(), "config.toml", &Surroundings::default()).is_ok()
}

/// Every key of ours with the path of its table.
fn keys(path: &str, keys: &[Key], found: &mut Vec<(String, Key)>) {
    for key in keys {
        found.push((path.to_owned(), *key));
        if let Kind::Table(inner) | Kind::Tables(inner) = key.kind {
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            self::keys(&path, inner, found);
        }
    }
}

fn all_keys() -> Vec<(String, &'static str)> {
    described().into_iter().map(|(path, key)| (path, key.name)).collect()
}

fn described() -> Vec<(String, Key)> {
    let mut found = Vec::new();
    keys("", load::KEYS, &mut found);
    assert!(found.len() > 70, "{}", found.len());
    found
}

#[test]
fn what_the_schema_requires_check_requires() {
    for (path, key) in described().into_iter().filter(|(_, key)| key.required) {
        let mut document: toml::Table = COMPLETE.parse().unwrap();
        assert!(table(&mut document, &path).unwrap().remove(key.name).is_some(), "{path}.{}", key.name);
        assert!(!is_taken_by_check(&document), "check does without {path}.{}", key.name);
    }
}

#[test]
fn the_schema_of_the_repository_is_the_one_that_is_printed() {
    golden::compare(&repository().join("config/schema.json"), &schema())
        .unwrap_or_else(|difference| panic!("{difference}"));
}

#[test]
fn every_key_is_in_the_schema_and_explained() {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    for (path, key) in all_keys() {
        let mut place = &schema;
        for step in path.split('.').filter(|step| !step.is_empty()) {
            place = &place["properties"][step];
            place = place.get("items").unwrap_or(place);
        }
        let text = place["properties"][key]["description"].as_str().unwrap_or_default();
        assert!(text.len() > 5, "{path}.{key} is not explained in config/complete.toml: {text:?}");
    }
}

fn configurations(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            configurations(&path, found);
        } else if std::fs::read_to_string(&path).unwrap().contains("\n[[runners]]\n") {
            found.push(path);
        }
    }
}

#[test]
fn every_example_follows_the_schema_and_names_it() {
    let folder = repository().join("config");
    let mut files = Vec::new();
    configurations(&folder, &mut files);
    assert!(files.len() >= 3, "{files:?}");
    let texts: Vec<_> = files.iter().map(|path| std::fs::read_to_string(path).unwrap()).collect();
    for (path, text) in files.iter().zip(&texts) {
        let named = text.lines().next().unwrap().strip_prefix("#:schema ").unwrap_or("none");
        let named = path.parent().unwrap().join(named);
        assert_eq!(named.canonicalize().ok(), folder.join("schema.json").canonicalize().ok(), "{}", path.display());
    }
    let documents: Vec<_> = texts.iter().map(|text| text.parse().unwrap()).collect();
    for (path, errors) in files.iter().zip(judged(&documents).unwrap_or_default()) {
        assert_eq!(errors, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn a_misspelt_key_of_ours_is_refused() {
    let ours: Vec<_> = all_keys().into_iter().filter(|(path, _)| path.contains("fleet")).collect();
    let misspelt = |(path, key): &(String, &str)| {
        let mut document: toml::Table = COMPLETE.parse().unwrap();
        table(&mut document, path).unwrap().insert(format!("{key}s_"), 1.into());
        document
    };
    let documents: Vec<_> = ours.iter().map(misspelt).collect();
    for ((path, key), errors) in ours.iter().zip(judged(&documents).unwrap_or_default()) {
        assert!(errors.iter().any(|error| error.contains(&format!("{key}s_"))), "{path}.{key}: {errors:?}");
    }
}

#[test]
fn an_unknown_key_of_gitlab_runner_is_handed_on() {
    let text = COMPLETE.replace("[fleet]\n", "some_key = 1\n[fleet]\n").replace("limit = 20", "limit = 20\nother = 1");
    let errors = judged(&[text.parse().unwrap()]).unwrap_or_default();
    assert_eq!(errors.concat(), Vec::<String>::new());
}

/// The complete example with other values in one of its tables.
fn changed<'k>(path: &str, keys: impl IntoIterator<Item = &'k str>, value: &toml::Value) -> toml::Table {
    let mut document: toml::Table = COMPLETE.parse().unwrap();
    let place = table(&mut document, path).unwrap();
    place.extend(keys.into_iter().map(|key| (key.to_owned(), value.clone())));
    document
}

#[test]
fn every_other_value_is_taken() {
    let complete: toml::Table = COMPLETE.parse().unwrap();
    let documents: Vec<_> = OTHERS.iter().map(|other| other.in_place_of(&complete).unwrap()).collect();
    for (other, errors) in OTHERS.iter().zip(judged(&documents).unwrap_or_default()) {
        assert_eq!(errors, Vec::<String>::new(), "{other:?}");
    }
}

/// Every key with all sorts of values: what the schema refuses, `check` refuses as well; and of each key it refuses some.
#[test]
fn what_check_takes_the_schema_takes() {
    let sorts = "[true, 0, 1.5, 22, 4000, 'x', '', '1h', 'auto', 'warning', 'runner', 'ssm:/x', '/dev/x', 'HTTP://x', [], ['x'], \
                 { x = 'y' }, [{}]]";
    let sorts: toml::Table = format!("sorts = {sorts}").parse().unwrap();
    let mut keys_of: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    all_keys().into_iter().for_each(|(path, key)| keys_of.entry(path).or_default().push(key));
    // All keys of a table at once: each error tells its own.
    let sorts = sorts["sorts"].as_array().unwrap();
    let tried: Vec<_> =
        keys_of.iter().flat_map(|(path, keys)| sorts.iter().map(move |sort| (path, keys, sort))).collect();
    let documents: Vec<_> = tried.iter().map(|(path, keys, sort)| changed(path, keys.iter().copied(), sort)).collect();
    let Some(verdicts) = judged(&documents) else { return };
    let mut refused = BTreeSet::new();
    for ((path, keys, sort), errors) in tried.iter().zip(&verdicts) {
        for key in *keys {
            let name = format!("{path}.{key}").trim_start_matches('.').to_owned();
            let inner = [format!("{name}: "), format!("{name}.")];
            let Some(error) = errors.iter().find(|error| inner.iter().any(|name| error.starts_with(name))) else {
                continue;
            };
            let takes = is_taken_by_check(&changed(path, [*key], sort));
            assert!(!takes, "check takes {name} = {sort}, the schema does not: {error}");
            refused.insert(name);
        }
    }
    for (path, key) in all_keys() {
        let name = format!("{path}.{key}").trim_start_matches('.').to_owned();
        assert!(refused.contains(&name), "{name} takes everything");
    }
}

#[test]
fn only_a_translated_section_may_leave_out_our_table() {
    let without = MINIMAL.split("  [runners.fleet]").next().unwrap();
    let little = format!("{without}[runners.fleet]\nami = \"ami-1\"\n");
    let machine = |text: &str| text.replace("\"docker\"", "\"docker+machine\"");
    let documents =
        [without, &little, &machine(without), &machine(&little)].map(|text| text.parse::<toml::Table>().unwrap());
    let Some(verdicts) = judged(&documents) else { return };
    let counts: Vec<_> = verdicts.iter().map(Vec::len).collect();
    assert_eq!(counts, [1, 3, 0, 0], "{verdicts:?}");
}

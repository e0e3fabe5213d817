//! "Five ways through the house" in docs/architecture.md lead where they say: every file is there, and every name stands in
//! one of the files of its way.
//!
//! If this broke, the first thing that a newcomer follows would end before a wall.
#![cfg(test)]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const SECTION: &str = "## 12. Five ways through the house";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The five, each from its heading to the next.
fn ways() -> Vec<String> {
    let text = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let (_, section) = text.split_once(SECTION).expect("the section");
    let section = section.split("\n## ").next().unwrap();
    section.split("\n**").skip(1).map(|way| way.replace('\n', " ")).collect()
}

/// What stands between back quotes.
fn quoted(way: &str) -> impl Iterator<Item = &str> {
    way.split('`').skip(1).step_by(2)
}

fn is_file(word: &str) -> bool {
    [".rs", ".sh", ".js"].iter().any(|end| word.ends_with(end)) && !word.contains([' ', '*'])
}

/// `name`, `Type` or `Type::name`: what the source must have a word for. The names of metrics are put together.
fn is_name(word: &str) -> bool {
    !word.starts_with("runner_fleet_") && word.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == ':')
}

/// A file that a way names: from `crates/`, or beside one of those named before it, the last ones first.
fn found(word: &str, before: &[PathBuf]) -> Option<PathBuf> {
    let beside = before.iter().rev().filter_map(|file| Some(file.parent()?.join(word)));
    std::iter::once(root().join("crates").join(word)).chain(beside).find(|path| path.is_file())
}

fn words(text: &str) -> BTreeSet<&str> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).collect()
}

#[test]
fn every_step_leads_to_a_file_that_has_its_names() {
    let ways = ways();
    assert_eq!(ways.len(), 5);
    for way in &ways {
        let mut files: Vec<PathBuf> = Vec::new();
        for word in quoted(way).filter(|word| is_file(word)) {
            let path = found(word, &files);
            files.push(path.unwrap_or_else(|| panic!("{word} is not there, in: {way:.60}")));
        }
        let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let known = words(&text);
        for name in quoted(way).filter(|word| !is_file(word) && is_name(word)) {
            let last = name.rsplit("::").next().unwrap();
            assert!(known.contains(last), "{name} stands in no file of its way: {way:.60}");
        }
    }
}

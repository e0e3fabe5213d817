//! A test is named so that its name can be read in a list.

use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::Visit;

const LENGTH_MAX: usize = 60;

#[test]
fn no_test_has_a_name_that_nobody_reads() {
    let mut files = Vec::new();
    walk(&runner_fleet_testing::repository().join("crates"), &mut files);
    let mut names = Names::default();
    for path in &files {
        let text = fs::read_to_string(path).unwrap();
        names.visit_file(&syn::parse_file(&text).unwrap_or_else(|error| panic!("{}: {error}", path.display())));
    }
    assert!(names.tests.len() > 400, "the tests were not found");
    let long: Vec<_> = names.tests.iter().filter(|name| name.len() > LENGTH_MAX).collect();
    assert!(long.is_empty(), "more than {LENGTH_MAX} characters: {long:#?}");
}

#[derive(Default)]
struct Names {
    tests: Vec<String>,
}

impl<'ast> Visit<'ast> for Names {
    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        let is_test = |attribute: &syn::Attribute| attribute.path().segments.last().is_some_and(|s| s.ident == "test");
        if item.attrs.iter().any(is_test) {
            self.tests.push(item.sig.ident.to_string());
        }
        syn::visit::visit_item_fn(self, item);
    }
}

fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            walk(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

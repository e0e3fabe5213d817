//! The house stands as `docs/architecture.md` draws it: between crates the compiler keeps the order, within them this does.
//!
//! Every path in the source is followed to the module that it means, through re-exports too; unit tests are left out. Of
//! the modules side by side in one folder, each with all that is below it, none may lead back to itself; and those of this
//! crate keep to their floors.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use syn::visit::Visit;

/// This crate's rooms, from the ground up. One may know those of lower floors; neighbours do not know each other.
const FLOORS: [&[&str]; 6] = [
    &["core_files", "in_time", "metrics", "version"],
    &["ssh", "aws", "history", "otlp"],
    &["control", "http"],
    &["live"],
    &["doctor", "shadow"],
    &["cli"],
];

/// Re-exports lead to re-exports, never this often.
const HOPS_MAX: usize = 8;

#[test]
fn imports_run_downward_only() {
    let fleet = Krate::read("fleet");
    let floor = |room: &str| FLOORS.iter().position(|rooms| rooms.contains(&room));
    let edges = fleet.edges_in(&[]);
    let climbing: Vec<String> = edges
        .iter()
        .filter(|((from, to), _)| floor(to) >= floor(from) || floor(to).is_none())
        .map(|((from, to), place)| format!("{place}: {from} must not know {to}"))
        .collect();
    assert!(climbing.is_empty(), "imports that climb:\n{}", climbing.join("\n"));
    let rooms = fleet.modules.keys().filter(|module| module.len() == 1);
    let homeless: Vec<_> = rooms.filter(|room| floor(&room[0]).is_none()).collect();
    assert!(homeless.is_empty(), "{homeless:?} stand on no floor: add them here and in docs/architecture.md");
}

#[test]
fn no_module_leads_back_to_itself() {
    let mut circles = Vec::new();
    for name in crates() {
        let krate = Krate::read(&name);
        for folder in krate.folders() {
            let edges = krate.edges_in(&folder);
            if let Some(circle) = circle(&edges) {
                let places = circle.windows(2).map(|pair| &edges[&(pair[0].clone(), pair[1].clone())]);
                let places: Vec<String> = places.map(|place| format!("    {place}")).collect();
                circles.push(format!("{name}: {}\n{}", circle.join(" -> "), places.join("\n")));
            }
        }
    }
    assert!(circles.is_empty(), "circles of modules:\n{}", circles.join("\n"));
}

#[test]
fn the_reader_sees_circles_and_what_climbs() {
    let source = [
        ("", "pub mod a; pub mod b; pub mod c; pub use b::Thing;"),
        ("a", "use crate::Thing; mod inner;"),
        ("a::inner", "fn f() { super::super::c::g() }"),
        ("b", "use super::a;"),
        ("c", "#[cfg(test)] mod tests { use crate::a; }"),
    ];
    let krate = Krate::of(source.map(|(path, text)| (segments(path), format!("{path}.rs"), text.to_owned())).into());
    let edges = krate.edges_in(&[]);
    let found: Vec<_> = edges.keys().map(|(from, to)| format!("{from}>{to}")).collect();
    assert_eq!(found, ["a>b", "a>c", "b>a"]);
    assert_eq!(circle(&edges).unwrap(), ["a", "b", "a"]);
}

type Module = Vec<String>;
/// From one module of a folder to another, and a line where that is said.
type Edges = BTreeMap<(String, String), String>;

struct Krate {
    /// Every module, with the names that it takes from elsewhere.
    modules: BTreeMap<Module, BTreeMap<String, Vec<String>>>,
    paths: Vec<(Module, Vec<String>, String)>,
}

impl Krate {
    fn read(name: &str) -> Self {
        let root = runner_fleet_testing::repository().join("crates").join(name).join("src");
        let mut files = Vec::new();
        walk(&root, &[], &mut files);
        assert!(!files.is_empty(), "the source was not found in {}", root.display());
        Self::of(files)
    }

    /// Of files: module, name, text.
    fn of(files: Vec<(Module, String, String)>) -> Self {
        let mut krate = Self { modules: BTreeMap::new(), paths: Vec::new() };
        for (module, name, text) in files {
            let file = syn::parse_file(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
            let mut reader = Reader { file: &name, module, krate: &mut krate };
            reader.krate.modules.entry(reader.module.clone()).or_default();
            reader.visit_file(&file);
        }
        krate
    }

    fn folders(&self) -> BTreeSet<Module> {
        self.modules.keys().filter_map(|module| module.split_last().map(|(_, folder)| folder.to_vec())).collect()
    }

    /// Which child of `folder` uses which other.
    fn edges_in(&self, folder: &[String]) -> Edges {
        let mut edges = Edges::new();
        for (from, path, place) in &self.paths {
            let to = self.resolve(from, path);
            let children = (from.strip_prefix(folder).and_then(|rest| rest.first()), to.strip_prefix(folder));
            if let (Some(from), Some([to, ..])) = children
                && from != to
            {
                edges.entry((from.clone(), to.clone())).or_insert_with(|| place.clone());
            }
        }
        edges
    }

    /// The module that a path in `from` ends in; the root for paths to other crates.
    fn resolve(&self, from: &[String], path: &[String]) -> Module {
        let (mut at, mut rest) = (from.to_vec(), path.to_vec());
        if self.start(&mut at, &mut rest).is_none() {
            return Module::new();
        }
        for _ in 0..HOPS_MAX {
            while let Some(child) = rest.first().map(|name| [at.as_slice(), std::slice::from_ref(name)].concat())
                && self.modules.contains_key(&child)
            {
                at = child;
                rest.remove(0);
            }
            let Some(elsewhere) = rest.first().and_then(|name| self.modules.get(&at)?.get(name)) else { return at };
            rest.splice(0..1, elsewhere.iter().cloned());
            if self.start(&mut at, &mut rest).is_none() {
                return Module::new();
            }
        }
        at
    }

    /// Where a path begins; `None` outside this crate.
    fn start(&self, at: &mut Module, rest: &mut Vec<String>) -> Option<()> {
        match rest.first()?.as_str() {
            "crate" => {
                at.clear();
                rest.remove(0);
            }
            "self" => drop(rest.remove(0)),
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop();
                    rest.remove(0);
                }
            }
            name if self.modules.contains_key(&[at.as_slice(), &[name.to_owned()]].concat()) => {}
            _ => return None,
        }
        Some(())
    }
}

/// Collects the paths of one file.
struct Reader<'a> {
    file: &'a str,
    module: Module,
    krate: &'a mut Krate,
}

impl Reader<'_> {
    fn take(&mut self, path: Vec<String>, line: usize) {
        self.krate.paths.push((self.module.clone(), path, format!("{}:{line}", self.file)));
    }

    fn take_use(&mut self, tree: &syn::UseTree, prefix: &[String], re_exported: bool) {
        let with = |ident: &syn::Ident| [prefix, &[ident.to_string()]].concat();
        let (name, path, line) = match tree {
            syn::UseTree::Path(path) => return self.take_use(&path.tree, &with(&path.ident), re_exported),
            syn::UseTree::Group(group) => {
                return group.items.iter().for_each(|tree| self.take_use(tree, prefix, re_exported));
            }
            syn::UseTree::Name(name) if name.ident == "self" => {
                (prefix.last().cloned(), prefix.to_vec(), name.ident.span().start().line)
            }
            syn::UseTree::Name(name) => {
                (Some(name.ident.to_string()), with(&name.ident), name.ident.span().start().line)
            }
            syn::UseTree::Rename(rename) => {
                (Some(rename.rename.to_string()), with(&rename.ident), rename.ident.span().start().line)
            }
            syn::UseTree::Glob(glob) => (None, prefix.to_vec(), glob.star_token.spans[0].start().line),
        };
        if let Some(name) = name {
            self.krate.modules.entry(self.module.clone()).or_default().insert(name, path.clone());
        }
        // Whoever takes a name from here is led on to where it comes from; the offer itself uses nothing.
        if !re_exported {
            self.take(path, line);
        }
    }
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        let is_test = item.attrs.iter().any(|attribute| attribute.path().is_ident("cfg"));
        if item.content.is_some() && !is_test {
            self.module.push(item.ident.to_string());
            self.krate.modules.entry(self.module.clone()).or_default();
            syn::visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        let re_exported = !matches!(item.vis, syn::Visibility::Inherited);
        self.take_use(&item.tree, &[], re_exported);
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let names: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        if names.len() > 1 {
            self.take(names, path.segments[0].ident.span().start().line);
        }
        syn::visit::visit_path(self, path);
    }
}

/// A way from a module back to itself, if there is one: the first found, in order of names.
fn circle(edges: &Edges) -> Option<Vec<String>> {
    fn walk(way: &mut Vec<String>, edges: &Edges, done: &mut BTreeSet<String>) -> Option<Vec<String>> {
        let at = way.last()?.clone();
        for (_, to) in edges.keys().filter(|(from, _)| *from == at) {
            if let Some(start) = way.iter().position(|before| before == to) {
                return Some([&way[start..], std::slice::from_ref(to)].concat());
            }
            if done.contains(to) {
                continue;
            }
            way.push(to.clone());
            if let Some(found) = walk(way, edges, done) {
                return Some(found);
            }
            way.pop();
        }
        done.insert(at);
        None
    }
    let mut done = BTreeSet::new();
    edges.keys().find_map(|(from, _)| walk(&mut vec![from.clone()], edges, &mut done))
}

fn crates() -> Vec<String> {
    let folder = runner_fleet_testing::repository().join("crates");
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// All files below a folder, which is that of `module`. Programs of their own (`main.rs`, `bin/`) are left out.
fn walk(folder: &Path, module: &[String], found: &mut Vec<(Module, String, String)>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let child = [module, std::slice::from_ref(&name)].concat();
        if path.is_dir() && name != "bin" {
            walk(&path, &child, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") && name != "main" && name != "tests" {
            let of = if name == "mod" || name == "lib" { module.to_vec() } else { child };
            found.push((of, path.display().to_string(), fs::read_to_string(&path).unwrap()));
        }
    }
}

fn segments(path: &str) -> Module {
    path.split("::").filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

//! The house stands as `docs/architecture.md` draws it: imports run downward only, and the engine is pure.
//!
//! Read from the source: every `crate::ROOM` and every `super::…` that leaves a room, in code (comments may point
//! anywhere). A failure names the line that climbs.

use std::fs;
use std::path::{Path, PathBuf};

/// The floors, from the ground up. A room may import rooms of lower floors and itself; neighbours do not know each other.
const FLOORS: [&[&str]; 8] = [
    &["engine"],
    &["config"],
    &["worker"],
    &["ssh", "aws", "gitlab"],
    &["control", "http"],
    &["live"],
    &["sim", "doctor"],
    &["cli"],
];

/// All that the engine may use from outside: plain data, and the standard library.
const ENGINE_MAY_USE: [&str; 9] = ["std", "core", "jiff", "serde", "cronexpr", "sha2", "smol_str", "crate", "super"];

#[test]
fn imports_run_downward_only() {
    let climbing: Vec<String> = sources()
        .iter()
        .flat_map(|source| source.imports())
        .filter(|import| !may_import(&import.from, &import.to))
        .map(|import| format!("{}: {} must not know {}: {}", import.place, import.from, import.to, import.line.trim()))
        .collect();
    assert!(climbing.is_empty(), "imports that climb:\n{}", climbing.join("\n"));
}

#[test]
fn every_room_has_its_floor() {
    for room in sources().iter().filter_map(|source| source.room.clone()) {
        assert!(floor(&room).is_some(), "src/{room} stands on no floor; add it to this test and docs/architecture.md");
    }
}

#[test]
fn the_engine_imports_plain_data_only() {
    let mut strangers = Vec::new();
    for source in sources().iter().filter(|source| source.room.as_deref() == Some("engine")) {
        for (number, line) in source.product_lines() {
            let Some(first) = first_of_use(line) else { continue };
            let own = source.path.with_file_name(format!("{first}.rs")).exists()
                || source.path.with_file_name(first).is_dir()
                || source.path.with_extension("").join(format!("{first}.rs")).exists();
            if !own && first != "self" && !ENGINE_MAY_USE.contains(&first) {
                strangers.push(format!("{}:{number}: {}", source.path.display(), line.trim()));
            }
        }
    }
    assert!(strangers.is_empty(), "the engine is pure; it may not use:\n{}", strangers.join("\n"));
}

#[test]
fn the_reader_sees_what_climbs() {
    let source = Source {
        path: "src/aws/fleet.rs".into(),
        room: Some("aws".into()),
        depth: 2,
        text: "//! crate::cli\nuse crate::engine::View;\nuse crate::live::Clock;\nuse super::super::gitlab::X;\n\
               mod tests {\n    use super::super::worker::Inner;\n    use super::super::super::http::X;\n}\n"
            .into(),
    };
    let climbs = |import: &Import| !may_import(&import.from, &import.to);
    let found: Vec<String> = source.imports().into_iter().filter(climbs).map(|import| import.to).collect();
    assert_eq!(found, ["live", "gitlab", "http"]);
}

fn may_import(from: &str, to: &str) -> bool {
    from == to || matches!((floor(from), floor(to)), (Some(from), Some(to)) if to < from)
}

fn floor(room: &str) -> Option<usize> {
    FLOORS.iter().position(|rooms| rooms.contains(&room))
}

struct Source {
    path: PathBuf,
    /// `None` for lib.rs and main.rs, which name all rooms.
    room: Option<String>,
    /// How many `super` lead from this file's module to the crate's root.
    depth: usize,
    text: String,
}

struct Import {
    place: String,
    from: String,
    to: String,
    line: String,
}

impl Source {
    fn imports(&self) -> Vec<Import> {
        let Some(from) = &self.room else { return Vec::new() };
        let mut imports = Vec::new();
        let mut depth = self.depth;
        for (index, line) in self.text.lines().enumerate() {
            let code = line.trim_start();
            if code.starts_with("//") {
                continue;
            }
            if line.starts_with("mod ") && line.ends_with('{') {
                depth = self.depth + 1;
            }
            let to_root = "super::".repeat(depth);
            for root in ["crate::", to_root.as_str()] {
                for (at, _) in code.match_indices(root) {
                    if code[..at].ends_with("super::") {
                        continue;
                    }
                    for to in names(&code[at + root.len()..]).filter(|name| floor(name).is_some()) {
                        let place = format!("{}:{}", self.path.display(), index + 1);
                        imports.push(Import { place, from: from.clone(), to, line: line.into() });
                    }
                }
            }
        }
        imports
    }

    /// The lines before the unit tests, with their numbers.
    fn product_lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let lines = self.text.lines().enumerate().map(|(index, line)| (index + 1, line));
        lines.take_while(|(_, line)| !line.starts_with("#[cfg(test)]"))
    }
}

/// The names right after a path's root: one, or those of a group `{a, b::c}`.
fn names(path: &str) -> impl Iterator<Item = String> {
    let group = path.strip_prefix('{').map_or(path, |group| group.split('}').next().unwrap_or(group));
    let parts: Vec<&str> = if path.starts_with('{') { group.split(',').collect() } else { vec![path] };
    let word = |part: &str| part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
    parts.into_iter().map(word).collect::<Vec<String>>().into_iter()
}

fn first_of_use(line: &str) -> Option<&str> {
    let rest = line.trim_start().trim_start_matches("pub(crate) ").trim_start_matches("pub(super) ");
    let path = rest.trim_start_matches("pub ").strip_prefix("use ")?;
    path.split(|c: char| !c.is_alphanumeric() && c != '_').next()
}

fn sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    walk(&root, &root, &mut found);
    assert!(found.len() > 20, "the source was not found in {}", root.display());
    found
}

fn walk(root: &Path, folder: &Path, found: &mut Vec<Source>) {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            walk(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let inside = path.strip_prefix(root).unwrap();
            let parts: Vec<_> = inside.iter().map(|part| part.to_string_lossy().into_owned()).collect();
            let is_mod = inside.ends_with("mod.rs");
            found.push(Source {
                room: (parts.len() > 1).then(|| parts[0].clone()),
                depth: parts.len() - usize::from(is_mod),
                text: fs::read_to_string(&path).unwrap(),
                path,
            });
        }
    }
}

//! `migrate`: the whole file in our form, as text.
//!
//! What is written is what a load of the old file would read. It is read once before it is written, so that everything
//! that `check` would refuse in it is a `TO DO` line above it, and everything that it would warn of is a comment.

mod page;

use std::path::{Path, PathBuf};

use super::document;
use super::legacy::{self, Missing, Outside, Section, Surroundings};
use super::load;
use super::node::{At, Item, Node, Table};
use super::problems::{Note, Problem, Problems, Report};
use super::runner;
use page::Page;

/// What `[fleet]` is preceded by where it is ours.
const OWNER: &str = "The owner name in every tag: choose it once. Workers of another name are not ours.";

/// Turns a docker+machine or docker-autoscaler configuration into ours: valid TOML, with a comment line for every
/// option that was not kept as it was, and a `TO DO` line for every key that only the administrator knows. Without such
/// a line the result loads, and means what the old file means.
///
/// `origin` is the old file's name: relative paths in it start in its directory, and are written in full. `manager` is
/// written when the file names none. Comments of the old file are not kept.
///
/// # Errors
/// All problems, when the text is not TOML or holds what cannot be translated.
pub fn migrate(text: &str, origin: &str, manager: &str, surroundings: &Surroundings) -> Result<String, Problems> {
    let mut document = document::tree(text, origin)?;
    let assumed = legacy::with_defaults(&mut document);
    let directory = directory(origin);
    let mut report = Report::default();
    let outside = Outside { concurrent: load::concurrent(&document), directory: &directory, surroundings };
    let (head, parts) = (head(&document, manager), parts(&document, &outside, &mut report));
    report.finish(origin)?;
    let mut page = Page::of(origin);
    for text in legacy::environment_notes(&surroundings.environment) {
        page.remark(&text);
    }
    assumed.iter().for_each(|note| page.comment(note));
    let owner = document.get("fleet").is_none().then_some(OWNER);
    write(&mut page, &head, owner, &parts, &Findings::of(&head, &parts, &directory));
    Ok(page.finish())
}

/// One `[[runners]]` section.
enum Part {
    Ours(Box<Ready>),
    /// It is not for us.
    Elsewhere(Note),
}

/// A section as it is written.
struct Ready {
    section: Section,
    /// Whether nobody would ever see a waiting job.
    needs_token: bool,
}

/// Where relative paths start, from the root.
fn directory(origin: &str) -> PathBuf {
    let whole = std::path::absolute(origin).unwrap_or_else(|_| PathBuf::from(origin));
    whole.parent().map(Path::to_owned).unwrap_or_default()
}

/// Everything above the runners: what GitLab Runner has there, and who owns the workers.
fn head(document: &Table, manager: &str) -> Table {
    let mut head = document.clone();
    head.entries.retain(|(key, _)| key != "runners");
    let at = head.at.key("fleet");
    if head.get("fleet").is_none() {
        head.push("fleet", Node::new(&at, Item::Table(Table::empty(&at))));
    }
    if let Some(fleet) = head.get_mut("fleet").and_then(Node::as_table_mut)
        && fleet.get("manager").is_none()
    {
        fleet.entries.insert(0, ("manager".to_owned(), Node::text(&fleet.at.key("manager"), manager)));
    }
    head
}

fn parts(document: &Table, outside: &Outside<'_>, report: &mut Report) -> Vec<Part> {
    let nodes = document.get("runners").and_then(Node::as_array).unwrap_or_default();
    if nodes.is_empty() {
        report.problem(&document.at.key("runners"), "missing; there is nothing to migrate");
    }
    let mut tables = Vec::new();
    for node in nodes {
        match node.as_table() {
            Some(table) => tables.push((table, elsewhere(table))),
            None => report.problem(&node.at, "not a table; write [[runners]]"),
        }
    }
    if !tables.is_empty() && tables.iter().all(|(_, elsewhere)| elsewhere.is_some()) {
        let nothing = "no section is of docker+machine or docker-autoscaler; there is nothing to migrate";
        report.problem(&document.at.key("runners"), nothing);
    }
    let ours: Vec<&Table> = tables.iter().filter(|(_, note)| note.is_none()).map(|(table, _)| *table).collect();
    let mut sections = legacy::sections(&ours, outside).into_iter();
    tables
        .into_iter()
        .filter_map(|(_, note)| match note {
            Some(note) => Some(Part::Elsewhere(note)),
            None => sections.next().map(|section| Part::Ours(Box::new(ready(section, outside.directory, report)))),
        })
        .collect()
}

/// Why a section is not for us, if it is not.
fn elsewhere(section: &Table) -> Option<Note> {
    let executor = section.get("executor").filter(|_| !legacy::is_old(section))?;
    let why = match executor.as_str()? {
        runner::DOCKER if section.get("fleet").is_some() => return None,
        runner::DOCKER => "its jobs run on the manager's own Docker".to_owned(),
        _ => format!("the executor {} is none that scales here", executor.shown()),
    };
    let name = section.get("name").map_or_else(String::new, |name| format!("{}: ", name.shown()));
    Some(Note::new(&section.at, format!("{name}left out: {why}; leave this with gitlab-runner")))
}

/// The section with what is written in the place of missing keys, and with paths that can move.
fn ready(mut section: Section, directory: &Path, report: &mut Report) -> Ready {
    for error in &section.errors {
        report.problem(&error.at, &error.text);
    }
    let fleet = section.table.get_mut("fleet").and_then(Node::as_table_mut);
    if let Some(fleet) = fleet {
        for Missing { key, why, stand_in } in &section.missing {
            if let Some(text) = stand_in {
                fleet.push(key, Node::text(&why.at, text));
            }
        }
        fleet.get_mut("setup_script").into_iter().for_each(|node| in_full(node, directory));
    }
    section.table.get_mut("tls-ca-file").into_iter().for_each(|node| in_full(node, directory));
    let needs_token = needs_token(&section.table);
    Ready { section, needs_token }
}

fn in_full(node: &mut Node, directory: &Path) {
    if let Item::String(path) = &mut node.item
        && !path.is_empty()
        && let Some(whole) = directory.join(&*path).to_str()
    {
        whole.clone_into(path);
    }
}

/// Whether nobody would ever see a waiting job: neither the queue's reader nor an idle worker, at some time.
fn needs_token(section: &Table) -> bool {
    let Some(fleet) = section.get("fleet").and_then(Node::as_table) else { return false };
    if fleet.get("api_token").is_some() {
        return false;
    }
    let is_zero = |values: &Table| {
        let value = |key: &str| values.get(key).or_else(|| fleet.get(key));
        let factor_is_on = value("idle_scale_factor").is_some_and(|node| match node.item {
            Item::Float(number, _) => number > 0.0,
            Item::Integer(number) => number > 0,
            _ => false,
        });
        let is_auto = value("idle_count").is_some_and(|node| node.as_str() == Some("auto"));
        let floor = if factor_is_on || is_auto { "idle_count_min" } else { "idle_count" };
        value(floor).is_none_or(|node| node.as_integer() == Some(0))
    };
    let schedule = fleet.get("schedule").and_then(Node::as_array).unwrap_or_default();
    is_zero(fleet) || schedule.iter().filter_map(Node::as_table).any(is_zero)
}

/// What a reading of the result says.
struct Findings {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

impl Findings {
    fn of(head: &Table, parts: &[Part], directory: &Path) -> Self {
        let ours = || parts.iter().filter_map(Part::ours);
        let excused: Vec<Vec<&'static str>> = ours()
            .map(|ready| {
                let token = ready.needs_token.then_some("api_token");
                ready.section.missing_keys().into_iter().chain(token).collect()
            })
            .collect();
        let tables = ours().zip(&excused).map(|(ready, excused)| load::Ready {
            table: &ready.section.table,
            excused,
            written_for: ready.section.written_for(),
        });
        let mut report = Report::default();
        load::read(head, &tables.collect::<Vec<_>>(), directory, &mut report);
        let (mut problems, warnings) = report.into_lists();
        // What stands in for a missing key is meant to be refused.
        let missing = ours().flat_map(|ready| &ready.section.missing).filter(|missing| missing.stand_in.is_some());
        let told: Vec<String> = missing.map(|missing| missing.why.at.path()).collect();
        problems.retain(|problem| !told.contains(&problem.path));
        Self { problems, warnings }
    }
}

impl Part {
    fn ours(&self) -> Option<&Ready> {
        match self {
            Self::Ours(ready) => Some(ready),
            Self::Elsewhere(_) => None,
        }
    }
}

fn write(page: &mut Page, head: &Table, owner: Option<&str>, parts: &[Part], findings: &Findings) {
    page.findings(findings, |path| !path.starts_with("runners["));
    page.head(head);
    owner.into_iter().for_each(|text| page.remark(text));
    page.table("fleet", head.get("fleet").map(Node::to_value));
    for part in parts {
        page.gap();
        match part {
            Part::Elsewhere(note) => page.comment(note),
            Part::Ours(ready) => runner(page, ready, findings),
        }
    }
}

fn runner(page: &mut Page, ready: &Ready, findings: &Findings) {
    let Ready { section, needs_token } = ready;
    for Missing { key, why, .. } in &section.missing {
        page.todo(&format!("write `{key}` in [runners.fleet] ({})", page::placed(why)));
    }
    if *needs_token {
        page.todo(
            "write `api_token` (scope read_api) in [runners.fleet], or an idle_count of 1 or more (with a factor an \
             idle_count_min): workers are launched for jobs that are seen waiting",
        );
    }
    let is_here = |path: &str| belongs(path, &section.table.at);
    page.todos(findings, is_here);
    for note in &section.notes {
        page.comment(note);
    }
    page.warnings(findings, is_here);
    page.table("runners", Some(toml::Value::Array(vec![toml::Value::Table(section.table.to_toml())])));
}

/// Whether a path leads to this section or into it.
fn belongs(path: &str, section: &At) -> bool {
    path.strip_prefix(&section.path()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
}

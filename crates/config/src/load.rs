//! From a file to a [`Config`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::carried;
use super::key::{self, Key, Kind, words};
use super::legacy::{self, Section, Surroundings};
use super::node::{At, Node, Table};
use super::places::Places;
use super::problems::Report;
use super::reader::Reader;
use super::runner::{self, Outside};
use super::s3_cache::WrittenFor;
use super::ssh_key::{self, SshKey};
use super::{
    Config, Fleet, LogFormat, LogLevel, Problems, Runner, Warning, address, document, duration, names, on_trouble,
    strays, values,
};

/// The keys of `[fleet]`.
pub(crate) const FLEET_KEYS: &[Key] = &[
    Key::required("manager", names::NAME),
    Key::optional("state_dir", values::ABSOLUTE_PATH),
    Key::optional("ssh_key", ssh_key::SSH_KEY),
    Key::optional("control_socket", values::ABSOLUTE_PATH),
    Key::optional("page_hosts", Kind::List(&values::HOST_NAME)),
    Key::optional("on_trouble", Kind::Table(on_trouble::KEYS)),
    Key::optional("otlp", values::WEB_ADDRESS),
];

/// The top-level keys that are read here; all others are GitLab Runner's, and are kept for the workers.
pub(crate) const KEYS: &[Key] = &[
    Key::required("concurrent", values::POSITIVE),
    Key::optional("check_interval", Kind::Time),
    Key::optional("listen_address", Kind::AnyText),
    Key::optional("log_level", Kind::Word(&[&words(&LOG_LEVELS), &words(&LOG_LEVEL_SYNONYMS)])),
    Key::optional("log_format", Kind::Word(&[&words(&LOG_FORMATS), &words(&LOG_FORMAT_SYNONYMS)])),
    Key::required("fleet", Kind::Table(FLEET_KEYS)),
    Key::required("runners", Kind::Tables(runner::KEYS)),
];

const LOG_LEVELS: [(&str, LogLevel); 5] = [
    ("error", LogLevel::Error),
    ("warn", LogLevel::Warn),
    ("info", LogLevel::Info),
    ("debug", LogLevel::Debug),
    ("trace", LogLevel::Trace),
];
/// GitLab Runner's other words for them.
const LOG_LEVEL_SYNONYMS: [(&str, LogLevel); 3] =
    [("warning", LogLevel::Warn), ("fatal", LogLevel::Error), ("panic", LogLevel::Error)];
const LOG_FORMATS: [(&str, LogFormat); 2] = [("text", LogFormat::Text), ("json", LogFormat::Json)];
/// GitLab Runner's own format is text.
const LOG_FORMAT_SYNONYMS: [(&str, LogFormat); 1] = [("runner", LogFormat::Text)];

const DEFAULT_CHECK_INTERVAL: Duration = Duration::from_secs(3);
/// Longer, and every answer would be stale before the next.
const CHECK_INTERVAL_MAX: Duration = Duration::from_secs(10 * 60);

/// A usable configuration and what should be said about it.
#[derive(Clone, Debug, PartialEq)]
pub struct Loaded {
    /// The typed configuration.
    pub config: Config,
    /// By line.
    pub warnings: Vec<Warning>,
    /// Where what stands.
    pub places: Places,
}

/// Reads and checks a file of at most 1 MiB.
///
/// # Errors
/// All problems of the file at once; one problem when it cannot be read.
pub fn load(path: &Path) -> Result<Loaded, Problems> {
    parse(&document::read_file(path)?, &path.display().to_string())
}

/// Checks a text; `origin` is the file's name for messages, and relative paths in the text start in its directory.
///
/// Sections that are translated from docker+machine may refer to this process's environment and time zone.
///
/// # Errors
/// All problems of the text at once.
pub fn parse(text: &str, origin: &str) -> Result<Loaded, Problems> {
    parse_in(text, origin, &Surroundings::of_this_process())
}

/// As [`parse`], with the surroundings passed in.
///
/// # Errors
/// All problems of the text at once.
pub fn parse_in(text: &str, origin: &str, surroundings: &Surroundings) -> Result<Loaded, Problems> {
    let mut report = Report::default();
    let mut document = document::tree_with_twins(text, origin, &mut report)?;
    if let Some(note) = legacy::with_defaults(&mut document) {
        report.warn(&note.at, note.text);
    }
    let directory = Path::new(origin).parent().map(Path::to_owned).unwrap_or_default();
    let outside = legacy::Outside { concurrent: concurrent(&document), directory: &directory, surroundings };
    let written = sections(&document, &mut report);
    written.iter().for_each(|section| strays::in_section(section, &mut report));
    let sections = legacy::sections(&written, &outside);
    sections.iter().for_each(|section| section.tell(&mut report));
    let excused: Vec<_> = sections.iter().map(Section::missing_keys).collect();
    let ready = sections.iter().zip(&excused).map(|(section, excused)| Ready {
        table: &section.table,
        excused,
        written_for: section.written_for(),
    });
    let tables: Vec<_> = ready.collect();
    let config = read(&document, &tables, &directory, &mut report);
    let problem_count = report.problem_count();
    let warnings = report.finish(origin)?;
    match config {
        Some(config) => Ok(Loaded { config, warnings, places: Places::of(&document) }),
        // Cannot happen while every `None` comes with a problem; said aloud instead of trusted.
        None => Err(Problems::whole_file(origin, format!("could not be read, with {problem_count} problems told"))),
    }
}

/// `concurrent`, if it can be read.
pub(crate) fn concurrent(document: &Table) -> Option<u32> {
    document.get("concurrent").and_then(|node| values::positive(node).ok())
}

/// The `[[runners]]` sections as they are written; that there is none is a problem.
fn sections<'t>(document: &'t Table, report: &mut Report) -> Vec<&'t Table> {
    let Some(node) = document.get("runners") else {
        report.problem(&document.at.key("runners"), "missing; write at least one [[runners]] section");
        return Vec::new();
    };
    let sections: Option<Vec<&Table>> = node.as_array().and_then(|nodes| nodes.iter().map(Node::as_table).collect());
    let sections = sections.unwrap_or_default();
    if sections.is_empty() {
        report.problem(&node.at, "not a list of tables; write [[runners]]");
    }
    sections
}

/// A section in our form.
#[derive(Clone, Copy)]
pub(crate) struct Ready<'a> {
    pub(crate) table: &'a Table,
    /// Required keys whose absence has been told already.
    pub(crate) excused: &'a [&'static str],
    pub(crate) written_for: WrittenFor,
}

/// Reads a document whose sections are in our form.
pub(crate) fn read(document: &Table, sections: &[Ready<'_>], directory: &Path, report: &mut Report) -> Option<Config> {
    let concurrent = match document.get("concurrent") {
        Some(node) => told(node, report, values::positive),
        None => {
            report.problem(
                &document.at.key("concurrent"),
                "missing; write concurrent = 10 (jobs at one time over all runners)",
            );
            None
        }
    };
    let check_interval = or(document, "check_interval", DEFAULT_CHECK_INTERVAL, report, check_interval);
    let listen_address = or(document, "listen_address", Some(address::DEFAULT_LISTEN), report, address::listen);
    let log_level = or(document, "log_level", LogLevel::Info, report, |node| {
        values::word(node, &LOG_LEVEL_SYNONYMS).or_else(|_| values::word(node, &LOG_LEVELS))
    });
    let log_format = or(document, "log_format", LogFormat::Text, report, |node| {
        values::word(node, &LOG_FORMAT_SYNONYMS).or_else(|_| values::word(node, &LOG_FORMATS))
    });
    let fleet = fleet(document, report);
    warn_of_unknown(document, report);
    let runners = runners(sections, &Outside { concurrent, directory }, report);
    Some(Config {
        concurrent: concurrent?,
        check_interval: check_interval?,
        listen_address: listen_address?,
        log_level: log_level?,
        log_format: log_format?,
        fleet: fleet?,
        runners: runners?,
        global: document.to_toml_without(&[&key::names(KEYS)[..], &carried::STAYS.map(|(key, _)| key)].concat()),
    })
}

fn check_interval(node: &Node) -> Result<Duration, String> {
    let time = duration::any(node)?;
    // GitLab Runner takes 0 for its default.
    match time {
        Duration::ZERO => Ok(DEFAULT_CHECK_INTERVAL),
        time if time > CHECK_INTERVAL_MAX => {
            Err(format!("{} is too long; write {} or less", node.shown(), duration::text(CHECK_INTERVAL_MAX)))
        }
        time => Ok(time),
    }
}

fn fleet(document: &Table, report: &mut Report) -> Option<Fleet> {
    let missing = "missing; write [fleet] with manager = \"…\", the owner name in every tag";
    let Some(node) = document.get("fleet") else {
        report.problem(&document.at.key("fleet"), missing);
        return None;
    };
    let Some(table) = node.as_table() else {
        report.problem(&node.at, "not a table; write [fleet]");
        return None;
    };
    let reader = Reader::new(table, FLEET_KEYS);
    let name = |node: &Node| names::name(node, names::MANAGER_CHARS_MAX);
    let manager = reader.required("manager", "manager = \"…\", the owner name in every tag", report, name);
    let state_dir = reader.or("state_dir", PathBuf::from("/var/lib/runner-fleet"), report, values::absolute_path);
    let ssh_key = reader.or("ssh_key", SshKey::StateDir, report, ssh_key::ssh_key);
    let default_socket = PathBuf::from("/run/runner-fleet/control.sock");
    let control_socket = reader.or("control_socket", default_socket, report, values::absolute_path);
    let page_hosts = reader.list_or_empty("page_hosts", report, values::host_name);
    let on_trouble =
        reader.table_or("on_trouble", None, report, |table, report| on_trouble::read(table, report).map(Some));
    let otlp = reader.optional("otlp", report, values::collector);
    reader.finish(report);
    Some(Fleet {
        manager: manager?,
        state_dir: state_dir?,
        ssh_key: ssh_key?,
        control_socket: control_socket?,
        page_hosts: page_hosts?,
        on_trouble: on_trouble?,
        otlp,
    })
}

fn runners(sections: &[Ready<'_>], outside: &Outside<'_>, report: &mut Report) -> Option<Vec<Runner>> {
    let tables: Vec<&Table> = sections.iter().map(|ready| ready.table).collect();
    check_names_differ(&tables, report);
    let runners: Vec<Option<Runner>> = sections
        .iter()
        .map(|ready| runner::read(ready.table, ready.excused, ready.written_for, outside, report))
        .collect();
    let runners: Vec<Runner> = runners.into_iter().collect::<Option<_>>()?;
    if let (Some(concurrent), Some(first)) = (outside.concurrent, tables.first()) {
        warn_of_little_room(&first.at, &runners, concurrent, report);
    }
    Some(runners)
}

fn check_names_differ(sections: &[&Table], report: &mut Report) {
    let mut seen: BTreeMap<&str, Option<usize>> = BTreeMap::new();
    for section in sections {
        let Some(node) = section.get("name") else { continue };
        let Some(name) = node.as_str() else { continue };
        if let Some(line) = seen.insert(name, node.at.line()) {
            let line = line.map(|line| format!(" (line {line})")).unwrap_or_default();
            report.problem(
                &node.at,
                format!(
                    "another runner has the name {}{line}; workers are told apart by it: write another",
                    node.shown()
                ),
            );
        }
    }
}

/// All runners share `concurrent`: their idle wishes, and the room for a worker of each, without which one waits for another.
fn warn_of_little_room(at: &At, runners: &[Runner], concurrent: u32, report: &mut Report) {
    let sum = |of: fn(&Runner) -> u32| runners.iter().map(of).map(u64::from).sum::<u64>();
    let idle = sum(|runner| runner.fleet.idle_count.fixed().unwrap_or(0));
    if idle > u64::from(concurrent) {
        let message = format!(
            "all runners together want idle_count = {idle}, but concurrent = {concurrent} is the most there can be"
        );
        report.warn(at, message);
    }
    let one_of_each = sum(|runner| runner.fleet.capacity);
    if one_of_each > u64::from(concurrent) {
        let message = format!(
            "a worker of each runner makes {one_of_each} slots, but concurrent = {concurrent}: a runner's jobs may have to wait until \
             another's worker has ended; write concurrent = {one_of_each} or more"
        );
        report.warn(at, message);
    }
}

fn warn_of_unknown(document: &Table, report: &mut Report) {
    for (key, why) in carried::STAYS {
        if let Some(node) = document.get(key) {
            report.warn(&node.at, why);
        }
    }
    strays::in_file(document, report);
}

fn or<T>(
    document: &Table,
    key: &str,
    default: T,
    report: &mut Report,
    parse: impl FnOnce(&Node) -> Result<T, String>,
) -> Option<T> {
    match document.get(key) {
        Some(node) => told(node, report, parse),
        None => Some(default),
    }
}

fn told<T>(node: &Node, report: &mut Report, parse: impl FnOnce(&Node) -> Result<T, String>) -> Option<T> {
    parse(node).map_err(|message| report.problem(&node.at, message)).ok()
}

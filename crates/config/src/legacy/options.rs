//! `MachineOptions`: a list of `option=value`, read as docker-machine reads its command line.

use std::collections::BTreeMap;

use super::super::node::{At, Node, shown_text};
use super::super::reader::nearest;
use super::flags::{self, Flag, Kind};
use super::translation::Pen;

/// Values whose text must not be shown.
const SECRET: [&str; 3] = ["amazonec2-access-key", "amazonec2-secret-key", "amazonec2-session-token"];

/// Go's `strconv.ParseBool`.
const TRUE: [&str; 6] = ["1", "t", "T", "TRUE", "true", "True"];
const FALSE: [&str; 6] = ["0", "f", "F", "FALSE", "false", "False"];

/// One value and where it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Given {
    pub(crate) at: At,
    pub(crate) value: String,
}

/// All options of one runner, by name.
#[derive(Debug)]
pub(crate) struct Options {
    /// Where a default comes from: the list as a whole.
    pub(crate) at: At,
    given: BTreeMap<&'static str, Vec<Given>>,
}

impl Options {
    /// Reads `MachineOptions` and `MachineOptionsWithName`, then the environment for what they do not give.
    pub(crate) fn read(machine: &super::super::node::Table, pen: &mut Pen<'_>) -> Self {
        let mut options = Self { at: machine.at.key("MachineOptions"), given: BTreeMap::new() };
        for (key, templates) in [("MachineOptions", false), ("MachineOptionsWithName", true)] {
            let Some(node) = machine.get(key) else { continue };
            if !templates {
                options.at = node.at.clone();
            }
            let Some(elements) = node.as_array() else {
                pen.error(&node.at, "not a list; write [\"option=value\"]");
                continue;
            };
            for element in elements {
                options.take(element, templates, pen);
            }
        }
        options.defaults(pen);
        options.warn_of_repeated(pen);
        options
    }

    fn take(&mut self, element: &Node, template: bool, pen: &mut Pen<'_>) {
        let at = &element.at;
        let Some(text) = element.as_str() else {
            pen.error(at, format!("{} is not text; write \"option=value\"", element.shown()));
            return;
        };
        let (name, value) = text.split_once('=').map_or((text, None), |(name, value)| (name, Some(value)));
        if name.starts_with('-') {
            let bare = name.trim_start_matches('-');
            pen.error(at, format!("leading dashes never worked; write {}", shown_text(bare)));
            return;
        }
        let Some(flag) = flags::find(name) else {
            pen.error(at, unknown(name));
            return;
        };
        let value = match (value, flag.kind) {
            (Some(value), _) => value.to_owned(),
            (None, Kind::Boolean) => "true".to_owned(),
            (None, Kind::Text | Kind::Integer | Kind::List) => {
                pen.error(at, format!("`{name}` needs a value; write \"{name}=…\""));
                return;
            }
        };
        if template && value.contains("%s") {
            in_template(flag, at, pen);
            return;
        }
        if check(flag, &value, at, pen) {
            self.given.entry(flag.name).or_default().push(Given { at: at.clone(), value });
        }
    }

    /// Option beats environment; a list is joined with the environment, unless it is one of the driver's own, where the
    /// variable alone has no effect.
    fn defaults(&mut self, pen: &mut Pen<'_>) {
        let surroundings = pen.outside().surroundings;
        for flag in flags::FLAGS {
            let Some(variable) = flag.variable else { continue };
            let Some(value) = surroundings.environment.get(variable).filter(|value| !value.is_empty()) else {
                continue;
            };
            let here = self.given.contains_key(flag.name);
            let single = !matches!(flag.name, "amazonec2-security-group" | "engine-registry-mirror");
            if here && (single || flag.kind != Kind::List) {
                continue;
            }
            if !here && flag.name == "amazonec2-security-group" {
                continue;
            }
            let well_formed = match flag.kind {
                Kind::Boolean => TRUE.contains(&value.as_str()) || FALSE.contains(&value.as_str()),
                Kind::Integer => value.parse::<i64>().is_ok(),
                Kind::Text | Kind::List => true,
            };
            if !well_formed {
                continue;
            }
            let values = if flag.kind == Kind::List { value.split(',').collect() } else { vec![value.as_str()] };
            let at = self.at.clone();
            let shown = if SECRET.contains(&flag.name) { String::new() } else { format!(" = {}", shown_text(value)) };
            pen.note(&at, format!("`{}` comes from the environment: {variable}{shown}", flag.name));
            let given = values.into_iter().map(|value| Given { at: at.clone(), value: value.to_owned() });
            self.given.entry(flag.name).or_default().extend(given);
        }
    }

    fn warn_of_repeated(&self, pen: &mut Pen<'_>) {
        for (name, given) in &self.given {
            let is_list = flags::find(name).is_some_and(|flag| flag.kind == Kind::List);
            if let Some(last) = given.last().filter(|_| !is_list && given.len() > 1) {
                pen.note(&last.at, format!("`{name}` is given {} times; the last one counts", given.len()));
            }
        }
    }

    /// All values of an option.
    pub(crate) fn all(&self, name: &str) -> &[Given] {
        debug_assert!(flags::find(name).is_some(), "{name} is no option");
        self.given.get(name).map(Vec::as_slice).unwrap_or_default()
    }

    /// The last value of an option, also when it is empty.
    pub(crate) fn raw(&self, name: &str) -> Option<&Given> {
        self.all(name).last()
    }

    /// The last value of an option; an empty text counts as not set.
    pub(crate) fn text(&self, name: &str) -> Option<&Given> {
        self.raw(name).filter(|given| !given.value.is_empty())
    }

    /// A number; checked when it was read.
    pub(crate) fn integer(&self, name: &str) -> Option<(At, i64)> {
        let given = self.raw(name)?;
        Some((given.at.clone(), given.value.parse().ok()?))
    }

    /// A boolean; absent is false.
    pub(crate) fn boolean(&self, name: &str) -> Option<(At, bool)> {
        let given = self.raw(name)?;
        Some((given.at.clone(), TRUE.contains(&given.value.as_str())))
    }

    /// Whether a boolean is on.
    pub(crate) fn is_on(&self, name: &str) -> bool {
        self.boolean(name).is_some_and(|(_, on)| on)
    }
}

fn check(flag: &Flag, value: &str, at: &At, pen: &mut Pen<'_>) -> bool {
    let name = flag.name;
    let wrong = match flag.kind {
        Kind::Boolean if !TRUE.contains(&value) && !FALSE.contains(&value) => Some("true or false"),
        Kind::Integer if value.parse::<i64>().is_err() => Some("a whole number"),
        Kind::Boolean | Kind::Integer | Kind::Text | Kind::List => None,
    };
    if let Some(wanted) = wrong {
        pen.error(at, format!("{} is not {wanted}; write \"{name}=…\" with one", shown_text(value)));
    }
    wrong.is_none()
}

/// The machine's name may stand in tags and labels; here every worker has its own `Name` tag instead.
fn in_template(flag: &Flag, at: &At, pen: &mut Pen<'_>) {
    let name = flag.name;
    if matches!(name, "amazonec2-tags" | "engine-label") {
        pen.note(at, format!("`{name}` with the machine's name is left out: the tag `Name` of a worker says its name"));
    } else {
        pen.error(at, format!("`{name}` cannot hold a machine's name here; only tags and labels can: remove the %s"));
    }
}

fn unknown(name: &str) -> String {
    let shown = shown_text(name);
    if name == "driver" {
        return "`driver` would override MachineDriver; remove it".to_owned();
    }
    if name.contains(char::is_whitespace) {
        // Only the first word: the value may be a secret.
        let first = shown_text(name.split_whitespace().next().unwrap_or_default());
        return format!("{first} is followed by a space where `=` belongs; write \"option=value\"");
    }
    let other = ["google-", "azure-", "digitalocean-", "openstack-", "vmware", "virtualbox-", "hetzner-", "generic-"];
    if other.iter().any(|prefix| name.starts_with(prefix)) {
        return format!("{shown} belongs to another driver; runner-fleet launches on AWS only");
    }
    let hint = nearest(name, &flags::names()).map(|flag| format!("; did you mean `{flag}`?")).unwrap_or_default();
    format!("docker-machine knows no option {shown}, and would refuse to create the machine{hint}")
}

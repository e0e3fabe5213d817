//! Reads single values: each function either returns it or says in one sentence what to write.

use std::path::PathBuf;

use super::key::Kind;
use super::node::{Item, Node, shown_address};
use super::secret::TokenOf;
use super::{Secret, duration};
use runner_fleet_engine::UsdPerHour;
use runner_fleet_engine::money::NoPrice;
use runner_fleet_engine::{IdleCount, IdleTime};

/// What [`web_address`] takes.
pub(crate) const WEB_ADDRESS: Kind = Kind::Like("^[ \\t]*[Hh][Tt][Tt][Pp][Ss]?:");
/// What [`absolute_path`] takes.
pub(crate) const ABSOLUTE_PATH: Kind = Kind::Like("^/");
/// What [`count`] takes.
pub(crate) const COUNT: Kind = Kind::Whole(0, COUNT_MAX);
/// What [`positive`] takes.
pub(crate) const POSITIVE: Kind = Kind::Whole(1, COUNT_MAX);
/// What [`factor`] takes.
pub(crate) const FACTOR: Kind = Kind::Number(0, 100);

/// What [`host_name`] takes.
pub(crate) const HOST_NAME: Kind = Kind::Like("^[A-Za-z0-9.-]+$");

/// A host's name: no scheme, no port, no path.
pub(crate) fn host_name(node: &Node) -> Result<String, String> {
    let name = text(node)?;
    if name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-')) {
        Ok(name)
    } else {
        Err(format!(
            "{} is no host name; write it like \"runner-fleet.example.com\", without scheme and port",
            node.shown()
        ))
    }
}

/// Text, not empty.
pub(crate) fn text(node: &Node) -> Result<String, String> {
    match &node.item {
        Item::String(text) if text.is_empty() => {
            Err("the text is empty; write a value or leave the key out".to_owned())
        }
        Item::String(text) => Ok(text.clone()),
        Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) => {
            Err(format!("{} is not text; write it in quotes", node.shown()))
        }
        Item::Array(_) | Item::Table(_) => Err(format!("{} is not text", node.shown())),
    }
}

/// One of a few words.
pub(crate) fn word<T: Copy>(node: &Node, words: &[(&str, T)]) -> Result<T, String> {
    let found = node.as_str().and_then(|text| words.iter().find(|(word, _)| *word == text));
    let all = || words.iter().map(|(word, _)| format!("{word:?}")).collect::<Vec<_>>().join(" or ");
    found.map(|(_, value)| *value).ok_or_else(|| format!("{} is not known here; write {}", node.shown(), all()))
}

/// `true` or `false`.
pub(crate) fn boolean(node: &Node) -> Result<bool, String> {
    match node.item {
        Item::Boolean(value) => Ok(value),
        Item::String(_) | Item::Integer(_) | Item::Float(..) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            Err(format!("{} is neither true nor false; write one of them, without quotes", node.shown()))
        }
    }
}

/// A whole number in a range.
pub(crate) fn whole(node: &Node, min: u32, max: u32) -> Result<u32, String> {
    let number = match node.item {
        Item::Integer(number) => u32::try_from(number).ok(),
        Item::String(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            None
        }
    };
    let range = || match (min, max) {
        (min, COUNT_MAX) => format!("a whole number, {min} or more (at most {COUNT_MAX})"),
        (min, max) => format!("a whole number from {min} to {max}"),
    };
    number.filter(|number| (min..=max).contains(number)).ok_or_else(|| format!("{} is not {}", node.shown(), range()))
}

/// Far above any fleet; keeps every product of two counts inside 64 bits.
pub(crate) const COUNT_MAX: u32 = 1_000_000;

/// A count of something, 0 allowed.
pub(crate) fn count(node: &Node) -> Result<u32, String> {
    whole(node, 0, COUNT_MAX)
}

/// A count of idle slots, or the word that leaves it to the forecast.
pub(crate) fn idle_count(node: &Node) -> Result<IdleCount, String> {
    match &node.item {
        Item::String(text) if text == "auto" => Ok(IdleCount::Auto),
        Item::String(_) => Err(format!("{} is neither a number nor \"auto\"", node.shown())),
        Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            count(node).map(IdleCount::Fixed)
        }
    }
}

/// A time, or `"auto"`.
pub(crate) fn idle_time(node: &Node) -> Result<IdleTime, String> {
    if node.as_str() == Some("auto") {
        return Ok(IdleTime::Auto);
    }
    duration::any(node).map(IdleTime::Fixed).map_err(|why| format!("{why}, or \"auto\""))
}

/// A count of something, at least 1.
pub(crate) fn positive(node: &Node) -> Result<u32, String> {
    whole(node, 1, COUNT_MAX)
}

/// A number, 0 or more; whole numbers are numbers too.
pub(crate) fn factor(node: &Node) -> Result<f64, String> {
    let number = match node.item {
        Item::Float(number, _) => Some(number),
        Item::Integer(number) => i32::try_from(number).ok().map(f64::from),
        Item::String(_) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => None,
    };
    number
        .filter(|number| (0.0..=100.0).contains(number))
        .ok_or_else(|| format!("{} is not a factor; write a number from 0.0 to 100.0", node.shown()))
}

/// USD per hour, written as a number or in quotes.
pub(crate) fn price(node: &Node) -> Result<UsdPerHour, String> {
    let digits = match &node.item {
        Item::String(text) | Item::Float(_, text) => text.clone(),
        Item::Integer(number) => number.to_string(),
        Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => String::new(),
    };
    digits.parse().map_err(|NoPrice| {
        format!("{} is not a price in USD per hour; write one like 0.05, or leave the key out", node.shown())
    })
}

/// A token or a reference to one; the value is never shown.
pub(crate) fn token(node: &Node, of: TokenOf) -> Result<Secret, String> {
    match &node.item {
        Item::String(text) => Secret::parse(text).and_then(|secret| match secret.literal_is_of_another_kind(of) {
            Some(why) => Err(why),
            None => Ok(secret),
        }),
        Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            Err("not text; write the token in quotes, or \"ssm:/…\", \"env:NAME\", \"file:/…\"".to_owned())
        }
    }
}

/// A path that does not depend on where the service was started.
pub(crate) fn absolute_path(node: &Node) -> Result<PathBuf, String> {
    let path = PathBuf::from(text(node)?);
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(format!("{} is not an absolute path; write one that begins with /", node.shown()))
    }
}

/// An http or https address.
pub(crate) fn web_address(node: &Node) -> Result<String, String> {
    let address = text(node)?;
    let parsed = url::Url::parse(&address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    match parsed {
        Some(url) if url.has_host() => Ok(address),
        _ => Err(format!("{} is not a web address; write one like \"https://…\"", shown_address(&address))),
    }
}

/// A collector's address: one that names nobody, since it is told in the log.
pub(crate) fn collector(node: &Node) -> Result<String, String> {
    let address = web_address(node)?;
    let names_somebody = |url: &url::Url| {
        !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some()
    };
    if url::Url::parse(&address).is_ok_and(|url| names_somebody(&url)) {
        return Err(
            "an address without user, password and query is needed; write one like \"http://127.0.0.1:4318\"".into()
        );
    }
    Ok(address)
}

/// A project or group: its numeric id or its full path.
pub(crate) fn id_or_path(node: &Node) -> Result<String, String> {
    match &node.item {
        Item::Integer(id) if *id > 0 => Ok(id.to_string()),
        Item::String(path) => {
            let clean = |part: &str| {
                !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | '+'))
            };
            if path.split('/').all(clean) {
                Ok(path.clone())
            } else {
                Err(format!("{} is not a path; write one like \"group/project\", or the id", node.shown()))
            }
        }
        Item::Integer(_) | Item::Float(..) | Item::Boolean(_) | Item::Datetime(_) | Item::Array(_) | Item::Table(_) => {
            Err(format!("{} is neither an id nor a path like \"group/project\"", node.shown()))
        }
    }
}

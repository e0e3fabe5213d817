//! `[runners.fleet.proxy]`: by which proxy a worker's Docker, gitlab-runner and downloads reach other hosts.

use super::key::{Key, Kind};
use super::node::{Node, Table, shown_address};
use super::problems::Report;
use super::reader::Reader;
use super::trust;
use super::values;

/// The keys of the table.
pub(crate) const KEYS: &[Key] = &[
    Key::optional("http", ADDRESS),
    Key::optional("https", ADDRESS),
    Key::optional("no_proxy", Kind::List(&Kind::Like("^[A-Za-z0-9.:/*_\\[\\]-]+$"))),
];

/// What [`address`] takes.
const ADDRESS: Kind = Kind::Like("^[ \\t]*([Hh][Tt][Tt][Pp][Ss]?|[Ss][Oo][Cc][Kk][Ss]5):");

/// The table; nothing of it set where it is absent.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxy {
    /// For http.
    pub http: Option<String>,
    /// For https.
    pub https: Option<String>,
    /// What is reached without it. The metadata service always is.
    pub no_proxy: Vec<String>,
}

/// Reads the table.
pub(crate) fn read(table: &Table, report: &mut Report) -> Option<Proxy> {
    let reader = Reader::new(table, KEYS);
    let http = reader.or("http", None, report, |node| address(node).map(Some));
    let https = reader.or("https", None, report, |node| address(node).map(Some));
    let no_proxy = reader.list_or_empty("no_proxy", report, exception);
    if reader.has("no_proxy") && !reader.has("http") && !reader.has("https") {
        report.warn(&reader.at("no_proxy"), "has no effect without http or https");
    }
    reader.finish(report);
    Some(Proxy { http: http?, https: https?, no_proxy: no_proxy? })
}

/// A proxy's address, as Go's programs and curl take it.
fn address(node: &Node) -> Result<String, String> {
    let address = values::text(node)?.trim().to_owned();
    if trust::has_login(&address) {
        return Err(LOGIN.to_owned());
    }
    match url::Url::parse(&address) {
        Ok(url) if matches!(url.scheme(), "http" | "https" | "socks5") && url.has_host() => Ok(address),
        _ => Err(format!(
            "{} is no proxy's address; write one like \"http://proxy.example.com:3128\"",
            shown_address(&address)
        )),
    }
}

/// Why a proxy that asks for a password is refused.
pub(crate) const LOGIN: &str = "a proxy's address with a login would stand in user-data, where every job can read it; use \
                                a proxy that asks for none";

/// A host, a domain with a leading dot, an address or a network.
fn exception(node: &Node) -> Result<String, String> {
    let host = values::text(node)?;
    if is_exception(&host) {
        return Ok(host);
    }
    Err(format!("{} is no host; write one like \".example.com\" or \"10.0.0.0/8\"", node.shown()))
}

/// Whether `no_proxy` takes it.
pub(crate) fn is_exception(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || ".:/*_[]-".contains(c);
    !host.is_empty() && host.chars().all(fits)
}

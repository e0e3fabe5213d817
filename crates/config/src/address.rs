//! Where things listen and where GitLab is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::node::{Node, shown_address, shown_text};
use super::values;
use runner_fleet_engine::Server;

/// GitLab Runner's own metrics port, which dashboards expect.
const DEFAULT_PORT: u16 = 9252;

/// Without `listen_address`.
pub(crate) const DEFAULT_LISTEN: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), DEFAULT_PORT);

/// `listen_address`: host and port as GitLab Runner takes them (`":9252"` is every interface, a missing port is 9252);
/// `""` switches the listener off.
pub(crate) fn listen(node: &Node) -> Result<Option<SocketAddr>, String> {
    let Some(text) = node.as_str() else {
        return Err(format!("{} is not text; write \"127.0.0.1:9252\"", node.shown()));
    };
    if text.is_empty() {
        return Ok(None);
    }
    let bad =
        || format!("{} is not an address to listen on; write \"127.0.0.1:9252\", or \"\" for none", shown_text(text));
    if let Ok(address) = text.parse() {
        return Ok(Some(address));
    }
    if let Ok(ip) = text.parse() {
        return Ok(Some(SocketAddr::new(ip, DEFAULT_PORT)));
    }
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port.parse().map_err(|_| bad())?),
        None => (text, DEFAULT_PORT),
    };
    match host {
        "" => Ok(Some(SocketAddr::new(IpAddr::V6(Ipv6Addr::UNSPECIFIED), port))),
        "localhost" => Ok(Some(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))),
        _ => Err(bad()),
    }
}

/// `url` of a runner: the base of the GitLab server, without what GitLab Runner cuts off as well (a slash, `/ci`).
/// Source: gitlab-runner, `network/client.go`.
pub(crate) fn server(node: &Node) -> Result<Server, String> {
    let text = values::text(node)?;
    let bad = |why: &str| format!("{} {why}; write one like \"https://gitlab.example.com\"", shown_address(&text));
    if text.contains('$') {
        return Err(bad("uses a variable, which is not expanded here"));
    }
    let url = url::Url::parse(&text).map_err(|_| bad("is not a URL"))?;
    if !matches!(url.scheme(), "http" | "https") || !url.has_host() {
        return Err(bad("is neither http nor https"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        // Not repeated: it may hold a password.
        return Err("a user or password does not belong into the URL; write the token as `token`".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() {
        return Err(bad("has a query or fragment"));
    }
    let base = url.as_str().trim_end_matches('/');
    let base = base.strip_suffix("/ci").unwrap_or(base);
    Ok(Server::new(base.trim_end_matches('/')))
}

#[cfg(test)]
mod tests {
    use super::super::node::At;
    use super::*;

    #[test]
    fn servers_are_named_by_their_base() {
        let cases = [
            ("https://gitlab.example.com", Some("https://gitlab.example.com")),
            ("https://gitlab.example.com/", Some("https://gitlab.example.com")),
            ("https://gitlab.example.com/ci", Some("https://gitlab.example.com")),
            ("http://GitLab.example.com:8080/sub/path/", Some("http://gitlab.example.com:8080/sub/path")),
            ("ftp://gitlab.example.com", None),
            ("gitlab.example.com", None),
            ("https://", None),
            ("https://u:p@gitlab.example.com", None),
            ("https://gitlab.example.com?x=1", None),
            ("$CI_SERVER_URL", None),
        ];
        for (text, expected) in cases {
            let server = server(&Node::text(&At::root(), text));
            assert_eq!(server.ok().as_ref().map(Server::as_str), expected, "{text}");
        }
    }

    #[test]
    fn listen_addresses_are_read_as_gitlab_runner_reads_them() {
        let cases = [
            ("127.0.0.1:9252", Ok(Some("127.0.0.1:9252"))),
            (":9252", Ok(Some("[::]:9252"))),
            ("localhost", Ok(Some("127.0.0.1:9252"))),
            ("localhost:80", Ok(Some("127.0.0.1:80"))),
            ("::1", Ok(Some("[::1]:9252"))),
            ("[::1]:80", Ok(Some("[::1]:80"))),
            ("0.0.0.0", Ok(Some("0.0.0.0:9252"))),
            ("", Ok(None)),
            ("somewhere:80", Err(())),
            ("127.0.0.1:99999", Err(())),
        ];
        for (text, expected) in cases {
            let found = listen(&Node::text(&At::root(), text)).map_err(|_| ());
            assert_eq!(found, expected.map(|text| text.map(|text| text.parse().unwrap())), "{text}");
        }
    }
}

//! For whom a request is meant. A browser that was led here by a foreign name (DNS rebinding) tells that name, and is shown
//! nothing. Names that nobody can register are no foreign ones.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

/// Only networks of one's own have names below these: RFC 6761, RFC 6762, ICANN's reservation of `internal`, which EC2 uses.
const OWN_DOMAINS: [&str; 4] = ["internal", "local", "localhost", "lan"];

/// Health checks come from load balancers, which name what they like, and learn nothing.
const FOR_ANYBODY: [&str; 2] = ["/healthz", "/readyz"];

/// Lets a request through that is meant for us: also under these names.
pub(super) async fn is_checked(State(ours): State<Arc<[String]>>, request: Request, next: Next) -> Response {
    let host = request.headers().get(header::HOST).map(|host| host.to_str().unwrap_or_default());
    match host {
        Some(host) if !FOR_ANYBODY.contains(&request.uri().path()) && !is_ours(host, &ours) => {
            let advice =
                "this name is not one of runner-fleet's pages; add it to page_hosts in [fleet], or use the address\n";
            (StatusCode::MISDIRECTED_REQUEST, advice).into_response()
        }
        Some(_) | None => next.run(request).await,
    }
}

/// Whether this `Host` names us: by an address, by a name of a private network, or by one of the configured names.
fn is_ours(host: &str, ours: &[String]) -> bool {
    let Ok(authority) = host.parse::<Authority>() else { return false };
    let name = authority.host().trim_end_matches('.');
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let top = name.rsplit_once('.').map(|(_, top)| top);
    address.parse::<IpAddr>().is_ok()
        || top.is_none_or(|top| OWN_DOMAINS.iter().any(|own| own.eq_ignore_ascii_case(top)))
        || ours.iter().any(|own| own.eq_ignore_ascii_case(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_private_names_and_configured_names_are_ours() {
        let ours = ["fleet.example.com".to_owned()];
        for host in [
            "10.0.0.7:9402",
            "10.0.0.7",
            "[fd00::7]:9402",
            "localhost:9402",
            "manager",
            "ip-10-0-0-7.eu-central-1.compute.internal:9402",
            "nas.local",
            "Fleet.Example.com",
            "fleet.example.com.:9402",
        ] {
            assert!(is_ours(host, &ours), "{host}");
        }
        for host in
            ["evil.example", "fleet.example.com.evil.example", "example.com", "10.0.0.7.evil.example", "", "a b"]
        {
            assert!(!is_ours(host, &ours), "{host}");
        }
    }
}

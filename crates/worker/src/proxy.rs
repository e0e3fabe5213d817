//! The proxy of a worker's programs, as a systemd drop-in: in `daemon.json` dockerd takes one from release 23 on only, and
//! ends with an error before.

use std::fmt::Write as _;

use super::spec::Proxy;

/// The metadata service, which knows the worker's role. It answers nobody but the worker.
const METADATA_SERVICE: &str = "169.254.169.254";

/// The drop-in; absent where no proxy is set.
pub(super) fn drop_in(proxy: &Proxy) -> Option<String> {
    let Proxy { http, https, no_proxy } = proxy;
    if http.is_none() && https.is_none() {
        return None;
    }
    let mut text = String::from("[Service]\n");
    let mut set = |name: &str, value: &str| {
        let _ = writeln!(text, "Environment=\"{name}={}\"", quoted(value));
    };
    for (name, value) in [("HTTP_PROXY", http), ("HTTPS_PROXY", https)] {
        if let Some(value) = value {
            set(name, value);
        }
    }
    let own = (!no_proxy.iter().any(|host| host == METADATA_SERVICE)).then_some(METADATA_SERVICE);
    let all: Vec<&str> = no_proxy.iter().map(String::as_str).chain(own).collect();
    set("NO_PROXY", &all.join(","));
    Some(text)
}

/// Inside double quotes of a unit file. Source: systemd.syntax(7) for quoting, systemd.unit(5) for `%`.
fn quoted(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('%', "%%").replace(char::is_control, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_metadata_service_is_never_asked_by_a_proxy() {
        let mut proxy = Proxy { http: Some("http://proxy.example.com:3128/%41".into()), ..Proxy::default() };
        let expected = "[Service]\nEnvironment=\"HTTP_PROXY=http://proxy.example.com:3128/%%41\"\n\
                        Environment=\"NO_PROXY=169.254.169.254\"\n";
        assert_eq!(drop_in(&proxy).as_deref(), Some(expected));

        proxy.no_proxy = ["169.254.169.254", ".amazonaws.com"].map(str::to_owned).to_vec();
        assert!(drop_in(&proxy).unwrap().contains("\"NO_PROXY=169.254.169.254,.amazonaws.com\""));
    }

    #[test]
    fn without_a_proxy_nothing_is_said() {
        let none = Proxy { no_proxy: vec!["example.com".into()], ..Proxy::default() };
        assert_eq!(drop_in(&none), None);
    }
}

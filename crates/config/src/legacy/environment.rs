//! The environment of the old manager service: what it meant, and what becomes of it.
//!
//! Defaults of options (`AWS_AMI`, …) are taken over by `options`; these are all the others.
//! Sources: docker/machine `commands/commands.go`, `libmachine/mcnutils`; gitlab-runner `common/config.go`.

use std::collections::BTreeMap;

/// Name, or beginning of a name that ends in `_`; what becomes of it.
const MEANINGS: [(&str, &str); 9] = [
    (
        "MACHINE_STORAGE_PATH",
        "not used any more; its machines/*/config.json name the instances and key pairs that docker-machine leaves \
         behind: remove those after the switch",
    ),
    ("MACHINE_TLS_", "not used: Docker has no TCP port here, and no certificate"),
    ("MACHINE_DEBUG", "not used; log_level = \"debug\" is the counterpart"),
    ("MACHINE_", "not read at run time, by docker-machine or here"),
    ("AWS_PROFILE", "still honoured: keep it for the new service"),
    ("AWS_SHARED_CREDENTIALS_FILE", "still honoured: keep it for the new service"),
    ("AWS_CONFIG_FILE", "still honoured: keep it for the new service"),
    ("HTTP_PROXY", "still honoured: keep it for the new service"),
    ("ZONEINFO", "not used: time zones are built in"),
];

/// Further names of proxies.
const PROXIES: [&str; 5] = ["HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy"];

/// One line for every variable that meant something, without values.
pub(crate) fn notes(environment: &BTreeMap<String, String>) -> Vec<String> {
    let is_option = |name: &str| super::flags::FLAGS.iter().any(|flag| flag.variable == Some(name));
    let names = environment.keys().filter(|name| !is_option(name));
    names.filter_map(|name| Some(format!("environment, {name}: {}", meaning(name)?))).collect()
}

fn meaning(name: &str) -> Option<&'static str> {
    let name = if PROXIES.contains(&name) { "HTTP_PROXY" } else { name };
    let fits = |known: &str| name == known || (known.ends_with('_') && name.starts_with(known));
    MEANINGS.iter().find(|(known, _)| fits(known)).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variables_are_told_about_without_their_values() {
        let names =
            ["MACHINE_STORAGE_PATH", "MACHINE_TLS_CA_CERT", "MACHINE_IDLE_COUNT", "https_proxy", "AWS_AMI", "PATH"];
        let environment = names.map(|name| (name.to_owned(), "verysecret".to_owned())).into();
        let notes = notes(&environment);
        assert_eq!(notes.len(), 4, "{notes:?}");
        assert!(!format!("{notes:?}").contains("verysecret"));
    }
}

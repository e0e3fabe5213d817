//! A configuration that may be shown: its secrets are left out, and so is whatever may hold some.

use serde_json::{Value, json};

/// What stands in the place of a secret.
const MASK: &str = "(left out)";
/// Keys whose values are secrets have one of these in their names.
const SECRET: [&str; 8] = ["token", "password", "secret", "accesskey", "accountkey", "credential", "auth", "private"];
/// Where a secret lies is no secret.
const REFERENCES: [&str; 3] = ["ssm:", "env:", "file:"];
/// What GitLab's tokens begin with, wherever they stand.
const TOKENS: [&str; 4] = ["glrt-", "glpat-", "gldt-", "GR1348941"];

/// The file, or why it cannot be shown: the text of one that is no TOML may be anything.
pub(super) fn document(text: &str) -> Value {
    match text.parse::<toml::Table>() {
        Ok(table) => shown("", &toml::Value::Table(table)),
        Err(_) => json!({ "error": "it is no TOML, and therefore not shown" }),
    }
}

fn shown(key: &str, value: &toml::Value) -> Value {
    match value {
        toml::Value::Table(table) => {
            table.iter().map(|(key, value)| (key.clone(), shown(key, value))).collect::<serde_json::Map<_, _>>().into()
        }
        toml::Value::Array(items) => items.iter().map(|item| shown(key, item)).collect::<Vec<_>>().into(),
        toml::Value::String(text) => self::text(key, text).into(),
        toml::Value::Integer(number) => (*number).into(),
        toml::Value::Float(number) => (*number).into(),
        toml::Value::Boolean(flag) => (*flag).into(),
        toml::Value::Datetime(time) => time.to_string().into(),
    }
}

fn text(key: &str, text: &str) -> String {
    let plain: String = key.to_lowercase().chars().filter(char::is_ascii_alphanumeric).collect();
    let is_reference = REFERENCES.iter().any(|prefix| text.starts_with(prefix));
    let is_secret = |name: &str| SECRET.iter().any(|word| name.contains(word));
    // A script may do anything, with any secret in it.
    if plain.ends_with("script")
        || (is_secret(&plain) && !is_reference)
        || TOKENS.iter().any(|mark| text.contains(mark))
    {
        return MASK.to_owned();
    }
    match text.split_once('=') {
        // `environment = ["NAME=value"]`, and docker-machine's options.
        Some((name, _)) if plain == "environment" || plain.ends_with("options") => format!("{name}={MASK}"),
        Some(_) | None => without_login(text),
    }
}

/// An address without what stands before its `@`.
fn without_login(text: &str) -> String {
    let Some((scheme, rest)) = text.split_once("://") else { return text.to_owned() };
    let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    match host.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}://{MASK}@{host}{path}"),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_left_out_and_their_places_are_not() {
        let shown = document(
            r#"
            concurrent = 10
            [[runners]]
            name = "spot"
            url = "https://user:sesame@gitlab.example.com/sub"
            token = "glrt-sesame"
            environment = ["DOCKER_AUTH_CONFIG={sesame}", "HTTPS_PROXY=http://u:sesame@proxy"]
            pre_build_script = "curl -H 'X: sesame'"
            [runners.cache.s3]
            AccessKey = "sesame"
            SecretKey = "sesame"
            BucketName = "cache"
            [runners.machine]
            MachineOptions = ["amazonec2-secret-key=sesame"]
            [runners.fleet]
            api_token = "ssm:/ci/read-api-token"
            tags = { note = "glpat-sesame" }
            "#,
        );
        let text = shown.to_string();
        assert!(!text.contains("sesame"), "{text}");
        for kept in
            ["ssm:/ci/read-api-token", "gitlab.example.com/sub", "cache", "DOCKER_AUTH_CONFIG=", "\"concurrent\":10"]
        {
            assert!(text.contains(kept), "{kept}: {text}");
        }
        assert!(!document("token = sesame").to_string().contains("sesame"));
    }
}

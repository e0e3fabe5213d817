//! Secrets: a token as it is, or a reference to where it lies. Neither `Debug` nor `Display` ever shows a token.
//!
//! `env:` and `file:` are resolved here; `ssm:` is resolved by whoever may talk to AWS.

use std::fmt;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::files;

/// A secret file is a token, perhaps with a line break: far below this.
const SECRET_FILE_BYTES_MAX: u64 = 16 * 1024;

/// A secret, or where it lies.
#[derive(Clone)]
pub enum Secret {
    /// The secret itself stood in the file.
    Literal(SecretString),
    /// `ssm:/path`: the name of an SSM parameter, without the `ssm:`.
    Ssm(String),
    /// `env:NAME` (also GitLab Runner's own `$NAME` and `${NAME}`): an environment variable of the manager.
    Env(String),
    /// `file:/path`: a file on the manager.
    File(PathBuf),
}

/// Why a reference could not be turned into its secret. Names the reference, never a content.
#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    /// The variable is not set, or is not UTF-8.
    #[error("environment variable {0} is not set; set it for the service, or write file:/… or ssm:/… instead")]
    NotInEnvironment(String),
    /// The file cannot be read.
    #[error("cannot read the secret file {path}: {why}", path = path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why; never a content.
        why: String,
    },
    /// Nothing is in it.
    #[error("the secret of {0} is empty")]
    Empty(String),
    /// A token is one line of printable ASCII; anything else is a wrong file.
    #[error("the secret of {0} is not one line of printable characters; it must be the token only")]
    NotAToken(String),
}

impl Secret {
    /// Reads a secret as it is written in the file.
    ///
    /// # Errors
    /// A sentence that says what to write, for an empty or malformed reference; never repeats a literal.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if let Some(name) = text.strip_prefix("ssm:") {
            return if name.starts_with('/') && name.len() > 1 && !name.contains(char::is_whitespace) {
                Ok(Self::Ssm(name.to_owned()))
            } else {
                Err("`ssm:` needs the full name of a parameter; write \"ssm:/path/of/parameter\"".to_owned())
            };
        }
        if let Some(path) = text.strip_prefix("file:") {
            return if path.starts_with('/') {
                Ok(Self::File(PathBuf::from(path)))
            } else {
                Err("`file:` needs an absolute path; write \"file:/etc/runner-fleet/token\"".to_owned())
            };
        }
        let variable = text.strip_prefix("env:").or_else(|| expanded_variable(text));
        if let Some(name) = variable {
            let good = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            return if good && !name.is_empty() && !name.starts_with(|c: char| c.is_ascii_digit()) {
                Ok(Self::Env(name.to_owned()))
            } else {
                Err("`env:` needs the name of a variable; write \"env:RUNNER_TOKEN\"".to_owned())
            };
        }
        match flaw(text) {
            None => Ok(Self::Literal(SecretString::from(text))),
            Some(flaw) => {
                Err(format!("the token {flaw}; write the token itself, or \"ssm:/…\", \"env:NAME\", \"file:/…\""))
            }
        }
    }

    /// Why a token that stands in the file itself can only be of another kind; never repeats it.
    pub(crate) fn literal_is_of_another_kind(&self, wanted: TokenOf) -> Option<String> {
        match self {
            Self::Literal(token) => wanted.other_kind(token.expose_secret()),
            Self::Ssm(_) | Self::Env(_) | Self::File(_) => None,
        }
    }

    /// The name of the SSM parameter, for whoever may read it.
    pub fn ssm_parameter(&self) -> Option<&str> {
        match self {
            Self::Ssm(name) => Some(name),
            Self::Literal(_) | Self::Env(_) | Self::File(_) => None,
        }
    }

    /// The secret, read from this machine's environment and files; or the name of the SSM parameter that has it.
    ///
    /// # Errors
    /// See [`SecretError`]; no error holds a secret.
    #[expect(clippy::disallowed_methods, reason = "the one place where env: references are read")]
    pub fn resolve_local(&self) -> Result<Found<'_>, SecretError> {
        self.resolve_with(|name| std::env::var(name).ok())
    }

    /// As [`Secret::resolve_local`], with the environment passed in.
    ///
    /// # Errors
    /// See [`SecretError`].
    pub fn resolve_with(&self, env: impl Fn(&str) -> Option<String>) -> Result<Found<'_>, SecretError> {
        let text = match self {
            Self::Literal(secret) => return Ok(Found::Here(secret.clone())),
            Self::Ssm(name) => return Ok(Found::InParameter(name)),
            Self::Env(name) => {
                SecretString::from(env(name).ok_or_else(|| SecretError::NotInEnvironment(name.clone()))?)
            }
            Self::File(path) => read_file(path)?,
        };
        let token = SecretString::from(text.expose_secret().trim());
        check_token(token.expose_secret(), &self.to_string())?;
        Ok(Found::Here(token))
    }
}

/// What reading a secret on this machine brings.
#[derive(Clone, Debug)]
pub enum Found<'a> {
    /// The secret itself.
    Here(SecretString),
    /// It is in the SSM parameter of this name.
    InParameter(&'a str),
}

/// GitLab Runner expands `$NAME` and `${NAME}` in a token.
fn expanded_variable(text: &str) -> Option<&str> {
    let name = text.strip_prefix('$')?;
    Some(name.strip_prefix('{').and_then(|inner| inner.strip_suffix('}')).unwrap_or(name))
}

fn check_token(text: &str, of: &str) -> Result<(), SecretError> {
    if text.is_empty() {
        return Err(SecretError::Empty(of.to_owned()));
    }
    if flaw(text).is_some() {
        return Err(SecretError::NotAToken(of.to_owned()));
    }
    Ok(())
}

/// Why a text cannot be a token, which is one line of printable ASCII.
fn flaw(text: &str) -> Option<&'static str> {
    match text {
        "" => Some("is empty"),
        _ if text.contains(['\n', '\r']) => Some("has more than one line"),
        _ if text.contains([' ', '\t']) => Some("holds a space"),
        _ if !text.bytes().all(|b| b.is_ascii_graphic()) => Some("holds a character that no token has"),
        _ => None,
    }
}

/// What a token is written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TokenOf {
    /// `token`: the runner takes jobs with it.
    Runner,
    /// `api_token`: the queue is read with it.
    Api,
}

/// How tokens of GitLab begin that are neither a runner's nor one for the API, and what they are.
/// Source: GitLab documentation, "Token overview", "Token prefixes".
const OTHER_TOKENS: [(&str, &str); 9] = [
    ("GR1348941", "a registration token (GR1348941…), by which runners were registered once"),
    ("gldt-", "a deploy token (gldt-…)"),
    ("glptt-", "a trigger token (glptt-…)"),
    ("glcbt-", "the token of a CI job (glcbt-…)"),
    ("glft-", "a feed token (glft-…)"),
    ("glimt-", "a token for incoming mail (glimt-…)"),
    ("glagent-", "a token of the agent for Kubernetes (glagent-…)"),
    ("glsoat-", "a SCIM token (glsoat-…)"),
    ("gloas-", "the secret of an OAuth application (gloas-…)"),
];
/// `glrtr-`: of a runner that was registered by a registration token.
const RUNNER_TOKENS: [&str; 2] = ["glrt-", "glrtr-"];

impl TokenOf {
    /// Why a token can only be of another kind, by how it begins, and what to write. Names the kind, never the token.
    pub fn other_kind(self, token: &str) -> Option<String> {
        let of_runner = "a runner's authentication token (glrt-…), which belongs to `token`";
        let of_api = "an access token (glpat-…), which belongs to `api_token`";
        let other = OTHER_TOKENS.iter().find(|(prefix, _)| token.starts_with(prefix)).map(|(_, kind)| *kind);
        let found = match self {
            Self::Runner => other.or_else(|| token.starts_with("glpat-").then_some(of_api)),
            Self::Api => {
                other.or_else(|| RUNNER_TOKENS.iter().any(|prefix| token.starts_with(prefix)).then_some(of_runner))
            }
        };
        let wanted = match self {
            Self::Runner => "the authentication token that GitLab shows when the runner is created (glrt-…)",
            Self::Api => "a personal, group or project access token with the scope read_api (glpat-…)",
        };
        found.map(|found| format!("this is {found}; write {wanted}"))
    }
}

fn read_file(path: &Path) -> Result<SecretString, SecretError> {
    match files::read_small(path, SECRET_FILE_BYTES_MAX) {
        Ok(text) => Ok(SecretString::from(text)),
        Err(error) => Err(SecretError::Unreadable { path: path.to_owned(), why: error.to_string() }),
    }
}

impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => a.expose_secret() == b.expose_secret(),
            (Self::Ssm(a), Self::Ssm(b)) | (Self::Env(a), Self::Env(b)) => a == b,
            (Self::File(a), Self::File(b)) => a == b,
            (Self::Literal(_) | Self::Ssm(_) | Self::Env(_) | Self::File(_), _) => false,
        }
    }
}

impl Eq for Secret {}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => f.write_str("literal (not shown)"),
            Self::Ssm(name) => write!(f, "ssm:{name}"),
            Self::Env(name) => write!(f, "env:{name}"),
            Self::File(path) => write!(f, "file:{}", path.display()),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn resolved(secret: &Secret) -> Result<String, String> {
        let env = |name: &str| (name == "TOKEN").then(|| "glrt-env\n".to_owned());
        let resolved = secret.resolve_with(env).map_err(|error| error.to_string())?;
        Ok(match resolved {
            Found::Here(secret) => secret.expose_secret().to_owned(),
            Found::InParameter(name) => format!("in {name}"),
        })
    }

    #[test]
    fn references_are_read_and_shown() {
        let cases = [
            ("glrt-abc", "literal (not shown)", Ok("glrt-abc")),
            ("ssm:/ci/token", "ssm:/ci/token", Ok("in /ci/token")),
            ("env:TOKEN", "env:TOKEN", Ok("glrt-env")),
            ("$TOKEN", "env:TOKEN", Ok("glrt-env")),
            ("${TOKEN}", "env:TOKEN", Ok("glrt-env")),
            ("env:OTHER", "env:OTHER", Err("environment variable OTHER is not set")),
            ("file:/nonexistent", "file:/nonexistent", Err("cannot read the secret file /nonexistent: No such file")),
            ("file:/dev/null", "file:/dev/null", Err("it is not a regular file")),
        ];
        for (text, shown, expected) in cases {
            let secret = Secret::parse(text).unwrap();
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), format!("Secret({shown})"));
            match (resolved(&secret), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected, "{text}"),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{text}: {found}"),
                (found, expected) => panic!("{text}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn bad_references_are_refused() {
        for text in
            ["", "ssm:", "ssm:/", "ssm:name", "env:", "env:1X", "env:A B", "file:", "file:relative", "$", "a b", "a\nb"]
        {
            assert!(Secret::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn a_token_of_another_kind_is_known_by_its_beginning() {
        let cases = [
            (TokenOf::Runner, "glrt-abc", None),
            (TokenOf::Runner, "glrtr-abc", None),
            (TokenOf::Runner, "0123456789abcdefghij", None),
            (TokenOf::Runner, "GR1348941abc", Some("a registration token")),
            (TokenOf::Runner, "glpat-abc", Some("belongs to `api_token`")),
            (TokenOf::Runner, "gldt-abc", Some("a deploy token")),
            (TokenOf::Api, "glpat-abc", None),
            (TokenOf::Api, "0123456789abcdefghij", None),
            (TokenOf::Api, "glrt-abc", Some("belongs to `token`")),
            (TokenOf::Api, "glrtr-abc", Some("belongs to `token`")),
            (TokenOf::Api, "glcbt-abc", Some("the token of a CI job")),
            (TokenOf::Api, "GR1348941abc", Some("a registration token")),
        ];
        for (of, token, expected) in cases {
            let said = of.other_kind(token);
            assert_eq!(said.is_some(), expected.is_some(), "{token}: {said:?}");
            assert!(
                said.as_ref().is_none_or(|said| said.contains(expected.unwrap()) && !said.contains("abc")),
                "{said:?}"
            );
            let literal = Secret::parse(token).unwrap();
            assert_eq!(literal.literal_is_of_another_kind(of), said);
        }
        assert_eq!(Secret::parse("ssm:/glpat-x").unwrap().literal_is_of_another_kind(TokenOf::Runner), None);
    }

    #[test]
    fn what_is_wrong_with_a_token_is_a_sentence() {
        for (text, why) in [
            ("glrt-verysecret x", "the token holds a space; write the token itself"),
            ("glrt-verysecret\nx", "the token has more than one line;"),
            ("glrt-verysecret\u{e4}", "the token holds a character that no token has;"),
            (" ", "the token is empty;"),
        ] {
            let said = Secret::parse(text).unwrap_err();
            assert!(said.starts_with(why) && !said.contains("verysecret"), "{said}");
        }
    }

    #[test]
    fn a_secret_file_holds_one_token_and_perhaps_a_line_break() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        let large = "x".repeat(20_000);
        let cases: [(&[u8], Result<&str, &str>); 6] = [
            (b"glrt-abc\n", Ok("glrt-abc")),
            (b"glrt-abc\r\n\n", Ok("glrt-abc")),
            (b"\n", Err("is empty")),
            (b"glrt-abc\nother\n", Err("is not one line of printable characters")),
            (b"\xff\xfe", Err("it is not UTF-8 text")),
            (large.as_bytes(), Err("it is larger than 16384 bytes")),
        ];
        for (content, expected) in cases {
            fs::write(&path, content).unwrap();
            match (resolved(&Secret::File(path.clone())), expected) {
                (Ok(found), Ok(expected)) => assert_eq!(found, expected),
                (Err(found), Err(expected)) => assert!(found.contains(expected), "{found}"),
                (found, expected) => panic!("{found:?}, expected {expected:?}"),
            }
        }
    }
}

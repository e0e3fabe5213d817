//! What a command of the agent has answered, and how a failure is told.

use crate::ssh::SshError;
use runner_fleet_engine::ConnectionFailure;

/// Agent commands other than `watch` print a sentence at most.
pub(super) const ANSWER_BYTES_MAX: usize = 64 * 1024;

/// Shells answer so when there is no such program, or it is not executable yet.
const NOT_FOUND: [u32; 2] = [127, 126];

/// An agent that complains about its input may quote it; then its words go nowhere.
pub(super) fn without_secrets(words: &str, stdin: &str) -> String {
    const LONG_ENOUGH_TO_MATTER: usize = 8;
    let secretlike = |text: &str| text.len() >= LONG_ENOUGH_TO_MATTER && text.chars().any(|c| c.is_ascii_digit());
    let split = |c: char| !(c.is_ascii_alphanumeric() || c == '-' || c == '_');
    if words.split(split).filter(|word| secretlike(word)).any(|word| stdin.contains(word)) {
        return "(its message repeats the configuration and is not shown)".into();
    }
    words.to_owned()
}

pub(super) fn sentence(what: &str, status: u32, words: &str) -> String {
    if words.is_empty() {
        format!("{what} ended with status {status}")
    } else {
        format!("{what} ended with status {status}: {words}")
    }
}

/// sudo answers 1 and its own words when there is no such program.
pub(super) fn is_missing(status: Option<u32>, stderr: &[u8]) -> bool {
    let words = String::from_utf8_lossy(stderr);
    status.is_some_and(|status| NOT_FOUND.contains(&status))
        || ["command not found", "No such file", ": not found"].iter().any(|sign| words.contains(sign))
}

pub(super) fn failure(error: SshError) -> ConnectionFailure {
    let text = error.to_string();
    if error.is_wrong_host_key() {
        ConnectionFailure::WrongHostKey(text)
    } else if error.is_refused() {
        ConnectionFailure::Refused(text)
    } else {
        ConnectionFailure::Unreachable(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_agent_differs_from_a_refusing_one() {
        assert!(is_missing(Some(127), b""));
        assert!(is_missing(Some(126), b""));
        assert!(is_missing(Some(1), b"sudo: /usr/local/lib/runner-fleet/agent: command not found\n"));
        assert!(!is_missing(Some(1), b"sudo: a password is required\n"));
        assert!(!is_missing(None, b""));
    }

    #[test]
    fn words_that_repeat_the_configuration_are_not_shown() {
        let stdin = "token = \"glrt-abc123DEF456\"\nurl = \"https://gitlab.example.com\"";

        assert_eq!(without_secrets("config.toml: no space left", stdin), "config.toml: no space left");
        assert_eq!(without_secrets("bad line: token = \"glrt-abc123DEF456\"", stdin).find("glrt"), None);
    }
}

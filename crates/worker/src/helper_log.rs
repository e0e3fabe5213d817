//! A line of the ECR credential helper's log: when and why it had no credentials.
//!
//! Docker and gitlab-runner are only told `credentials not found`; the reason stands in the helper's log alone
//! (`ecr-login/ecr.go` of awslabs/amazon-ecr-credential-helper). Its lines are `key=value` pairs, quoted where needed, as
//! Go's `slog` (from 0.12) and `logrus` write them. They are written by a program on a worker and may hold anything: what
//! looks like a secret is blanked, and what is left is one short line.

use jiff::Timestamp;

use runner_fleet_engine::EcrError;

/// Enough for AWS's longest usual sentence (who may not do what on which resource, and why), in characters.
const TEXT_MAX: usize = 400;
/// From here on a run of letters and digits is a token rather than a word. AWS's session tokens, ECR's tokens and keys have
/// 40 to 3,000; an instance id has 19, an access key id 20.
const TOKEN_CHARS_MIN: usize = 32;

/// Reads an error line; `None` for a line of another level, or without a message.
pub fn error_of(line: &str) -> Option<EcrError> {
    let fields = fields(line);
    let field = |name: &str| fields.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
    if !field("level")?.eq_ignore_ascii_case("error") {
        return None;
    }
    let parts = [field("msg"), field("error").or_else(|| field("err"))];
    let text = parts.into_iter().flatten().filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join(": ");
    let text = scrubbed(&text);
    let at = field("time").and_then(|time| time.parse::<Timestamp>().ok());
    (!text.is_empty()).then_some(EcrError { at, text })
}

/// The newest error of a log's end.
pub fn last_error(log: &str) -> Option<EcrError> {
    log.lines().rev().find_map(error_of)
}

/// Foreign text made fit to be shown: one line without control characters, without anything that looks like a secret.
pub fn scrubbed(text: &str) -> String {
    let mut shown = String::new();
    let mut word = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }).chain([' ']) {
        if is_of_token(c) {
            word.push(c);
            continue;
        }
        shown.push_str(if looks_secret(&word) { "(masked)" } else { &word });
        word.clear();
        shown.push(c);
    }
    let line = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(TEXT_MAX) {
        Some((end, _)) => format!("{}…", line.get(..end).unwrap_or_default()),
        None => line,
    }
}

/// What base64, in either alphabet, hex and access key ids consist of. The slash is left out: it parts the words of ARNs and
/// addresses, and what of a secret lies between two slashes is nearly always long enough.
fn is_of_token(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '+' | '_' | '-' | '=')
}

/// Long and without words, or an access key id, or with the prefix of one of GitLab's tokens.
fn looks_secret(word: &str) -> bool {
    const PREFIXES: [&str; 5] = ["AKIA", "ASIA", "glrt-", "glpat-", "glcbt-"];
    if PREFIXES.iter().any(|prefix| word.starts_with(prefix)) {
        return word.len() > 8;
    }
    // A role's name or an id has hyphens between short parts; a token in base64 for addresses has one here and there.
    let longest = word.split('-').map(str::len).max().unwrap_or(0);
    let mixed = word.bytes().any(|b| b.is_ascii_digit()) && word.bytes().any(|b| b.is_ascii_alphabetic());
    mixed && (longest >= TOKEN_CHARS_MIN || (word.len() >= 2 * TOKEN_CHARS_MIN && longest >= TOKEN_CHARS_MIN / 2))
}

/// The `key=value` and `key="quoted \"value\""` pairs of a line; what is none is skipped.
fn fields(line: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut chars = line.chars().peekable();
    loop {
        while chars.next_if(|c| c.is_whitespace()).is_some() {}
        let mut key = String::new();
        while let Some(c) = chars.next_if(|c| *c != '=' && !c.is_whitespace()) {
            key.push(c);
        }
        if chars.next_if_eq(&'=').is_some() {
            found.push((key, value(&mut chars)));
        } else if chars.peek().is_none() {
            return found;
        }
    }
}

fn value(chars: &mut std::iter::Peekable<std::str::Chars<'_>>) -> String {
    let mut text = String::new();
    if chars.next_if_eq(&'"').is_none() {
        while let Some(c) = chars.next_if(|c| !c.is_whitespace()) {
            text.push(c);
        }
        return text;
    }
    while let Some(c) = chars.next() {
        match c {
            '"' => break,
            '\\' => match chars.next() {
                Some('n' | 't' | 'r') | None => text.push(' '),
                Some(other) => text.push(other),
            },
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DENIED: &str = r#"time=2026-02-25T10:11:12.123Z level=ERROR msg="Error retrieving credentials" error="ecr: Failed to get authorization token: operation error ECR: GetAuthorizationToken, https response error StatusCode: 400, RequestID: 0a1b2c3d-1111-2222-3333-444455556666, api error AccessDeniedException: User: arn:aws:sts::123456789012:assumed-role/ci-worker/i-0123456789abcdef0 is not authorized to perform: ecr:GetAuthorizationToken on resource: *""#;

    #[test]
    fn the_reason_is_kept_word_by_word() {
        let error = error_of(DENIED).unwrap();
        assert_eq!(error.at, Some("2026-02-25T10:11:12.123Z".parse().unwrap()));
        assert_eq!(
            error.text,
            "Error retrieving credentials: ecr: Failed to get authorization token: operation error ECR: \
             GetAuthorizationToken, https response error StatusCode: 400, RequestID: \
             0a1b2c3d-1111-2222-3333-444455556666, api error AccessDeniedException: User: \
             arn:aws:sts::123456789012:assumed-role/ci-worker/i-0123456789abcdef0 is not authorized to perform: \
             ecr:GetAuthorizationToken on resource: *"
        );
    }

    #[test]
    fn older_releases_and_lines_without_a_time_are_read_too() {
        let older = r#"time="2024-01-02T03:04:05Z" level=error msg="Error retrieving credentials" error="no EC2 IMDS role found""#;
        let error = error_of(older).unwrap();
        assert_eq!(error.text, "Error retrieving credentials: no EC2 IMDS role found");
        assert!(error.at.is_some());
        assert_eq!(error_of("level=error msg=oops").unwrap(), EcrError { at: None, text: "oops".into() });
    }

    #[test]
    fn the_newest_error_is_found_before_other_lines() {
        let debug = "time=2026-02-25T10:11:13Z level=DEBUG msg=\"Using cached token\" registry=1";
        assert_eq!(error_of(debug), None);
        assert_eq!(error_of(""), None);
        assert_eq!(error_of("level=ERROR"), None);
        let log = format!("level=error msg=old\n{DENIED}\n{debug}\n");
        assert_eq!(last_error(&log), error_of(DENIED));
    }

    #[test]
    fn secrets_are_blanked_and_words_are_not() {
        let secret = [
            "AKIAIOSFODNN7EXAMPLE",
            "ASIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI1K7MDENGbPxRfiCYEXAMPLEKEY0",
            "QVdTOmV5SndZWGxzYjJGa0lqb2lNVEl6TkRVMk56ZzVNREV5TXpRMU5qYzRPVEF5TXpRMQ==",
            "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
            "glrt-abcdefghijk",
            "FwoGZXIvYXdzEBYaDH-x2ZkT0aVvN3yQm5cSLUAbX8t_9rK1pJdEwGhI-zq7RsO4uVnB6lYfMxW",
        ];
        for secret in secret {
            let shown = scrubbed(&format!("token {secret}, x\u{1b}[31m\ny"));
            assert_eq!(shown, "token (masked), x [31m y", "{secret}");
        }
        let words = [
            "a-rather-long-role-name-for-the-workers-of-our-ci-in-frankfurt-1",
            "AWSServiceRoleForEC2Spot",
            "123456789012.dkr.ecr.eu-central-1.amazonaws.com",
            "0a1b2c3d-1111-2222-3333-444455556666",
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/",
        ];
        for word in words {
            assert_eq!(scrubbed(word), word);
        }
    }

    proptest! {
        #[test]
        fn any_line_gives_a_short_plain_text_or_none(line in any::<String>()) {
            if let Some(error) = error_of(&format!("level=error msg={line}")) {
                prop_assert!(error.text.chars().count() <= TEXT_MAX + 1);
                prop_assert!(!error.text.chars().any(char::is_control));
            }
        }
    }
}

//! A line of the file below an error, with a caret. A line may hold a token, so that only what is known to be
//! harmless is shown; the rest is as many stars.

use super::gitlab_keys::FILE;
use super::lines::Spot;

/// As much of a line is shown, in characters.
const SHOWN_MAX: usize = 120;
/// Of a longer line, so much behind the error's place.
const BEHIND: usize = 20;

/// Keys of ours whose values are no secrets.
const PLAIN: [&str; 37] = [
    "manager",
    "state_dir",
    "control_socket",
    "page_hosts",
    "projects",
    "groups",
    "region",
    "ami",
    "instance_types",
    "market",
    "subnets",
    "security_groups",
    "instance_profile",
    "address",
    "ssh_user",
    "size_gib",
    "type",
    "encrypted",
    "kms_key_id",
    "device",
    "max_workers",
    "capacity",
    "max_jobs",
    "max_age",
    "idle_count",
    "idle_time",
    "target_wait",
    "idle_count_min",
    "idle_count_max",
    "idle_scale_factor",
    "boot_timeout",
    "orphan_timeout",
    "setup_script",
    "registries",
    "runner_version",
    "severity",
    "after",
];

/// Parts of names, in lower case, whose values may hold a secret.
const MARKS: [&str; 14] = [
    "token",
    "secret",
    "password",
    "key",
    "credential",
    "environment",
    "variables",
    "script",
    "url",
    "dsn",
    "options",
    "opt",
    "config",
    "labels",
];

/// The line and below it a caret of this width, as rustc draws them.
pub(crate) fn of(line: &str, spot: Spot, width: usize) -> String {
    let number = spot.line.to_string();
    let margin = " ".repeat(number.len());
    let before = spot.column.saturating_sub(1);
    let skipped = (before + BEHIND).saturating_sub(SHOWN_MAX);
    let part: String = shown(line).chars().skip(skipped).take(SHOWN_MAX).collect();
    let indent = before.saturating_sub(skipped);
    // A tab is as wide below as it is above.
    let above = line.chars().skip(skipped).chain(std::iter::repeat(' '));
    let under: String = above.take(indent).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
    let room = part.chars().count().saturating_sub(indent).max(1);
    let caret = "^".repeat(width.clamp(1, room));
    format!("{margin} |\n{number} | {}\n{margin} | {under}{caret}", part.trim_end())
}

/// The line with stars for what may be secret; every other character keeps its place.
fn shown(line: &str) -> String {
    if is_header(line) {
        return line.to_owned();
    }
    let indent = line.len() - line.trim_start().len();
    let key_bytes = line.trim_start().find(['=', ' ', '\t']).unwrap_or(line.trim_start().len());
    let (key, value) = line.split_at_checked(indent + key_bytes).unwrap_or(("", line));
    let name = key.trim();
    let is_assignment = value.trim_start().starts_with('=');
    if is_assignment && is_plain(name) && !value.contains('@') {
        return line.to_owned();
    }
    let key = if is_assignment || is_known(name) { key.to_owned() } else { starred(key) };
    let words = value.split_inclusive(|c: char| !is_word(c)).map(|word| {
        let is_literal = is_literal(word.trim_end_matches(|c: char| !is_word(c)));
        if is_literal { word.to_owned() } else { starred(word) }
    });
    key + &words.collect::<String>()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '.' | '_' | '+' | '-')
}

fn is_literal(word: &str) -> bool {
    matches!(word, "true" | "false") || (word.len() <= 6 && word.bytes().all(|b| b.is_ascii_digit()))
}

/// What makes the line's structure stays, words do not.
fn starred(text: &str) -> String {
    text.chars().map(|c| if c.is_whitespace() || "=[]{},\"'#".contains(c) { c } else { '*' }).collect()
}

/// `[runners.docker`, perhaps without its end.
fn is_header(line: &str) -> bool {
    let name = line.trim().trim_matches(['[', ']']);
    let first = name.split('.').next().unwrap_or_default().trim();
    let bare = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ' ');
    line.trim_start().starts_with('[') && name.chars().all(bare) && FILE.canonical(first).is_some()
}

fn is_known(name: &str) -> bool {
    let tables = FILE.tables_inside("");
    PLAIN.contains(&name)
        || name == "api_token"
        || FILE.canonical(name).is_some()
        || tables.iter().any(|(_, keys)| keys.canonical(name).is_some())
}

fn is_plain(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    PLAIN.contains(&name) || (is_known(name) && !MARKS.iter().any(|mark| lower.contains(mark)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_shown_as_far_as_it_holds_no_secret() {
        let cases = [
            (r#"  volumes = ["/cache""#, r#"  volumes = ["/cache""#),
            ("[runners.docker", "[runners.docker"),
            (r#"token = "glrt-abc" 7"#, r#"token = "********" 7"#),
            ("token glrt-abc", "token ********"),
            ("tokn = glrt-abc", "tokn = ********"),
            ("glrt-abc", "********"),
            ("  \"glrt-abc def\",", "  \"******** ***\","),
            ("api_token = 'glpat-x", "api_token = '*******"),
            (r#"Environment = ["A=b"]"#, r#"Environment = ["*=*"]"#),
            (r#"image = "u:p@host/x""#, r#"image = "**********""#),
            ("limit = 10 true x", "limit = 10 true x"),
            ("MachineOptions = [\"amazonec2-secret-key=x\"", "MachineOptions = [\"********************=*\""),
            ("[glrt-abc]", "[********]"),
            ("", ""),
        ];
        for (line, expected) in cases {
            assert_eq!(shown(line), expected);
        }
    }

    #[test]
    fn the_caret_stands_below_its_place() {
        assert_eq!(of("limit = = 3", Spot { line: 12, column: 9 }, 1), "   |\n12 | limit = = 3\n   |         ^");
        assert_eq!(of("\tlimit 3", Spot { line: 7, column: 2 }, 5), "  |\n7 | \tlimit 3\n  | \t^^^^^");
        let long = format!("limit = {} x", "1".repeat(500));
        let text = of(&long, Spot { line: 1, column: 510 }, 1);
        assert!(text.lines().all(|line| line.chars().count() <= SHOWN_MAX + 4), "{text}");
        let [_, shown, caret] = text.lines().collect::<Vec<_>>()[..] else { panic!("{text}") };
        assert_eq!(shown.chars().nth(caret.chars().count() - 1), Some('x'), "{text}");
    }
}

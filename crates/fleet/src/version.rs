//! Which build this is: version, commit, and the commit's date.

use std::sync::LazyLock;

/// `0.1.0 (3f2a9c1d0b7e 2026-11-29)`, or `0.1.0 (development build)` where nobody said what was built.
///
/// Commit and date come from the environment of the build (`RUNNER_FLEET_COMMIT`, `RUNNER_FLEET_DATE`; see
/// mk/version.mk), so that the same commit gives the same bytes, and a build needs no git.
pub fn text() -> &'static str {
    static TEXT: LazyLock<String> =
        LazyLock::new(|| describe(option_env!("RUNNER_FLEET_COMMIT"), option_env!("RUNNER_FLEET_DATE")));
    &TEXT
}

/// The same in parts, for those that count builds: version, commit and date, the latter two empty where nobody said it.
pub fn parts() -> [(&'static str, &'static str); 3] {
    [
        ("version", env!("CARGO_PKG_VERSION")),
        ("commit", option_env!("RUNNER_FLEET_COMMIT").unwrap_or_default()),
        ("date", option_env!("RUNNER_FLEET_DATE").unwrap_or_default()),
    ]
}

fn describe(commit: Option<&str>, date: Option<&str>) -> String {
    let build = match (commit, date) {
        (Some(commit), Some(date)) => format!("{commit} {date}"),
        (Some(commit), None) => commit.to_owned(),
        (None, _) => "development build".to_owned(),
    };
    format!("{} ({build})", env!("CARGO_PKG_VERSION"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_release_names_its_commit_and_a_development_build_says_so() {
        let release = describe(Some("3f2a9c1d0b7e"), Some("2026-11-29"));
        assert!(release.ends_with(" (3f2a9c1d0b7e 2026-11-29)"), "{release}");
        assert!(describe(None, None).ends_with(" (development build)"));
    }
}

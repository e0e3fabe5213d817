//! What holds of every old file.

use proptest::prelude::*;

use crate::generated::chosen;
use crate::old::Old;

proptest! {
    /// Without a `TO DO` the result is accepted, with one it is not; and the old file is accepted when the result is.
    #[test]
    fn what_is_written_is_accepted(chosen in chosen()) {
        let old = Old::text(chosen.text());
        let Ok(_) = old.migrate() else {
            prop_assert!(old.load().is_err(), "{}", old.text);
            return Ok(());
        };
        let new = old.migrated();
        let is_done = new.to_dos().is_empty();
        prop_assert_eq!(new.load().is_ok(), is_done, "{:?}\n{}\n{}", new.load().err(), old.text, new.text);
        prop_assert_eq!(old.load().is_ok(), is_done, "{:?}\n{}\n{}", old.load().err(), old.text, new.text);
        if is_done {
            prop_assert_eq!(old.loaded().config, new.loaded().config, "{}\n{}", old.text, new.text);
        }
    }

}

proptest! {
    // Each is some fifty files.
    #![proptest_config(ProptestConfig { cases: 40, ..ProptestConfig::default() })]

    /// Take out any line, and what `migrate` says is another thing.
    #[test]
    fn no_line_goes_without_a_word(chosen in chosen()) {
        // Errors are told alone.
        prop_assume!(Old::text(chosen.text()).migrate().is_ok());
        let said = said(&chosen.text());
        for (line, less) in chosen.without_each() {
            prop_assert_ne!(said.clone(), self::said(&less.text()), "{} in\n{}", line, chosen.text());
        }
    }
}

/// What `migrate` says, without the number of a line or of an element, which others have when one is gone.
fn said(text: &str) -> String {
    let old = Old::text(text);
    let said = old.migrate().unwrap_or_else(|problems| problems.to_string());
    let mut plain = String::new();
    for line in said.lines() {
        let line = match line.split_once("line ") {
            Some((before, rest)) if line.starts_with(['#', ' ']) => {
                format!("{before}{}", rest.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            _ => line.to_owned(),
        };
        let mut in_brackets = false;
        plain.extend(line.chars().filter(|c| {
            in_brackets = *c == '[' || in_brackets && c.is_ascii_digit();
            !(in_brackets && c.is_ascii_digit())
        }));
        plain.push('\n');
    }
    plain
}

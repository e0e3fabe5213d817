//! Words of a POSIX shell.

use std::borrow::Cow;

/// `text` as one word of a shell, quoted where it needs to be. Only a NUL cannot be quoted: no argument and no value of a
/// TOML file has one, and such a text becomes the empty word.
pub fn word(text: &str) -> Cow<'_, str> {
    shlex::try_quote(text).unwrap_or(Cow::Borrowed("''"))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::word;

    #[test]
    fn a_shell_reads_what_was_written() {
        for text in ["plain", "", "a b", "a'; reboot; '", "\"$HOME\" `id` $(id) \\", "*", "two\nlines", "!x ~ #"] {
            let output = Command::new("sh").arg("-c").arg(format!("printf %s {}", word(text))).output().unwrap();
            assert_eq!(String::from_utf8(output.stdout).unwrap(), text);
        }
    }
}

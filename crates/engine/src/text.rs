//! Small things that are written the same everywhere.

/// Bytes as lower-case hexadecimal digits, two for each.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The first `digits` hexadecimal digits of a digest; an even number.
pub fn short_hex(digest: &[u8], digits: usize) -> String {
    hex(digest.get(..digits / 2).unwrap_or(digest))
}

/// The first `length` characters, on one line and without anything that a terminal or a protocol could take for more than
/// text: what others say is anybody's words.
pub fn one_line(text: &str, length: usize) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(length).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_say_stays_on_one_line() {
        assert_eq!(one_line("a\nb\u{1b}c\u{85}é", 6), "a b c ");
        assert_eq!(one_line("ab", 6), "ab");
    }

    #[test]
    fn bytes_are_two_digits_each() {
        assert_eq!(hex(&[0, 15, 255]), "000fff");
        assert_eq!(short_hex(&[1, 2, 3], 4), "0102");
        assert_eq!(short_hex(&[1], 4), "01");
    }
}

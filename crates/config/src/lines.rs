//! Where in a text something stands, as editors count.

/// A place in a text, 1-based.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Spot {
    pub(crate) line: usize,
    /// Characters, not bytes.
    pub(crate) column: usize,
}

/// A text by lines.
pub(crate) struct Lines<'t> {
    text: &'t str,
    starts: Vec<usize>,
}

impl<'t> Lines<'t> {
    pub(crate) fn of(text: &'t str) -> Self {
        let breaks = text.bytes().enumerate().filter(|(_, byte)| *byte == b'\n').map(|(at, _)| at + 1);
        Self { text, starts: std::iter::once(0).chain(breaks).collect() }
    }

    /// The place of the character at this byte.
    pub(crate) fn spot_of(&self, offset: usize) -> Spot {
        let line = self.starts.partition_point(|start| *start <= offset).max(1);
        let start = self.starts.get(line - 1).copied().unwrap_or_default();
        let before = without_mark(self.text.get(start..offset).unwrap_or_default());
        Spot { line, column: before.chars().count() + 1 }
    }

    /// A line without its end; empty where there is none.
    pub(crate) fn line(&self, line: usize) -> &'t str {
        let start = line.checked_sub(1).and_then(|index| self.starts.get(index)).copied().unwrap_or(self.text.len());
        let rest = self.text.get(start..).unwrap_or_default();
        without_mark(rest.lines().next().unwrap_or_default())
    }
}

/// Editors do not count the byte order mark at the beginning of a file.
fn without_mark(text: &str) -> &str {
    text.strip_prefix('\u{feff}').unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_are_counted_as_editors_do() {
        let text = "a = 1\r\n\u{e4}\u{f6} = 2\n\nlast";
        let lines = Lines::of(text);
        let at = |needle: &str| lines.spot_of(text.find(needle).unwrap());
        assert_eq!((at("1"), at("2")), (Spot { line: 1, column: 5 }, Spot { line: 2, column: 6 }));
        assert_eq!(lines.spot_of(text.len()), Spot { line: 4, column: 5 });
        let marked = Lines::of("\u{feff}a = 1");
        assert_eq!((marked.spot_of(7).column, marked.line(1)), (5, "a = 1"));
        assert_eq!([1, 2, 3, 4, 5].map(|line| lines.line(line)), ["a = 1", "\u{e4}\u{f6} = 2", "", "last", ""]);
    }
}

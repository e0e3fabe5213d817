//! Tables that fit the screen: where it is narrow, columns are left out and names are shortened, and what people copy
//! stays whole, on one line.

use comfy_table::{Cell, Color, ColumnConstraint, Table, Width};

use super::output::OutputStyle;

/// Between two columns.
const GAP: usize = 2;
/// What a sentence needs to be read in: some three words a line.
const SENTENCE_MIN: usize = 24;
/// What it gets where there is no room at all; beyond that the terminal wraps the line.
const SENTENCE_LEAST: usize = 10;
/// Names are shortened to this before columns are left out, and further only after that.
const NAME_SOFT: usize = 24;

/// What becomes of a column where there is no room for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    /// Nothing: it is what people copy, or short.
    Whole,
    /// It is left out; those with the lowest number first.
    Dropped(u8),
    /// It ends in "…", after so many characters at the least; after `most` also where there is room for more.
    Name {
        /// Characters that are always shown.
        least: usize,
        /// Characters that are shown at most.
        most: usize,
    },
    /// It is wrapped between words, in what the others leave.
    Sentence,
}

/// A table whose columns know what becomes of them.
#[derive(Debug)]
pub(super) struct FitTable {
    columns: Vec<(&'static str, Fit)>,
    rows: Vec<Vec<Field>>,
}

/// A field, and the colour that it has where there are colours.
#[derive(Clone, Debug)]
pub(super) struct Field {
    text: String,
    color: Option<Color>,
}

impl Field {
    /// In this colour.
    pub(super) fn colored(text: &str, color: Color) -> Self {
        Self { text: text.to_owned(), color: Some(color) }
    }
}

impl<T: ToString> From<T> for Field {
    fn from(value: T) -> Self {
        Self { text: value.to_string(), color: None }
    }
}

impl FitTable {
    /// With these columns.
    pub(super) fn new(columns: impl IntoIterator<Item = (&'static str, Fit)>) -> Self {
        Self { columns: columns.into_iter().collect(), rows: Vec::new() }
    }

    /// One row more, a field for each column.
    pub(super) fn add<const N: usize>(&mut self, row: [Field; N]) {
        self.rows.push(row.into());
    }

    /// Laid out for this reader; `wide`: whole, whatever the screen.
    pub(super) fn laid_out(&self, style: OutputStyle, wide: bool) -> Table {
        let widths = self.widths(style.width.filter(|_| !wide).map(usize::from), wide);
        let columns = || self.columns.iter().zip(&widths).enumerate();
        let shown = || columns().filter_map(|(at, (column, width))| Some((at, column, (*width)?)));
        let header: Vec<&str> = shown().map(|(_, (name, _), _)| *name).collect();
        let mut table = OutputStyle { width: None, ..style }.table(&header);
        for row in &self.rows {
            table.add_row(shown().map(|(at, _, width)| {
                let field = row.get(at);
                let cell = Cell::new(field.map(|field| self.text(at, field, width)).unwrap_or_default());
                match field.and_then(|field| field.color).filter(|_| style.color) {
                    Some(color) => cell.fg(color),
                    None => cell,
                }
            }));
        }
        let last = shown().count().saturating_sub(1);
        for (index, (_, _, width)) in shown().enumerate() {
            if let Some(column) = table.column_mut(index) {
                let gap = if index == last { 0 } else { GAP };
                column.set_padding((0, u16::try_from(gap).unwrap_or(u16::MAX)));
                let fixed = u16::try_from(width.saturating_add(gap)).unwrap_or(u16::MAX);
                column.set_constraint(ColumnConstraint::Absolute(Width::Fixed(fixed)));
            }
        }
        table
    }

    fn text(&self, at: usize, field: &Field, width: usize) -> String {
        match self.columns.get(at) {
            Some((_, Fit::Name { .. })) => shortened(&field.text, width),
            Some(_) | None => field.text.clone(),
        }
    }

    /// The width of each column; none for those that are left out.
    fn widths(&self, screen: Option<usize>, wide: bool) -> Vec<Option<usize>> {
        let columns = self.columns.iter().enumerate();
        let mut widths: Vec<Option<usize>> = columns.map(|(at, column)| Some(self.natural(at, column, wide))).collect();
        if let Some(screen) = screen {
            self.shorten_names(&mut widths, screen, NAME_SOFT);
            self.leave_out(&mut widths, screen);
            self.shorten_names(&mut widths, screen, 0);
            self.give_the_rest(&mut widths, screen);
        }
        widths
    }

    /// What it takes at the least, as it is now.
    fn needed(&self, widths: &[Option<usize>]) -> usize {
        let of = |((_, fit), width): (&(&'static str, Fit), &Option<usize>)| {
            let most = if *fit == Fit::Sentence { SENTENCE_MIN } else { usize::MAX };
            width.map(|width| width.min(most) + GAP)
        };
        self.columns.iter().zip(widths).filter_map(of).sum::<usize>().saturating_sub(GAP)
    }

    /// Names become as short as they must, and no shorter than this.
    fn shorten_names(&self, widths: &mut [Option<usize>], screen: usize, shortest: usize) {
        for (at, (_, fit)) in self.columns.iter().enumerate() {
            let over = self.needed(widths).saturating_sub(screen);
            if let (Fit::Name { least, .. }, Some(Some(width))) = (fit, widths.get_mut(at)) {
                *width = width.saturating_sub(over).max(shortest).max(*least).min(*width);
            }
        }
    }

    fn leave_out(&self, widths: &mut [Option<usize>], screen: usize) {
        let rank = |(at, (_, fit)): (usize, &(&'static str, Fit))| match fit {
            Fit::Dropped(rank) => Some((*rank, at)),
            Fit::Whole | Fit::Name { .. } | Fit::Sentence => None,
        };
        let mut ranks: Vec<(u8, usize)> = self.columns.iter().enumerate().filter_map(rank).collect();
        ranks.sort_unstable();
        for (_, at) in ranks {
            if self.needed(widths) <= screen {
                break;
            }
            if let Some(width) = widths.get_mut(at) {
                *width = None;
            }
        }
    }

    /// Sentences get what is left.
    fn give_the_rest(&self, widths: &mut [Option<usize>], screen: usize) {
        for (at, (_, fit)) in self.columns.iter().enumerate() {
            let others = widths.iter().enumerate().filter(|(other, _)| *other != at).filter_map(|(_, width)| *width);
            let others: usize = others.map(|width| width + GAP).sum();
            if let (Fit::Sentence, Some(Some(width))) = (fit, widths.get_mut(at)) {
                *width = screen.saturating_sub(others).max(SENTENCE_LEAST).min(*width);
            }
        }
    }

    /// What a column takes where there is room.
    fn natural(&self, at: usize, (name, fit): &(&'static str, Fit), wide: bool) -> usize {
        let texts = self.rows.iter().filter_map(|row| row.get(at)).map(|field| field.text.chars().count());
        let longest = texts.max().unwrap_or(0);
        let longest = match fit {
            Fit::Name { most, .. } if !wide => longest.min(*most),
            Fit::Name { .. } | Fit::Whole | Fit::Dropped(_) | Fit::Sentence => longest,
        };
        // A column of width 0 is none.
        longest.max(name.chars().count()).max(1)
    }
}

/// At most so many characters; where some are left out, the last one says so.
pub(super) fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> FitTable {
        let mut table = FitTable::new([
            ("WORKER", Fit::Whole),
            ("NAME", Fit::Name { least: 6, most: 12 }),
            ("ZONE", Fit::Dropped(1)),
            ("USD", Fit::Dropped(0)),
            ("NOTE", Fit::Sentence),
        ]);
        table.add([
            "i-0123456789abcdef0".into(),
            "a-very-long-name".into(),
            "eu-central-1a".into(),
            "0.01".into(),
            "one two three four five six seven".into(),
        ]);
        table
    }

    fn lines(width: Option<u16>, wide: bool) -> Vec<String> {
        let style = OutputStyle { color: false, width };
        table().laid_out(style, wide).lines().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn columns_go_in_their_order_and_ids_stay_whole() {
        let header = |width| lines(Some(width), false)[0].clone();
        assert_eq!(header(120), "WORKER               NAME          ZONE           USD   NOTE");
        assert_eq!(header(78), "WORKER               NAME          ZONE           NOTE");
        assert_eq!(header(62), "WORKER               NAME          NOTE");
        for width in [20, 40, 60, 80, 200] {
            let all = lines(Some(width), false);
            assert!(all.iter().any(|line| line.starts_with("i-0123456789abcdef0")), "{width}: {all:?}");
        }
    }

    #[test]
    fn lines_are_no_longer_than_the_screen() {
        for width in [47, 50, 60, 64, 70, 80, 100, 120] {
            let all = lines(Some(width), false);
            assert!(all.iter().all(|line| line.chars().count() <= usize::from(width)), "{width}: {all:#?}");
        }
    }

    #[test]
    fn names_end_in_dots_and_wide_shows_all() {
        assert!(lines(None, false)[1].contains("a-very-long…  "), "{:?}", lines(None, false));
        let wide = lines(Some(40), true);
        assert_eq!(wide.len(), 2);
        assert!(
            wide[1].ends_with("one two three four five six seven") && wide[1].contains("a-very-long-name"),
            "{wide:?}"
        );
    }
}

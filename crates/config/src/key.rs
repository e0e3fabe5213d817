//! What a table of ours may hold: the names of its keys, and what kind of value each takes.
//!
//! `Reader` refuses every other key, and the JSON Schema is made of the same tables. What a value means, and whether it
//! fits the others, is known where it is read.

/// A key of one of our tables.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Whether its table makes no sense without it.
    pub(crate) required: bool,
}

/// What may be written as a value: everything that its parser takes, and little more.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    /// Text, not empty.
    Text,
    /// Text, perhaps empty.
    AnyText,
    /// Text of this shape, a regular expression.
    Like(&'static str),
    /// One of these words.
    Word(&'static [&'static [&'static str]]),
    /// `true` or `false`.
    Boolean,
    /// A whole number in this range.
    Whole(u32, u32),
    /// A number in this range.
    Number(u32, u32),
    /// USD per hour, as a number or in quotes.
    Price,
    /// A count, or "auto".
    IdleCount,
    /// "90s", "5m", "2h", "1h30m", or whole seconds.
    Time,
    /// The same, or "auto".
    IdleTime,
    /// A project or group.
    IdOrPath,
    /// A list, perhaps empty.
    List(&'static Kind),
    /// A list of at least one.
    SomeOf(&'static Kind),
    /// One of our tables: no other key than these.
    Table(&'static [Key]),
    /// A list of such tables.
    Tables(&'static [Key]),
    /// A table of texts, of this many at most, whose names are the user's choice.
    Texts(u32),
    /// A table that is handed on.
    AnyTable,
}

impl Key {
    pub(crate) const fn optional(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: false }
    }

    pub(crate) const fn required(name: &'static str, kind: Kind) -> Self {
        Self { name, kind, required: true }
    }
}

/// The names of some keys, in order.
pub(crate) fn names(keys: &[Key]) -> Vec<&'static str> {
    keys.iter().map(|key| key.name).collect()
}

/// The words of a table that [`super::values::word`] reads by.
#[expect(clippy::indexing_slicing, reason = "the index is below the length of both, and iterators are not const")]
pub(crate) const fn words<T, const N: usize>(table: &[(&'static str, T); N]) -> [&'static str; N] {
    let mut words = [""; N];
    let mut index = 0;
    while index < N {
        words[index] = table[index].0;
        index += 1;
    }
    words
}
